"""A small training that tells what it learned in each step; one of the processes of torchrun.

torchrun --nproc-per-node 2 tests/support/learning.py OUT.json
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.support.made_up import QUICKEST, block, blurred_noise, stack
from training_core.compute import several
from training_core.errors import SettingsError
from training_core.pipeline import train
from training_core.run import Event, Run, StepsDone

CROPS, SIDE_PX = 5, 12  # which two processes cannot halve


class EveryStep(Run):
    """Hears of every step, however fast they come."""

    def tick_due(self) -> bool:
        """Tell always."""
        return True


def of_a_step() -> dict[str, Any]:
    """Learn from crops of which some pixels count less, with and without weights, by Adam."""
    draw = torch.Generator().manual_seed(1)
    source, target, weight = torch.rand(3, CROPS, 1, SIDE_PX, SIDE_PX, generator=draw)
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    step = several.training_step(network, optimiser, longest=0.1)
    losses = [float(step(source, target, weight)), float(step(source, target))]
    step.restore(step.state())
    optimiser.param_groups[0]["lr"] = 1e-3
    losses.append(float(step(source, target)))
    return {"losses": losses, "weights": numbers(network.state_dict())}


def of_a_job(name: str) -> dict[str, Any]:
    """Train on a small stack, and tell every loss that is told."""
    losses: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepsDone) and not math.isnan(event.losses.get("denoiser", math.nan)):
            losses.append(event.losses["denoiser"])

    chosen = replace(QUICKEST.denoiser, network=name, rounds=2, first_estimate="shrinkage")
    settings = replace(QUICKEST, denoiser=chosen, precision="float32")
    noisy = stack(block(96, 96, 200.0, 800.0) + 20 * blurred_noise((96, 96), 0.0, 3))
    learned = train([noisy], settings, run=EveryStep(watch))
    last = learned.history[max(learned.history)]  # whichever is chosen
    return {"losses": losses, "weights": numbers(last.state_dict())}


def numbers(state: dict[str, Tensor]) -> list[float]:
    """Give all weights of a network."""
    return [float(value) for values in state.values() for value in values.flatten()]


def too_few() -> str:
    """Give what is said of a batch of which not every process gets a crop."""
    network = nn.Conv2d(1, 1, 3, padding=1)
    step = several.training_step(network, torch.optim.Adam(network.parameters()))
    try:
        step(*torch.rand(2, 1, 1, SIDE_PX, SIDE_PX))
    except SettingsError as error:
        return str(error)
    return ""


def main(output: Path) -> None:
    """Write all of it; the other processes help."""
    with several.joined() as first:
        if not first:
            several.help_first()
            return
        told = {name: of_a_job(name) for name in ("compact", "pretrained")}
        told |= {"step": of_a_step(), "too few": too_few()}
        output.write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
