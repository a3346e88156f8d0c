"""The rounds: each denoiser teaches its successor on noisy pairs made from its own result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.networks.published import takes_estimate
from training_core.run import RoundJudged, Run, Stage
from training_core.selection.choice import (
    GAIN_DB,
    SHARES,
    Judged,
    RoundResult,
    alike_in_db,
    best_round,
    choose_share,
    doubt_of,
    judge_shares,
    tell_share,
)
from training_core.selection.sure import Risk, RiskEstimator
from training_core.settings import DenoiserSettings
from training_core.wording import harm

from .pairs import PreparedPairs, estimate_all, recorded_pairs, synthetic_pairs
from .round import Plan, Preview, show, train_round
from .task import Task

# Confocal_FISH_1 has 32.81 dB after half of the steps and 32.85 after all.
SHORT = 2  # times as many steps have the rounds after the first one
KEPT = ("warnings", "share", "errors")  # of what was judged, beside its score


@dataclass(frozen=True, eq=False)
class Round:
    """What the network was after a round, and how that was judged.

    `doubt` and `as_good` are those of a `RoundResult`; a round that was `cut_short` by who trains
    is not preferred to others that are as good.
    """

    number: int
    weights: Mapping[str, Tensor]
    judged: Judged
    doubt: float = 0.0
    as_good: bool = False
    cut_short: bool = False

    @property
    def result(self) -> RoundResult:
        """The round as the user sees it."""
        judged = self.judged
        return RoundResult(
            self.number, judged.error, judged.score.range, judged.warnings, self.doubt, self.as_good
        )

    def network_like(self, like: nn.Module) -> nn.Module:
        """Give a network as it was after the round."""
        network = deepcopy(like)
        network.load_state_dict(self.weights)
        return network


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of the rounds."""

    denoiser: Denoiser  # that of the best round, chosen blind
    # One per finished round; round 0 is the network before training, where that is an estimate
    results: tuple[RoundResult, ...]
    history: Mapping[int, nn.Module]  # the network after each round
    # How much of the last pass is taken, and what was judged for that; empty without a choice
    share: Mapping[str, Any]


def train_rounds(
    denoiser: Denoiser,
    noisy: Sequence[Region],
    first: Sequence[Region],
    risk: RiskEstimator,
    task: Task,
    *,
    preview: Preview | None = None,
    recorded: bool = False,
) -> Trained:
    """Train the denoiser's network in rounds; it ends as that of the best round, chosen blind.

    Rounds end when the last one gained nothing; with `run.finish_early` it may be unfinished.

    Parameters
    ----------
    denoiser
        Its network is trained in place.
    noisy, first
        The noisy regions, stabilised, and their first estimates.
    risk
        Chooses among the rounds.
    preview
        Makes the picture of a watched region; asked at most once a second.
    recorded
        Whether to learn from the noisy regions themselves and their first estimates, in one round;
        for noise that cannot be made, of which the blind score knows too little to choose.
    """
    training = _Rounds(denoiser, noisy, risk, task, recorded=recorded)
    if takes_estimate(denoiser.network) and not recorded:
        show(denoiser, task.run, preview, Stage.FIRST_ESTIMATE)
        if not training.take(0):
            training.judge(0)  # before training it passes the filter's estimate on
    for number in range(1, len(training.plan) + 1):
        if not training.take(number):
            training.train(number, first, preview)
        if task.run.finish_early or training.settled():
            break
    return training.best()


