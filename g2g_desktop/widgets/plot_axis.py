"""The axis of a plot, with numbers in the language of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph as pg

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence


class PlotAxis(pg.AxisItem):  # type: ignore[misc]
    """Writes its ticks with the point or the comma of the window."""

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """Write the numbers of ticks."""
        return [tr(text) for text in super().tickStrings(values, scale, spacing)]


def plot_axes() -> dict[str, PlotAxis]:
    """Give the axes of a new plot."""
    return {side: PlotAxis(side) for side in ("left", "bottom")}
