"""The widget in a real napari; skipped where the extra `napari` is not installed.

napari draws by OpenGL, which Qt's platform offscreen has not, and its own pytest plugins warn, so:
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 QT_API=pyside6 QT_QPA_PLATFORM=xcb xvfb-run pytest
-p pytestqt.plugin -p pytest_timeout tests/desktop/test_napari_widget.py
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # napari's own are no business of ours
    napari = pytest.importorskip("napari", reason="the extra napari is not installed")

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """Let napari keep its menus, which it does for good."""


@pytest.fixture
def viewer() -> Any:
    viewer = napari.Viewer(show=False)
    yield viewer
    viewer.close()


@pytest.mark.trains
def test_a_layer_is_denoised_beside_the_viewer(viewer: Any, qtbot: QtBot) -> None:
    from g2g_desktop.napari_widget import make_widget

    noisy = np.random.default_rng(0).normal(500, 30, (2, 96, 96)).astype(np.uint16)
    viewer.add_image(noisy, name="cells", scale=(1, 0.1, 0.1))
    widget = make_widget()
    viewer.window.add_dock_widget(widget, name="g2g")
    parts = widget.denoising
    parts.preset.value = "instant"
    parts._on_start()
    assert not parts.start.enabled
    qtbot.waitUntil(lambda: parts.start.enabled, timeout=280_000)
    made = viewer.layers["cells denoised"]
    assert (made.data.shape, made.data.dtype) == (noisy.shape, noisy.dtype)
    assert list(made.scale) == [1, 0.1, 0.1]
    assert made.data.std() < 0.3 * noisy.std()


def test_colours_are_refused_in_a_sentence() -> None:
    from g2g_desktop.napari_widget import denoised
    from training_core.errors import InputError
    from training_core.run import Run

    with pytest.raises(InputError, match="split the channels first"):
        denoised(np.zeros((32, 32, 3), np.uint8), "instant", Run(), rgb=True)


def test_the_manifest_names_the_widget() -> None:
    from npe2 import PluginManifest

    import g2g_desktop

    path = Path(g2g_desktop.__file__).with_name("napari.yaml")
    (command,) = PluginManifest.from_file(path).contributions.commands
    module, _, name = str(command.python_name).partition(":")
    assert callable(getattr(import_module(module), name))
