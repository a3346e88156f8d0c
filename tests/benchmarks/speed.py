"""What the program costs, against the code before it was made fast, in the same run.

Run: python tests/benchmarks/speed.py [--only filter,apply,...] [--before COMMIT]

Each thing is done in a process of its own, by this code and, where that could do it, by the commit
before (a worktree of it is made and removed). Core seconds count all threads of the process and its
start; wall seconds and the peak of memory stand where they are asked about. Prints a table and
keeps it in docs/results.md. `stack`, `kept` and `huge` take up to half an hour, and `huge` 20 GB of
a disk that keeps holes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, with_rows, write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT.parent / "shared/data/fmd/test_mix/raw/Confocal_FISH_1.png"
SECTION = "Speed"
HEAD = "| what | before | now | times less | target | met |"
HELD, BEGUN = 2500, 100  # frames of the stack of 20 GB, and how many of them are denoised
BEFORE = "99b45ad"  # before the first step of making it fast

FILTER = """
    import time, numpy as np, torch
    from training_core.denoise.nl_bayes import CollaborativeFilter
    from training_core.noise.covariance import uncorrelated
    from training_core.noise.strength_curve import NoiseCurve
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:256, :256]
    clean = (20 * np.sin(rows / 9) * np.cos(columns / 13)).astype(np.float32)
    noisy = torch.from_numpy(clean + draw.standard_normal(clean.shape).astype(np.float32))
    pilot = torch.from_numpy(clean) + 0.1 * noisy
    strength = {strength}
    filtered = CollaborativeFilter(uncorrelated(), NoiseCurve(np.zeros(1), np.ones(1)))
    filtered(noisy, pilot, strength=strength)
    begun = time.process_time()
    for _ in range(3):
        filtered(noisy, pilot, strength=strength)
    print((time.process_time() - begun) / 3)
"""
OPENED = """
    import time
    begun = time.perf_counter()
    from training_core.io.readers import open_stack
    {first}
    stack = open_stack({path!r})
    {then}
    print(time.perf_counter() - begun)
"""


LOOKED_AT = """
    import time
    import numpy as np
    from training_core.first_look import Look
    from training_core.io.readers import open_stack
    from training_core.place import PatchLocation
    begun = time.perf_counter()
    look = Look(open_stack({path!r}))
    look.region(0, PatchLocation(640, 640, 512, 768))
    print(time.perf_counter() - begun)
    begun = time.perf_counter()
    look.region(0, PatchLocation(1100, 1000, 512, 768))
    print(time.perf_counter() - begun)
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of all cores and by the clock, and its peak of memory in GB."""

    core_s: float
    wall_s: float
    peak_gb: float
    told: str


@dataclass(frozen=True)
class Row:
    """One line of the table; figures in the unit that `what` names."""

    what: str
    before: float | None
    now: float
    target: float | None

    def __str__(self) -> str:
        """Give the line as Markdown."""
        before = "-" if self.before is None else f"{self.before:.3g}"
        ratio = "-" if self.before is None else f"{self.before / self.now:.1f}"
        met = "-" if self.target is None else "yes" if self.now <= self.target else "NO"
        target = "-" if self.target is None else f"{self.target:g}"
        return f"| {self.what} | {before} | {self.now:.3g} | {ratio} | {target} | {met} |"


@dataclass(frozen=True)
class Bench:
    """A folder to work in, and the codes that are compared."""

    folder: Path
    before: Path | None

    def compare(self, cost: Callable[[Path], float]) -> tuple[float | None, float]:
        """Give what something costs with the code before, if that is there, and with this one."""
        return None if self.before is None else cost(self.before), cost(ROOT)


def process(code: Path, *command: str, threads: int | None = None) -> Cost:
    """Run Python with a code's modules; its output beside the result goes to the terminal."""
    one = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    env = os.environ | {"PYTHONPATH": str(code), **one}
    begun = time.monotonic()
    # In its own folder, which Python looks into before all others.
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, env=env, cwd=code
    ) as child:
        assert child.stdout is not None
        told = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    core_s = usage.ru_utime + usage.ru_stime
    return Cost(core_s, time.monotonic() - begun, usage.ru_maxrss / 2**20, told)


def g2g(code: Path, *words: object, threads: int | None = None) -> Cost:
    """Run a `g2g` command of a code."""
    return process(code, "-m", "training_core", *map(str, words), threads=threads)


def snippet(code: Path, text: str, **values: object) -> float:
    """Give the number that a piece of Python prints."""
    cost = process(code, "-c", textwrap.dedent(text).format(**values), threads=1)
    return float(cost.told.split()[-1])


