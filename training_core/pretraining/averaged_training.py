"""Training the bundled networks: a rate that falls by a cosine, and the average of the weights."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from training_core.compute.checkpoint import Checkpoint
from training_core.compute.optimiser_step import TrainingStep
from training_core.compute.state_file import State
from training_core.noise.adversarial import follow
from training_core.run import SILENT, Run, Stage
from training_core.stack import Image

Network = TypeVar("Network", bound=nn.Module)
LEAST_RATE = 1e-3  # of the first rate: the end of the cosine
AVERAGING = 0.999


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """How long a network is trained, on how much at a time; `learning_rate` is the highest."""

    steps: int
    batch: int
    crop_px: int
    learning_rate: float
    seed: int


class AveragedTraining(ABC, Generic[Network]):
    """A network in training, the average of its weights, and one step.

    Parameters
    ----------
    make
        Gives the network; what it draws depends on the seed of the settings only.
    warm_up
        Steps until the highest rate; 1 starts with it.

    Attributes
    ----------
    trained, kept
        The network that learns, and the one with the averaged weights.
    """

    def __init__(
        self,
        make: Callable[[], Network],
        settings: TrainingSize,
        device: torch.device,
        run: Run = SILENT,
        *,
        warm_up: int = 1,
    ) -> None:
        self.settings, self.device, self.warm_up = settings, device, warm_up
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = make()
        self.trained: Network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kept = deepcopy(self.trained)
        optimiser = torch.optim.Adam(self.trained.parameters(), settings.learning_rate)
        self.update = TrainingStep(self.trained, optimiser, bfloat16=True, longest=1.0, run=run)
        self.steps_done = 0

    @abstractmethod
    def batch(self) -> tuple[Tensor, ...]:
        """Draw what the next step learns from: sources, targets and, if any, their weights."""

    def step(self) -> Tensor:
        """Take the next step; give the loss, still on the device."""
        done = self.steps_done / self.settings.steps
        for group in self.update.optimiser.param_groups:
            rising = min(1.0, (self.steps_done + 1) / self.warm_up)
            falling = (1 + math.cos(math.pi * done)) / 2
            group["lr"] = self.settings.learning_rate * rising * max(falling, LEAST_RATE)
        loss = self.update(*self.batch())
        self.steps_done += 1
        with torch.no_grad():
            follow(self.kept, self.trained, min(AVERAGING, 1 - 10 / (self.steps_done + 10)))
        return loss

    @abstractmethod
    def settled(self) -> Network:
        """Give the averaged network, ready to be used; training can go on the same."""

    def state(self) -> State:
        """Give all that the next step depends on, for a checkpoint."""
        return {
            "steps_done": self.steps_done,
            "update": self.update.state(),
            "kept": self.kept.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from where `state` was given."""
        self.steps_done = state["steps_done"]
        self.update.restore(state["update"])
        self.kept.load_state_dict(state["kept"])


def train_on(
    training: AveragedTraining[Network],
    name: str,
    images: Sequence[Image],
    checkpoint: Checkpoint | None = None,
    run: Run = SILENT,
) -> None:
    """Take the steps that are left; those of the checkpoint, if it has any, are not taken again.

    Parameters
    ----------
    name
        Of the checkpoint's part, which is written when due and at the end; with
        `run.stop_and_keep` the end comes early.
    images
        What is learned from: a checkpoint of other images is refused.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another training.
    SettingsError
        If not even one crop of a batch fits into the memory.
    Cancelled
        If the run was cancelled.
    """
    checkpoint, steps = checkpoint or Checkpoint(None), training.settings.steps
    checkpoint.claim({"photographs": _digest(images), "settings": asdict(training.settings)})
    part = checkpoint.part(name)
    before = part.load()
    if before is not None:
        training.restore(before)
    run.start(Stage.ROUNDS, steps)
    told, steps_told = torch.zeros((), device=training.device), 0
    while training.steps_done < steps and not run.finish_early:
        part.check(run, training.state)
        told, steps_told = told + training.step(), steps_told + 1
        if run.tick_due() or training.steps_done == steps:
            mean = float(told) / steps_told  # waits for the device
            run.progress(Stage.ROUNDS, training.steps_done, steps, {"denoiser": mean})
            told, steps_told = torch.zeros_like(told), 0
    part.save(training.state())
    run.finish(Stage.ROUNDS)


def _digest(images: Sequence[Image]) -> str:
    digest = sha256()
    for image in images:
        digest.update(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()
