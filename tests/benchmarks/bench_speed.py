"""How many times a second the comparison repaints on 2048 x 2048 px, one figure for each mode.

Run as `python tests/benchmarks/bench_speed.py`; offscreen, so painting is by the processor. Each
turn is what one movement of the mouse causes: the change and the repaint of the real `CompareView`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtWidgets import QApplication

from g2g_desktop.bench.compare_view import CompareView
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE_PX, FRAMES, CHANNELS, TURNS = 2048, 4, 3, 60
WIDTH, HEIGHT = 1500, 900
GOAL_PER_SECOND = 30


def stacks(channels: int = 1) -> tuple[Stack, Stack]:
    """Give a noisy stack of uint16 and its result, float32."""
    rng = np.random.default_rng(0)
    clean = np.add.outer(np.linspace(200, 900, SIDE_PX), np.linspace(0, 400, SIDE_PX))
    noisy = np.stack([rng.poisson(clean) for _ in range(FRAMES)]).astype(np.uint16)
    result = np.repeat(clean[None].astype(np.float32), FRAMES, axis=0)
    if channels == 1:
        return Stack(noisy, "TYX"), Stack(result, "TYX")
    several = [np.repeat(pixels[:, None], channels, axis=1) for pixels in (noisy, result)]
    return Stack(several[0], "TCYX"), Stack(several[1], "TCYX")


def rate(view: CompareView, turn: Callable[[int], None]) -> tuple[float, float]:
    """Give how many turns a second there are, by the clock and by the processor."""
    turn(0)
    repaint(view)
    wall, core = time.perf_counter(), time.process_time()
    for number in range(1, TURNS + 1):
        turn(number)
        repaint(view)
    return TURNS / (time.perf_counter() - wall), TURNS / (time.process_time() - core)


def repaint(view: CompareView) -> None:
    """Paint all panes that are in sight now."""
    for pane in view.panes:
        if pane.isVisible():
            pane.viewport().repaint()


def main() -> int:
    """Measure and print; 1 where a figure is below 30 a second of processor time."""
    app = QApplication.instance() or QApplication([])
    view = CompareView()
    view.resize(WIDTH, HEIGHT)
    view.show()
    noisy, result = stacks()
    view.set_pair(noisy, result)
    app.processEvents()
    pane = view.left

    def pan(number: int) -> None:
        pane.box.translateBy(x=3 if number % 2 else -3, y=2)

    def zoom(number: int) -> None:
        pane.zoom(0.5 + 0.02 * (number % 40))

    turns: dict[str, tuple[str, Callable[[int], None]]] = {
        "split, divider dragged": ("split", lambda n: pane.set_divider((n % 50) / 50)),
        "split, panned": ("split", pan),
        "split, zoomed": ("split", zoom),
        "side by side, panned": ("side", pan),
        "residual, panned": ("residual", pan),
        "changed pixels, panned": ("changed", pan),
        "frames scrolled": ("split", lambda n: view.show_frame(n % FRAMES)),
        "loupe": ("split", lambda n: view._enlarge(pane, (500 + n, 500))),
    }

    def contrast(number: int) -> None:
        view.set_levels(100.0 + number, 1500.0)

    over: dict[str, tuple[str, Callable[[int], None]]] = {
        "three channels over each other, frames scrolled": (
            "blink",
            lambda n: view.show_frame(CHANNELS * (n % FRAMES)),
        ),
        "likewise, contrast dragged": ("blink", contrast),
        "likewise, split, frames scrolled": (
            "split",
            lambda n: view.show_frame(CHANNELS * (n % FRAMES)),
        ),
        "likewise, split, contrast dragged": ("split", contrast),
        "likewise, split, panned": ("split", pan),
    }
    slow = 0
    for name, (mode, turn) in (turns | over).items():
        if name == next(iter(over)):
            view.set_pair(*stacks(CHANNELS))
            view.channels.overlay.setChecked(True)
        view.set_mode(mode)  # type: ignore[arg-type]
        while mode in ("residual", "changed") and view.removed.found is None:
            app.processEvents()
        view.loupe_tool.setChecked(name == "loupe")
        wall, core = rate(view, turn)
        slow += core < GOAL_PER_SECOND
        sys.stdout.write(f"{name}: {wall:.0f} a second, {core:.0f} of processor time\n")
        sys.stdout.flush()
    view.close()
    app.processEvents()
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
