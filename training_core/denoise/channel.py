"""A channel of a stack: what is known of its noise, and how its values meet the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from training_core.errors import InputError
from training_core.noise.figures import UNTOUCHED, Recording
from training_core.noise.model import NoiseModel
from training_core.stack import Image, Pixels, Stack, Values

from .brightness import BrightnessCurve
from .flat_areas import FlatAreas


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel of the stack: its noise, and how its values are brought to the network.

    `mean` and `spread` normalise stabilised values for the network. `recording`, which only
    training asks for, says how the file's pixels were cut off and rounded. `flat_areas` evens out
    what is left of noise alone; None until it is learned. `doubted` says that texture and
    noise could not be told apart, `sure` that the strength of the noise is known then, `blank` that
    there was nothing to learn from: then the noise is that of another channel, and pixels stay as
    they are.
    """

    noise: NoiseModel
    mean: float = 0.0
    spread: float = 1.0
    brightness: BrightnessCurve = field(default_factory=BrightnessCurve)
    recording: Recording = UNTOUCHED
    flat_areas: FlatAreas | None = None
    doubted: bool = False
    sure: bool = False
    blank: bool = False

    def stabilised(self, values: Pixels) -> Image:
        """Map stack values, any shape and dtype, to float32 with noise of std about 1."""
        return self.noise.stabiliser.forward(values)

    def normalised(self, stabilised: Tensor) -> Tensor:
        """Map stabilised values to those of the network."""
        return (stabilised - self.mean) / self.spread

    def denormalised(self, made: Tensor) -> Tensor:
        """Map values of the network to stabilised ones."""
        return made * self.spread + self.mean

    def in_stack_units(self, estimate: Image, original: Pixels) -> Values:
        """Map the stabilised estimate of a noisy image, both of one shape, to stack values.

        Brightness is held, and a pixel that was left alone keeps its value to the last bit.
        """
        if self.blank:
            return original.astype(np.float64)
        values = self.brightness(self.noise.stabiliser.inverse(estimate))
        unchanged = estimate == self.stabilised(original)
        exact: Values = np.where(unchanged, original.astype(np.float64), values)
        return exact


def doubted_of(channels: Sequence[Channel]) -> tuple[int, ...]:
    """Give the channels, counted from 1, in which texture and noise could not be told apart."""
    return tuple(n for n, channel in enumerate(channels, start=1) if channel.doubted)


def check_channels(stack: Stack, learned: Sequence[Channel]) -> None:
    """Refuse a stack with other channels than those that were learned; one alone fits all.

    Raises `InputError` if they do not fit.
    """
    found = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    known = len(learned)
    if found != known and known != 1:
        raise InputError(
            f"{stack.name} has {found} channel{'s' if found > 1 else ''}, the model learned "
            f"{known}. Use a model that was trained on a stack with the same channels."
        )
