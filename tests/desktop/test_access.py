"""Everyone can use the window: by keyboard alone, with a screen reader, and without seeing colours.

The real window and every dialog are gone through, and each control that a mouse can reach is looked
at: Tab gets there, it has a name, and what its tooltip says is a sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAccessible, QImage, QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QTabBar,
    QTextBrowser,
    QWidget,
)

from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog
from g2g_desktop.dialogs.help_windows import DiagnosticsDialog, GuideWindow
from g2g_desktop.dialogs.image_picker import ImagePicker
from g2g_desktop.dialogs.programs_dialog import ProgramsDialog
from g2g_desktop.model.actions import ACTIONS
from g2g_desktop.model.session import Failure, KeptRun, State, Step
from g2g_desktop.model.view_state import Badge
from g2g_desktop.paths import guide
from g2g_desktop.preferences import Preferences
from g2g_desktop.viewer.image_pane import ImagePane
from g2g_desktop.widgets.labels import ToneLabel
from g2g_desktop.widgets.theme import Theme, Tone
from training_core.io.previews import ImagePreview
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QPixmap
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore

KINDS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextBrowser,
    ImagePane,
)
WHOLE = (QAbstractSpinBox, QComboBox, QTabBar, QAbstractItemView)  # whose parts are one control
MOST_TABS = 400
SENTENCE = re.compile(r"[A-Z0-9].* .*[.?!]( \([^)]*\))?", re.DOTALL)


def controls(root: QWidget) -> list[QWidget]:
    """Give what can be worked in a window: neither parts of other controls, nor scroll bars."""
    found = []
    for widget in root.findChildren(QWidget):
        inner = isinstance(widget.parent(), WHOLE)
        shown = widget.isVisible() and widget.isEnabled() and not isinstance(widget, QScrollBar)
        technical = widget.objectName().startswith("qt_") or widget.window() is not root
        if isinstance(widget, KINDS) and shown and not inner and not technical:
            found.append(widget)
    return found


def told(widget: QWidget) -> str:
    """Name a control for the report of this test."""
    text = getattr(widget, "text", str)()
    return f"{type(widget).__name__} {text or widget.accessibleName() or widget.objectName()!r}"


def reached_by_tab(root: QWidget) -> set[QWidget]:
    """Press Tab until the focus comes round."""
    root.activateWindow()
    QApplication.processEvents()
    start = root.focusWidget() or root
    start.setFocus()
    seen: list[QWidget] = []
    for _ in range(MOST_TABS):
        now = QApplication.focusWidget() or root
        if now in seen:
            break
        seen.append(now)
        QTest.keyClick(now, "\t")
    # Arrows go on from one radio button to the others of its group.
    groups = {w.group() or w.parentWidget() for w in seen if isinstance(w, QRadioButton)}
    return set(seen) | {
        w for w in root.findChildren(QRadioButton) if (w.group() or w.parentWidget()) in groups
    }


def name_of(widget: QWidget) -> str:
    """Give the name that a screen reader says."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name) if interface is not None else ""


def said_on(widget: QWidget) -> str:
    """Give what is written on a control, or beside it for it."""
    if isinstance(widget, QAbstractButton):
        return widget.text() or name_of(widget)
    return name_of(widget)


def faults(root: QWidget) -> list[str]:
    """Say what is wrong with the controls of a window."""
    reached = reached_by_tab(root)
    found = []
    for widget in controls(root):
        proxied = {w for w in reached if w.focusProxy() is widget or widget.focusProxy() is w}
        if widget not in reached and not proxied:
            found.append(f"Tab does not reach {told(widget)}")
        if not re.search(r"\w", name_of(widget)):
            found.append(f"no name: {told(widget)}")
        tip = widget.toolTip()
        if tip and not SENTENCE.fullmatch(tip):
            found.append(f"no sentence: {told(widget)}: {tip}")
        if not tip and not re.search(r"\w", said_on(widget)):
            found.append(f"neither words nor a tooltip: {told(widget)}")
    return found


@pytest.fixture
def told_of(window: MainWindow, tmp_path: Path) -> MainWindow:
    """Give the window with everything that its first page can list."""
    files = tuple(str(tmp_path / f"{name}.tif") for name in "ab")
    window.centre.start.show_recent(Preferences(files, models=(str(tmp_path / "a.g2g"),)))
    run = KeptRun(tmp_path, (tmp_path / "a.tif",), None, "Balanced", datetime(2026, 9, 2, 15, 32))
    window.centre.start.show_runs([run])
    return window


def test_the_first_page(told_of: MainWindow) -> None:
    assert len(controls(told_of)) == 9  # two buttons, three samples, three recent ones, a run
    assert faults(told_of) == []


@pytest.mark.parametrize("step", list(Step))
def test_each_card_of_a_stack(step: Step, loaded: MainWindow) -> None:
    loaded.side.train.advanced.fold.setChecked(True)
    loaded.session.show(step)
    QApplication.processEvents()
    assert faults(loaded) == []


