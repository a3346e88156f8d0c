"""Generated against real noise: held-out smooth patches, and differences of two raw frames.

Run: python tests/benchmarks/noise_fidelity.py [--only NAME,...] [--preset quick]

The noise of each micrograph is learned blind from one frame. Two frames of one scene differ by
nothing but noise, which is the truth here. Prints a table and keeps it in RESULTS.md beside this
file; 1 if a set is beyond its limits. The images are looked for in ../shared/data.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, section, with_section, write_results

from training_core.io.readers import open_stack
from training_core.noise.adversarial import made_patches, train_generator
from training_core.noise.covariance import detrended, residual_sigmas, stabilised_well
from training_core.noise.match import NEAR_LAGS, NoiseMatch, NoiseShape, compare_noise
from training_core.noise.measurement import Measurement, measure_noise
from training_core.noise.model import PhotonNoise
from training_core.patches.smooth_patches import cut_patches, find_smooth_patches
from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "fmd" / "test_mix"
SECTION = "Noise model"
HEAD = (
    "| set | patches | against | std ratio | lag 1, 2, 3 made (real) | correlation off | "
    "spectrum off | kurtosis made (real) | score | within limits |"
)
SETS = {  # the frame it is learned from, and one that differs by noise alone
    "WideField_BPAE_B": (3, 4),  # frames 1 and 2 are the same file
    "WideField_BPAE_G": (1, 2),
    "Confocal_FISH": (1, 2),
    "TwoPhoton_MICE": (1, 2),
    "Confocal_BPAE_G": (1, 2),
    "TwoPhoton_BPAE_B": (1, 2),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: made noise against one kind of real noise."""

    name: str
    patches: int
    against: str
    made: NoiseShape
    real: NoiseShape
    match: NoiseMatch

    def __str__(self) -> str:
        """Give the line as Markdown."""
        made, real = (shape.table.mean(axis=0) for shape in (self.made, self.real))
        along_x = zip(made[:NEAR_LAGS], real[:NEAR_LAGS], strict=True)
        lags = ", ".join(f"{ours:.3f} ({theirs:.3f})" for ours, theirs in along_x)
        m = self.match
        off = [
            f"{100 * value:.1f} % (+-{100 * error:.1f})"
            for value, error in (
                (m.correlation, m.correlation_error),
                (m.spectrum, m.spectrum_error),
                (m.kurtosis, m.kurtosis_error),
            )
        ]
        return (
            f"| {self.name} | {self.patches} | {self.against} | {m.std_ratio:.3f} | {lags} | "
            f"{off[0]} | {off[1]} | {made[-1]:.2f} ({real[-1]:.2f}), {off[2]} "
            f"| {m.score:.0f} % | {'yes' if m.good else 'NO'} |"
        )


def rows(name: str, chosen: str) -> list[Row]:
    """Learn the noise of one frame; compare it with held-out patches and with the truth."""
    settings = preset(chosen)
    first, second = (open_stack(DATA / "raw" / f"{name}_{n}.png") for n in SETS[name])
    places = find_smooth_patches(first, settings.patches)
    frame, other = first.frame(0), second.frame(0)
    patches = cut_patches(first, places)
    measured = measure_noise([frame], patches, settings.noise_model, linear=False)
    maker, match = train_generator(
        measured, settings.noise_model, seed=settings.seed, device=torch.device("cpu")
    )
    draw = torch.Generator().manual_seed(1)
    made = made_patches(maker, patches.shape[1], draw)
    shape, label = NoiseShape(detrended(made)), f"{name} ({type(maker).__name__})"
    held_out = NoiseShape(measured.noise[::5])
    forward = measured.stabiliser.forward
    apart = (forward(frame) - forward(other)) / np.sqrt(2)
    clean = forward(open_stack(DATA / "gt" / f"{name}.png").frame(0))
    kept = len(held_out.patches)
    lines = [Row(label, kept, "held-out patches", shape, held_out, match)]
    counted = _counted(clean, measured, maker, draw)
    for where, cut in (("same places", _cut(places)), ("everywhere", _tiles)):
        if counted is None:
            noise, strengths = _truth(cut(apart), cut(clean), measured)
        else:  # of few photons, noise of this brightness alone can be compared
            noise, strengths = detrended(cut(apart)), _ratios(cut(apart), cut(counted))
            made = detrended(cut(counted))
            shape = NoiseShape(made)
        real = NoiseShape(noise)
        truth = compare_noise(made, noise, strengths)
        lines.append(Row(name, len(noise), f"truth, {where}", shape, real, truth))
    return lines


