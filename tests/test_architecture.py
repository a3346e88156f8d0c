"""The rules that hold the design together: who may import whom, and which Qt can be trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import PySide6
import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

ROOT = Path(__file__).resolve().parent.parent

IMPORT_ALL = """
import importlib, pkgutil, {package} as package
for module in pkgutil.walk_packages(package.__path__, "{package}."):
    # The widget is loaded by napari alone, which may not be there.
    if not module.name.endswith((".__main__", ".napari_widget")):
        importlib.import_module(module.name)
"""


def loaded_after(code: str) -> set[str]:
    """Give the top-level packages that a fresh Python has loaded after `code`."""
    report = "\nimport sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_core_loads_neither_qt_nor_torch() -> None:
    loaded = loaded_after("import training_core")
    assert "training_core" in loaded
    assert not loaded & {"PySide6", "torch"}


@pytest.mark.parametrize(
    "name", ["stack", "settings", "io.readers", "patches.smooth_patches", "quality.measures"]
)
def test_what_the_live_preview_needs_does_not_wait_for_torch(name: str) -> None:
    loaded = loaded_after(f"import training_core.{name}")
    assert "numpy" in loaded or name == "settings"
    assert not loaded & {"PySide6", "torch"}


def test_no_module_of_the_core_loads_qt() -> None:
    loaded = loaded_after(IMPORT_ALL.format(package="training_core"))
    assert "torch" in loaded, "the networks were not imported, so this checked too little"
    assert not loaded & {"PySide6", "pyqtgraph", "g2g_desktop"}


def test_no_module_of_the_window_loads_torch() -> None:
    start = "import g2g_desktop.__main__\n"
    loaded = loaded_after(start + IMPORT_ALL.format(package="g2g_desktop"))
    assert {"PySide6", "pyqtgraph", "training_core"} <= loaded
    assert not loaded & {"torch", "scipy"}  # each takes a second to load
    assert not loaded & {"pydicom", "tifffile", "imagecodecs"}  # nothing is read before it is there


@pytest.mark.parametrize(
    ("path", "line", "broken"),
    [
        ("training_core/new.py", "from PySide6 import QtCore", {"TID251"}),
        ("training_core/new.py", "import pyqtgraph", {"TID251"}),
        ("training_core/new.py", "from g2g_desktop import session", {"TID251"}),
        ("training_core/new.py", "import torch", set()),
        ("g2g_desktop/new.py", "import torch", {"TID253"}),
        ("g2g_desktop/new.py", "from torch import nn", {"TID253"}),
        ("g2g_desktop/new.py", "from PySide6 import QtCore", set()),
    ],
)
def test_the_import_rules_fire(path: str, line: str, broken: set[str]) -> None:
    command = ["ruff", "check", "--select", "TID", "--output-format", "concise", "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--stdin-filename", path, "-"],
        input=f"{line}\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert {rule for rule in ("TID251", "TID252", "TID253") if rule in done.stdout} == broken
    assert done.returncode == int(bool(broken)), done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal since Python 3.12")
def test_pyside_is_a_release_that_keeps_references_on_this_python() -> None:
    assert PySide6.__version_info__[:2] < (6, 12)


class _Bell(QObject):
    rang = Signal(int)


@pytest.mark.usefixtures("qapp")
def test_pyside_does_not_drop_references_to_none() -> None:
    """PySide6 6.12.0 dropped one in every void call, until CPython 3.11 aborted."""
    widget, bell, heard = QWidget(), _Bell(), []
    bell.rang.connect(heard.append)
    before = sys.getrefcount(None)
    for _ in range(500):
        widget.resize(10, 10)
        widget.parent()
        widget.isVisible()
    for count in range(2000):
        bell.rang.emit(count)
    assert abs(sys.getrefcount(None) - before) < 250
    assert heard == list(range(2000))
