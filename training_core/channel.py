"""A channel of a stack: what is known of its noise, and how its values meet the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .brightness import BrightnessCurve
from .recording import UNTOUCHED, Recording

if TYPE_CHECKING:
    from .flat_areas import FlatAreas
    from .noise_model import NoiseModel


@dataclass(eq=False)
class Channel:
    """One channel of the stack: its noise, and how its values are brought to the network.

    `mean` and `spread` normalise stabilised values for the network. `recording`, which only
    training asks for, says how the file's pixels were cut off and rounded. `flat_areas` evens out
    what is left of noise alone; None until it is learned.
    """

    noise: NoiseModel
    mean: float = 0.0
    spread: float = 1.0
    brightness: BrightnessCurve = field(default_factory=BrightnessCurve)
    recording: Recording = UNTOUCHED
    flat_areas: FlatAreas | None = None