def filtered(bench: Bench) -> Iterator[Row]:
    """Time the collaborative filter, for a frame alone and for one averaged with its neighbours."""
    for name, strength in (("", "None"), (", with strength", "torch.full((256, 256), 0.7)")):
        found = bench.compare(partial(snippet, text=FILTER, strength=strength))
        yield Row(f"collaborative filter 256 x 256{name}, core s", *found, 0.27)


def applied(bench: Bench) -> Iterator[Row]:
    """Time a kept model on 1024 x 1024, less the start of the process (that on 64 x 64)."""
    image = np.asarray(Image.open(FRAME))
    large, small = (bench.folder / f"{name}.tif" for name in ("large", "small"))
    tifffile.imwrite(large, np.tile(image, (2, 2)))
    tifffile.imwrite(small, image[:64, :64])

    def cost(code: Path) -> float:
        model, out = bench.folder / "model.g2g", bench.folder / "out.tif"
        g2g(code, "train", FRAME, "--model", model, "--preset", "quick", "--overwrite")
        spent = [
            g2g(code, "denoise", s, "--model", model, "--output", out, "--overwrite", threads=1)
            for s in (large, small)
        ]
        return spent[0].core_s - spent[1].core_s

    yield Row("apply a kept model, core s a megapixel", *bench.compare(cost), 6)


def instantly(bench: Bench) -> Iterator[Row]:
    """Time the preset instant from the start of the process to the written file."""
    out = bench.folder / "instant.tif"
    cost = g2g(ROOT, "run", FRAME, "--preset", "instant", "--output", out, "--overwrite", threads=1)
    yield Row("`instant` 512 x 512, core s from start to file", None, cost.core_s, 8)


def quickly(bench: Bench) -> Iterator[Row]:
    """Time the preset quick likewise."""
    out = bench.folder / "quick.tif"

    def cost(code: Path) -> float:
        words = ("run", FRAME, "--preset", "quick", "--output", out, "--overwrite")
        return g2g(code, *words, threads=1).core_s

    yield Row("`quick` 512 x 512, core s from start to file", *bench.compare(cost), 100)


def started(bench: Bench) -> Iterator[Row]:
    """Time what is asked for before any work: the version, and what a file is."""
    for name, words, target in (
        ("`g2g --version`, s", ("--version",), 0.4),
        ("`g2g info` 512 x 512, s", ("info", FRAME), 1.5),
    ):
        yield Row(name, *bench.compare(partial(_shortest, words=words)), target)


def _shortest(code: Path, words: tuple[object, ...]) -> float:
    """Give the wall time of the best of three: the first fills the system's cache."""
    return min(g2g(code, *words).wall_s for _ in range(3))


