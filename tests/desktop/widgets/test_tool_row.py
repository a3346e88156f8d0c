"""The row of tools above an image, in a window that is too narrow for it."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QMenu

from g2g_desktop.bench.compare_view import CompareView
from training_core.stack import Stack

ROWS = np.mgrid[:40, :60][0].astype(np.uint16)
NOISY, DENOISED, REFERENCE = (Stack(ROWS + n, "YX") for n in (0, 1, 2))


def narrow(qtbot, width: int) -> CompareView:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(width, 400)
    with qtbot.waitExposed(view):
        view.show()
    view.set_pair(NOISY, DENOISED)
    view.set_others({"Reference": REFERENCE})
    QApplication.processEvents()
    return view


def opened(qtbot, view: CompareView) -> dict[str, QMenu]:
    """Click the mark at the end of the row, and give the menus in its menu by their names."""
    seen: dict[str, QMenu] = {}

    def look() -> None:
        menu = view.tools.more.menu()
        assert menu.isVisible()
        seen.update({a.text(): a.menu() for a in menu.actions() if a.menu() is not None})
        menu.close()

    QTimer.singleShot(100, look)
    qtbot.mouseClick(view.tools.more, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not view.tools.more.menu().isVisible())
    return seen


@pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True)
def test_boxes_that_do_not_fit_are_in_the_menu_at_the_end(qtbot) -> None:
    view = narrow(qtbot, 287)
    assert view.colours.isHidden()
    menus = opened(qtbot, view)
    assert set(menus) == {"Left picture", "Right picture", "Colours"}
    colours = menus["Colours"].actions()
    assert [a.text() for a in colours if a.isChecked()] == ["Grey"]
    next(a for a in colours if a.text() == "HiLo").trigger()
    assert view.colours.currentText() == "HiLo"
    next(a for a in menus["Right picture"].actions() if a.text() == "Reference").trigger()
    assert list(view.left.captions.values()) == ["Noisy", "Reference"]
    again = opened(qtbot, view)
    assert [a.text() for a in again["Colours"].actions() if a.isChecked()] == ["HiLo"]


@pytest.mark.parametrize("width", [900, 1400])
def test_a_wide_row_has_no_menu_at_its_end(qtbot, width: int) -> None:
    view = narrow(qtbot, width)
    assert not view.tools.more.isVisible()
    assert view.colours.isVisible()