def plan_of(settings: DenoiserSettings, *, recorded: bool) -> Plan:
    """Give the steps of each round.

    The first one of the bundled network is short: whether training gains anything over what that
    has learned elsewhere shows early, and mostly it does not.
    """
    rounds = min(settings.rounds, 1) if recorded else settings.rounds
    plan = [settings.steps] * rounds
    if rounds > 1 and settings.network == PRETRAINED:
        plan[0] = -(-settings.steps // SHORT)
    return plan


class _Rounds:
    """The rounds one by one, and the checkpoint's part of each."""

    def __init__(
        self,
        denoiser: Denoiser,
        noisy: Sequence[Region],
        risk: RiskEstimator,
        task: Task,
        *,
        recorded: bool,
    ) -> None:
        self.denoiser, self.noisy, self.risk = denoiser, noisy, risk
        self.task, self.run, self.recorded = task, task.run, recorded
        self.plan = plan_of(task.settings.denoiser, recorded=recorded)
        self.draw = torch.Generator().manual_seed(task.settings.seed)
        self.rounds: list[Round] = []
        self.steps_taken = 0

    def take(self, number: int) -> bool:
        """Take over a round that was finished before an interruption, if it was."""
        state = self.task.checkpoint.part(f"round-{number}").load()
        if state is None:
            return False
        self.denoiser.network.load_state_dict(state["network"])
        self.draw.set_state(state["draw"])
        self._keep(number, Judged(Risk(state["parts"]), **{k: state[k] for k in KEPT}))
        self.steps_taken = state["steps_taken"]
        return True

    def train(self, number: int, first: Sequence[Region], preview: Preview | None) -> None:
        """Train a round, or what is left of it, and judge it."""
        estimates = self.task.checkpoint.part(f"estimates-{number}")
        teacher = first
        if number > 1:
            teacher = estimate_all(self.denoiser, self.noisy, estimates, self.run)
        steps = train_round(
            self.denoiser,
            lambda: self._pairs(teacher),
            self.plan,
            number,
            self.task,
            preview=preview,
        )
        self.steps_taken += steps
        self.judge(number, cut_short=steps < self.plan[number - 1])
        estimates.drop()
        self.task.checkpoint.part(f"steps-{number}").drop()

    def _pairs(self, teacher: Sequence[Region]) -> PreparedPairs:
        """Make what a round learns from."""
        if self.recorded:
            pairs = recorded_pairs(self.denoiser, self.noisy, teacher)
        else:
            pairs = synthetic_pairs(self.denoiser, self.noisy, teacher, self.draw, self.run)
        return PreparedPairs(pairs, self.draw, self.task.device)

    def judge(self, number: int, *, cut_short: bool = False) -> None:
        """Judge the network as it is after a round, and keep it."""
        judged = self._judged()
        self._keep(number, judged, cut_short=cut_short)
        state = {
            "network": self.rounds[-1].weights,
            "parts": judged.score.parts,
            **{name: getattr(judged, name) for name in KEPT},
            "steps_taken": self.steps_taken,
            "draw": self.draw.get_state(),
        }
        self.task.checkpoint.part(f"round-{number}").save(state)

    def _judged(self) -> Judged:
        if self.recorded:  # then the checks know the noise no better than the score does
            return choose_share(self.denoiser, self.risk, self.run, SHARES[:1])[0]
        return judge_shares(self.denoiser, self.risk, self.run)

    def _keep(self, number: int, judged: Judged, *, cut_short: bool = False) -> None:
        doubt = doubt_of(self.risk) if number else 0.0
        weights = deepcopy(self.denoiser.network.state_dict())
        self.denoiser = replace(self.denoiser, collaboration=judged.share)
        self.rounds.append(Round(number, weights, judged, doubt, cut_short=cut_short))
        self.run.emit(RoundJudged(number, self.rounds[-1].result.score))

    def settled(self) -> bool:
        """Whether the last round gained nothing over those before it."""
        if len(self.rounds) < 2:
            return False
        best, last = self._last_two()
        gain, by_chance = last.gain_over(best)
        return gain < max(GAIN_DB, by_chance)

    def _last_two(self) -> tuple[Risk, Risk]:
        """Give the scores of the best round before the last one, and of that."""
        *earlier, last = (one.judged.score for one in self.rounds)
        return min(earlier, key=lambda score: score.error), last

    def _compared(self) -> list[Round]:
        """Mark the rounds that are as good as the best, where the later of such is the better one.

        That is so where photons are few, whose noise the network did not meet before these rounds.
        """
        if all(trial.photons is None for trial in self.risk.trials):
            return self.rounds
        alike = alike_in_db([one.result for one in self.rounds])
        alike -= {one.number for one in self.rounds if one.cut_short}
        return [replace(one, as_good=one.number in alike) for one in self.rounds]

    def best(self) -> Trained:
        """End the stage, whether or not all rounds were trained; settle on the best of them."""
        rounds = self._compared()
        results = tuple(one.result for one in rounds)
        self._finish(results)
        denoiser, history, share = settled_on_best(self.denoiser, rounds, self.run)
        return Trained(denoiser, results, history, share)

    def _finish(self, results: Sequence[RoundResult]) -> None:
        last, run = results[-1].round, self.run
        planned, total = len(self.plan), sum(self.plan)
        if last < planned and self.settled() and not run.finish_early:
            best, score = self._last_two()
            gained, doubt = score.gain_over(best)
            run.note(
                f"Training ended after round {last} of {planned}: by the blind score it gained "
                f"{gained:+.2f} dB, give or take {doubt:.2f}."
            )
            run.progress(Stage.ROUNDS, total, total)
        _tell_warnings(results, run)
        run.finish(Stage.ROUNDS)


def best_of(rounds: Sequence[Round]) -> Round:
    """Give the round that is chosen, blind."""
    number = best_round([one.result for one in rounds])
    return next(one for one in rounds if one.number == number)


def settled_on_best(
    denoiser: Denoiser, rounds: Sequence[Round], run: Run
) -> tuple[Denoiser, dict[int, nn.Module], dict[str, Any]]:
    """Give the denoiser of the best round, the network after each, and what is told of its pass."""
    best, network = best_of(rounds), denoiser.network
    network.load_state_dict(best.weights)
    history = {one.number: one.network_like(network) for one in rounds}
    share = tell_share(best.judged, run)
    return replace(denoiser, collaboration=best.judged.share), history, share


def _tell_warnings(results: Sequence[RoundResult], run: Run) -> None:
    best = best_round(results)
    for result in results:
        if result.warnings:
            run.note(harm(result.to_dict(), best), warning=result.round == best)
