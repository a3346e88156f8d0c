"""The first estimate: what a noisy region becomes before any network was trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from training_core.costs import LAST_PASS
from training_core.denoise.denoiser import Denoiser, first_look, wide_look
from training_core.denoise.neighbours import averaged
from training_core.denoise.nl_bayes import CollaborativeFilter
from training_core.denoise.region import Estimator, Region
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.run import SILENT, Run, Stage
from training_core.wording import TURNING

from .noisier2noise import NAME as NOISIER2NOISE
from .noisier2noise import noisier2noise
from .pairs import with_channels
from .start import bundled_start
from .task import EstimateTask

AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class FirstEstimate:
    """Which method makes the first estimates, and what does it in this training.

    `turning`: since the noise is another one in each place.
    """

    name: str
    estimator: Estimator = field(compare=False)
    turning: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for the card."""
        return {"chosen": self.name} | ({"turning": True} if self.turning else {})


def make_first_estimates(task: EstimateTask) -> tuple[list[Region], FirstEstimate]:
    """Estimate every region by the method asked for.

    If that is left open it is the bundled network before any training; where the noise turns from
    place to place, what learns from the noise as it was recorded.
    """
    run, count = task.run, len(task.noisy)
    asked = task.settings.denoiser.first_estimate
    turning = asked == AUTOMATIC and task.turns
    usual = NOISIER2NOISE if turning else PRETRAINED
    name = usual if asked == AUTOMATIC else asked
    if not task.settings.denoiser.rounds:  # then nothing learns from them
        return [], FirstEstimate(PRETRAINED, _pretrained(task))
    run.start(Stage.FIRST_ESTIMATE, count)
    if turning:
        run.note(f"First estimate: {name}, {TURNING}.")
    estimator = METHODS[name](task)

    def make(number: int) -> Tensor:
        with torch.no_grad():
            image = estimator(task.noisy[number])
        run.progress(Stage.FIRST_ESTIMATE, number + 1, count)
        return image

    images = task.checkpoint.part("first-estimates").collect(count, make, run)
    run.finish(Stage.FIRST_ESTIMATE)
    return with_channels(images, task.noisy), FirstEstimate(name, estimator, turning)


def estimator_of(denoiser: Denoiser, noisy: Sequence[Region], run: Run) -> Estimator:
    """Give what makes first estimates as the training of a denoiser did, for other regions."""
    told = denoiser.card.get("first_estimate", {})
    name = told.get("chosen", denoiser.settings.denoiser.first_estimate)
    return METHODS[name](EstimateTask(denoiser.settings, noisy, denoiser.device, run))


def first_estimate(noisy: Region, run: Run = SILENT) -> Tensor:
    """Estimate a region with classical filters that know the noise.

    Small and large blocks err differently, so their mean guides the collaborative filter.
    """
    noise = noisy.channel.noise
    seen, strength = noisy.image, noisy.strength
    if noisy.neighbours is not None:
        seen, strength = averaged(seen, noisy.neighbours, noise)
    share = None if strength is None else strength[None, None]
    images = seen[None, None]
    pilot = ((first_look(noise)(images, share) + wide_look(noise)(images, share)) / 2)[0, 0]
    image = CollaborativeFilter(noise.covariance, noise.curve)(seen, pilot, run, strength)
    run.did(LAST_PASS, seen.numel() / 1e6)
    return image


def _shrinkage(task: EstimateTask) -> Estimator:
    return lambda noisy: first_estimate(noisy, task.run)


def _pretrained(task: EstimateTask) -> Estimator:
    """Give what the rounds begin with, before any of them."""
    start = bundled_start(task.settings, task.channels, task.device)
    known = dict(zip(task.channels, start.channels, strict=True))
    return lambda noisy: start.estimate(
        noisy.image, known[noisy.channel], task.run, noisy.neighbours
    )


METHODS: dict[str, Callable[[EstimateTask], Estimator]] = {
    "shrinkage": _shrinkage,
    NOISIER2NOISE: noisier2noise,
    PRETRAINED: _pretrained,
}
