"""A window whose calculations are quick stand-ins, so that its own behaviour can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.job import Job
from g2g_desktop.main_window import MainWindow
from g2g_desktop.model.session import Device, ExpectedTime
from g2g_desktop.preferences import Preferences
from g2g_desktop.widgets.theme import Theme
from tests.support.stand_ins import FakeCore
from training_core.costs import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot


EXPECTED = ExpectedTime(Span(360.0, 360.0), {"balanced": Span(360.0, 360.0)})


@pytest.fixture
def theme(qapp: object) -> Theme:
    """Give the light theme."""
    return Theme("light")


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    """Put the stand-ins in the place of the calculations."""
    fake = FakeCore()
    monkeypatch.setattr(tasks, "train", fake.train)
    monkeypatch.setattr(tasks, "denoise", fake.denoise)
    monkeypatch.setattr(tasks, "first_look", fake.first_look)
    monkeypatch.setattr(tasks, "expected_time", lambda *_: EXPECTED)
    monkeypatch.setattr(tasks, "compare_model", fake.compare_model)
    monkeypatch.setattr(tasks, "start_engine", lambda _run: Device("processor, 2 threads"))
    return fake


@pytest.fixture
def window(qtbot: QtBot, core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    """Give a window that asks nothing: an unexpected question fails the test."""

    def unexpected(*_: object, **__: object) -> bool:
        raise AssertionError("the window asked a question")

    monkeypatch.setattr(dialogs, "confirm", unexpected)

    def agree(_window: object) -> None:
        core.may_end.set()
        monkeypatch.setattr(dialogs, "confirm", lambda *_, **__: True)
        monkeypatch.setattr(dialogs, "ask_closing", lambda *_, **__: dialogs.Running.CANCEL)

    made = MainWindow(Preferences(), Theme("light"))
    qtbot.addWidget(made, before_close_func=agree)  # qtbot closes it before this fixture ends
    made.resize(1366, 768)
    made.show()
    yield made
    qtbot.waitUntil(lambda: not Job.any_running(), timeout=30_000)


@pytest.fixture
def stack_file(tmp_path: Path, write_small_stack: Callable[[Path], Path]) -> Path:
    """Write the small stack as an ImageJ TIFF."""
    return write_small_stack(tmp_path / "cells.tif")


@pytest.fixture
def loaded(window: MainWindow, stack_file: Path, qtbot: QtBot) -> MainWindow:
    """Give the window with the small stack open, and everything about it known."""
    window.commands.open_paths([stack_file])
    session = window.session
    qtbot.waitUntil(lambda: session.patches is not None, timeout=60_000)
    qtbot.waitUntil(lambda: session.expected is not None, timeout=60_000)
    return window
