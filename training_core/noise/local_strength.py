"""Noise of computed tomography brought to the same strength everywhere, and the way back.

How many photons arrive through a place of the body does not show in its own value, so the noise of
CT follows the place: 20 HU beside a patient, 90 HU between the shoulders. Its finest detail, which
hardly any structure reaches, tells how strong it is where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from training_core.patches.local_strength import bounded_sigma, local_sigma, tissue, usual_sigma
from training_core.run import SILENT, Run
from training_core.stack import Image, Pixels, Stack, Values, float_of, sampled_frames

from .covariance import coloured, detrended


@dataclass(frozen=True, slots=True)
class EvenNoise:
    """Scales every place so that its finest detail has the std `sigma`, in HU.

    0 HU stays what it is. What is learned at this strength serves any dose.
    """

    sigma: float

    @classmethod
    def of(cls, stacks: Sequence[Stack], run: Run = SILENT) -> Self | None:
        """Measure the usual strength in tissue; None where there is no noise at all."""
        usual = []
        for stack in stacks:
            for index in sampled_frames(stack):
                run.check()
                frame = stack.frame(index)
                usual.append(usual_sigma(local_sigma(frame), frame))
        sigma = float(np.median(usual))
        return cls(sigma) if sigma > 0 else None

    def gain(self, frame: Image) -> Values:
        """Give what each pixel is multiplied by, (height, width)."""
        return self.sigma / bounded_sigma(frame)

    def places(self, stack: Stack, usual: float) -> tuple[float, float]:
        """Give the std in calm and in loud tissue (5 and 95 %), from that in a usual place."""
        frames = [stack.frame(index) for index in range(stack.frame_count)]
        seen = [(local_sigma(frame), tissue(frame)) for frame in frames]
        found = [sigma[inside] if inside.any() else sigma.ravel() for sigma, inside in seen]
        calm, loud = np.quantile(np.concatenate(found), (0.05, 0.95)) * usual / self.sigma
        return float(calm), float(loud)

    def evened(self, stack: Stack, like: Stack | None = None, run: Run = SILENT) -> Stack:
        """Give the stack in float32 with noise of the same strength everywhere.

        `like` is a stack of the same shape whose noise decides; None: the stack itself.

        Raises
        ------
        Cancelled
            If the run was cancelled; asked before every frame, as in `restored`.
        """
        pixels = np.empty(stack.shape, np.float32)
        flat = pixels.reshape(stack.frame_count, *stack.frame_shape)
        for index, frame in enumerate(flat):
            run.check()
            frame[:] = stack.frame(index) * self.gain((like or stack).frame(index))
        return replace(stack, pixels=pixels)

    def restored(self, evened: Pixels, stack: Stack, run: Run = SILENT) -> Pixels:
        """Bring pixels of the evened stack back, as floating-point numbers.

        A pixel that nobody changed keeps its value to the last bit.
        """
        pixels = np.empty(stack.shape, float_of(stack.dtype))
        shape = (stack.frame_count, *stack.frame_shape)
        pairs = zip(pixels.reshape(shape), evened.reshape(shape), strict=True)
        for index, (into, frame) in enumerate(pairs):
            run.check()
            original = stack.frame(index)
            gain = self.gain(original)
            same = frame == (original * gain).astype(np.float32)
            into[:] = np.where(same, original, frame / gain)
        return pixels


def is_ct(stacks: Sequence[Stack]) -> bool:
    """Tell whether values are in Hounsfield units."""
    return any(stack.value_unit == "HU" for stack in stacks)


TURNS = 2.0  # times the spread that patches of one noise have; micrographs have 1.3, CT 4 to 5
MADE_PX, PART_PX = 512, 32
WHY = (
    "The noise has another direction in each place, which no noise that is made alike everywhere "
    "can show, so the network learns from the noisy images themselves and their first estimates"
)


def turns(noise: Image, covariance: Values) -> bool:
    """Tell whether patches of noise lean more differently than one noise explains.

    How far a patch leans is its correlation along x less that along y, between direct neighbours.
    The spread over the patches is compared with that of Gaussian noise with their covariance.

    Parameters
    ----------
    noise
        Unit noise of smooth patches without their trend, (count, size, size) float32.
    covariance
        Its mean autocovariance, (31, 31) float64.
    """
    size = min(noise.shape[1], PART_PX)
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    made = coloured(white, covariance).astype(np.float32)
    alike, found = (_leaning(detrended(_parts(of, size))) for of in (made[None], noise))
    return bool(found.std() > TURNS * alike.std())


def _parts(images: Image, size: int) -> Image:
    """Cut (count, n, n) into squares, (more, size, size)."""
    across = images.shape[1] // size
    inner = images[:, : across * size, : across * size]
    parts = inner.reshape(-1, across, size, across, size).swapaxes(2, 3)
    return parts.reshape(-1, size, size)


def _leaning(patches: Image) -> Values:
    exact = patches.astype(np.float64)
    along_x = (exact[:, :, 1:] * exact[:, :, :-1]).mean(axis=(1, 2))
    along_y = (exact[:, 1:] * exact[:, :-1]).mean(axis=(1, 2))
    leaning: Values = (along_x - along_y) / np.square(exact).mean(axis=(1, 2))
    return leaning
