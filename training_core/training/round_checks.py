"""Looks at a round while it runs: which of its weights are best, and whether it still gets better.

What is judged is the network alone, in one orientation: the passes around it would cost more than
the training.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from training_core.run import SILENT
from training_core.selection.sure import estimates_of

if TYPE_CHECKING:
    from torch import Tensor

    from training_core.compute.checkpoint import State
    from training_core.denoise.denoiser import Denoiser
    from training_core.selection.sure import Judge

CHECKS = 4  # in a round
PATIENCE = 2  # checks without a better one end it


class RoundChecks:
    """The best weights of a round so far, chosen blind.

    Attributes
    ----------
    errors
        The score of each check, in order.
    seen
        The weights of each check of this process.
    """

    def __init__(self, denoiser: Denoiser, judge: Judge) -> None:
        settings = denoiser.settings
        plain = replace(settings.denoiser, collaborate=False, every_orientation=False)
        self.denoiser = replace(denoiser, settings=replace(settings, denoiser=plain))
        self.judge = judge
        self.every = max(settings.denoiser.steps // CHECKS, 1)
        self.errors: list[float] = []
        self.seen: list[dict[str, Tensor]] = []  # in this process
        self._best: dict[str, Tensor] = {}

    def due(self, step: int) -> bool:
        """Whether to look after this step, counted from 1."""
        return step % self.every == 0

    def look(self) -> None:
        """Judge the weights as they are now.

        Nobody can interrupt this, which takes a second or two: the step before would be lost.
        """
        score, _ = self.judge.judge(estimates_of(self.denoiser, SILENT), SILENT)
        self.seen.append(deepcopy(self.denoiser.network.state_dict()))
        if not self.errors or score.error < min(self.errors):
            self._best = self.seen[-1]
        self.errors.append(score.error)

    @property
    def settled(self) -> bool:
        """Whether the last checks brought nothing better."""
        best = min(range(len(self.errors)), key=self.errors.__getitem__, default=0)
        return len(self.errors) - 1 - best >= PATIENCE

    def take_best(self) -> None:
        """Give the network the best weights that were seen."""
        if self._best:
            self.denoiser.network.load_state_dict(self._best)

    def state(self) -> State:
        """Give everything that the next check depends on."""
        return {"errors": list(self.errors), "best": self._best}

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        self.errors, self._best = list(state["errors"]), state["best"]
