"""Whether stacks that are learned from together have noise of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .noise_statistics import fit_stabiliser
from .noise_words import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run import Run
    from .stack import Stack
    from .training_regions import TrainingRegion

MOST = 16  # stacks; of more, each has too little to measure
FEWEST_PX = 128 * 128
APART = 1.5  # times: gains of one camera agree within a fifth


def note_unlike(stacks: Sequence[Stack], regions: Sequence[TrainingRegion], run: Run) -> None:
    """Tell where one model cannot suit all stacks, since photons count more in one of them.

    So it is where each file was stretched to the full range on its own.
    """
    if not 2 <= len(stacks) <= MOST:
        return
    for channel in sorted({region.channel for region in regions}):
        gains = []
        for number, stack in enumerate(stacks):
            run.check()
            mine = [r.values for r in regions if (r.stack, r.channel) == (number, channel)]
            if sum(values.size for values in mine) >= FEWEST_PX:
                gains.append((fit_stabiliser(mine).gain, stack.name))
        grown = sorted(one for one in gains if one[0] > 0)
        if grown and grown[-1][0] > APART * grown[0][0]:
            (least, calm), (most, loud) = grown[0], grown[-1]
            run.note(
                f"The noise of {loud} and {calm} differs: {figure(most)} and {figure(least)} "
                "grey levels per photon. One model cannot suit both; "
                "train one for each.",
                warning=True,
            )
            return