def _movie(path: Path, frames: int, side: int) -> Path:
    """Write a movie of a real frame that moves, uint16."""
    image = np.asarray(Image.open(FRAME)).astype(np.uint16)
    whole = np.tile(image, (side // 512 + 1, side // 512 + 1))
    moved = (np.roll(whole, 3 * n, axis=1)[:side, :side] for n in range(frames))
    # Unnamed, the first of three axes would be that of channels.
    axes, shape = {"axes": "TYX"}, (frames, side, side)
    tifffile.imwrite(path, moved, shape=shape, dtype=np.uint16, imagej=True, metadata=axes)
    return path


def stacked(bench: Bench) -> Iterator[Row]:
    """Time a movie of 100 frames of 1024 x 1024 with the preset quick, on all cores."""
    movie, out = _movie(bench.folder / "movie.tif", 100, 1024), bench.folder / "clean.tif"
    cost = g2g(ROOT, "run", movie, "--preset", "quick", "--output", out, "--overwrite")
    yield Row("1024 x 1024 x 100 uint16, `quick`, min by the clock", None, cost.wall_s / 60, 12)
    yield Row("1024 x 1024 x 100 uint16, `quick`, peak of memory in GB", None, cost.peak_gb, 1.5)


def kept(bench: Bench) -> Iterator[Row]:
    """Time 50 frames of 2048 x 2048 with a kept model, on all cores."""
    movie, model = _movie(bench.folder / "movie.tif", 50, 2048), bench.folder / "model.g2g"
    g2g(ROOT, "train", FRAME, "--model", model, "--preset", "instant", "--overwrite")
    out = bench.folder / "clean.tif"
    cost = g2g(ROOT, "denoise", movie, "--model", model, "--output", out, "--overwrite")
    yield Row("2048 x 2048 x 50 with a kept model, min by the clock", None, cost.wall_s / 60, 15)
    yield Row("2048 x 2048 x 50 with a kept model, peak of memory in GB", None, cost.peak_gb, None)


def looked_at(bench: Bench) -> Iterator[Row]:
    """Time the look at what is in view of 2048 x 2048 px, on all cores, as the window asks for it.

    Without loading the program, which the window has done before a file is dropped on it.
    """
    path = _movie(bench.folder / "large.tif", 1, 2048)
    told = process(ROOT, "-c", textwrap.dedent(LOOKED_AT).format(path=str(path))).told
    opened, moved = map(float, told.split())
    what = "look at 768 x 512 of 2048 x 2048"
    yield Row(f"{what}, after opening, s", None, opened, 2)
    yield Row(f"{what}, moved on, s", None, moved, 0.5)


def huge(bench: Bench) -> Iterator[Row]:
    """Time opening 20 GB and finding patches in it, and see what denoising its start holds."""
    path = bench.folder / "huge.tif"
    frame = np.asarray(Image.open(FRAME)).astype(np.uint16)
    pixels = tifffile.memmap(path, shape=(HELD, 2048, 2048), dtype=np.uint16, bigtiff=True)
    for index in range(0, len(pixels), 39):  # the others are holes
        pixels[index] = np.tile(frame, (4, 4))
    del pixels
    first = "from training_core.patches.smooth_patches import find_smooth_patches"
    for name, then, target in (
        ("opened, s", "pass", 1),
        ("patches found, s", "find_smooth_patches(stack)", 30),
    ):
        text = textwrap.dedent(OPENED)
        seconds = snippet(ROOT, text, first=first, path=str(path), then=then)
        yield Row(f"BigTIFF of 20 GB: {name}", None, seconds, target)
    model, out = bench.folder / "model.g2g", bench.folder / "huge-clean.tif"
    g2g(ROOT, "train", FRAME, "--model", model, "--preset", "instant", "--overwrite")
    peak = peak_of_start("denoise", path, "--model", model, "--output", out)
    yield Row(f"BigTIFF of 20 GB: peak while {BEGUN} frames are denoised, GB", None, peak, 2)


def peak_of_start(*words: object) -> float:
    """Give the peak of memory of a `g2g` command in GB, ended after its first `BEGUN` frames."""
    command = [sys.executable, "-m", "training_core", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stderr is not None
        told = (re.match(r"Denoising: (\d+) of (\d+)", line) for line in child.stderr)
        # Tiles are counted, and not every one is told of.
        if not any(t and int(t[1]) * HELD >= BEGUN * int(t[2]) for t in told):
            raise RuntimeError(f"{words[1]} was not denoised as far as frame {BEGUN}")
        child.terminate()
        child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 2**20


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "filter": filtered,
    "apply": applied,
    "instant": instantly,
    "quick": quickly,
    "info": started,
    "stack": stacked,
    "kept": kept,
    "look": looked_at,
    "huge": huge,
}


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path | None]:
    """Give a tree of the code of a commit; none for no commit."""
    if not commit:
        yield None
        return
    path = folder / "before"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", path, commit], cwd=ROOT, check=True)
    try:
        yield path
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", path], cwd=ROOT, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the chosen things and keep their rows; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(ROWS), help="rows, separated by commas")
    parser.add_argument("--before", default=BEFORE, help='the commit to compare with; "" for none')
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}; choose from {', '.join(ROWS)}")
    rows = []
    with tempfile.TemporaryDirectory() as kept_in:
        folder = Path(kept_in)
        with worktree(chosen.before, folder) as before:
            for name in names:
                for row in ROWS[name](Bench(folder, before)):
                    sys.stdout.write(f"{row}\n")
                    sys.stdout.flush()
                    rows.append(row)
                    write_results(updated(read_results(), rows, machine()))
    return 0 if all(row.target is None or row.now <= row.target for row in rows) else 1


def updated(text: str, rows: Sequence[Row], where: str) -> str:
    """Put rows into their section of a results file; others stay as they are."""
    note = (
        f"`python tests/benchmarks/speed.py`: this code and that of commit {BEFORE}, each in a "
        "process of its own in the same run; core seconds on one thread, times by the clock on "
        f"all cores. Last run on {where}."
    )
    return with_rows(text, SECTION, note, HEAD, {row.what: str(row) for row in rows})


if __name__ == "__main__":
    sys.exit(main())