def _counted(
    clean: np.ndarray, measured: Measurement, maker: Any, draw: torch.Generator
) -> np.ndarray | None:
    """Give the difference of two noisy copies of the reference / sqrt 2, where photons are few."""
    if measured.photons is None:
        return None
    parts = (measured.stabiliser, measured.curve, measured.covariance, maker, None, 0)
    noise = PhotonNoise(*parts, measured.photons)
    image = torch.from_numpy(clean)[None, None]
    first, second = (noise.add_noise(image, draw)[0, 0].numpy() for _ in range(2))
    return (first - second) / np.sqrt(2)


def _ratios(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Give the std of patches of true noise over that of made noise in the same places."""
    sigmas = residual_sigmas(real)
    return (sigmas / residual_sigmas(made))[stabilised_well(sigmas)]


def _cut(places: Any) -> Any:
    def cut(image: np.ndarray) -> np.ndarray:
        size = places.patch_size_px
        windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
        return windows[places.locations[:, 1], places.locations[:, 2]]

    return cut


def _tiles(image: np.ndarray, size: int = 32) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return windows[::size, ::size].reshape(-1, size, size)


def _truth(
    noise: np.ndarray, clean: np.ndarray, measured: Measurement
) -> tuple[np.ndarray, np.ndarray]:
    """Give true noise as unit noise, and its std over what the model says, both per patch."""
    sigmas = residual_sigmas(noise)
    expected = np.sqrt(np.mean(measured.curve(clean) ** 2, axis=(1, 2)))
    alive = stabilised_well(sigmas)
    return detrended(noise), (sigmas / expected)[alive]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen sets and keep their rows; 1 if one does not match its patches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SETS), help="sets, separated by commas")
    parser.add_argument("--preset", default="quick", choices=("quick", "balanced"))
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"there is no set {unknown[0]!r}; choose from {', '.join(SETS)}")
    if not DATA.is_dir():
        parser.error("the real images are not beside the checkout (../shared/data)")
    sys.stdout.write(f"{HEAD}\n{_rule()}\n")
    good = True
    for name in names:
        lines = rows(name, chosen.preset)
        good &= lines[0].match.good
        sys.stdout.write("\n".join(map(str, lines)) + "\n")
        sys.stdout.flush()
        write_results(updated(read_results(), name, lines, chosen.preset))
    return 0 if good else 1


def updated(text: str, name: str, lines: Sequence[Row], chosen: str) -> str:
    """Put the rows of a set into the section of a results file; all others stay as they are."""
    kept = [line for line in section(text, SECTION).splitlines() if line.startswith("| ")][1:]
    kept = [line for line in kept if not line.startswith(f"| {name} ")]
    table = "\n".join([HEAD, _rule(), *kept, *map(str, lines)])
    note = (
        f"`python tests/benchmarks/noise_fidelity.py`, preset {chosen}, learned blind from one "
        "frame. Limits of the issue: correlation (largest difference over lags 0 to 3 px in any "
        "direction) and spectrum (radially averaged, share of all energy) 5 %, kurtosis 10 %, each "
        "plus the sampling error of the held-out patches (+-, 19 times of 20). All are taken of "
        "detrended patches brought to unit std. Truth: the difference of two raw frames / sqrt 2, "
        "stabilised, where the patches lie and in tiles over the whole frame; std ratio there: "
        f"what the model gives at the reference's brightness over it; where photons are few, "
        f"made is the difference of two noisy copies of the reference. Last run on {machine()}."
    )
    return with_section(text, SECTION, f"{note}\n\n{table}")


def _rule() -> str:
    return "|" + "---|" * (HEAD.count("|") - 1)


if __name__ == "__main__":
    sys.exit(main())
