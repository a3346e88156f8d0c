"""Make the gallery of the window, and the pictures of the guide: python packaging/screenshots.py.

The real window is driven through one short training on the bundled samples, and each state is taken
in light and dark; then, with the model of that training, on other screens, at other scales and in
German.
Everything is written to `docs/screenshots`, and what the page of the five tasks shows to
`docs/guide/pictures`. Without a screen Qt's offscreen platform is used. It takes about ten minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtGui import QPixmap
    from PySide6.QtWidgets import QDialog

    from g2g_desktop.main_window import MainWindow
    from training_core.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
GALLERY, GUIDE = DOCS / "screenshots", DOCS / "guide" / "pictures"
SETTLE_MS, WORK_MS, PATIENCE_MS = 600, 20_000, 900_000
# Enough to have something to see: the pictures show the states, not the best result.
NOISE_STEPS, DENOISER_STEPS, ROUNDS = 150, 60, 2
EXACT = 96  # colours of a picture that are kept, of 256: so the whole gallery stays small
MODEL = "fluorescence.g2g"


class Screen(NamedTuple):
    """A screen of so many pixels, whose scale and language the user has set."""

    name: str
    width: int
    height: int
    scale: float = 1.0
    language: str = "en"

    @property
    def size(self) -> tuple[int, int]:
        """What a window that fills it measures, in units of the scale."""
        return round(self.width / self.scale), round(self.height / self.scale)


USUAL = Screen("1366x768", 1366, 768)
SCREENS = (
    Screen("1366x768_150_percent", 1366, 768, 1.5),
    Screen("1366x768_200_percent", 1366, 768, 2.0),
    Screen("1920x1080", 1920, 1080),
    Screen("1920x1080_150_percent", 1920, 1080, 1.5),
    Screen("3840x2160", 3840, 2160),
    Screen("3840x2160_200_percent", 3840, 2160, 2.0),
    Screen("german", 1366, 768, language="de"),
)
# The states whose pictures the guide shows, and what they are called there.
IN_GUIDE = {
    "02_patches": "task_train",
    "15_queue": "task_folder",
    "08_reference": "task_reference",
    "16_bad_file": "task_why",
    "17_start_again": "task_resume",
}


def main(arguments: list[str]) -> int:
    """Take the pictures, each scale in a process of its own because Qt reads it at its start."""
    if sys.platform == "linux" and "DISPLAY" not in os.environ:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if len(arguments) == 2:  # one screen, in a process of its own
        return in_private(Path(arguments[1]), next(s for s in SCREENS if s.name == arguments[0]))
    GALLERY.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        code = in_private(Path(scratch), USUAL)
        for screen in SCREENS:
            scaled = {**os.environ, "QT_SCALE_FACTOR": str(screen.scale)}
            command = [sys.executable, __file__, screen.name, scratch]
            code = code or subprocess.run(command, env=scaled).returncode
    for old in GALLERY.iterdir() if not code else ():
        if old.stat().st_mtime < began:  # of a state that there is no more
            old.unlink()
    return code


def in_private(scratch: Path, screen: Screen) -> int:
    """Open a window that knows nothing of the user, take pictures, close it."""
    with tempfile.TemporaryDirectory() as private:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            os.environ[name] = private
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from PySide6.QtWidgets import QApplication

        app = QApplication([])
        from g2g_desktop.app import make_window
        from g2g_desktop.preferences import Preferences, save_preferences

        save_preferences(Preferences(language=screen.language))
        window = make_window()
        window.resize(*screen.size)
        window.show()
        window.workflow.start_engine()
        window.centre.start.load_thumbnails()
        until(window.strip.device.isVisible)
        states = whole_way if screen is USUAL else with_model
        for name, themes, dialog in states(window, scratch):
            for theme in themes:
                window.theme.choose(theme)
                settle(SETTLE_MS)
                ending = theme if screen is USUAL else screen.name
                save(window, dialog, f"{name}_{ending}")
        window.session.set_exported(Path("done"))  # nothing to ask about when closing
        window.session.set_model_saved()
        window.close()
        app.processEvents()
    return 0


BOTH, LIGHT, DARK = ("light", "dark"), ("light",), ("dark",)
State = tuple[str, tuple[str, ...], Any]


def whole_way(window: MainWindow, scratch: Path) -> Iterator[State]:
    """Go the whole way, from the empty window to the exported file."""
    from g2g_desktop.jobs.tasks import ExportChoice
    from g2g_desktop.model.session import Step

    session, commands = window.session, window.commands
    settle(2 * SETTLE_MS)
    yield "01_start", BOTH, None
    window._show_hot(True)
    yield "01_start_while_dragging", LIGHT, None
    window._show_hot(False)
    open_sample(window, "fluorescence_noisy.tif")
    yield "03_preview_without_training", BOTH, None
    commands.do("first_look")
    yield "02_patches", BOTH, None
    session.show(Step.TRAIN)
    until(lambda: session.expected is not None)
    yield "04_train", BOTH, None
    window.side.train.advanced.fold.setChecked(True)
    yield "04_advanced_settings", LIGHT, None
    window.side.train.advanced.fold.setChecked(False)
    yield from training(window, scratch)
    yield from result(window)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "fluorescence_denoised.tif"
        yield "13_export_dialog", LIGHT, export_dialog(window, target)
        window.workflow.export(ExportChoice(target))
        until(lambda: session.exported is not None)
    yield "14_exported", BOTH, None
    yield from other_files(window, scratch)


def training(window: MainWindow, scratch: Path) -> Iterator[State]:
    """Train, and keep the model for the other screens."""
    from g2g_desktop.model.session import State as At

    session = window.session
    session.set_settings(short(session.settings))
    window.commands.do("train")
    until(lambda: window.centre.training.split.is_split)
    settle(10 * SETTLE_MS)
    yield "05_training", BOTH, None
    until(lambda: session.state is At.DONE)
    until(lambda: session.result is not None and session.result.judgement is not None)
    window.workflow.save_model(scratch / MODEL)
    until(lambda: session.model_path is not None)
    session.show(type(session.step).COMPARE)


def result(window: MainWindow) -> Iterator[State]:
    """Compare the result in all ways, and measure it."""
    from g2g_desktop.paths import resource

    commands, view, panel = window.commands, window.centre.compare, window.centre.bench.panel
    yield "06_split", BOTH, None
    window.side.compare.checks.button.setChecked(True)
    yield "06_all_checks", LIGHT, None
    window.side.compare.checks.button.setChecked(False)
    for mode, themes in (("side", LIGHT), ("residual", DARK), ("changed", LIGHT)):
        commands.do(mode)
        settle(2 * SETTLE_MS)
        yield f"07_{mode}", themes, None
    window.workflow.open_reference(resource("samples/fluorescence_clean.tif"))
    until(lambda: "Reference" in view.sources)
    commands.do("side")
    settle(4 * SETTLE_MS)
    yield "08_reference", LIGHT, None
    commands.do("split")
    commands.do("measure_line")
    commands.do("measure_rectangle")
    settle(2 * SETTLE_MS)
    yield "09_measure", BOTH, None
    panel.measure.clear_button.click()
    for name, themes in (("Strength", LIGHT), ("Noise", DARK), ("Slices", LIGHT)):
        panel.open(name)
        settle(WORK_MS if name == "Noise" else 2 * SETTLE_MS)  # which is compared first
        yield f"10_{name.lower()}", themes, None
    panel.open("Trust")
    panel.trust.map_button.click()
    until(lambda: panel.trust.bias.image is not None)
    yield "11_trust", BOTH, None
    panel.open("")


def other_files(window: MainWindow, scratch: Path) -> Iterator[State]:
    """Show more files: a foreign model, channels, a queue, and one that does not work."""
    from g2g_desktop.dialogs import dialogs
    from g2g_desktop.model.session import Step
    from training_core.stack import PixelSize

    open_sample(window, "ct_noisy.tif", look=False)
    until(lambda: window.session.alike is not None)
    window.session.show(Step.TRAIN)
    yield "12_model_of_other_images", BOTH, None
    window.commands.open_paths(
        [two_channels(scratch / "two_channels.tif", PixelSize(0.108, 0.108))]
    )
    until(lambda: window.session.stack is not None and "C" in window.session.stack.axes)
    window.centre.viewer.stack_view.channels.overlay.click()
    settle(2 * SETTLE_MS)
    yield "12_channels", BOTH, None
    bad = scratch / "bad.tif"
    bad.write_bytes(b"II*\0 not a picture")
    window.commands.open_paths([bad])
    until(lambda: window.session.failure is not None)
    yield "16_bad_file", BOTH, None
    window.session.tell(None)
    window.commands.do("batch")
    yield "15_queue", BOTH, None
    window.commands.do("batch")
    sheet = dialogs.show_shortcuts(window)
    yield "18_keys", DARK, sheet
    sheet.close()
    yield from start_again(window, scratch)


def start_again(window: MainWindow, scratch: Path) -> Iterator[State]:
    """Close the stack, and see the first page with what was used and what can go on."""
    from g2g_desktop.jobs.interrupted import tell_about
    from g2g_desktop.paths import checkpoints_dir
    from training_core.compute.checkpoint import Checkpoint, describe_job
    from training_core.io.readers import open_stack

    stack = open_stack(scratch / "two_channels.tif")
    folder = checkpoints_dir() / "20260902-153210"
    kept = Checkpoint(folder)
    kept.claim(describe_job([stack], window.session.settings))
    tell_about(folder, [scratch / "two_channels.tif"], None, "Balanced")
    window.commands.do("close")
    window.commands.remember_opened(scratch / "two_channels.tif")
    until(lambda: window.centre.start.runs.isVisible())
    yield "17_start_again", BOTH, None


def with_model(window: MainWindow, scratch: Path) -> Iterator[State]:
    """Show that everything fits another screen, with the model that there is already."""
    from g2g_desktop.model.session import State as At

    settle(2 * SETTLE_MS)
    large = window.width() > 3000
    if not large:
        yield "01_start", LIGHT, None
    open_sample(window, "fluorescence_noisy.tif", look=False)
    yield "02_patches", DARK, None
    window.commands.open_paths([scratch / MODEL])
    until(lambda: window.session.alike is not None)
    window.commands.do("denoise")
    until(lambda: window.session.state is At.DONE)
    until(lambda: window.session.result.judgement is not None)  # type: ignore[union-attr]
    window.commands.do("side" if window.width() > 1000 else "split")
    settle(2 * SETTLE_MS)
    yield "06_compared", LIGHT, None


def export_dialog(window: MainWindow, target: Path) -> QDialog:
    """Give the dialog before an export, which waits for nobody."""
    from g2g_desktop.dialogs.export_dialog import ExportDialog

    assert window.session.stack is not None
    dialog = ExportDialog(window.session.stack, target, (), window)
    dialog.path.setText("fluorescence_denoised.tif")
    dialog.show()
    return dialog


def two_channels(path: Path, size: object) -> Path:
    """Write two samples as the channels of one stack."""
    import numpy as np

    from g2g_desktop.paths import resource
    from training_core.export.writers import write_stack
    from training_core.io.readers import open_stack
    from training_core.stack import PixelSize, Stack

    cells = open_stack(resource("samples/fluorescence_noisy.tif"))
    first = cells.raw_frame(0)
    assert isinstance(size, PixelSize)
    both = Stack(np.stack([first, first[::-1, ::-1]]), "CYX", size, ("DAPI", "GFP"))
    return write_stack(both, path)


def short(settings: Settings) -> Settings:
    """Give settings for a training of about two minutes."""
    noise = replace(settings.noise_model, steps=NOISE_STEPS)
    denoiser = replace(
        settings.denoiser, steps=DENOISER_STEPS, rounds=ROUNDS, every_orientation=False
    )
    return replace(settings, noise_model=noise, denoiser=denoiser)


def open_sample(window: MainWindow, name: str, *, look: bool = True) -> None:
    """Open a bundled sample and wait until its patches are drawn, and the preview is there."""
    from g2g_desktop.paths import resource

    window.session.set_first_look(look)
    window.commands.open_paths([resource(f"samples/{name}")])
    until(lambda: window.session.stack is not None and window.session.stack.name == name)
    until(lambda: window.session.patches is not None)
    if look:
        until(lambda: window.centre.viewer.first_look.is_shown)
    elif window.session.first_look:
        window.session.set_first_look(False)
    settle(2 * SETTLE_MS)


def save(window: MainWindow, dialog: QDialog | None, name: str) -> None:
    """Write what the window shows, and what lies over it."""
    taken = window.grab()
    if dialog is not None:
        taken = laid_over(taken, dialog.grab())
    write(taken, GALLERY / f"{name}.png")
    state, _, theme = name.rpartition("_")
    if theme == "light" and state in IN_GUIDE:
        write(taken, GUIDE / f"{IN_GUIDE[state]}.png")
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()


def laid_over(window: QPixmap, dialog: QPixmap) -> QPixmap:
    """Put the picture of a dialog into the middle of that of its window."""
    from PySide6.QtGui import QPainter

    painter = QPainter(window)
    around = window.deviceIndependentSize() - dialog.deviceIndependentSize()
    painter.drawPixmap(round(around.width() / 2), round(around.height() / 2), dialog)
    painter.end()
    return window


def write(taken: QPixmap, path: Path) -> None:
    """Write a picture with few colours, which these pictures need no more of."""
    from PIL import Image

    image = taken.toImage().convertToFormat(taken.toImage().Format.Format_RGB888)
    width, height = image.width(), image.height()
    lines = bytes(image.constBits())
    whole = Image.frombuffer("RGB", (width, height), lines, "raw", "RGB", image.bytesPerLine(), 1)
    # The surfaces and inks of the window as they are; what is left is shared by the picture.
    counted = sorted(whole.getcolors(width * height) or (), reverse=True)[:EXACT]
    rest = whole.quantize(256 - EXACT, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in counted for part in colour] + rest)
    whole.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


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
