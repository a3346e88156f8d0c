"""The calmest windows of each brightness: what varies in them is noise."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

CLASSES = 16  # of equally many windows
CALMEST, FEWEST = 0.1, 20  # of a class: this share, and no fewer


def calmest(brightness: Values, restless: Values, classes: int = CLASSES) -> list[NDArray[np.intp]]:
    """Give the windows of each brightness class that are least restless, as their numbers.

    Parameters
    ----------
    brightness, restless
        Of each window, (count,) float64.
    classes
        At most so many.
    """
    edges = np.unique(np.quantile(brightness, np.linspace(0, 1, classes + 1)))
    if len(edges) < 2:
        return [np.arange(brightness.size)]
    chosen = []
    for low, high in pairwise(edges):
        here = np.flatnonzero((brightness >= low) & (brightness <= high))
        count = max(int(CALMEST * here.size), min(FEWEST, here.size))
        chosen.append(here[np.argsort(restless[here], kind="stable")[:count]])
    return chosen
