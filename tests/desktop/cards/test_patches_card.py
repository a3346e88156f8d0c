from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from g2g_desktop.cards.patches_card import PatchesCard, count_text, percent
from g2g_desktop.widgets.theme import Theme, Tone
from training_core.patches.smooth_patches import SmoothPatches, Verdict

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_the_patches_card_says_count_coverage_and_verdict(theme: Theme, qtbot: QtBot) -> None:
    card = PatchesCard(theme)
    qtbot.addWidget(card)
    verdict = Verdict("red", "Found no smooth patch. Raise the strictness to 0.3.")
    found = SmoothPatches(
        np.zeros((3412, 3), np.int32), np.zeros(3412), 32, 8, None, 60, 0.184, verdict
    )
    card.show_patches(found)
    assert card.count.text() == count_text(3412)
    assert card.share.text() == f"on {percent(0.18)} of the stack"
    assert card.verdict.text() == verdict.sentence
    red = card.verdict.words.palette().color(card.verdict.words.foregroundRole())
    assert red == theme.colour(Tone.RED)
    assert not card.verdict.symbol.pixmap().isNull()
    card.show_frame_count(None, 1, 0.05)
    assert card.in_frame.text() == f"In this frame: 1 patch on {percent(0.05)}"


def test_numbers_are_grouped() -> None:
    assert count_text(1_234_567).replace("\N{NARROW NO-BREAK SPACE}", " ") == "1 234 567 patches"
