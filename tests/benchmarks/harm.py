"""Images on which denoising can do harm, each with its truth: what became of them, what was told.

Run: python tests/benchmarks/harm.py [--short] [--others] [--only NAME,...] [--keep]

Prints a line for each image; --keep writes the table into docs/results.md. --short takes a tenth of
the steps and one round. The images are made by ../shared/cases/harm/make.py, with --others by
harm_others.py: others of the same kinds. 1 if one of them ends more than .1 dB below its input
without being told so in red, or more than 1 dB below it at all, or if what is told is untrue: no
red on a loss of more than .3 dB, or red on a gain of more than 2 dB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, with_section, write_results

from training_core.errors import CoreError
from training_core.io.readers import open_stack
from training_core.pipeline import denoise_stack
from training_core.quality.measures import assess
from training_core.reporting.findings import Level, blind_findings, card_findings
from training_core.settings import Settings, preset
from training_core.stack import Stack, cast_like

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHARED = Path(__file__).resolve().parents[3] / "shared"
MAKE, OTHERS = SHARED / "cases/harm/make.py", Path(__file__).with_name("harm_others.py")
SECTION = "Harm"
TOLD_DB, MOST_DB = 0.1, 1.0
GAINED_DB = 2.0  # of which nobody may say that it is poor
HEAD = "| image | noisy | ours | gain | noise, correlation | red | amber |\n" + "|---" * 7 + "|"


@dataclass(frozen=True)
class Row:
    """What became of one image; PSNR in dB over the peak that goes with it."""

    name: str
    noisy: float
    ours: float
    noise: str = ""
    red: tuple[str, ...] = ()
    amber: tuple[str, ...] = ()
    refused: str = ""

    @property
    def harmed(self) -> bool:
        """Whether it lost more than may be, told or not; an input without noise can only lose."""
        lost = self.noisy - self.ours
        if self.refused or not np.isfinite(self.noisy):
            return not self.red and np.isfinite(self.ours) and not self.refused
        return lost > MOST_DB or (lost > TOLD_DB and not self.red)

    @property
    def untrue(self) -> bool:
        """Whether it was called poor in spite of a plain gain."""
        return bool(self.red) and GAINED_DB < self.ours - self.noisy < np.inf

    def line(self) -> str:
        """Give the row of the table."""
        if self.refused:
            return f"| {self.name} | {self.noisy:.1f} | refused: {self.refused} | | | | |"
        told = (", ".join(self.red), ", ".join(self.amber))
        gain = f"{self.ours - self.noisy:+.1f}"
        marks = " HARM" * self.harmed + " UNTRUE" * self.untrue
        figures = f"{self.noisy:.1f} | {self.ours:.1f} | {gain}{marks}"
        return f"| {self.name} | {figures} | {self.noise} | {told[0]} | {told[1]} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    chosen = parser.parse_args(arguments)
    settings = short() if chosen.short else preset("quick")
    say(HEAD)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, peak in made(Path(folder), OTHERS if chosen.others else MAKE):
            if chosen.only and name not in chosen.only.split(","):
                continue
            rows.append(row(name, peak, Path(folder), settings))
            say(rows[-1].line())
    if chosen.keep:
        how = "quick, short" if chosen.short else "quick"
        text = f"{machine()}; preset {how}, seed 0.\n\n{HEAD}\n" + "\n".join(r.line() for r in rows)
        section = f"{SECTION}, others of the kinds" if chosen.others else SECTION
        write_results(with_section(read_results(), section, text))
    return int(any(each.harmed or each.untrue for each in rows))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def short() -> Settings:
    """Give the quick preset with what is learned cut short, to see what is decided before it."""
    quick = preset("quick")
    return replace(
        quick,
        noise_model=replace(quick.noise_model, steps=40),
        denoiser=replace(quick.denoiser, rounds=1, steps=30),
    )


def made(folder: Path, script: Path) -> Iterator[tuple[str, float]]:
    """Make the images; give their names and peaks."""
    command = [sys.executable, str(script), str(folder), str(SHARED / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    told: Mapping[str, Mapping[str, Any]] = json.loads((folder / "meta.json").read_text())
    for name, values in told.items():
        yield name, float(values["peak"])


def row(name: str, peak: float, folder: Path, settings: Settings) -> Row:
    """Denoise one image and compare it with its truth."""
    noisy = open_stack(folder / f"{name}_noisy.tif")
    truth = np.asarray(open_stack(folder / f"{name}_truth.tif").pixels, np.float64)
    before = psnr(noisy, truth, peak)
    try:
        outcome = denoise_stack(noisy, settings)
    except CoreError as error:
        return Row(name, before, before, refused=str(error)[:60])
    result, card = cast_like(outcome.denoised, noisy), outcome.denoiser.card
    # The window measures what it shows, before a file rounds it.
    found = [*card_findings(card), *blind_findings(assess(noisy, outcome.denoised), card=card)]
    told = {
        level: tuple(f.name for f in found if f.level is level)
        for level in (Level.RED, Level.AMBER)
    }
    noise = card["noise"][0]
    learned = f"{noise['sigma']:.3g}, {noise['correlation_x'][1]:.2f}"
    after = psnr(result, truth, peak)
    return Row(name, before, after, learned, told[Level.RED], told[Level.AMBER])


def psnr(stack: Stack, truth: np.ndarray, peak: float) -> float:
    """Give the PSNR in dB; infinite for what equals its truth."""
    error = float(np.square(np.asarray(stack.pixels, np.float64) - truth).mean())
    return float(10 * np.log10(peak**2 / error)) if error else float("inf")


if __name__ == "__main__":
    sys.exit(main())
