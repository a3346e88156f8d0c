"""The main job on real images: `g2g` with one preset, scored against clean references.

Run: python tests/benchmarks/main_job.py [--preset quick] [--only fish,mice,widefield,ct,bsd]

Prints a table and keeps it in docs/results.md; 1 if a target is missed. The images are
looked for in ../shared/data beside the checkout. All sets use the same command and settings.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, rule, with_rows, write_results

from training_core.io.readers import open_stack
from training_core.noise.synthetic import gaussian
from training_core.quality.measures import SOFT_TISSUE_HU, assess, compare_with_reference
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
SECTION, PRESET = "Main job", "quick"
HEAD = "| set | noisy | denoised | SSIM | target | met | wall s | core s | mean shift % |"

MICROGRAPHS = {
    "fish": ("Confocal_FISH", 31.2),
    "mice": ("TwoPhoton_MICE", 32.5),
    "widefield": ("WideField_BPAE_G", 31.5),
    "widefield-b": ("WideField_BPAE_B", 34.6),
    "confocal": ("Confocal_BPAE_G", 31.7),
    "twophoton": ("TwoPhoton_BPAE_B", 32.7),
}
LONGEST_WALL_S = 600
CT_REDUCTION = 0.20
BSD_SIGMA, BSD_TARGET, BSD_CORE_S = 25, 27.9, 300


@dataclass(frozen=True)
class Row:
    """One line of the table; times are those of the command, core seconds over all cores."""

    name: str
    noisy: str
    denoised: str
    ssim: float
    target: str
    met: bool
    wall_s: float
    core_s: float
    shift: float

    def __str__(self) -> str:
        """Give the line as Markdown."""
        return (
            f"| {self.name} | {self.noisy} | {self.denoised} | {self.ssim:.4f} | {self.target} | "
            f"{'yes' if self.met else 'NO'} | {self.wall_s:.0f} | {self.core_s:.0f} | "
            f"{self.shift:+.3f} |"
        )


@dataclass(frozen=True)
class Answer:
    """What a `g2g` command answered, and what it cost."""

    facts: dict[str, Any]
    wall_s: float
    core_s: float


def g2g(*arguments: object) -> Answer:
    """Run a `g2g` command; its progress goes to the terminal."""
    begun, spent = time.monotonic(), _children_s()
    command = [sys.executable, "-m", "training_core", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    return Answer(json.loads(done.stdout), time.monotonic() - begun, _children_s() - spent)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def micrograph(name: str, folder: Path, preset: str) -> Row:
    """Denoise one frame of a micrograph, trained on that frame alone."""
    kind, target = MICROGRAPHS[name]
    source = DATA / "fmd" / "test_mix" / "raw" / f"{kind}_1.png"
    output = folder / f"{name}.tif"
    answer = g2g("run", source, "--preset", preset, "--output", output)
    noisy, denoised = open_stack(source), open_stack(output)
    clean = open_stack(DATA / "fmd" / "test_mix" / "gt" / f"{kind}.png")
    before, after = (compare_with_reference(stack, clean) for stack in (noisy, denoised))
    return Row(
        source.stem,
        f"{before.psnr:.2f} dB",
        f"{after.psnr:.2f} dB",
        after.ssim,
        f"{target} dB, {LONGEST_WALL_S} s",
        after.psnr >= target and answer.wall_s <= LONGEST_WALL_S,
        answer.wall_s,
        answer.core_s,
        assess(noisy, denoised).mean_shift_percent,
    )


def ct(folder: Path, preset: str) -> Row:
    """Denoise six quarter-dose slices as one volume and compare with full dose."""
    source, output = DATA / "ct" / "ldct_mayo" / "L096", folder / "ct.tif"
    answer = g2g("run", source / "quarter", "--preset", preset, "--output", output)
    noisy, denoised, full = (open_stack(p) for p in (source / "quarter", output, source / "full"))
    before, after = (
        compare_with_reference(stack, full, window=SOFT_TISSUE_HU) for stack in (noisy, denoised)
    )
    reduction = 1 - after.rmse / before.rmse
    return Row(
        "L096 quarter dose",
        f"RMSE {before.rmse:.2f} HU",
        f"RMSE {after.rmse:.2f} HU ({-100 * reduction:+.1f} %)",
        after.ssim,
        f"{-100 * CT_REDUCTION:+.0f} %",
        reduction >= CT_REDUCTION,
        answer.wall_s,
        answer.core_s,
        assess(noisy, denoised).mean_shift_percent,
    )


def bsd(folder: Path, preset: str) -> Row:
    """Train on noisy BSD400 alone, then denoise each noisy BSD68 image with that model."""
    model = folder / "bsd.g2g"
    trained = g2g("train", _noisy_bsd400(folder), "--preset", preset, "--model", model)
    sources = _noisy_bsd68(folder)
    output = folder / "denoised"
    applied = g2g("denoise", *sources, "--model", model, "--output", output)
    results = applied.facts["outputs"]
    pairs = [(open_stack(item["input"]), open_stack(item["output"])) for item in results]
    clean = [_gray_stack(DATA / "bsd68" / f"{Path(i['input']).stem}.png") for i in results]
    before = [compare_with_reference(p[0], c, 255.0) for p, c in zip(pairs, clean, strict=True)]
    after = [compare_with_reference(p[1], c, 255.0) for p, c in zip(pairs, clean, strict=True)]
    mean = float(np.mean([quality.psnr for quality in after]))
    shifts = [assess(*pair).mean_shift_percent for pair in pairs]
    return Row(
        f"BSD68 sigma {BSD_SIGMA} ({len(pairs)} images)",
        f"{np.mean([quality.psnr for quality in before]):.2f} dB",
        f"{mean:.2f} dB",
        float(np.mean([quality.ssim for quality in after])),
        f"{BSD_TARGET} dB, {BSD_CORE_S} core s",
        len(pairs) == 68 and mean >= BSD_TARGET and trained.core_s <= BSD_CORE_S,
        trained.wall_s,
        trained.core_s,
        max(shifts, key=abs),
    )


def _noisy_bsd400(folder: Path) -> Path:
    """Write the 400 training images with noise, neither rounded nor clipped, as one stack."""
    clean = np.stack([_gray(path) for path in sorted((DATA / "bsd400").glob("*.png"))])
    noisy = clean + gaussian(clean.shape, BSD_SIGMA, seed=400)
    path = folder / "bsd400.tif"
    tifffile.imwrite(path, noisy.astype(np.float32), metadata={"axes": "IYX"})
    return path


def _noisy_bsd68(folder: Path) -> list[Path]:
    paths = []
    for seed, source in enumerate(sorted((DATA / "bsd68").glob("*.png"))):
        clean = _gray(source)
        noisy = clean + gaussian(clean.shape, BSD_SIGMA, seed=seed)
        paths.append(folder / f"{source.stem}.tif")
        tifffile.imwrite(paths[-1], noisy.astype(np.float32))
    return paths


def _gray(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture, dtype=np.float64)


def _gray_stack(path: Path) -> Stack:
    return Stack(_gray(path), "YX", source=path)


SETS: dict[str, Callable[[Path, str], Row]] = {
    **{name: partial(micrograph, name) for name in MICROGRAPHS},
    "ct": ct,
    "bsd": bsd,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen sets and keep their rows; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SETS), help="sets, separated by commas")
    parser.add_argument("--preset", default=PRESET, help="instant, quick (as kept) or balanced")
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"there is no set {unknown[0]!r}; choose from {', '.join(SETS)}")
    if not DATA.is_dir():
        parser.error("the real images are not beside the checkout (../shared/data)")
    sys.stdout.write(f"{HEAD}\n{rule(HEAD)}\n")
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(SETS[name](Path(folder), chosen.preset))
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
        write_results(updated(read_results(), rows, machine(), chosen.preset))
    return 0 if all(row.met for row in rows) else 1


def updated(text: str, rows: Sequence[Row], where: str, preset: str = PRESET) -> str:
    """Put rows into their section of a results file; other sets and sections stay as they are."""
    title = SECTION if preset == PRESET else f"{SECTION}, {preset}"
    note = (
        f"`python tests/benchmarks/main_job.py`: every set with `--preset {preset}` and the same "
        "settings. PSNR and SSIM on a data range of 255 (CT: clipped to [-160, 240] HU). Times are "
        "those of `g2g run`, for BSD68 those of `g2g train`; core s counts all cores. Mean shift "
        f"is that of the whole output, for BSD68 the worst image. Last run on {where}."
    )
    return with_rows(text, title, note, HEAD, {row.name: str(row) for row in rows})


if __name__ == "__main__":
    sys.exit(main())
