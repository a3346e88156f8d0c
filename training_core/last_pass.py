"""How much of the collaborative pass is taken after the network, chosen blind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .card_words import LAST_PASS, TAKEN
from .checkpoint import NO_PART
from .run import SILENT

if TYPE_CHECKING:
    from torch import Tensor

    from .blind_score import Judge
    from .checkpoint import Part
    from .denoiser import Denoiser
    from .noisy_pairs import Estimate
    from .run import Run

SHARES = (1.0, 0.5, 0.0)  # where two are alike, the one with more of the pass stands


def choose_share(denoiser: Denoiser, judge: Judge, run: Run = SILENT, part: Part = NO_PART) -> None:
    """Set `denoiser.collaboration` to the share with the best blind score; the card says why.

    Nothing is asked where the settings do without the pass.
    """
    if not denoiser.settings.denoiser.collaborate:
        return
    state = part.load()
    if state is None:
        results = _Results(denoiser, run)
        judged = [judge.judge(results.with_share(share), run)[0].error for share in SHARES]
        state = {"errors": judged}
        part.save(state)
    errors = dict(zip(SHARES, state["errors"], strict=True))
    best = min(SHARES, key=errors.__getitem__)
    denoiser.collaboration = best
    told = ", ".join(f"{TAKEN[share]} {100 * errors[share]:.1f} %" for share in SHARES)
    run.note(f"{LAST_PASS[best]} Noise power left by the blind score: {told}.")
    denoiser.card["last_pass"] = {
        "share": best,
        "errors": {str(share): error for share, error in errors.items()},
    }


class _Results:
    """Both results of everything that a judge asks for, which each time is the same in order."""

    def __init__(self, denoiser: Denoiser, run: Run) -> None:
        plain = replace(denoiser.settings.denoiser, collaborate=False)
        alone = replace(denoiser, settings=replace(denoiser.settings, denoiser=plain))
        self.pair = (alone, replace(denoiser, collaboration=1.0))
        self.run = run
        self.known: list[tuple[Tensor, Tensor]] = []
        self.asked = 0

    def with_share(self, share: float) -> _Results:
        """Begin anew with another share of the collaborative pass."""
        self.share, self.asked = share, 0
        return self

    def __call__(self, noisy: Estimate) -> Tensor:
        """Give the estimate of a region, (height, width)."""
        if self.asked == len(self.known):
            given = (noisy.image, noisy.channel, self.run, noisy.neighbours)
            pilot, together = (denoiser.estimate(*given) for denoiser in self.pair)
            self.known.append((pilot, together))
        pilot, together = self.known[self.asked]
        self.asked += 1
        return pilot.lerp(together, self.share)
