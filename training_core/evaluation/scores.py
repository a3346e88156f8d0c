"""What an evaluation found: cells, rows with their means, and the report of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training_core.settings import Settings
from training_core.stack import Values

from .bias import Bias
from .published_tables import Figures, Table

if TYPE_CHECKING:
    from .contenders import Contender
    from .protocols import Protocol


Source = Literal["measured", "published", "target"]

IN_TABLE = "As published in the table of GAN2GAN."
ELSEWHERE = "As its authors published it, by the usual protocol."
TARGET = "What this program is to reach."
OWN = ("first-estimate", "g2g", "oracle")
ALONE = re.compile(r", round \d+( \(.*\))?$")  # rows of a network without more passes


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
    """One method.

    Attributes
    ----------
    method
        One of `METHODS`; empty for figures that were not measured here.
    label
        What the row is called.
    source
        Measured here, published by others, or the target of this program.
    how
        How the row was made, or why it is empty.
    means
        By the name of the protocol; empty where there is none.
    cells
        Every image; empty for figures that were not measured here.
    sees_reference
        Whether it was told more than the noisy image.
    seconds
        For one image; None where it was not measured here.
    competes
        Whether it may be called the best.
    """

    method: str
    label: str
    source: Source
    how: str
    means: Mapping[str, Mean]
    cells: tuple[Cell, ...] = ()
    sees_reference: bool = False
    seconds: float | None = None
    competes: bool = True

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


def measured_row(contender: Contender, cells: Sequence[Cell], seconds: float) -> Row:
    """Give the row of a contender that has been through all images, or could not be tried."""
    protocols = dict.fromkeys(cell.protocol for cell in cells)
    means = {name: Mean.of([c for c in cells if c.protocol == name]) for name in protocols}
    return Row(
        contender.method,
        contender.label,
        "measured",
        contender.how,
        means,
        tuple(cells),
        contender.sees_reference,
        seconds if cells else None,
        contender.competes,
    )


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
    """A table, run again.

    Attributes
    ----------
    table
        The benchmark set and its known figures.
    protocols
        How it was scored, the first one first.
    rows
        Measured rows, then published ones, then the target.
    images
        The names of the test images that were run.
    available
        How many the set has.
    notes
        Which files were taken, and what differs from the published set.
    settings
        How G2G was trained.
    card
        The story of its training, with what the test of noise alone left (`flat_residual`) and the
        core seconds of training; empty where it was not trained.
    device
        Where it ran.
    seconds
        Wall time of everything.
    examples
        A few images in full, for the figures.
    """

    table: Table
    protocols: tuple[Protocol, ...]
    rows: tuple[Row, ...]
    images: tuple[str, ...]
    available: int
    notes: tuple[str, ...]
    settings: Settings
    card: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    seconds: float = 0.0
    examples: tuple[Example, ...] = ()

    @property
    def ours(self) -> Row | None:
        """The final result of G2G, None where it was not run."""
        found = [row for row in self.rows if row.method == "g2g" and row.cells]
        return found[-1] if found else None

    def best(self, protocol: str, methods: Sequence[str] = ()) -> Row | None:
        """Give the measured blind row with the highest PSNR (of some methods), None without any."""
        found = [r for r in self.rows if r.blind and (not methods or r.method in methods)]
        return max(found, key=lambda row: row.psnr(protocol) or -np.inf, default=None)

    def oracle(self, protocol: str) -> Row | None:
        """Give the best of our own rows, picked by the reference; None where ours was not run."""
        own = [r for r in self.rows if r.method in OWN and r.cells]
        return max(own, key=lambda row: row.psnr(protocol) or -np.inf) if self.ours else None

    def lost(self, protocol: str) -> Figures:
        """Give what the blind choice loses against the best of our rows, in PSNR and in SSIM.

        Networks alone are also held against that of the chosen round alone, and the larger loss
        counts. The best row in SSIM may be another than in PSNR; a negative loss cannot be.
        """
        if self.ours is None:
            return None, None
        own = [r for r in self.rows if r.method in OWN and r.cells]
        alone = [r for r in own if ALONE.search(r.label)]
        chosen = [r for r in alone if "(chosen blind" in r.label]
        pairs = [(own, self.ours), *((alone, row) for row in chosen)]
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
