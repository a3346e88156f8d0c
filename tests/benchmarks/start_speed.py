"""How long the program takes from its start to a window that can be used.

Run as `python tests/benchmarks/start_speed.py [STARTS]`. Each start is a process of its own, which
runs what `g2g-desktop` runs. The window can be used when its first page was painted and the event
loop answers after that. Then torch is loaded beside it; how late the event loop answers meanwhile
is printed, too. The goal is 1.5 s. Processor time is judged, since another program may have the
processor meanwhile. The files are in memory but for the first start, which does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QObject, QTimer

GOAL_S, STARTS, TICK_MS = 1.5, 5, 5
HEAVY = ("torch", "scipy", "skimage", "tifffile", "imagecodecs", "pywt", "pydicom")


class Watch(QObject):
    """Waits for the first page to be painted, then for the engine; prints JSON and closes."""

    def __init__(self, window) -> None:
        super().__init__(window)
        self.window, self.found, self.late_ms = window, {}, [0.0]
        self.last = 0.0
        self.clock = QTimer(self, interval=TICK_MS)
        self.clock.timeout.connect(self._on_tick)
        window.centre.start.installEventFilter(self)
        window.workflow.device_known.connect(self._on_engine)

    def eventFilter(self, page: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            page.removeEventFilter(self)
            self.found["loaded"] = [name for name in HEAVY if name in sys.modules]
            QTimer.singleShot(0, self._on_usable)
        return False

    def _on_usable(self) -> None:
        self.found |= {"usable": since_begin(), "worked": time.process_time()}
        self.last = time.perf_counter()
        self.clock.start()

    def _on_tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(1000 * (now - self.last) - TICK_MS)
        self.last = now

    def _on_engine(self) -> None:
        self.found |= {"engine": since_begin(), "late_ms": max(self.late_ms)}
        sys.stdout.write(json.dumps(self.found))
        self.window.close()


def since_begin() -> float:
    """Give the seconds since this process began, which is before Python did."""
    ticks = int(Path("/proc/self/stat").read_text("ascii").rsplit(")", 1)[1].split()[19])
    up = float(Path("/proc/uptime").read_text("ascii").split()[0])
    return up - ticks / os.sysconf("SC_CLK_TCK")


def start() -> int:
    """Run the program in this process, watched."""
    from g2g_desktop import __main__, app

    make = app.make_window

    def make_watched():
        window = make()
        Watch(window)
        return window

    app.make_window = make_watched
    return __main__.main([])


def main(starts: int) -> int:
    """Print the figures of some starts; 1 where the goal is missed."""
    found = []
    with tempfile.TemporaryDirectory() as private:
        kept = dict.fromkeys(("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), private)
        for _ in range(starts + 1):
            child = [sys.executable, __file__, "--child"]
            told = subprocess.run(child, env=os.environ | kept, capture_output=True, check=True)
            found.append(json.loads(told.stdout))
    usable, worked, engine, late = (
        [one[what] for one in found[1:]] for what in ("usable", "worked", "engine", "late_ms")
    )
    loaded = ", ".join(found[0]["loaded"]) or "nothing heavy"
    sys.stdout.write(
        f"{starts} starts: usable after {median(usable):.2f} s ({min(usable):.2f} to "
        f"{max(usable):.2f}), {median(worked):.2f} s of the processor ({min(worked):.2f} to "
        f"{max(worked):.2f}), goal {GOAL_S} s; loaded by then: {loaded}; the engine stands after "
        f"{median(engine):.1f} s, and until then the window answers within {max(late):.0f} ms\n"
    )
    return int(median(worked) > GOAL_S or bool(found[0]["loaded"]))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        start() if arguments == ["--child"] else main(int(arguments[0]) if arguments else STARTS)
    )
