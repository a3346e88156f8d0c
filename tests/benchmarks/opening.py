"""What `g2g info` takes on every real image, and what opening very large files takes.

Run as `python tests/benchmarks/opening.py [information] [large]`, both if none is named. Times are
core seconds of a process of its own, the least of some turns, since other programs slow it down.
The large files are made in a temporary folder, which needs 4 GB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.results import machine, read_results, with_section, write_results  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = ROOT.parent / "shared" / "data"
FOLDERS = ("formats", "odd", "ct", "stacks", "lowhigh")
TURNS = 3
GOAL_S, GOAL_OPENED_S, GOAL_MB = 2.0, 1.0, 300
SHOWN = 12  # of the slowest files
OPENED = """
import resource, sys, time
from training_core.io.readers import open_stack
began = time.process_time(), time.perf_counter()
stack = open_stack(sys.argv[1])
print(time.process_time() - began[0], time.perf_counter() - began[1], stack.shape, sep=";")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def samples() -> list[Path]:
    """List the real images: files, folders of OME-Zarr, and folders of one series each."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (DATA / folder).rglob("*")):
        inside = any(parent.suffix == ".zarr" for parent in path.parents)
        if not inside and (path.is_file() or path.suffix == ".zarr"):
            found.append(path)
    return found


def core_seconds(path: Path) -> tuple[float, int]:
    """Give what `g2g info` takes on a file, in user and system time, and how it ends."""
    before = _spent()
    command = [sys.executable, "-m", "training_core", "info", "--json", str(path)]
    code = subprocess.run(command, capture_output=True, check=False, cwd=ROOT).returncode
    return _spent() - before, code


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def information() -> str:
    """Ask for each real image, the slow ones again; give the section."""
    took = {}
    for path in samples():
        seconds, code = core_seconds(path)
        turn = 1
        while seconds > GOAL_S and turn < TURNS:
            seconds, turn = min(seconds, core_seconds(path)[0]), turn + 1
        took[path.relative_to(DATA)] = seconds
        sys.stdout.write(f"{seconds:6.2f} s, code {code}: {path.relative_to(DATA)}\n")
        sys.stdout.flush()
    slowest = sorted(took, key=lambda name: -took[name])[:SHOWN]
    rows = "\n".join(f"| {name} | {took[name]:.2f} |" for name in slowest)
    usual = np.median(list(took.values()))
    within = sum(seconds < GOAL_S for seconds in took.values())
    return (
        f"`python tests/benchmarks/opening.py information`: core seconds of `g2g info`, start "
        f"included, on each of the {len(took)} files of `../shared/data` that it opens or refuses; "
        f"{within} take less than {GOAL_S:.0f} s, the usual one {usual:.2f} s. The slowest are "
        f"below. {machine()}.\n\n| file | core s |\n|---|---|\n{rows}"
    )


def sparse(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Make a BigTIFF whose pixels are all 0 and take no room."""
    tifffile.memmap(path, shape=shape, dtype=dtype, bigtiff=True, photometric="minisblack")


def packed(path: Path) -> None:
    """Make 1.4 GB of noise, each page of the same packed bytes."""
    noise = np.random.default_rng(0).poisson(400, (1024, 1024)).astype(np.uint16)
    block = zlib.compress(noise.tobytes(), 1)
    with tifffile.TiffWriter(path) as file:
        for _ in range(700):
            file.write(
                iter([block]),
                shape=noise.shape,
                dtype=noise.dtype,
                compression="zlib",
                rowsperstrip=len(noise),
                metadata=None,
            )


def pages(path: Path) -> None:
    """Make 20,000 pages, each for itself."""
    with tifffile.TiffWriter(path) as file:
        for number in range(20_000):
            page = np.full((64, 64), number % 251, np.uint8)
            file.write(page, contiguous=False, metadata=None)


LARGE: dict[str, Callable[[Path], None]] = {
    "20 GB BigTIFF, sparse": lambda path: sparse(path, (2500, 2048, 2048), "uint16"),
    "1.4 GB of zlib": packed,
    "20,000 pages": pages,
    "6 GB of float32, sparse": lambda path: sparse(path, (1500, 1024, 1024), "float32"),
}


def opened(path: Path) -> Iterator[tuple[float, float, float]]:
    """Open a file in processes of their own; give core seconds, seconds and MB at most of each."""
    for _ in range(TURNS):
        command = [sys.executable, "-c", OPENED, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        times, most = done.stdout.split("\n")[:2]
        sys.stdout.write(f"{path.name}: {times} {most} MB\n")
        core, wall, _ = times.split(";")
        yield float(core), float(wall), float(most)


def large() -> str:
    """Make the large files and open them; give the section."""
    rows = ""
    with tempfile.TemporaryDirectory() as folder:
        for name, make in LARGE.items():
            path = Path(folder, f"{name}.tif")
            make(path)
            core, wall, most = (min(column) for column in zip(*opened(path), strict=True))
            met = "yes" if core < GOAL_OPENED_S and most < GOAL_MB else "no"
            rows += f"| {name} | {core:.2f} | {wall:.2f} | {most:.0f} | {met} |\n"
            path.unlink()
    return (
        "`python tests/benchmarks/opening.py large`: `open_stack` in a process of its own, without "
        f"the imports; the memory is all that the process has at most. Targets are "
        f"{GOAL_OPENED_S:.0f} s and {GOAL_MB} MB. {machine()}.\n\n"
        f"| file | core s | s | MB | met |\n|---|---|---|---|---|\n{rows.rstrip()}"
    )


SECTIONS = {"information": information, "large": large}


def main() -> int:
    """Measure what is named and write it into docs/results.md."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in sys.argv[1:] or SECTIONS:
        body = SECTIONS[name]()
        write_results(with_section(read_results(), f"Opening: {name}", body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
