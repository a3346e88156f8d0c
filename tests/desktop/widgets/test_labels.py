from __future__ import annotations

from typing import TYPE_CHECKING

from g2g_desktop.widgets.labels import ElidedLabel, ToneLabel
from g2g_desktop.widgets.theme import Theme, Tone

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_a_long_name_is_cut_and_whole_in_the_tooltip(qtbot: QtBot) -> None:
    label = ElidedLabel("a very long name of a file that no panel holds.tif")
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    assert "\N{HORIZONTAL ELLIPSIS}" in label.text()
    assert label.toolTip() == "a very long name of a file that no panel holds.tif"


def test_a_sentence_loses_its_end(qtbot: QtBot) -> None:
    label = ElidedLabel("The denoised stack is ready, and so on.", sentence=True)
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    assert label.text().startswith("The d")
    assert label.text().endswith("\N{HORIZONTAL ELLIPSIS}")


def test_a_tone_label_without_words_is_hidden(theme: Theme, qtbot: QtBot) -> None:
    label = ToneLabel(theme)
    qtbot.addWidget(label)
    label.say(Tone.GREEN, "Good.")
    assert not label.isHidden()
    label.say(Tone.GREEN, "")
    assert label.isHidden()