def test_the_channels(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(900, 20, (2, 96, 96)).astype(np.uint16)
    file = tmp_path / "two.tif"
    tifffile.imwrite(file, noise, imagej=True, metadata={"axes": "CYX"})
    window.commands.open_paths([file])
    qtbot.waitUntil(lambda: window.session.patches is not None)
    bar = window.centre.viewer.stack_view.channels
    bar.overlay.click()
    assert set(bar.buttons) < set(controls(window))
    assert faults(window) == []


def test_the_queue(loaded: MainWindow) -> None:
    loaded.commands.do("batch")
    assert faults(loaded) == []


def test_a_training(loaded: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: bool(core.trained))
    assert faults(loaded) == []


@pytest.fixture
def denoised(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    return loaded


@pytest.mark.parametrize("tab", ["", "Strength", "Measure", "Trust", "Noise", "Slices"])
def test_each_tab_of_a_result(tab: str, denoised: MainWindow) -> None:
    denoised.centre.bench.panel.open(tab)
    QApplication.processEvents()
    assert faults(denoised) == []


def test_what_failed(loaded: MainWindow) -> None:
    loaded.session.tell(Failure(None, "The file is damaged."))
    assert loaded.banner.close_button in controls(loaded)
    assert faults(loaded) == []


DIALOGS: dict[str, Callable[[QWidget, Stack], QWidget]] = {
    "export": lambda parent, stack: ExportDialog(stack, Path("a.tif"), (), parent),
    "programs": lambda parent, _: ProgramsDialog(Preferences(), parent),
    "guide": lambda parent, _: GuideWindow(guide(), parent),
    "diagnostics": lambda parent, _: DiagnosticsDialog("Versions", "", parent),
    "shortcuts": lambda parent, _: dialogs.show_shortcuts(parent),
    "error": lambda parent, _: dialogs.ErrorDialog(
        Failure(Step.DATA, "It failed."), Theme("light"), parent
    ),
    "image picker": lambda parent, _: ImagePicker(
        "a.lif", [ImagePreview(n, f"Image {n}", None) for n in (1, 2)], parent
    ),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_each_dialog(name: str, window: MainWindow, small_stack: Stack) -> None:
    dialog = DIALOGS[name](window, small_stack)
    dialog.show()
    assert controls(dialog)
    assert faults(dialog) == []
    dialog.close()
    dialog.deleteLater()


QUESTIONS: dict[str, Callable[[QWidget], object]] = {
    "pixel size": lambda parent: dialogs.ask_pixel_size(parent, PixelSize(), with_z=True),
    "closing": lambda parent: dialogs.ask_closing(parent, training=True),
    "cancelling": dialogs.ask_cancelling,
    "dropped": lambda parent: dialogs.ask_dropped(parent, "a.tif"),
    "text": lambda parent: dialogs.show_text(parent, "Model", "Its card"),
    "about": lambda parent: dialogs.show_about(parent, "1.0"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question(name: str, window: MainWindow, qtbot: QtBot) -> None:
    found: list[list[str]] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        found.append(faults(dialog) if controls(dialog) else ["nothing to answer with"])
        dialog.close()

    QTimer.singleShot(100, look)
    QUESTIONS[name](window)
    qtbot.waitUntil(lambda: bool(found))
    assert found == [[]]


def test_a_control_without_name_or_way_to_it_would_be_seen(qtbot: QtBot) -> None:
    root = QWidget()
    qtbot.addWidget(root)
    good, bad = QPushButton("Good", root), QPushButton("", root)
    good.setToolTip("too short")
    bad.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    bad.move(0, 60)
    root.show()
    assert faults(root) == [
        "no sentence: QPushButton 'Good': too short",
        "Tab does not reach QPushButton ''",
        "no name: QPushButton ''",
        "neither words nor a tooltip: QPushButton ''",
    ]


def test_no_key_has_two_meanings(window: MainWindow) -> None:
    keys = [QKeySequence(key).toString() for spec in ACTIONS for key in spec.shortcuts]
    viewer = ["Space", "Left", "Right", "PgUp", "PgDown", "Home", "End"]
    assert not [key for key, count in Counter(keys + viewer).items() if count > 1]
    # The one key that no list shows closes the first look, where there is nothing to cancel.
    assert [s.key().toString() for s in window.findChildren(QShortcut)] == ["Esc"]


def test_no_two_entries_of_a_menu_share_a_letter() -> None:
    letters: dict[str, list[str]] = {}
    for spec in ACTIONS:
        letters.setdefault(spec.menu, []).append(spec.text.partition("&")[2][:1].lower())
    for menu, used in letters.items():
        assert all(used), menu
        assert not [letter for letter, count in Counter(used).items() if count > 1], menu


def test_a_status_has_a_shape_and_a_word_of_its_own_beside_its_colour(
    window: MainWindow, theme: Theme
) -> None:
    shapes = [ToneLabel._SYMBOL[tone] for tone in (Tone.GREEN, Tone.AMBER, Tone.RED)]
    assert len(set(shapes)) == 3
    drawn = {theme.pixmap(name, Tone.TEXT, 24).toImage().bits().tobytes() for name in shapes}
    assert len(drawn) == 3
    header = window.side.train.header
    names, seen = set(), set()
    for badge in Badge:
        header.show_badge(badge, is_open=False)
        names.add(header.accessibleName())
        if badge in (Badge.DONE, Badge.ATTENTION, Badge.FAILED):
            seen.add(grey(header.symbol.pixmap()))
    assert (len(names), len(seen)) == (len(Badge), 3)


def grey(pixmap: QPixmap) -> bytes:
    """Give a picture without its colours: where it is covered, in the format of opacity alone."""
    return pixmap.toImage().convertToFormat(QImage.Format.Format_Alpha8).bits().tobytes()
