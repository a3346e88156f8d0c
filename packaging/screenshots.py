"""Make a picture of every state of the window: `python packaging/screenshots.py FOLDER`.

The real window is driven through one short training on a bundled sample, at 1366 x 768, and each
state is taken in light and dark; then once more at 200 %, in the two smallest windows that must do.
Without a screen Qt's offscreen platform is used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from g2g_desktop.main_window import MainWindow
    from training_core.settings import Settings

SAMPLE = "samples/fluorescence_noisy.tif"
SIZE = (1366, 768)
SMALL_SIZES = ((1024, 640), (683, 384))  # the latter is a 1366 x 768 screen at 200 %
SETTLE_MS = 600
PATIENCE_MS = 900_000
# Enough to have something to see: the pictures show the states, not the best result.
NOISE_STEPS, DENOISER_STEPS, ROUNDS = 150, 60, 2


def main(arguments: list[str]) -> int:
    """Take the pictures, each scale in a process of its own because Qt reads it at its start."""
    if sys.platform == "linux" and "DISPLAY" not in os.environ:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if arguments[1:] == ["small"]:
        return in_private(Path(arguments[0]), take_small)
    folder = Path(arguments[0]) if arguments else Path("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    scaled = {**os.environ, "QT_SCALE_FACTOR": "2"}
    code = subprocess.run([sys.executable, __file__, str(folder), "small"], env=scaled).returncode
    return code or in_private(folder, take_all)


def in_private(folder: Path, take: Callable[[MainWindow, Path], None]) -> int:
    """Open a window that knows nothing of the user, take pictures, close it."""
    with tempfile.TemporaryDirectory() as private:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            os.environ[name] = private
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from PySide6.QtWidgets import QApplication

        app = QApplication([])
        from g2g_desktop.app import make_window

        window = make_window()
        window.resize(*SIZE)
        window.show()
        take(window, folder)
        window.session.set_exported(Path("done"))  # nothing to ask about when closing
        window.session.set_model_saved()
        window.close()
        app.processEvents()
    return 0


def take_all(window: MainWindow, folder: Path) -> None:
    """Go the whole way, from the empty window to the exported file."""
    from g2g_desktop.jobs.tasks import ExportChoice
    from g2g_desktop.model.session import State, Step

    session = window.session
    window.workflow.start_engine()
    window.centre.start.load_thumbnails()
    settle(2 * SETTLE_MS)
    both(window, folder, "1_empty")
    open_sample(window)
    both(window, folder, "2_preview_without_training")
    window.commands.do("first_look")
    settle(SETTLE_MS)
    both(window, folder, "2_loaded")
    session.show(Step.TRAIN)
    until(lambda: session.expected is not None)
    both(window, folder, "3_train_card")
    session.set_settings(short(session.settings))
    window.commands.do("train")
    until(lambda: window.centre.training.split.is_split)
    settle(10 * SETTLE_MS)
    both(window, folder, "4_training")
    until(lambda: session.state is State.DONE)
    until(lambda: bool(window.side.compare.quality.blind.findings))
    both(window, folder, "5_compared")
    bar = window.side.verticalScrollBar()
    bar.setValue(bar.maximum())
    both(window, folder, "5_learned_and_chosen")
    window.commands.do("side")
    both(window, folder, "6_side_by_side")
    with tempfile.TemporaryDirectory() as scratch:
        window.workflow.export(ExportChoice(Path(scratch) / "fluorescence_denoised.tif"))
        until(lambda: session.exported is not None)
    both(window, folder, "7_exported")


def take_small(window: MainWindow, folder: Path) -> None:
    """Show that everything still fits at 200 %."""
    settle(SETTLE_MS)
    save(window, folder / "8_empty_200_percent.png")
    open_sample(window)
    for width, height in SMALL_SIZES:
        window.resize(width, height)
        window.commands.do("first_look")
        settle(SETTLE_MS)
        save(window, folder / f"8_loaded_200_percent_{width}x{height}.png")
        window.commands.do("first_look")
        until(lambda: window.centre.viewer.first_look.is_shown)
        settle(SETTLE_MS)
        save(window, folder / f"8_preview_200_percent_{width}x{height}.png")


def short(settings: Settings) -> Settings:
    """Give settings for a training of about two minutes."""
    noise = replace(settings.noise_model, steps=NOISE_STEPS)
    denoiser = replace(
        settings.denoiser, steps=DENOISER_STEPS, rounds=ROUNDS, every_orientation=False
    )
    return replace(settings, noise_model=noise, denoiser=denoiser)


def open_sample(window: MainWindow) -> None:
    """Open the bundled sample and wait until its patches are drawn and the preview is there."""
    from g2g_desktop.paths import resource

    window.commands.open_paths([resource(SAMPLE)])
    until(lambda: window.session.patches is not None)
    until(lambda: window.centre.viewer.first_look.is_shown)
    settle(SETTLE_MS)


def both(window: MainWindow, folder: Path, name: str) -> None:
    """Take a picture in light and in dark."""
    for theme in ("light", "dark"):
        window.theme.choose(theme)
        settle(SETTLE_MS)
        save(window, folder / f"{name}_{theme}.png")


def save(window: MainWindow, path: Path) -> None:
    """Write what the window shows."""
    if not window.grab().save(str(path)):
        raise OSError(f"{path} could not be written")
    sys.stdout.write(f"{path}\n")


def settle(milliseconds: int) -> None:
    """Let the window run for a while."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(reached: Callable[[], bool]) -> None:
    """Let the window run until something is so."""
    for _ in range(PATIENCE_MS // 100):
        if reached():
            return
        settle(100)
    raise TimeoutError("the window did not get there")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
