from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel

from g2g_desktop.cards.settings_form import SettingsForm
from training_core.settings import DenoiserSettings, NoiseModelSettings, PatchSettings, setting

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


@dataclass(frozen=True)
class Example:
    whole: int = setting(3, "Whole", "A whole number.", within=(1, 9), step=2, unit="px")
    part: float = setting(0.01, "Part", "A fraction.", within=(1e-4, 0.1))
    word: str = setting("b", "Word", "One of three.", choices=("a", "b", "c"))
    number: int = setting(8, "Number", "One of two.", choices=(1, 8))
    flag: bool = setting(True, "Flag", "Yes or no.")
    maybe: float | None = setting(None, "Maybe", "Or not.", within=(0.0, 1.0), step=0.01)


@pytest.fixture
def form(qtbot: QtBot) -> SettingsForm:
    made = SettingsForm(Example())
    qtbot.addWidget(made)
    made.show()
    return made


def test_the_form_holds_what_it_was_given(form: SettingsForm) -> None:
    assert form.settings == Example()
    other = Example(whole=5, part=0.02, word="c", number=1, flag=False, maybe=0.25)
    form.show_settings(other)
    assert form.settings == other


@pytest.mark.parametrize("kind", [PatchSettings, NoiseModelSettings, DenoiserSettings])
def test_every_setting_of_the_core_fits_into_a_form(kind: Any, qtbot: QtBot) -> None:
    form = SettingsForm(kind())
    qtbot.addWidget(form)
    assert form.settings == kind()


def test_an_edit_gives_new_settings_once(form: SettingsForm, qtbot: QtBot) -> None:
    heard: list[Example] = []
    form.changed.connect(heard.append)
    form.editors["whole"].stepBy(1)
    form.editors["flag"].click()
    assert heard == [Example(whole=5), Example(whole=5, flag=False)]


def test_showing_settings_is_silent(form: SettingsForm) -> None:
    heard: list[Example] = []
    form.changed.connect(heard.append)
    form.show_settings(Example(whole=9, part=0.05, word="a", maybe=0.5))
    assert heard == []


def test_limits_unit_label_and_help_come_from_the_setting(form: SettingsForm) -> None:
    whole = form.editors["whole"]
    assert (whole.minimum(), whole.maximum(), whole.singleStep()) == (1, 9, 2)
    assert whole.suffix() == " px"
    assert whole.toolTip() == "A whole number."
    assert whole.accessibleName() == "Whole"
    assert next(label.text() for label in form.findChildren(QLabel)) == "Whole"
    assert form.editors["part"].decimals() == 4


def test_automatic_is_none_and_the_slider_gives_a_number(form: SettingsForm, qtbot: QtBot) -> None:
    maybe = form.editors["maybe"]
    assert maybe.value_now() is None
    assert not maybe.slider.isEnabled()
    maybe.automatic.click()
    assert maybe.value_now() == pytest.approx(0.15)
    with qtbot.waitSignal(form.changed) as heard:
        maybe.slider.setValue(42)
    assert heard.args[0].maybe == pytest.approx(0.42)
    assert maybe.number.value() == pytest.approx(0.42)
    maybe.number.setValue(0.07)
    assert maybe.slider.value() == 7
    assert form.settings.maybe == pytest.approx(0.07)


def test_the_wheel_scrolls_past_a_field(form: SettingsForm) -> None:
    whole = form.editors["whole"]
    whole.clearFocus()
    turn = QWheelEvent(
        QPointF(5, 5),
        QPointF(whole.mapToGlobal(QPoint(5, 5))),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(whole, turn)
    assert whole.value() == 3
    assert not turn.isAccepted()
