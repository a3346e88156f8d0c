"""The rounds: each denoiser teaches its successor on noisy pairs made from its own result."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from .blind_score import error_estimate
from .checkpoint import NO_CHECKPOINT
from .errors import SettingsError
from .noisy_pairs import Estimate, make_pairs, next_teacher
from .round_training import RoundTraining
from .run import SILENT, PreviewReady, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

    from .checkpoint import Checkpoint, Part
    from .denoiser import Denoiser
    from .noisy_pairs import Teacher
    from .run import Region, Run

    Preview = Callable[[Denoiser, Region], PreviewReady | None]

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
    checkpoint: Checkpoint = NO_CHECKPOINT,
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
    checkpoint
        Keeps finished rounds and the steps of the one that runs.

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
    rounds = _Rounds(denoiser, noisy, run, checkpoint)
    if settings.network == "compact" and not rounds.take(0):
        rounds.judge(0)  # before training it passes the filter's estimate on
    for number in range(1, settings.rounds + 1):
        if not rounds.take(number):
            rounds.train(number, first, preview)
        if run.finish_early:
            break
    run.finish(Stage.ROUNDS)
    denoiser.network.load_state_dict(rounds.kept[best_round(rounds.results)])
    denoiser.history = rounds.networks()
    if isinstance(first[0], nn.Module):  # g2 of the first channel is round 0
        denoiser.history[0] = first[0]
    return rounds.results


class _Rounds:
    """The rounds one by one: their results and networks, and the checkpoint's part of each."""

    def __init__(
        self, denoiser: Denoiser, noisy: Sequence[Estimate], run: Run, checkpoint: Checkpoint
    ) -> None:
        self.denoiser, self.noisy = denoiser, noisy
        self.run, self.checkpoint = run, checkpoint
        self.draw = torch.Generator().manual_seed(denoiser.settings.seed)
        self.results: list[RoundResult] = []
        self.kept: dict[int, dict[str, Tensor]] = {}

    def take(self, number: int) -> bool:
        """Take over a round that was finished before an interruption, if it was."""
        state = self.checkpoint.part(f"round-{number}").load()
        if state is None:
            return False
        self.denoiser.network.load_state_dict(state["network"])
        self.draw.set_state(state["draw"])
        self._keep(number, state["error"])
        return True

    def train(self, number: int, first: Teacher, preview: Preview | None) -> None:
        """Train a round, or what is left of it, and judge it."""
        denoiser, run, settings = self.denoiser, self.run, self.denoiser.settings.denoiser
        estimates, steps = (self.checkpoint.part(f"{k}-{number}") for k in ("estimates", "steps"))
        teacher = first if number == 1 else next_teacher(denoiser, self.noisy, run, estimates)
        kept = steps.load()
        total, done = settings.rounds * settings.steps, (number - 1) * settings.steps
        done += 0 if kept is None else kept["steps"]
        run.start(Stage.ROUNDS, total, f"round {number} of {settings.rounds}", done=done)
        pairs = make_pairs(denoiser, self.noisy, teacher, self.draw, run)
        training = RoundTraining(denoiser, pairs, run)
        if kept is not None:
            training.restore(kept)
        _take_steps(training, denoiser, number, run, preview, steps)
        self.judge(number)
        estimates.drop()
        steps.drop()

    def judge(self, number: int) -> None:
        """Judge the network as it is after a round, and keep it."""
        error = error_estimate(self.denoiser, self.noisy, self.denoiser.settings.seed, self.run)
        self._keep(number, error)
        state = {"network": self.kept[number], "error": error, "draw": self.draw.get_state()}
        self.checkpoint.part(f"round-{number}").save(state)

    def networks(self) -> dict[int, nn.Module]:
        """Give the network as it was after each round."""
        networks = {number: deepcopy(self.denoiser.network) for number in self.kept}
        for number, weights in self.kept.items():
            networks[number].load_state_dict(weights)
        return networks

    def _keep(self, number: int, error: float) -> None:
        self.results.append(RoundResult(number, error))
        self.kept[number] = deepcopy(self.denoiser.network.state_dict())


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


def _take_steps(
    training: RoundTraining,
    denoiser: Denoiser,
    number: int,
    run: Run,
    preview: Preview | None,
    part: Part,
) -> None:
    """Take the steps of one round; the network ends with its averaged weights, in eval mode."""
    settings = denoiser.settings.denoiser
    before, total = (number - 1) * settings.steps, settings.rounds * settings.steps
    for step in range(training.steps + 1, settings.steps + 1):
        part.check(run, training.state)
        training.step()
        if step == settings.steps or run.finish_early or run.tick_due():
            run.progress(Stage.ROUNDS, before + step, total, {"denoiser": training.mean_loss()})
            _show(denoiser, run, preview)
        if run.finish_early:
            break
    part.save(training.state())  # judging takes a while, too
    denoiser.network.eval()


def _show(denoiser: Denoiser, run: Run, preview: Preview | None) -> None:
    region = run.region
    if preview is None or region is None or not run.preview_due():
        return
    denoiser.network.eval()
    picture = preview(denoiser, region)
    if picture is not None:
        run.emit(picture)
