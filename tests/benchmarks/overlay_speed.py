"""How many times a second the patch overlay follows the strictness slider on a large frame.

Run as `python tests/benchmarks/overlay_speed.py`. One turn is what happens per movement of the
slider in the window: choose, map, hand over to the window, and repaint the real `StackView`.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QEventLoop, QObject, Slot
from PySide6.QtWidgets import QApplication

from g2g_desktop.viewer.patch_overlay import PatchPreview
from g2g_desktop.viewer.stack_view import StackView
from training_core.settings import PatchSettings
from training_core.stack import Stack

SIDE_PX = 2048
TURNS = 120
GOAL_PER_SECOND = 30


class Turns(QObject):
    """Moves the strictness each time the last answer was painted, and takes the time."""

    def __init__(self, view: StackView, preview: PatchPreview) -> None:
        super().__init__()
        self.view, self.preview = view, preview
        self.loop = QEventLoop()
        self.seconds: list[float] = []
        self.counts: list[int] = []
        self._asked_at = 0.0
        preview.ready.connect(self._on_ready)

    def run(self, stack: Stack) -> None:
        """Turn until enough was measured; the first turn scores the frame."""
        self._ask()
        self.preview.set_stack(stack)
        self.loop.exec()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        strictness = round(0.05 + 0.005 * (len(self.seconds) % 60), 3)
        self.preview.set_settings(
            PatchSettings(strictness=strictness, patch_size_px=96, stride_px=24)
        )

    @Slot(object, int, float)
    def _on_ready(self, _coverage: object, count: int, _fraction: float) -> None:
        self.view.pane.viewport().repaint()
        self.seconds.append(time.perf_counter() - self._asked_at)
        self.counts.append(count)
        if len(self.seconds) <= TURNS:
            self._ask()
        else:
            self.loop.quit()


def scene(smooth_rows: int) -> Stack:
    """Give a smooth field above a textured one, both under photon noise, uint16."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / SIDE_PX
    clean = 400 + 600 * x * y
    texture = np.kron(rng.uniform(0.2, 2.0, (SIDE_PX // 8, SIDE_PX // 8)), np.ones((8, 8)))
    clean[smooth_rows:] *= texture[smooth_rows:]
    return Stack(rng.poisson(clean).astype(np.uint16), "YX")


def measure(smooth_rows: int) -> float:
    """Print one line of figures on a scene and give the moves per second."""
    view, preview = StackView(), PatchPreview()
    view.resize(900, 760)
    view.show()
    stack = scene(smooth_rows)
    view.set_stack(stack)
    QApplication.processEvents()
    preview.attach(view)
    turns = Turns(view, preview)
    turns.run(stack)
    preview.close()
    view.close()
    first, rest = turns.seconds[0], np.array(turns.seconds[1:])
    sys.stdout.write(
        f"{SIDE_PX} x {SIDE_PX}, stride 24, {len(rest)} moves, {min(turns.counts)} to "
        f"{max(turns.counts)} patches: {1 / rest.mean():.0f} per second, slowest "
        f"{1000 * rest.max():.0f} ms (95 %: {1000 * np.percentile(rest, 95):.0f} ms); "
        f"scoring the frame takes {first:.2f} s\n"
    )
    return float(1 / rest.mean())


def main() -> int:
    """Measure with few patches, which are outlined, and with many; say whether the goal is met."""
    app = QApplication.instance() or QApplication([])
    slowest = min(measure(rows) for rows in (SIDE_PX // 4, SIDE_PX))
    app.processEvents()
    return 0 if slowest >= GOAL_PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
