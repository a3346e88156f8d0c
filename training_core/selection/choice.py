"""What is chosen by the blind score: how much of the last pass, and which round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.errors import SettingsError
from training_core.run import Run
from training_core.wording import LAST_PASS, TAKEN

from .sure import Risk, RiskEstimator, estimates_of
from .warnings import find_warnings

GAIN_DB = 0.02  # less than this over the rounds before is no gain
DOUBT_DB = 0.25  # claimed of correlated noise; see docs/method/09-rounds.md


@dataclass(frozen=True, slots=True)
class RoundResult:
    """One round as the user sees it.

    `error` is the estimated error that is left, as a fraction of the noise's variance, give or take
    `range`; `warnings` say what speaks against it and rule nothing out. By `doubt` dB it must be
    better than round 0, the network before training, to be believed. `as_good` says that it is as
    good as the best as far as the score can tell, and that of such the later is to be preferred.
    """

    round: int
    error: float
    range: float = 0.0
    warnings: tuple[str, ...] = ()
    doubt: float = 0.0
    as_good: bool = False

    @property
    def score(self) -> float | None:
        """The estimated reduction of the noise in dB; None where no error is left to tell."""
        told = 0 < self.error < math.inf
        return -10 * math.log10(self.error) if told else None

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            "round": self.round,
            "error": self.error,
            "range": self.range,
            "score": self.score,
            "warnings": list(self.warnings),
        }


def doubt_of(risk: RiskEstimator) -> float:
    """Give by how many dB a judge may be misled by its noise model.

    An error of the learned correlation is shared by what is trained with it and by the score. Noise
    without correlation leaves no room for it, and another exposure knows the truth.
    """
    misled = any(t.noisy.channel.noise.is_correlated and not t.others for t in risk.trials)
    return DOUBT_DB if misled else 0.0


def best_round(results: Sequence[RoundResult]) -> int:
    """Give the first round that no other beats clearly.

    Of two that the score cannot tell apart, references prefer the earlier, but for those that are
    marked as good (docs/method/09-rounds.md).
    Rounds whose gain over round 0 is within their doubt do not stand against it.

    Raises `SettingsError` if no round gave numbers at all.
    """
    rounds = [result for result in results if math.isfinite(result.error)]
    if not rounds:
        raise SettingsError("The training diverged; choose a smaller learning rate.")
    start = next((result.error for result in rounds if result.round == 0), math.inf)
    if start <= 0:  # better than the estimate can tell, so nothing doubtful beats it
        start = -math.inf
    rounds = [r for r in rounds if not r.doubt or r.error < start * 10 ** (-r.doubt / 10)] or rounds
    return max((r.round for r in rounds if r.as_good), default=min(alike_in_db(rounds)))


def alike_in_db(results: Sequence[RoundResult]) -> set[int]:
    """Give the rounds that no other beats clearly, whatever speaks against them."""
    rounds = [result for result in results if math.isfinite(result.error)]
    least = min(result.error for result in rounds)
    clearly = 10 ** (GAIN_DB / 10)
    return {r.round for r in rounds if r.error <= max(least, least * clearly)}


SHARES = (1.0, 0.5, 0.0)  # eight estimators mixed by Stein's estimate gained nothing over the best


@dataclass(frozen=True, eq=False)
class Judged:
    """How good a denoiser is with the best share of the pass.

    `errors` are those of all shares, by their names; none where there is no choice.
    """

    score: Risk
    warnings: tuple[str, ...] = ()
    share: float = 1.0
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The blind score."""
        return self.score.error


def judge_shares(
    denoiser: Denoiser, risk: RiskEstimator, run: Run, shares: Sequence[float] = SHARES
) -> Judged:
    """Choose a share as `choose_share` does, and say what speaks against its result."""
    judged, made = choose_share(denoiser, risk, run, shares)
    corrected = denoiser.settings.denoiser.keep_brightness
    warnings = find_warnings(risk.trials, made, judged.error, corrected=corrected)
    return replace(judged, warnings=warnings)


def choose_share(
    denoiser: Denoiser, risk: RiskEstimator, run: Run, shares: Sequence[float] = SHARES
) -> tuple[Judged, list[Tensor]]:
    """Judge a denoiser with each share of the pass; nothing is chosen where settings do without it.

    Give the best by the blind score, and what it made of the trials.
    """
    if not denoiser.settings.denoiser.collaborate:
        score, made = risk.judge(estimates_of(denoiser, run), run)
        return Judged(score), made
    results, each = _Results(denoiser, run), []
    for share in shares:
        score, made = risk.judge(results.with_share(share), run)
        each.append((Judged(score, share=share), made))
    told = [one for one in each if math.isfinite(one[0].error)]
    best, of_best = min(told or each, key=lambda one: one[0].error)
    errors = {str(one.share): one.error for one, _ in each} if len(each) > 1 else {}
    return replace(best, errors=errors), of_best


def tell_share(judged: Judged, run: Run) -> dict[str, Any]:
    """Say which share was taken and why, and give that in plain values; {} without a choice."""
    if not judged.errors:
        return {}
    told = ", ".join(f"{TAKEN[float(s)]} {100 * e:.1f} %" for s, e in judged.errors.items())
    run.note(f"{LAST_PASS[judged.share]} Noise power left by the blind score: {told}.")
    return {"share": judged.share, "errors": dict(judged.errors)}


class _Results:
    """Both results of everything that a judge asks for, which each time is the same in order."""

    def __init__(self, denoiser: Denoiser, run: Run) -> None:
        self.denoiser, self.run = denoiser, run
        self.known: list[tuple[Tensor, Tensor]] = []
        self.asked = 0

    def with_share(self, share: float) -> _Results:
        """Begin anew with another share of the collaborative pass."""
        self.share, self.asked = share, 0
        return self

    def __call__(self, noisy: Region) -> Tensor:
        """Give the estimate of a region, (height, width)."""
        if self.asked == len(self.known):
            denoiser, channel = self.denoiser, noisy.channel
            seen, strength, pilot = denoiser.first_pass(
                noisy.image, channel, noisy.neighbours, self.run
            )
            together = denoiser.last_pass(seen, pilot, channel, self.run, strength)
            self.known.append((pilot, together))
        pilot, together = self.known[self.asked]
        self.asked += 1
        return pilot.lerp(together, self.share)
