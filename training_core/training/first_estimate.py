"""The first estimate: what a noisy region becomes before any network was trained on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from training_core.compute.checkpoint import State
from training_core.denoise.channel import Channel
from training_core.denoise.dct_filter import ShrinkageFilter
from training_core.denoise.denoiser import Denoiser, first_look
from training_core.denoise.neighbours import averaged
from training_core.denoise.nl_bayes import CollaborativeFilter
from training_core.denoise.region import Estimator, Region
from training_core.errors import ModelError
from training_core.networks.pretrained import HEAVY_TAILS
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.run import SILENT, Run, Stage
from training_core.selection.sure import RiskEstimator
from training_core.selection.warnings import find_warnings
from training_core.wording import TURNING

from .dncnn_b import NAME, fit_to_noise
from .noisier2noise import NAME as NOISIER2NOISE
from .noisier2noise import noisier2noise
from .pairs import with_channels
from .start import bundled_start, weights_for
from .task import EstimateTask

AUTOMATIC = "automatic"
CORRELATED = "it knows white noise only, and the noise of this stack is correlated"


@dataclass(frozen=True, slots=True)
class Method:
    """A way to make first estimates.

    `make` may learn from the scene, in parts of its checkpoint and with random numbers of its own
    generators: after an interruption it is asked again, and must give the same. `unsuited` says
    why it is not worth asking, or nothing. Where it is not `usual`, it is tried for heavy-tailed
    noise alone.
    """

    make: Callable[[EstimateTask], Estimator]
    unsuited: Callable[[EstimateTask], str] = lambda task: ""
    usual: bool = True


@dataclass(frozen=True, slots=True)
class FirstResult:
    """How a method was judged, as in `RoundResult`; or why it was `left_out`."""

    name: str
    error: float = math.nan
    range: float = math.nan
    warnings: tuple[str, ...] = ()
    left_out: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        if self.left_out:
            return {"name": self.name, "left_out": self.left_out}
        told = {"name": self.name, "error": self.error, "range": self.range}
        return told | {"warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True)
class FirstChoice:
    """Which method makes the first estimates, why, what the others were like, and all of them.

    `turning`: it was not chosen by the blind score, since the noise is another one in each place.
    """

    name: str
    why: str
    results: tuple[FirstResult, ...] = ()
    made: Mapping[str, Estimator] = field(default_factory=dict, compare=False)
    turning: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for the card."""
        candidates = [result.to_dict() for result in self.results]
        told = {"chosen": self.name, "why": self.why, "candidates": candidates}
        return told | {"turning": True} if self.turning else told


def make_first_estimates(
    task: EstimateTask, risk: RiskEstimator
) -> tuple[list[Region], FirstChoice]:
    """Estimate every region by the method asked for or, if that is left open, the best one."""
    run, count = task.run, len(task.noisy)
    run.start(Stage.FIRST_ESTIMATE, count)
    made = _Methods(task)
    choice = _choose(task, risk, made)
    run.note(choice.why)

    def make(number: int) -> Tensor:
        estimator = made(choice.name)
        with torch.no_grad():
            image = estimator(task.noisy[number])
        run.progress(Stage.FIRST_ESTIMATE, number + 1, count)
        return image

    images = task.checkpoint.part("first-estimates").collect(count, make, run)
    run.finish(Stage.FIRST_ESTIMATE)
    return with_channels(images, task.noisy), replace(choice, made=made.made)


class _Methods:
    """The estimators of a scene, each made when it is needed and then kept."""

    def __init__(self, task: EstimateTask) -> None:
        self.task = task
        self.made: dict[str, Estimator] = {}

    def __call__(self, name: str) -> Estimator:
        if name not in self.made:
            self.made[name] = METHODS[name].make(self.task)
        return self.made[name]


def _choose(task: EstimateTask, risk: RiskEstimator, made: _Methods) -> FirstChoice:
    asked = task.settings.denoiser.first_estimate
    if asked != AUTOMATIC:
        unsuited = METHODS[asked].unsuited(task)
        if unsuited:
            task.run.note(
                f"{asked} was asked for as the first estimate, but {unsuited}. "
                "Choose automatic for a better result.",
                warning=True,
            )
        return FirstChoice(asked, f"First estimate: {asked}, as asked for.")
    if task.turns:
        why = f"First estimate: {NOISIER2NOISE}, {TURNING}."
        return FirstChoice(NOISIER2NOISE, why, turning=True)
    tails = weights_for(task.channels) == HEAVY_TAILS
    tried = [name for name, method in METHODS.items() if tails or method.usual]
    state = task.checkpoint.stage(
        "first-choice", lambda: _state([_judged(name, task, risk, made) for name in tried])
    )
    return best_choice([_from_state(kept) for kept in state["results"]])


