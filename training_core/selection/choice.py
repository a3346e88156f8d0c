"""Which round is taken, by what the blind score says of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training_core.errors import SettingsError

from .calm_residual import TOO_WEAK
from .sure import RiskEstimator

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

    def to_dict(self) -> dict[str, Any]:
        """Give plain values; `score` is the estimated reduction of the noise in dB."""
        score = -10 * math.log10(self.error) if self.error > 0 else None
        return {
            "round": self.round,
            "error": self.error,
            "range": self.range,
            "score": score,
            "warnings": list(self.warnings),
        }


def doubt_of(judge: RiskEstimator, residual: float) -> float:
    """Give by how many dB a judge may be misled by its noise model.

    An error of the learned correlation is shared by what is trained with it and by the score. Noise
    without correlation leaves no room for it, and another exposure knows the truth. Where a
    network takes more than the learned noise from calm places (`residual`, see `calm_residual`),
    that is too weak, and then the score claims too little and not too much.
    """
    misled = any(t.noisy.channel.noise.is_correlated and not t.others for t in judge.trials)
    return DOUBT_DB if misled and residual < TOO_WEAK else 0.0


def best_round(results: Sequence[RoundResult]) -> int:
    """Give the first round that no other beats clearly.

    Of two that the score cannot tell apart, references prefer the earlier, but for those that are
    marked as good (docs/method/09-rounds.md).
    Rounds whose gain over round 0 is within their doubt do not stand against it.

    Raises
    ------
    SettingsError
        If no round gave numbers at all.
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
