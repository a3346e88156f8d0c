"""One round of learning: the network, its optimiser, and the average that is kept."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from training_core.compute.optimiser_step import TrainingStep
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.noise.adversarial import follow
from training_core.run import PreviewReady, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from training_core.compute.checkpoint import Part, State
    from training_core.denoise.denoiser import Denoiser
    from training_core.paper.pairs import PublishedPairs
    from training_core.run import Region, Run
    from training_core.settings import DenoiserSettings

    from .pairs import PreparedPairs

    Preview = Callable[[Denoiser, Region], PreviewReady | None]

WARM_UP = 0.1  # of a round's steps: the rate rises before the cosine takes it down
LONGEST_GRADIENT = 1.0
GOING_ON = 0.05  # of the learning rate: a pretrained network shall not forget


class RoundTraining:
    """The network that is trained in a round, and that of the denoiser, which follows it."""

    def __init__(
        self,
        denoiser: Denoiser,
        pairs: PreparedPairs | PublishedPairs,
        run: Run,
    ) -> None:
        self.settings, self.pairs = denoiser.settings.denoiser, pairs
        self.kept = denoiser.network
        self.trained = deepcopy(denoiser.network).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.trained.parameters(), self.settings.learning_rate)
        self.update = TrainingStep(
            self.trained,
            self.optimiser,
            bfloat16=denoiser.settings.precision == "auto",
            longest=_longest(self.settings),
            run=run,
        )
        self.steps = self.steps_told = 0
        self.loss = torch.zeros((), device=denoiser.device)  # the sum since it was last told

    def step(self) -> None:
        """Learn from one batch."""
        set_rate(self.optimiser, self.settings, self.steps)
        self.loss += self.update(*self.pairs.batch(self.settings))
        self.steps, self.steps_told = self.steps + 1, self.steps_told + 1
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


def take_steps(
    training: RoundTraining,
    denoiser: Denoiser,
    rounds: tuple[int, int],
    run: Run,
    preview: Preview | None,
    part: Part,
) -> None:
    """Take the steps of one round; the network ends with the averaged weights, in eval mode.

    `rounds` are those that were taken before and all that are planned.
    """
    steps = denoiser.settings.denoiser.steps
    before, total = (n * steps for n in rounds)
    while not training.over:
        part.check(run, training.state)
        training.step()
        if training.over or run.finish_early or run.tick_due():
            run.progress(
                Stage.ROUNDS, before + training.steps, total, {"denoiser": training.mean_loss()}
            )
            _show(denoiser, run, preview)
        if run.finish_early:
            break
    part.save(training.state())  # judging takes a while, too
    training.kept.eval()


def _show(denoiser: Denoiser, run: Run, preview: Preview | None) -> None:
    region = run.region
    if preview is None or region is None or not run.preview_due():
        return
    denoiser.network.eval()
    picture = preview(denoiser, region)
    if picture is not None:
        run.emit(picture)
