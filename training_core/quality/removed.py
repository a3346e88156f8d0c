"""What was removed from one frame: against its own noise, and where structure shows in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training_core.stack import Image, Mask, Values

BEYOND = 3.0  # std: what noise exceeds in 0.27 % of the pixels
BRIGHTNESSES, FEWEST_PX = 16, 256
SAMPLED_PX = 1 << 18
OUTERMOST, TO_SIGMA = 0.02, 1.0700  # share left out, and what it takes from normal values
SIDE_PX, STRIDE_PX = 16, 8
CUT = 4.0  # std
AROUND_PX = 31  # side of what tells how strong the noise of CT is in a place
COARSE_PX = 1.5  # std of the blur under which faint lines and edges stand out of the noise
CALMEST, SURE = 0.25, 5.0  # share of windows that sets the scale; std beyond which one is marked


@dataclass(frozen=True, eq=False)
class Removed:
    """The residual of one frame, noisy - denoised.

    Attributes
    ----------
    residual
        (height, width) float32, in the units of the stack.
    sigmas
        Its std where the frame is as bright, (height, width) float32 without the
        outermost pixels, so that what else was removed hardly counts.
    structure
        Where it is stronger, or varies more slowly, than chance makes noise of that brightness.
    """

    residual: Image
    sigmas: Image
    structure: Mask

    @classmethod
    def of(cls, noisy: Image, denoised: Image, *, by_place: bool = False) -> Self:
        """Look at one frame, both images (height, width).

        The noise of CT is stronger in some places, `by_place`: there the std is that around each
        pixel, and only what varies too slowly for noise is taken for structure.
        """
        residual = (noisy - denoised).astype(np.float32)
        if by_place:
            around = ndimage.uniform_filter(np.square(residual), AROUND_PX, mode="reflect")
            sigmas = np.sqrt(np.maximum(around, 0.0)).astype(np.float32)
        else:
            sigmas = sigmas_by_brightness(residual, denoised)
        found = cls(residual, sigmas, np.zeros(residual.shape, bool))
        structure = structure_in(found.in_sigmas, denoised, by_place=by_place)
        return replace(found, structure=structure)

    @property
    def sigma(self) -> float:
        """The usual std, in the units of the stack; 0 where nothing was removed."""
        return float(np.median(self.sigmas))

    @property
    def in_sigmas(self) -> Image:
        """The residual over its std at that brightness, (height, width) float32; 0 without one."""
        unit = np.zeros_like(self.residual)
        np.divide(self.residual, self.sigmas, out=unit, where=self.sigmas > 0)
        return unit

    @property
    def beyond(self) -> NDArray[np.int8]:
        """Pixels changed by more than 3 std: 1 made brighter, -1 made darker, else 0."""
        far = np.abs(self.residual) > BEYOND * self.sigmas
        return np.where(far, -np.sign(self.residual), 0).astype(np.int8)

    @property
    def structure_outlines(self) -> Values:
        """The borders of `structure`, as (points, 2) x, y with rows of NaN between the pieces."""
        blocks = self.structure[STRIDE_PX::STRIDE_PX, STRIDE_PX::STRIDE_PX]
        padded = np.pad(blocks, 1)
        down = np.argwhere(padded[1:] != padded[:-1])  # horizontal pieces, as row and column
        across = np.argwhere(padded[:, 1:] != padded[:, :-1])
        starts = np.concatenate([down - (0, 1), across - (1, 0)])[:, ::-1].astype(np.float64)
        ways = np.repeat([(1.0, 0.0), (0.0, 1.0)], [len(down), len(across)], axis=0)
        pieces = np.stack([starts, starts + ways, np.full_like(starts, np.nan)], axis=1)
        return pieces.reshape(-1, 2) * STRIDE_PX + STRIDE_PX // 2

    @property
    def structure_share(self) -> float:
        """The share of the frame that `structure` marks, 0 to 1."""
        return float(self.structure.mean())


def sigmas_by_brightness(residual: Image, denoised: Image) -> Image:
    """Give the std of a residual at the brightness of each pixel, (height, width) float32."""
    return _by_brightness(residual, denoised, _robust_sigma)


def _by_brightness(values: Image, denoised: Image, measure: Callable[[Image], float]) -> Image:
    """Measure values in groups of like brightness, and interpolate between the groups."""
    step = max(1, -(-values.size // SAMPLED_PX))
    level, value = denoised.ravel()[::step], values.ravel()[::step]
    order = np.argsort(level, kind="stable")
    groups = np.array_split(order, max(1, min(BRIGHTNESSES, level.size // FEWEST_PX)))
    levels = np.array([np.median(level[group]) for group in groups], np.float64)
    measured = np.array([measure(value[group]) for group in groups])
    made: Image = np.interp(denoised, levels, measured).astype(np.float32)
    return made


def _robust_sigma(values: Image) -> float:
    """Give the std without the outermost pixels, which may hold what else was removed.

    Not by medians: of few photons most pixels are alike, and the others hold the noise.
    """
    low, high = np.quantile(values, (OUTERMOST / 2, 1 - OUTERMOST / 2))
    inner = values[(values >= low) & (values <= high)]
    return float(TO_SIGMA * inner.std())


def _rms(values: Image) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def structure_in(unit: Image, denoised: Image, *, by_place: bool = False) -> Mask:
    """Mark where a residual of std 1 holds more than noise of that brightness, (height, width).

    Windows of 16 px are compared with the calmest quarter of all, once as they are, which finds
    bright detail, and once blurred, which finds faint lines and edges.
    """
    if min(unit.shape) < 2 * SIDE_PX:
        return np.zeros(unit.shape, bool)
    # Single pixels of few photons are as strong as structure; they lie alone.
    cut = np.clip(unit, -CUT, CUT)
    cut -= _by_brightness(cut, denoised, lambda values: float(values.mean()))
    scale = _by_brightness(cut, denoised, _rms)
    even = np.divide(cut, scale, out=np.zeros_like(cut), where=scale > 0)
    slow = _stronger(ndimage.gaussian_filter(even, COARSE_PX))
    return slow if by_place else slow | _stronger(even)


def _stronger(image: Image) -> Mask:
    """Mark windows whose power is beyond what it is in the calm ones, with their scatter."""
    power = ndimage.uniform_filter(np.square(image, dtype=np.float64), SIDE_PX, mode="reflect")
    seen = power[SIDE_PX // 2 :: STRIDE_PX, SIDE_PX // 2 :: STRIDE_PX]
    low, middle = (float(v) for v in np.quantile(seen, (0.1, 0.5)))
    calm: Values = seen[seen <= middle]
    if not calm.size or middle <= 0:
        return np.zeros(image.shape, bool)
    # The lower half of a normal distribution is not reached by what structure adds to the other.
    scatter = (middle - low) / 1.2816
    marked = seen > middle + SURE * max(scatter, 0.02 * middle)
    grown = np.kron(marked, np.ones((STRIDE_PX, STRIDE_PX), bool))
    whole = np.zeros(image.shape, bool)
    top = SIDE_PX // 2 - STRIDE_PX // 2
    rows, columns = (min(n - top, m) for n, m in zip(image.shape, grown.shape, strict=True))
    whole[top : top + rows, top : top + columns] = grown[:rows, :columns]
    return whole
