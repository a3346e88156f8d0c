"""The rounds: each denoiser teaches its successor on noisy pairs made from its own result."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from training_core.compute.checkpoint import NO_CHECKPOINT
from training_core.networks.published import takes_estimate
from training_core.run import SILENT, Stage
from training_core.selection.choice import GAIN_DB, RoundResult, alike_in_db, best_round, doubt_of
from training_core.selection.last_pass import SHARES, Judged, judge_shares, tell_share
from training_core.selection.sure import Risk, RiskEstimator
from training_core.wording import harm

from .pairs import PreparedPairs, make_pairs, next_teacher, recorded_pairs
from .remeasure import is_too_weak, relearn
from .round import RoundTraining, take_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training_core.compute.checkpoint import Checkpoint
    from training_core.denoise.denoiser import Denoiser
    from training_core.denoise.region import Estimate
    from training_core.paper.pairs import PublishedPairs
    from training_core.run import Run

    from .pairs import Teacher
    from .round import Preview


def train_rounds(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    first: Teacher,
    *,
    run: Run = SILENT,
    preview: Preview | None = None,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    judge: RiskEstimator | None = None,
    recorded: bool = False,
) -> list[RoundResult]:
    """Train the denoiser's network in rounds; it ends as that of the best round, chosen blind.

    Rounds end when the last one gained nothing; with the published generator all are taken, and of
    recorded pairs one.
    Where a round shows that the learned noise is too weak, the rest learns from stronger noise.

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
    judge
        Chooses; by default by Stein's estimate on crops of `noisy`, as always once the noise is
        learned again.
    recorded
        Whether to learn from the noisy regions themselves and their first estimates, in one round;
        for noise that cannot be made, of which the blind score knows too little to choose.

    Returns
    -------
    list of RoundResult
        One per finished round; round 0 is the network before training where that is an estimate
        and can be judged.
        With `run.finish_early` the last may be unfinished.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    judge = judge or RiskEstimator(noisy, denoiser.settings.seed, denoiser.device)
    rounds = _Rounds(denoiser, noisy, judge, run, checkpoint, recorded=recorded)
    if takes_estimate(denoiser.network) and not recorded and not rounds.take(0):
        rounds.judge(0)  # before training it passes the filter's estimate on
    for number in range(1, rounds.planned + 1):
        if not rounds.take(number):
            rounds.train(number, first, preview)
        rounds.know_noise_better()
        if run.finish_early or rounds.settled():
            break
    rounds.compare()
    rounds.finish()
    rounds.settle_on(best_round(rounds.results))
    denoiser.history = rounds.networks()
    if isinstance(first[0], nn.Module):  # g2 of the first channel is round 0
        denoiser.history[0] = first[0]
    return rounds.results


KEPT = ("warnings", "share", "errors", "residual")  # of what was judged, beside its score


