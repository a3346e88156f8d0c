"""What an evaluation found: brightness, cells, rows with their means, the report of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from training_core.denoise.denoiser import Denoiser
from training_core.quality.measures import brightness
from training_core.settings import Settings
from training_core.stack import Image, Values

from .protocols import Protocol
from .published_tables import Figures, Table

Source = Literal["measured", "published", "target"]

IN_TABLE = "As published in the table of GAN2GAN."
ELSEWHERE = "As its authors published it, by the usual protocol."
TARGET = "What this program is to reach."
OWN = ("first-estimate", "g2g", "oracle")
ALONE = re.compile(r", round \d+( \(.*\))?$")  # rows of a network without more passes
FLAT_PX = 256
BINS = 16
PLACE_PX = 32  # std of the windows in which brightness is compared by place
HELD = 1e-3  # of the variance of the image: where there is less, the line of the whole counts


@dataclass(frozen=True, slots=True)
class Cell:
    """One method on one image, scored by one protocol; PSNR in dB."""

    image: str
    protocol: str
    psnr: float
    ssim: float
    bias: Bias | None = None


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over images, each with its standard error; None where it is not known."""

    psnr: float | None
    ssim: float | None
    psnr_error: float | None = None
    ssim_error: float | None = None
    images: int | None = None

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Mean:
        """Average the cells of one protocol, at least one."""
        values = np.array([[cell.psnr, cell.ssim] for cell in cells])
        psnr, ssim = (float(v) for v in values.mean(axis=0))
        if len(cells) < 2:
            return cls(psnr, ssim, images=len(cells))
        errors = values.std(axis=0, ddof=1) / len(cells) ** 0.5
        return cls(psnr, ssim, float(errors[0]), float(errors[1]), len(cells))


@dataclass(frozen=True, slots=True)
class Row:
    """One method."""

    method: str  # one of `METHODS`; empty for figures that were not measured here
    label: str
    source: Source  # measured here, published by others, or the target of this program
    how: str  # how the row was made, or why it is empty
    means: Mapping[str, Mean]  # by the name of the protocol; empty where there is none
    cells: tuple[Cell, ...] = ()  # every image; empty for figures that were not measured here
    sees_reference: bool = False  # whether it was told more than the noisy image
    seconds: float | None = None  # for one image; None where it was not measured here
    competes: bool = True  # whether it may be called the best

    @property
    def blind(self) -> bool:
        """Whether it was measured here without the reference, by which it was not picked either."""
        return bool(self.cells) and not self.sees_reference and self.competes

    def psnr(self, protocol: str) -> float | None:
        """Give the mean PSNR, None where there is none."""
        return self.means[protocol].psnr if protocol in self.means else None

    def bias(self, protocol: str) -> Bias | None:
        """Give the bias over all images, None where it was not measured."""
        found = [c.bias for c in self.cells if c.protocol == protocol and c.bias is not None]
        return Bias.of(found) if found else None

    def rmse(self, protocol: str, peak: float) -> float | None:
        """Give the root mean square error over all images, in the unit of the peak."""
        psnrs = [c.psnr for c in self.cells if c.protocol == protocol]
        return float(peak * np.mean(10 ** (-np.array(psnrs) / 10)) ** 0.5) if psnrs else None


def known_rows(table: Table, protocols: Sequence[str]) -> list[Row]:
    """Give the figures that are known for a table in the protocols that are shown."""
    usual = "published" if table.published else "sane"
    rows = [
        *(_known("published", *named, "published", IN_TABLE) for named in table.published.items()),
        *(_known("published", *named, "sane", ELSEWHERE) for named in table.elsewhere.items()),
    ]
    if table.target is not None:
        rows.append(_known("target", "target", table.target, usual, TARGET))
    return [row for row in rows if set(row.means) & set(protocols)]


def _known(source: Source, name: str, figures: Figures, protocol: str, how: str) -> Row:
    known = {} if figures == (None, None) else {protocol: Mean(*figures)}
    return Row("", name, source, how, known)


@dataclass(frozen=True, eq=False)
class Example:
    """One test image in every row: `made` by label, `references` by protocol, (height, width)."""

    name: str
    references: Mapping[str, Values]
    made: Mapping[str, Values]