def _judged(name: str, task: EstimateTask, risk: RiskEstimator, made: _Methods) -> FirstResult:
    unsuited = METHODS[name].unsuited(task)
    if unsuited:
        return FirstResult(name, left_out=unsuited)
    try:
        score, images = risk.judge(made(name), task.run)
    except ModelError as error:  # bundled weights that are missing; the others do without them
        return FirstResult(name, left_out=str(error).rstrip("."))
    corrected = task.settings.denoiser.keep_brightness
    warnings = find_warnings(risk.trials, images, score.error, corrected=corrected)
    return FirstResult(name, score.error, score.range, warnings)


def best_choice(results: Sequence[FirstResult]) -> FirstChoice:
    """Choose by the blind score, and say why in one sentence."""
    judged = [result for result in results if not result.left_out]
    # Where no score is a number, as without any noise, the first method stands.
    finite = [result for result in judged if math.isfinite(result.error)]
    best = min(finite, key=lambda result: result.error, default=judged[0])
    others = [_told(result) for result in results if result is not best]
    why = f"First estimate: {best.name}, which leaves {100 * best.error:.1f} % of the noise's power"
    why += " by the blind score" + (f"; {'; '.join(others)}." if others else ".")
    return FirstChoice(best.name, why, tuple(results))


def _told(result: FirstResult) -> str:
    if result.left_out:
        return f"{result.name} was not asked: {result.left_out}"
    reasons = "".join(f", but {warning}" for warning in result.warnings)
    return f"{result.name} {100 * result.error:.1f} %{reasons}"


def _state(results: Sequence[FirstResult]) -> State:
    return {"results": [asdict(result) for result in results]}


def _from_state(kept: State) -> FirstResult:
    return FirstResult(**{**kept, "warnings": tuple(kept["warnings"])})


def estimator_of(denoiser: Denoiser, noisy: Sequence[Region], run: Run) -> Estimator:
    """Give what makes first estimates as the training of a denoiser did, for other regions."""
    told = denoiser.card.get("first_estimate", {})
    name = told.get("chosen", denoiser.settings.denoiser.first_estimate)
    return METHODS[name].make(EstimateTask(denoiser.settings, noisy, denoiser.device, run))


def first_estimate(noisy: Region, run: Run = SILENT) -> Tensor:
    """Estimate a region with classical filters that know the noise.

    Small and large blocks err differently, so their mean guides the collaborative filter.
    """
    noise = noisy.channel.noise
    seen, strength = noisy.image, noisy.strength
    if noisy.neighbours is not None:
        seen, strength = averaged(seen, noisy.neighbours, noise)
    share = None if strength is None else strength[None, None]
    large = ShrinkageFilter(noise.covariance, noise.curve, size_px=16, step_px=4)
    images = seen[None, None]
    pilot = ((first_look(noise)(images, share) + large(images, share)) / 2)[0, 0]
    return CollaborativeFilter(noise.covariance, noise.curve)(seen, pilot, run, strength)


def _shrinkage(task: EstimateTask) -> Estimator:
    return lambda noisy: first_estimate(noisy, task.run)


def _bundled(task: EstimateTask) -> Estimator:
    """Fit the bundled network to each channel once, so that all regions are estimated alike."""
    fit = partial(fit_to_noise, collaborate=task.settings.denoiser.collaborate, run=task.run)
    fits: dict[Channel, Denoiser] = {}

    def estimate(noisy: Region) -> Tensor:
        channel = noisy.channel
        if channel not in fits:
            images = [region.cpu().numpy() for region in task.images(channel)]
            fits[channel] = fit(channel.noise, images, task.device)
        fitted = fits[channel]
        return fitted.estimate(noisy.image, fitted.channels[0], task.run, noisy.neighbours)

    return estimate


def _is_correlated(task: EstimateTask) -> str:
    return CORRELATED if any(channel.noise.is_correlated for channel in task.channels) else ""


def _pretrained(task: EstimateTask) -> Estimator:
    """Give what the rounds begin with, before any of them."""
    start = bundled_start(task.settings, task.channels, task.device)
    known = dict(zip(task.channels, start.channels, strict=True))
    return lambda noisy: start.estimate(
        noisy.image, known[noisy.channel], task.run, noisy.neighbours
    )


# In the order in which they are tried.
METHODS: dict[str, Method] = {
    "shrinkage": Method(_shrinkage),
    NAME: Method(_bundled, _is_correlated),
    NOISIER2NOISE: Method(noisier2noise),
    PRETRAINED: Method(_pretrained, usual=False),
}