class _Rounds:
    """The rounds one by one: their results and networks, and the checkpoint's part of each."""

    def __init__(
        self,
        denoiser: Denoiser,
        noisy: Sequence[Estimate],
        judge: RiskEstimator,
        run: Run,
        checkpoint: Checkpoint,
        *,
        recorded: bool,
    ) -> None:
        self.denoiser, self.noisy, self.chooser = denoiser, noisy, judge
        self.recorded = recorded
        self.planned = 1 if recorded else denoiser.settings.denoiser.rounds
        self.published = denoiser.settings.noise_model.generator == "g1"
        self.run, self.checkpoint = run, checkpoint
        self.draw = torch.Generator().manual_seed(denoiser.settings.seed)
        self.results: list[RoundResult] = []
        self.judged: dict[int, Judged] = {}
        self.relearned = 0  # the round that showed that the learned noise was too weak
        self.cut_short = 0
        self.steps_taken = 0
        self.kept: dict[int, dict[str, Tensor]] = {}

    def take(self, number: int) -> bool:
        """Take over a round that was finished before an interruption, if it was."""
        state = self.checkpoint.part(f"round-{number}").load()
        if state is None:
            return False
        self.denoiser.network.load_state_dict(state["network"])
        self.draw.set_state(state["draw"])
        self._keep(number, Judged(Risk(state["parts"]), **{k: state[k] for k in KEPT}))
        self.steps_taken = state["steps_taken"]
        return True

    def train(self, number: int, first: Teacher, preview: Preview | None) -> None:
        """Train a round, or what is left of it, and judge it."""
        denoiser, run, settings = self.denoiser, self.run, self.denoiser.settings.denoiser
        estimates, steps = (self.checkpoint.part(f"{k}-{number}") for k in ("estimates", "steps"))
        teacher = first if number == 1 else next_teacher(denoiser, self.noisy, run, estimates)
        kept = steps.load()
        total, done = self.planned * settings.steps, (number - 1) * settings.steps
        done += 0 if kept is None else kept["steps"]
        run.start(Stage.ROUNDS, total, f"round {number} of {self.planned}", done=done)
        pairs = self._pairs(number, teacher)
        training = RoundTraining(denoiser, pairs, run)
        if kept is not None:
            training.restore(kept)
        take_steps(training, denoiser, (number - 1, self.planned), run, preview, steps)
        self.cut_short = 0 if training.over else number
        self.steps_taken += training.steps
        self.judge(number)
        estimates.drop()
        steps.drop()

    def _pairs(self, number: int, teacher: Teacher) -> PreparedPairs | PublishedPairs:
        """Make what a round learns from."""
        denoiser = self.denoiser
        if self.recorded:
            pairs = recorded_pairs(denoiser, self.noisy, cast("Sequence[Estimate]", teacher))
            return PreparedPairs(pairs, self.draw, denoiser.device)
        return make_pairs(denoiser, self.noisy, teacher, self.draw, self.run)

    def judge(self, number: int) -> None:
        """Judge the network as it is after a round, and keep it."""
        judged = self._judged()
        self._keep(number, judged)
        state = {
            "network": self.kept[number],
            "parts": judged.score.parts,
            **{name: getattr(judged, name) for name in KEPT},
            "steps_taken": self.steps_taken,
            "draw": self.draw.get_state(),
        }
        self.checkpoint.part(f"round-{number}").save(state)

    def _judged(self) -> Judged:
        shares = SHARES[:1] if self.recorded else SHARES
        judged = judge_shares(self.denoiser, self.chooser, self.run, shares)
        # With recorded pairs the checks know the noise no better than the score does.
        return replace(judged, warnings=()) if self.recorded else judged

    def know_noise_better(self) -> None:
        """Learn the noise again if the last round shows that it is too weak; judge all rounds anew.

        A checkpoint keeps nothing of this: from the same weights it comes out the same.
        """
        last, run = self.results[-1], self.run
        if self.relearned or self.recorded or run.finish_early or last.warnings:
            return  # what it takes away may be structure
        if not is_too_weak(self.chooser, self.judged[last.round].residual):
            return
        denoiser, rounds = self.denoiser, [result.round for result in self.results]
        relearn(denoiser, self.chooser, run)
        self.relearned, self.results = last.round, []
        self.chooser = RiskEstimator(self.noisy, denoiser.settings.seed, denoiser.device)
        for number in rounds:
            denoiser.network.load_state_dict(self.kept[number])
            self._keep(number, self._judged())

    def _last_two(self) -> tuple[Risk, Risk]:
        """Give the scores of the best round before the last one, and of that."""
        *earlier, last = (judged.score for judged in self.judged.values())
        return min(earlier, key=lambda score: score.error), last

    def settled(self) -> bool:
        """Whether the last round gained nothing over those before it.

        Noise that was learned again leaves so little by the score that gains cannot be told in dB:
        then only a round that learned from it and is clearly worse ends them.
        """
        if self.published or len(self.results) < 2 or self.results[-1].round == self.relearned:
            return False
        best, last = self._last_two()
        return best.beats(last) if self.relearned else last.gain_over(best)[0] < GAIN_DB

    def compare(self) -> None:
        """Mark the rounds that are as good as the best, where the later of such is the better one.

        That is so where the noise was learned again, which earlier rounds did not know, and where
        photons are few, whose noise the network did not meet before these rounds.
        """
        best = self.judged[best_round(self.results)].score
        alike = alike_in_db(self.results)
        if self.relearned:
            alike = {n for n, judged in self.judged.items() if not best.beats(judged.score)}
        elif all(trial.photons is None for trial in self.chooser.trials):
            return
        alike.discard(self.cut_short)
        self.results = [replace(r, as_good=r.round in alike) for r in self.results]

    def finish(self) -> None:
        """End the stage, whether or not all rounds were trained."""
        last, run = self.results[-1].round, self.run
        total = self.planned * self.denoiser.settings.denoiser.steps
        if last < self.planned and self.settled() and not run.finish_early:
            why = "it was clearly worse than the best one"
            if not self.relearned:
                best, score = self._last_two()
                why = "it gained {:+.2f} dB, give or take {:.2f}".format(*score.gain_over(best))
            run.note(
                f"Training ended after round {last} of {self.planned}: by the blind score {why}."
            )
            run.progress(Stage.ROUNDS, total, total)
        _tell_warnings(self.results, run)
        run.finish(Stage.ROUNDS, done=self.steps_taken / total)

    def settle_on(self, number: int) -> None:
        """Let the denoiser be what it was after a round."""
        self.denoiser.network.load_state_dict(self.kept[number])
        self.denoiser.collaboration = self.judged[number].share
        tell_share(self.denoiser, self.judged[number], self.run)

    def networks(self) -> dict[int, nn.Module]:
        """Give the network as it was after each round."""
        networks = {number: deepcopy(self.denoiser.network) for number in self.kept}
        for number, weights in self.kept.items():
            networks[number].load_state_dict(weights)
        return networks

    def _keep(self, number: int, judged: Judged) -> None:
        self.denoiser.collaboration = judged.share
        sure = number == 0 or self.published or self.relearned
        doubt = 0.0 if sure else doubt_of(self.chooser, judged.residual)
        result = RoundResult(number, judged.error, judged.score.range, judged.warnings, doubt)
        self.results.append(result)
        self.judged[number] = judged
        self.kept[number] = deepcopy(self.denoiser.network.state_dict())


def _tell_warnings(results: Sequence[RoundResult], run: Run) -> None:
    best = best_round(results)
    for result in results:
        if result.warnings:
            run.note(harm(result.to_dict(), best), warning=result.round == best)
