from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt

from g2g_desktop.cards.export_card import ExportCard
from g2g_desktop.cards.side_panel import SidePanel
from g2g_desktop.language import choose_language
from g2g_desktop.model.actions import allowed_actions
from g2g_desktop.model.session import Session
from g2g_desktop.model.view_state import Badge
from g2g_desktop.widgets.theme import Theme
from tests.support.stand_ins import FakeDenoiser

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from training_core.stack import Stack

SCROLL_BAR_PX = 20


@pytest.fixture
def card(qtbot: QtBot) -> ExportCard:
    made = ExportCard(Theme("light"))
    qtbot.addWidget(made)
    return made


def show(card: ExportCard, session: Session) -> None:
    card.show_session(session, allowed_actions(session))


def test_an_exported_file_can_be_opened_where_the_program_is(
    card: ExportCard, qtbot: QtBot, small_stack: Stack
) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.set_denoiser(FakeDenoiser(session.settings))
    session.set_denoised(small_stack)
    show(card, session)
    card.show_programs(("Fiji",))
    assert card.programs["Fiji"].isHidden()  # there is nothing to open yet

    session.set_exported(Path("out.ome.tif"))
    show(card, session)

    shown = {name: not button.isHidden() for name, button in card.programs.items()}
    assert shown == {"Fiji": True, "napari": False}
    assert not card.reveal.isHidden()
    with qtbot.waitSignal(card.program_asked) as asked:
        card.programs["Fiji"].click()
    assert asked.args == ["Fiji"]

    card.show_programs(("Fiji", "napari"))  # the user has said where it is
    with qtbot.waitSignal(card.program_asked) as asked:
        qtbot.mouseClick(card.programs["napari"], Qt.MouseButton.LeftButton)
    assert asked.args == ["napari"]


@pytest.mark.parametrize("code", ["en", "de"])
def test_all_ways_on_fit_beside_each_other(qtbot: QtBot, small_stack: Stack, code: str) -> None:
    choose_language(code)
    try:
        made = ExportCard(Theme("light"))
        qtbot.addWidget(made)
        session = Session()
        session.set_stack(small_stack)
        session.set_denoiser(FakeDenoiser(session.settings))
        session.set_denoised(small_stack)
        session.set_exported(Path("out.ome.tif"))
        show(made, session)
        made.show_programs(("Fiji", "napari"))
        made.show_badge(Badge.DONE, is_open=True)
        assert made.minimumSizeHint().width() <= SidePanel.WIDTH - SCROLL_BAR_PX
    finally:
        choose_language("en")
