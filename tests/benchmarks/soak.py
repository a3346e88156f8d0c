"""Does the window keep flat when it is worked all day: memory and threads, turn after turn.

Run as `python tests/benchmarks/soak.py [MINUTES]` (30 without). The real window opens a bundled
sample, looks at it, finds patches with other settings, trains a little, compares in all ways,
measures, exports and closes, again and again. A line is printed after each turn. The first turns
load what is loaded once; from then on memory is to stay within 5 %, and no thread is to be left.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from PySide6.QtWidgets import QApplication
from window_latency import until

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTES, GOAL_PERCENT = 30.0, 5.0
WARM_UP = 3  # turns, one for each sample
SAMPLES = ("fluorescence_noisy.tif", "ct_noisy.tif", "sem_noisy.tif")
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Measured:
    """What the process holds after a turn."""

    megabytes: float
    threads: int

    @classmethod
    def now(cls) -> Measured:
        """Measure, after what is not needed was let go."""
        QApplication.processEvents()
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        threads = len(list(Path("/proc/self/task").iterdir()))
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, threads)


def turn(window: Any, sample: str, folder: Path) -> None:
    """Do everything once with one sample."""
    from g2g_desktop.jobs.tasks import ExportChoice
    from g2g_desktop.model.session import State
    from g2g_desktop.paths import resource

    session, commands, view = window.session, window.commands, window.centre.compare
    commands.open_paths([resource(f"samples/{sample}")])
    reach(lambda: session.patches is not None, "patches")
    reach(lambda: window.centre.viewer.first_look.is_shown, "first look")
    session.set_patch_settings(replace(session.settings.patches, strictness=0.2))
    reach(lambda: session.patches is not None, "patches again")
    session.undo()
    reach(lambda: session.patches is not None, "patches as before")
    session.set_settings(short(rounds=int(sample == SAMPLES[0])))
    window.workflow.train()
    reach(lambda: session.state is State.DONE or session.failure is not None, "result")
    reach(lambda: session.failure is not None or session.result.judgement is not None, "verdict")
    for mode in ("side", "blink", "residual", "changed", "split"):
        commands.do(mode)
        until(lambda: False, 0.3)
    commands.do("measure_line")
    commands.do("measure_rectangle")
    for tab in ("Measure", "Noise", "Slices", ""):
        window.centre.bench.panel.open(tab)
        until(lambda: False, 0.3)
    view.zoom_full()
    window.workflow.export(ExportChoice(folder / "out.tif", overwrite=True))
    reach(lambda: session.exported is not None, "file")
    session.set_model_saved()  # nothing to ask about when closing
    commands.do("close")
    reach(lambda: session.state is State.EMPTY, "empty window")


def reach(reached: Any, what: str) -> None:
    """Wait for a state of the window."""
    if not until(reached, PATIENCE_S):
        raise TimeoutError(f"no {what} after {PATIENCE_S:.0f} s")


def short(rounds: int) -> Any:
    """Give settings for a training of seconds, with a round or without."""
    from training_core.settings import preset

    settings = preset("quick" if rounds else "instant")
    noise = replace(settings.noise_model, steps=30)
    denoiser = replace(settings.denoiser, steps=10, rounds=rounds)
    return replace(settings, noise_model=noise, denoiser=denoiser)


def soak(window: Any, minutes: float) -> list[Measured]:
    """Do turn after turn for so long, at least three of each sample; give what each left."""
    found: list[Measured] = []
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end or len(found) < 3 * WARM_UP:
            sample = SAMPLES[len(found) % len(SAMPLES)]
            turn(window, sample, Path(folder))
            found.append(now := Measured.now())
            told = f"turn {len(found):3}  {now.megabytes:7.0f} MB  {now.threads:3} threads"
            sys.stdout.write(f"{told}  {threading.active_count()} of Python  {sample}\n")
            sys.stdout.flush()
    return found


def growth_percent(found: Sequence[Measured]) -> float:
    """Compare the last turns, one for each sample, with the first after the warm-up."""
    after = [one.megabytes for one in found[WARM_UP:]]
    first, last = np.mean(after[:WARM_UP]), np.mean(after[-WARM_UP:])
    return float(100 * (last - first) / first)


def main(arguments: list[str]) -> int:
    """Work the window and print what it took; the exit code says whether it stayed flat."""
    with tempfile.TemporaryDirectory() as private:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            os.environ[name] = private
        app = QApplication([])
        from g2g_desktop.app import make_window
        from g2g_desktop.jobs.job import Job
        from training_core.compute.memory import keep_memory

        keep_memory()  # as the program does
        window = make_window()
        window.resize(1366, 768)
        window.show()
        found = soak(window, float(arguments[0]) if arguments else MINUTES)
        window.close()
        # Python's end would destroy a thread that has not heard yet; the program leaves by itself.
        ended = until(lambda: not Job.any_running(), PATIENCE_S)
        app.processEvents()
    grown, left = growth_percent(found), found[-1].threads - found[WARM_UP].threads
    sys.stdout.write(
        f"{len(found)} turns: memory {grown:+.1f} % after the first {WARM_UP} (goal "
        f"{GOAL_PERCENT:.0f} %), {left:+} threads; {'all' if ended else 'not all'} jobs ended\n"
    )
    return int(grown > GOAL_PERCENT or left > 0 or not ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
