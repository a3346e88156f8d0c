"""One round of learning: the network, its optimiser, and the average that is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from training_core.compute.checkpoint import State
from training_core.compute.several import training_step
from training_core.costs import PUBLISHED_STEP, STEP, of_network
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.neighbours import NeighbourFrames, averaged
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.noise.adversarial import follow
from training_core.paper.pairs import PublishedPairs
from training_core.place import PatchLocation
from training_core.run import PREVIEW_SECONDS, PreviewReady, Run, ShownRegion, Stage
from training_core.settings import DenoiserSettings

from .material import Material
from .pairs import PreparedPairs
from .task import Task

WARM_UP = 0.1  # of a round's steps: the rate rises before the cosine takes it down
LONGEST_GRADIENT = 1.0
# At a rate of 3e-4 two rounds took Confocal_BPAE_G from 33.19 to 32.79 dB.
GOING_ON = 0.05  # of the learning rate: a pretrained network shall not forget
Plan = Sequence[int]  # the steps of each round


def crops_mpx(settings: DenoiserSettings) -> float:
    """Give how many megapixels a step learns from, where regions are no smaller than crops."""
    return settings.batch * settings.crop_px**2 / 1e6


class RoundTraining:
    """The network that is trained in a round, and that of the denoiser, which follows it."""

    def __init__(
        self,
        denoiser: Denoiser,
        pairs: PreparedPairs | PublishedPairs,
        steps: int,
        run: Run,
    ) -> None:
        self.settings, self.pairs = replace(denoiser.settings.denoiser, steps=steps), pairs
        self.kept = denoiser.network
        # The kept weights follow at their own pace; memory ordered by channels is faster.
        self.trained = deepcopy(denoiser.network).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.trained.parameters(), self.settings.learning_rate)
        self.update = training_step(
            self.trained,
            self.optimiser,
            bfloat16=denoiser.settings.precision == "auto",
            longest=_longest(self.settings),
            run=run,
        )
        published = isinstance(pairs, PublishedPairs)
        self.run, self.kind = run, of_network(PUBLISHED_STEP if published else STEP, self.trained)
        self.steps = self.steps_told = 0
        self.loss = torch.zeros((), device=denoiser.device)  # the sum since it was last told

    def step(self) -> None:
        """Learn from one batch."""
        set_rate(self.optimiser, self.settings, self.steps)
        batch = self.pairs.batch(self.settings)
        self.loss += self.update(*batch)
        self.run.did(self.kind, batch[0][:, 0].numel() / 1e6)
        self.steps, self.steps_told = self.steps + 1, self.steps_told + 1
        # Else the average would hold on to the weights before the round in its first steps.
        slowness = min(self.settings.averaging, self.steps / (self.steps + 10))
        _keep(self.kept, self.trained, slowness)

    @property
    def over(self) -> bool:
        """Whether the round has taken all its steps."""
        return self.steps >= self.settings.steps

    def mean_loss(self) -> float:
        """Give the mean since the last call; waits for the device."""
        mean = float(self.loss) / self.steps_told
        self.loss, self.steps_told = torch.zeros_like(self.loss), 0
        return mean

    def state(self) -> State:
        """Give everything that the next step depends on."""
        return {
            "steps": self.steps,
            "steps_told": self.steps_told,
            "loss": self.loss,
            "pairs": self.pairs.state(),
            "update": self.update.state(),
            "kept": self.kept.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        self.steps, self.steps_told = state["steps"], state["steps_told"]
        self.loss = state["loss"].to(self.loss.device)
        self.pairs.restore(state["pairs"])
        self.update.restore(state["update"])
        self.kept.load_state_dict(state["kept"])


def _longest(settings: DenoiserSettings) -> float:
    """Give the length that gradients are cut to; the published method cuts none."""
    return LONGEST_GRADIENT if settings.schedule == "cosine" else math.inf


def set_rate(optimiser: torch.optim.Optimizer, settings: DenoiserSettings, step: int) -> None:
    """Set the rate of a step, counted from 0, as the schedule has it."""
    if settings.schedule == "halving":
        share = 0.5 ** (3 * step // settings.steps)
    else:
        warm = max(1, int(WARM_UP * settings.steps))
        falling = (step - warm) / max(settings.steps - warm, 1)
        share = (step + 1) / warm if step < warm else (1 + math.cos(math.pi * falling)) / 2
    highest = settings.learning_rate * (GOING_ON if settings.network == PRETRAINED else 1.0)
    for group in optimiser.param_groups:
        group["lr"] = highest * share


def _keep(kept: nn.Module, trained: nn.Module, slowness: float) -> None:
    """Let the kept weights follow, and take over the running statistics as they are."""
    follow(kept, trained, slowness)
    for mine, theirs in zip(kept.buffers(), trained.buffers(), strict=True):
        mine.copy_(theirs)


def train_round(
    denoiser: Denoiser,
    make_pairs: Callable[[], PreparedPairs | PublishedPairs],
    plan: Plan,
    number: int,
    task: Task,
    *,
    preview: Preview | None = None,
) -> int:
    """Train the denoiser's network for one round, or for what is left of it.

    The network ends with the averaged weights, in eval mode. `make_pairs` is asked for what is
    learned from once it is known what was kept of the round. `plan` has the steps of all rounds,
    `number` says which this one is, counted from 1. Given is how many steps the round has taken,
    those before an interruption included.
    """
    run, part = task.run, task.checkpoint.part(f"steps-{number}")
    kept = part.load()
    before, total = sum(plan[: number - 1]), sum(plan)
    done = before + (0 if kept is None else kept["steps"])
    run.start(Stage.ROUNDS, total, f"round {number} of {len(plan)}", done=done)
    training = RoundTraining(denoiser, make_pairs(), plan[number - 1], run)
    run.expect(training.kind, (before + plan[number - 1] - done) * crops_mpx(training.settings))
    if kept is not None:
        training.restore(kept)
    while not training.over:
        part.check(run, training.state)
        training.step()
        if training.over or run.finish_early or run.tick_due():
            losses = {"denoiser": training.mean_loss()}
            run.progress(Stage.ROUNDS, before + training.steps, total, losses)
            show(denoiser, run, preview)
        if run.finish_early:
            break
    part.save(training.state())  # judging takes a while, too
    training.kept.eval()
    return training.steps


def show(
    denoiser: Denoiser, run: Run, preview: Preview | None, stage: Stage = Stage.ROUNDS
) -> None:
    """Show what the denoiser now makes of the watched region, where somebody watches."""

    def picture() -> PreviewReady | None:
        region = run.region
        if preview is None or region is None:
            return None
        denoiser.network.eval()
        made = preview(denoiser, region)
        return None if made is None else replace(made, stage=stage)

    run.show(picture, PREVIEW_SECONDS)


PREVIEW_PX = 512


@dataclass(frozen=True, eq=False)
class Preview:
    """Makes the picture of a watched region of the first stack, whose neighbours `frames` give."""

    material: Material
    frames: NeighbourFrames

    def __call__(self, denoiser: Denoiser, region: ShownRegion) -> PreviewReady | None:
        """Show what the network makes of the region now; None where there is no such region."""
        stack = self.material.stacks[0]
        if region.frame >= stack.frame_count:
            return None
        place = PatchLocation(
            region.top, region.left, min(region.height, PREVIEW_PX), min(region.width, PREVIEW_PX)
        ).grown(0, stack.frame_shape)
        if place.height < 2 or place.width < 2:
            return None
        noisy = stack.frame(region.frame)[place.slices]
        channel = denoiser.channels[stack.channel_of(region.frame)]
        stabilised = channel.stabilised(noisy)
        image, near = (
            torch.from_numpy(values).to(denoiser.device)
            for values in (stabilised, self.frames.cut(region.frame, place))
        )
        seen, strength = averaged(image, near, channel.noise)
        made = denoiser.network_pass(seen, channel, strength)
        values = channel.in_stack_units(made.cpu().numpy(), noisy)
        values, noisy = self.material.as_given(region.frame, place, values)
        shown = ShownRegion(region.frame, place.top, place.left, place.height, place.width)
        return PreviewReady(Stage.ROUNDS, shown, noisy, values.astype(np.float32))