@dataclass(frozen=True, eq=False)
class Report:
    """A table, run again."""

    table: Table  # the benchmark set and its known figures
    protocols: tuple[Protocol, ...]  # how it was scored, the first one first
    rows: tuple[Row, ...]  # measured rows, then published ones, then the target
    images: tuple[str, ...]  # the names of the test images that were run
    available: int  # how many the set has
    notes: tuple[str, ...]  # which files were taken, and what differs from the published set
    settings: Settings  # how G2G was trained
    # The story of its training, with what the test of noise alone left (`flat_residual`) and the
    # core seconds of training; empty where it was not trained
    card: dict[str, Any] = field(default_factory=dict)
    device: str = ""  # where it ran
    seconds: float = 0.0  # wall time of everything
    examples: tuple[Example, ...] = ()  # a few images in full, for the figures

    @property
    def ours(self) -> Row | None:
        """The final result of G2G, None where it was not run."""
        found = [row for row in self.rows if row.method == "g2g" and row.cells]
        return found[-1] if found else None

    def best(self, protocol: str, methods: Sequence[str] = ()) -> Row | None:
        """Give the measured blind row with the highest PSNR (of some methods), None without any."""
        found = [r for r in self.rows if r.blind and (not methods or r.method in methods)]
        return max(found, key=lambda row: row.psnr(protocol) or -np.inf, default=None)

    @property
    def _own(self) -> list[Row]:
        """Every row of ours; empty where the result was not run."""
        return [r for r in self.rows if r.method in OWN and r.cells] if self.ours else []

    def oracle(self, protocol: str) -> Row | None:
        """Give the best of our own rows, picked by the reference; None where ours was not run."""
        return max(self._own, key=lambda row: row.psnr(protocol) or -np.inf, default=None)

    def lost(self, protocol: str) -> tuple[float, float] | None:
        """Give what the blind choice loses against the best of our rows, in PSNR and in SSIM.

        Networks alone are also held against that of the chosen round alone, and the larger loss
        counts. The best row in SSIM may be another than in PSNR; a negative loss cannot be. None
        where ours was not run.
        """
        own = self._own
        if self.ours is None:
            return None
        alone = [r for r in own if ALONE.search(r.label)]
        pairs = [(own, self.ours), *((alone, r) for r in alone if "(chosen blind" in r.label)]
        psnr, ssim = (
            max(
                max(getattr(r.means[protocol], name) for r in rows)
                - getattr(mine.means[protocol], name)
                for rows, mine in pairs
            )
            for name in ("psnr", "ssim")
        )
        return psnr, ssim

    def passes(self, row: Row, *, psnr_alone: bool = False) -> bool | None:
        """Whether ours is at least as good as a known row, in PSNR and, where given, SSIM."""
        ours = self.ours
        shared = [p.name for p in self.protocols if p.name in row.means]
        if ours is None or not shared:
            return None
        mine, known = ours.means[shared[0]], row.means[shared[0]]
        pairs = [(mine.psnr, known.psnr), (mine.ssim, known.ssim)][: 1 if psnr_alone else 2]
        return all(a is not None and a >= b for a, b in pairs if b is not None)


@dataclass(frozen=True, slots=True)
class Bias:
    """How the brightness of a denoised image differs from that of what it was made from.

    Attributes
    ----------
    mean_shift_percent
        Change of the mean against the noisy image, in percent of the reference's mean, or of its
        range where it has negative values.
    slope_on_reference
        Slope of the denoised image on the reference; holds what bleached between the exposures.
    slope
        The same on the reference brought to the brightness of the noisy image by a line, which is
        what the denoiser itself does. Even the best estimate, the posterior mean, is below 1 here,
        by its error over the variance of the image.
    calibration
        Slope of that reference on the denoised image: 1 for the posterior mean. Over 1: contrast
        was lost; under 1: noise was kept or contrast added.
    calibration_by_place
        The same with a line of its own at each place: not all of a scene bleaches alike, and a
        reference from later exposures then differs from what was there to be seen. Kept noise
        that is wider than a few pixels shows less in it: blurred by 32 px, .95 for .87.
    worst_bin_percent
        The same as the first in the sixteenth of the pixels, by brightness of the reference, where
        the mean moved most. The mean of the noise there is in it.
    """

    mean_shift_percent: float
    slope_on_reference: float
    slope: float
    calibration: float
    calibration_by_place: float
    worst_bin_percent: float

    @classmethod
    def of(cls, images: Sequence[Bias]) -> Bias:
        """Sum up images, at least one: their mean slopes, and the largest of their shifts."""

        def together(name: str) -> float:
            values = [getattr(one, name) for one in images]
            return max(values, key=abs) if name.endswith("_percent") else float(np.mean(values))

        return cls(*map(together, BIASES))


BIASES = tuple(each.name for each in fields(Bias))


def measure_bias(noisy: Image, denoised: Image, clean: Image) -> Bias:
    """Measure the bias of a denoised image; all three are (height, width), in the same units."""
    images = [np.asarray(image, np.float64) for image in (noisy, denoised, clean)]
    seen = _by_place(images[0], images[2]).ravel()
    z, made, x = (image.ravel() for image in images)
    change = made - z
    one_percent = (brightness(x) or 1.0) / 100
    parts = np.array_split(change[np.argsort(x, kind="stable")], BINS)
    worst = max((float(part.mean()) for part in parts if len(part)), key=abs)
    exposed = _slope(z, x)
    return Bias(
        float(change.mean()) / one_percent,
        _slope(made, x),
        _slope(made, x) / exposed if exposed else 1.0,
        _slope(x, made) * exposed,
        _slope(seen, made),
        worst / one_percent,
    )


def _by_place(noisy: Values, clean: Values) -> Values:
    """Bring a reference (height, width) to the brightness of the noisy image around each pixel."""
    mean = partial(gaussian_filter, sigma=PLACE_PX)
    z, x = noisy - noisy.mean(), clean - clean.mean()
    power = HELD * float(np.square(x).mean())
    if not power:
        return mean(noisy)
    level, exposed = mean(x), mean(z)
    together = mean(x * z) - level * exposed + power * _slope(z.ravel(), x.ravel())
    slope = together / (mean(x * x) - level**2 + power)
    brought: Values = noisy.mean() + exposed + slope * (x - level)
    return brought


def _slope(values: Values, on: Values) -> float:
    """Give the slope of the least-squares line; 1 where there is nothing to see it by."""
    around = on - on.mean()
    power = float(around @ around)
    return float(around @ values) / power if power > 0 else 1.0


@torch.no_grad()
def flat_residual(denoiser: Denoiser, seed: int = 0) -> float:
    """Denoise learned noise on a constant; give what is left, std over std of the noise.

    0 is best. In stabilised units at the mean brightness; of several channels the worst counts.
    """
    draw = torch.Generator().manual_seed(seed)
    left = []
    for channel in denoiser.channels:
        flat = torch.full((1, 1, FLAT_PX, FLAT_PX), channel.mean, device=denoiser.device)
        noisy = channel.noise.add_noise(flat, draw)[0, 0].float()
        left.append(float(denoiser.estimate(noisy, channel).std() / noisy.std()))
    return max(left)
