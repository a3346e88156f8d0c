"""How many frames a second are shown while a slider is dragged through a large stack in a file.

Run as `python tests/benchmarks/scroll_speed.py`. One turn is a move of the slider in the real
viewer: the frame is read from its file, given grey values, and painted. No frame is shown twice, so
nothing is remembered. Frames are of 2048 x 2048 px, uint16, as they lie and packed with zlib.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import tifffile
from PySide6.QtWidgets import QApplication

from g2g_desktop.viewer.stack_view import StackView
from training_core.io.readers import open_stack

SIDE_PX, FRAMES = 2048, 60
GOAL_PER_SECOND = 30
FORMS = ("none", "zlib")


def write(path: Path, compression: str) -> Path:
    """Write a film of photon noise on a gradient that moves."""
    rng = np.random.default_rng(0)
    noise = rng.poisson(400, (SIDE_PX, SIDE_PX)).astype(np.uint16)
    packed = None if compression == "none" else compression
    with tifffile.TiffWriter(path) as file:
        for number in range(FRAMES):
            frame = np.roll(noise, 37 * number, 1)
            file.write(frame, compression=packed, contiguous=packed is None)
    return path


def measure(path: Path, app: QApplication) -> tuple[float, float]:
    """Give the frames that are shown a second, and how many of these seconds the processor took."""
    view = StackView()
    view.resize(900, 760)
    view.show()
    view.set_stack(open_stack(path))
    app.processEvents()
    slider = view.sliders.sliders[-1]
    began, worked = time.perf_counter(), time.process_time()
    for number in range(1, FRAMES):
        slider.set_index(number)
        view.pane.viewport().repaint()
        app.processEvents()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    view.close()
    return (FRAMES - 1) / took, (FRAMES - 1) / worked


def main() -> int:
    """Print the figures; 1 where frames could be shown less often than is wanted.

    Processor time is judged, since another program may have the processor meanwhile.
    """
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    with tempfile.TemporaryDirectory() as folder:
        rates = {form: measure(write(Path(folder) / f"{form}.tif", form), app) for form in FORMS}
    for form, (shown, possible) in rates.items():
        sys.stdout.write(
            f"{SIDE_PX} x {SIDE_PX} uint16, {form}: {shown:.1f} frames a second, "
            f"{possible:.1f} by processor time (goal {GOAL_PER_SECOND})\n"
        )
    return int(min(possible for _, possible in rates.values()) < GOAL_PER_SECOND)


if __name__ == "__main__":
    sys.exit(main())
