"""Settings, fixtures and guards that all tests share."""

from __future__ import annotations

import os

# Read when Qt and torch are loaded, so set before any test module imports them.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import gc
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtCore import QThread
    from PySide6.QtWidgets import QWidget

    from training_core.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
NO_SHARED_DATA = "the real images are not beside the checkout (../shared/data)"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults-full", action="store_true", help="try every fault of tests/faults, not a few"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that train most, so that no process ends with a long one alone."""
    trainings = Counter(item.path for item in items if item.get_closest_marker("trains"))
    items.sort(key=lambda item: -trainings[item.path])


def pytest_collection_finish() -> None:
    """Take what all modules hold out of the sight of the collector.

    `nothing_left_behind` looks through all else after each test of the window.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
        pytest.skip(NO_SHARED_DATA)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of the real images, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip(NO_SHARED_DATA)
    return SHARED_DATA


@pytest.fixture
def small_stack() -> Stack:
    """Give a disc and a ramp with Poisson-Gaussian noise, two frames of 96 x 96 px uint16."""
    from training_core.stack import PixelSize, Stack

    rows, columns = np.mgrid[:96, :96]
    disc = np.hypot(rows - 48, columns - 48) < 24
    clean = np.stack([400.0 + 1200.0 * disc, 400.0 + 8.0 * columns])
    rng = np.random.default_rng(7)
    noisy = 4.0 * rng.poisson(clean / 4.0) + rng.normal(0.0, 12.0, clean.shape)
    pixels = np.rint(noisy).clip(0, 65535).astype(np.uint16)
    return Stack(pixels, "TYX", PixelSize(0.1, 0.1), time_step_s=0.5)


@pytest.fixture
def write_small_stack(small_stack: Stack) -> Callable[[Path], Path]:
    """Give a function that writes the small stack as an ImageJ TIFF, as Fiji would."""
    import tifffile

    def write(path: Path) -> Path:
        tifffile.imwrite(
            path,
            small_stack.pixels,
            imagej=True,
            resolution=(10.0, 10.0),
            metadata={"axes": "TYX", "unit": "um", "finterval": 0.5},
        )
        return path

    return write


@pytest.fixture(autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep preferences and logs of the person who runs the tests out of them, and the reverse."""
    private = str(tmp_path_factory.mktemp("user") / "user")
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, private)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a running thread or a top-level widget behind.

    The usual culprits:

    - a widget without `qtbot.addWidget(widget)`, or a dialog or menu without a parent;
    - a window closed while its job runs: wait for the job's `finished`, then for its thread;
    - a job started outside `with qtbot.waitSignal(...)`, whose last signal came before the wait;
    - a thread pool without `with`, or a `threading.Thread` that is never joined.
    """
    threads_before = set(threading.enumerate())
    uses_qt = "qapp" in request.fixturenames
    widgets_before = top_level_widgets() if uses_qt else []
    yield
    left: list[object] = [*running_threads(threads_before)]
    if uses_qt:
        left += [*stopped_qthreads(), *new_widgets(widgets_before)]
    assert not left, f"left behind: {left}; see nothing_left_behind for the usual culprits"


def running_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    new = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in new:
        thread.join(timeout=1.0)
    return [thread for thread in new if thread.is_alive()]


def stopped_qthreads() -> list[QThread]:
    """Stop the QThreads that still run, so that the next test starts clean, and give them."""
    from PySide6.QtCore import QThread
    from shiboken6 import isValid

    threads = [o for o in gc.get_objects() if issubclass(type(o), QThread) and isValid(o)]
    running = [thread for thread in threads if thread.isRunning()]
    for thread in running:
        thread.requestInterruption()
        thread.quit()
        thread.wait(5000)
    return running


def top_level_widgets() -> list[QWidget]:
    widgets = sys.modules.get("PySide6.QtWidgets")
    return widgets.QApplication.topLevelWidgets() if widgets else []


def new_widgets(before: list[QWidget]) -> list[QWidget]:
    """Give the top-level widgets that outlive their test, after Qt deleted what it was asked to."""
    if all(widget in before for widget in top_level_widgets()):
        return []
    from PySide6.QtCore import QCoreApplication, QEvent

    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    return [widget for widget in top_level_widgets() if widget not in before]
