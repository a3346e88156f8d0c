"""The report of a training: what was learned and chosen; JSON and words are made of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from training_core.compute.device import describe_device
from training_core.denoise.channel import Channel, doubted_of
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Estimator
from training_core.resources import program
from training_core.selection.choice import RoundResult, best_round
from training_core.selection.faint_spots import FaintSpots
from training_core.stack import Stack

if TYPE_CHECKING:
    from .first_estimate import FirstEstimate


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What a training found and decided, stage by stage."""

    rounds: tuple[RoundResult, ...]  # every round, and how it was judged
    heavy_tails: tuple[int, ...] = ()  # the channels, counted from 1, whose noise a few pixels hold
    # How many neighbouring frames are averaged, and why; empty where there are none
    neighbours: Mapping[str, Any] = field(default_factory=dict)
    # Why the network learned from the recorded images themselves; empty where it did not
    recorded_pairs: str = ""
    # Whether the noise has another direction in each place, and the network did not learn it so
    turning: bool = False
    # Which method made the first estimates; None where g2 did
    first_estimate: FirstEstimate | None = None
    # How much of the last pass is taken, and what was judged for that; empty without a choice
    last_pass: Mapping[str, Any] = field(default_factory=dict)
    # How faint a spot is left, for each channel; empty where that was not measured
    faint_spots: tuple[FaintSpots, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON; what was not decided is left out."""
        first = self.first_estimate.to_dict() if self.first_estimate else None
        told = {
            "heavy_tails": list(self.heavy_tails),
            "neighbours": dict(self.neighbours),
            "recorded_pairs": self.recorded_pairs,
            "turning": self.turning,
            "first_estimate": first,
            "last_pass": dict(self.last_pass),
            "faint_spots": [one.to_dict() for one in self.faint_spots],
        }
        rounds = [result.to_dict() for result in self.rounds]
        decided = {name: value for name, value in told.items() if value}
        return decided | {"rounds": rounds, "chosen_round": best_round(self.rounds)}


def card_of(
    denoiser: Denoiser,
    report: TrainingReport,
    stacks: Sequence[Stack],
    repeats: Sequence[Stack],
    seconds: float,
) -> dict[str, Any]:
    """Tell the whole story of a denoiser in plain values: what it was made from, how, and when."""
    stack, settings = stacks[0], denoiser.settings
    return report.to_dict() | {
        "program": program(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": describe_device(denoiser.device),
        "preset": settings.preset,
        "seed": settings.seed,
        "seconds": seconds,
        "settings": settings.to_dict(),
        "trained_on": [s.name for s in stacks],
        "repeats": [repeat.name for repeat in repeats],
        "dtype": str(stack.dtype),
        "axes": stack.axes,
        "value_unit": stack.value_unit,
        "pixel_size_um": [stack.pixel_size.x_um, stack.pixel_size.y_um, stack.pixel_size.z_um],
        "patches": sum(channel.noise.patches for channel in denoiser.channels),
        "noise": [channel.noise.statistics() for channel in denoiser.channels],
        "doubted": list(doubted_of(denoiser.channels)),
    }


@dataclass(frozen=True, eq=False)
class Learned:
    """A denoiser, and what was judged beside it: for who asks whether the choice was good."""

    denoiser: Denoiser  # that of the best round, chosen blind
    # The network after each round; 0 is that before training, or g2
    history: Mapping[int, nn.Module]
    first_estimate: Estimator | None = None  # what made the first estimates; None where g2 did
    # The channels that regions must have which it is asked for
    first_channels: tuple[Channel, ...] = ()
