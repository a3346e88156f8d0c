"""The values that pixels take: their least step, and what was cut off at either end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training_core.stack import Pixels

LOOKED_AT = 1 << 20  # pixels whose values are counted
PILED_UP = 4.0  # times as many pixels at the end as at the values beside it: cut off
LEAST_SHARE = 1e-4
CAMERA_BITS = (8, 10, 11, 12, 14, 16)
BLOCK_PX = 8  # of JPEG
LEAST_BLOCKS = 16  # side by side; fewer are too few to tell steps from structure
BLOCKY = 0.06  # of the mean difference of neighbours: more than noise makes


@dataclass(frozen=True, slots=True)
class PixelValues:
    """The values of some frames.

    Attributes
    ----------
    lowest, highest
        The ends of the values, in stack units.
    lowest_share, saturated_share
        Fraction of the pixels that were cut off there; 0 where the values just end.
    step
        Least difference of two values; 0 for values without a grid.
    blocky
        Whether steps repeat every 8 px, as JPEG leaves them.
    """

    lowest: float
    highest: float
    lowest_share: float
    saturated_share: float
    step: float
    blocky: bool

    @classmethod
    def of(cls, frames: Sequence[Pixels]) -> Self:
        """Count the values of frames, (height, width) each in their own dtype."""
        pixels = np.concatenate([frame.ravel() for frame in frames])
        values, counts = np.unique(pixels[:: -(-pixels.size // LOOKED_AT)], return_counts=True)
        step = _step(values)
        return cls(
            float(values[0]),
            float(values[-1]),
            _cut_off(counts[::-1], at_limit=False),
            _cut_off(counts, at_limit=_is_limit(values[-1], step)),
            step,
            min(map(_blockiness, (frames[0], frames[0].T))) > BLOCKY,
        )


def _step(values: Pixels) -> float:
    """Give the grid on which ascending values lie; 0 if there is none."""
    if values.size < 2:
        return 0.0
    if values.dtype.kind in "iub":  # modulo 2**64, where no difference overflows
        return float(np.gcd.reduce(np.diff(values.astype(np.uint64))))
    apart = np.diff(values.astype(np.float64))
    least = float(apart.min())
    steps = apart / least
    # Values that only float32 parts have no grid, though each is a multiple of the last bit.
    close = least > 4 * np.spacing(np.abs(values).max())
    return least if close and np.abs(steps - np.rint(steps)).max() < 0.1 else 0.0


def _is_limit(highest: np.generic[Any], step: float) -> bool:
    """Tell whether a camera or a data type can count no further, such as 4095 or 16 x 4095."""
    kind = highest.dtype.kind
    most = float(np.asarray(highest)) / (step or 1.0)
    return kind in "iu" and any(most == 2**bits - 1 for bits in CAMERA_BITS)


def _cut_off(counts: NDArray[np.intp], *, at_limit: bool) -> float:
    """Give the share of the last count where it towers above those before it."""
    share = float(counts[-1] / counts.sum())
    beside = counts[-9:-1]
    piled = beside.size > 0 and counts[-1] > PILED_UP * float(beside.mean())
    return share if share >= LEAST_SHARE and (piled or at_limit) else 0.0


def _blockiness(frame: Pixels) -> float:
    """Give how much larger the difference is across one in eight columns; near 0 without blocks."""
    step = np.abs(np.diff(frame.astype(np.float32), axis=1)).mean(axis=0, dtype=np.float64)
    excess = step[1:-1] - (step[:-2] + step[2:]) / 2
    count = excess.size // BLOCK_PX
    if count < LEAST_BLOCKS or not step.any():
        return 0.0
    phases = np.median(excess[: count * BLOCK_PX].reshape(count, BLOCK_PX), axis=0)
    return float((phases.max() - np.median(phases)) / step.mean())
