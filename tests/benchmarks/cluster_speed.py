"""How much faster two workers of one thread each are than one, on many stacks and on one.

Run as `python tests/benchmarks/cluster_speed.py`. Workers of this computer are started before, and
one and two are timed in turns. Where other programs run as well the clock says little; so processor
time is told, too: what is not on the workers cannot be shared, which limits the gain (Amdahl).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of each worker

import numpy as np
import tifffile

from training_core.batch.outputs import Existing
from training_core.batch.stacks import AS_IT_CAME, Batch
from training_core.batch.work import keep_model, use_model
from training_core.cluster.stacks import denoise_elsewhere
from training_core.cluster.workers import Workers, connected
from training_core.io.readers import open_stack
from training_core.pipeline import train
from training_core.run import Run
from training_core.settings import preset

STACKS, FRAMES, SIDE_PX = 8, 4, 512
TILED = 64, 512  # frames and side of the lone stack
TURNS = 2
GOAL = 1.8


def main() -> int:
    """Time both ways and say how they compare; 1 where two workers gain too little."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder = Path(name)
        small = FRAMES, SIDE_PX
        paths = [_written(folder / f"in/s{n:02}.tif", n, *small) for n in range(STACKS)]
        model = folder / "model.g2g"
        learned = train([open_stack(paths[0])], preset("instant", device="cpu"))
        keep_model(learned.denoiser, model, overwrite=False)
        teams = [opened.enter_context(connected(f"local:{n}", Run())) for n in (1, 2)]
        one = _written(folder / "one/one.tif", STACKS, *TILED)
        gains = [_gain("many stacks", Batch.of(paths), None, teams, model, folder)]
        gains.append(_gain("tiles of one", Batch.of([one]), "cpu", teams, model, folder))
    return int(min(gains) < GOAL)


def _written(path: Path, seed: int, frames: int, side: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    clean = 400 + 300 * np.sin(rows / 40) * np.cos(columns / 60 + seed)
    pixels = draw.poisson(clean, (frames, side, side)).astype(np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    return path


def _gain(
    what: str,
    batch: Batch,
    tiles_on: str | None,
    teams: list[Workers],
    model: Path,
    folder: Path,
) -> float:
    mpx = sum(open_stack(path).pixels.size for path in batch.paths) / 1e6
    gains, speeds, shared, alone = [], [], 0.0, 0.0
    for turn in range(TURNS + 1):  # in the first one torch and the model are loaded
        took = []
        for team in teams:
            output = folder / f"{what} {turn} {team.count}".replace(" ", "_")
            output = output.with_suffix(".tif") if tiles_on else output
            before, own, started = _worked(team), time.process_time(), time.monotonic()
            denoise_elsewhere(
                *(team, batch, output, partial(use_model, model, "cpu")),
                tiles_on=tiles_on,
                run=Run(),
                existing=Existing(),
                form=AS_IT_CAME,
            )
            took.append(time.monotonic() - started)
            if turn:
                shared, alone = shared + _worked(team) - before, alone + time.process_time() - own
        if turn:
            gains.append(took[0] / took[1])
            speeds.append([mpx / seconds for seconds in took])
    one, two = (statistics.median(each) for each in zip(*speeds, strict=True))
    gain, limit = statistics.median(gains), (shared + alone) / (shared / 2 + alone)
    told = " ".join(f"{each:.2f}" for each in gains)
    sys.stdout.write(
        f"{what}: {one:.3f} Mpx/s with one worker, {two:.3f} with two; {gain:.2f} times ({told}). "
        f"Processor time: {shared / (2 * TURNS * mpx):.1f} s/Mpx on the workers, "
        f"{alone / (2 * TURNS * mpx):.2f} beside them, so {limit:.2f} times at most. "
        f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n"
    )
    sys.stdout.flush()
    return gain


def _worked(team: Workers) -> float:
    """Give the processor time of all workers so far, in seconds."""
    return float(sum(team.client.run(time.process_time).values()))


if __name__ == "__main__":
    raise SystemExit(main())
