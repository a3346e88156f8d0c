from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from g2g_desktop.cards.data_card import DataCard
from training_core.stack import Stack

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.widgets.theme import Theme


def test_the_data_card_shows_the_warnings_of_the_reader(theme: Theme, qtbot: QtBot) -> None:
    stack = Stack(np.zeros((41, 5, 7), np.uint16), "ZYX")
    card = DataCard(theme)
    qtbot.addWidget(card)
    card.show_stack(replace(stack, warnings=("The pixel size is missing.",)))
    assert card.warnings.text() == "The pixel size is missing."
    assert card.facts["Pixel size"].full_text() == "not in the file"
    card.show_stack(stack)
    assert card.warnings.isHidden()
