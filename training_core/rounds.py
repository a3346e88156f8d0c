"""The rounds: each denoiser teaches its successor on noisy pairs made from its own result."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from .blind_score import error_estimate
from .errors import SettingsError
from .noise_game import follow
from .noisy_pairs import Estimate, make_pairs, next_teacher
from .run import SILENT, PreviewReady, Stage
from .training_step import TrainingStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

    from .denoiser import Denoiser
    from .noisy_pairs import PreparedPairs, Teacher
    from .published_pairs import PublishedPairs
    from .run import Region, Run
    from .settings import DenoiserSettings

    Preview = Callable[[Denoiser, Region], PreviewReady | None]

WARM_UP = 0.1  # of a round's steps: the rate rises before the cosine takes it down
LONGEST_GRADIENT = 1.0
BETTER = 0.005  # of the noise's variance: a later round is kept unless an earlier one beats this


@dataclass(frozen=True, slots=True)
class RoundResult:
    """One round as the user sees it.

    `error` is the estimated error that is left, as a fraction of the noise's variance; the
    estimate has an uncertainty of about 0.01.
    """

    round: int
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain values; `score` is the estimated reduction of the noise in dB."""
        score = -10 * math.log10(self.error) if self.error > 0 else None
        return {"round": self.round, "error": self.error, "score": score}


def train_rounds(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    first: Teacher,
    *,
    run: Run = SILENT,
    preview: Preview | None = None,
) -> list[RoundResult]:
    """Train the denoiser's network in rounds; it ends as that of the best round, chosen blind.

    Parameters
    ----------
    denoiser
        Its network is trained in place.
    noisy
        The noisy regions, stabilised.
    first
        Their first estimates, or the network g2 of each channel where pairs are made as published.
    preview
        Makes the picture of a watched region; asked at most once a second.

    Returns
    -------
    list of RoundResult
        One per finished round; round 0 is the untrained network where it is an estimate already.
        With `run.finish_early` the last may be unfinished.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    settings = denoiser.settings.denoiser
    draw = torch.Generator().manual_seed(denoiser.settings.seed)
    results: list[RoundResult] = []
    kept: dict[int, dict[str, Tensor]] = {}
    if settings.network == "compact":  # before training it passes the filter's estimate on
        results.append(_judge(denoiser, noisy, 0, run))
        kept[0] = deepcopy(denoiser.network.state_dict())
    teacher = first
    for number in range(1, settings.rounds + 1):
        run.start(
            Stage.ROUNDS, settings.rounds * settings.steps, f"round {number} of {settings.rounds}"
        )
        pairs = make_pairs(denoiser, noisy, teacher, draw, run)
        _train_round(denoiser, pairs, number, run, preview)
        results.append(_judge(denoiser, noisy, number, run))
        kept[number] = deepcopy(denoiser.network.state_dict())
        if run.finish_early:
            break
        if number < settings.rounds:
            teacher = next_teacher(denoiser, noisy, run)
    run.finish(Stage.ROUNDS)
    denoiser.network.load_state_dict(kept[best_round(results)])
    return results


def _judge(denoiser: Denoiser, noisy: Sequence[Estimate], number: int, run: Run) -> RoundResult:
    return RoundResult(number, error_estimate(denoiser, noisy, denoiser.settings.seed, run))


def best_round(results: Sequence[RoundResult]) -> int:
    """Give the last round that no other beats clearly.

    Raises
    ------
    SettingsError
        If no round gave numbers at all.
    """
    finite = [result for result in results if math.isfinite(result.error)]
    if not finite:
        raise SettingsError("The training diverged; choose a smaller learning rate.")
    least = min(result.error for result in finite)
    return max(result.round for result in finite if result.error <= least + BETTER)


def _train_round(
    denoiser: Denoiser,
    pairs: PreparedPairs | PublishedPairs,
    number: int,
    run: Run,
    preview: Preview | None,
) -> None:
    """Take the steps of one round; the network ends with its averaged weights, in eval mode."""
    settings = denoiser.settings.denoiser
    trained = deepcopy(denoiser.network).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = denoiser.network
    optimiser = torch.optim.Adam(trained.parameters(), settings.learning_rate)
    update = TrainingStep(
        trained,
        optimiser,
        bfloat16=denoiser.settings.precision == "auto",
        longest=_longest(settings),
        run=run,
    )
    before, total = (number - 1) * settings.steps, settings.rounds * settings.steps
    told, steps_told = torch.zeros((), device=denoiser.device), 0
    for step in range(1, settings.steps + 1):
        run.check()
        _set_rate(optimiser, settings, step - 1)
        loss = update(*pairs.batch(settings))
        _keep(kept, trained, min(settings.averaging, step / (step + 10)))
        told, steps_told = told + loss, steps_told + 1
        if step == settings.steps or run.finish_early or run.tick_due():
            mean = float(told) / steps_told  # waits for the device
            run.progress(Stage.ROUNDS, before + step, total, {"denoiser": mean})
            told, steps_told = torch.zeros_like(told), 0
            _show(denoiser, run, preview)
        if run.finish_early:
            break
    kept.eval()


def _longest(settings: DenoiserSettings) -> float:
    """Give the length that gradients are cut to; the published method cuts none."""
    return LONGEST_GRADIENT if settings.schedule == "cosine" else math.inf


def _set_rate(optimiser: torch.optim.Optimizer, settings: DenoiserSettings, step: int) -> None:
    if settings.schedule == "halving":
        share = 0.5 ** (3 * step // settings.steps)
    else:
        warm = max(1, int(WARM_UP * settings.steps))
        falling = (step - warm) / max(settings.steps - warm, 1)
        share = (step + 1) / warm if step < warm else (1 + math.cos(math.pi * falling)) / 2
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * share


def _keep(kept: nn.Module, trained: nn.Module, slowness: float) -> None:
    """Let the kept weights follow, and take over the running statistics as they are."""
    follow(kept, trained, slowness)
    for mine, theirs in zip(kept.buffers(), trained.buffers(), strict=True):
        mine.copy_(theirs)


def _show(denoiser: Denoiser, run: Run, preview: Preview | None) -> None:
    region = run.region
    if preview is None or region is None or not run.preview_due():
        return
    denoiser.network.eval()
    picture = preview(denoiser, region)
    if picture is not None:
        run.emit(picture)
