"""What was removed from the frame in view, drawn over it and said in a sentence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.viewer.image_pane import patch_pen
from g2g_desktop.viewer.look_up_tables import changed_table, diverging_table
from g2g_desktop.viewer.pair_viewer import LEFT
from training_core.wording import figure, percent

from .colour_key import ColourKey

if TYPE_CHECKING:
    from g2g_desktop.viewer.split_pane import SplitPane
    from training_core.quality.removed import Removed
    from training_core.run import Run
    from training_core.stack import Stack

    Kind = Literal["residual", "changed"]

BEYOND = 3.0
BY_CHANCE = 0.0027  # of the pixels of normal noise lie beyond 3 std
LOOKING = "Looking at what was removed..."


class RemovedLayer(QObject):
    """Draws into a pane what was removed from a frame, or which pixels were changed by it."""

    def __init__(self, pane: SplitPane) -> None:
        super().__init__(pane)
        self._pane = pane
        self.key = ColourKey(pane.viewport())
        self.found: Removed | None = None
        self._failure = ""
        self._kind: Kind | None = None
        self._of: tuple[Stack, Stack, int] | None = None
        self._job = LatestJob(self._on_found, self._on_failed)

    @property
    def kind(self) -> Kind | None:
        """What is drawn now; None for nothing."""
        return self._kind

    def show(self, kind: Kind, noisy: Stack, denoised: Stack, index: int) -> None:
        """Draw this of a frame, once it has been looked at."""
        self._kind = kind
        asked = (noisy, denoised, index)
        if self._of is None or any(a is not b for a, b in zip(asked, self._of, strict=True)):
            self._of, self.found, self._failure = asked, None, ""
            self._job.start(partial(_look, *asked))
        self._draw()

    def hide(self) -> None:
        """Draw nothing; what was found is kept."""
        if self._kind is not None:
            self._kind = None
            self.key.hide()
            self._pane.set_overlay(None)
            self._pane.set_outlines(None)
            self._pane.outlines.setPen(patch_pen())

    def forget(self) -> None:
        """Know nothing, and stop looking."""
        self.hide()
        self._of, self.found = None, None
        self._job.cancel()

    def text(self) -> str:
        """Say what is drawn."""
        if self.found is None or self._of is None:
            return self._failure or LOOKING
        if self._kind == "changed":
            share = float((self.found.beyond != 0).mean())
            told = f"Changed by more than 3 σ: {percent(share)} of the pixels"
            return f"{told} (noise alone: {percent(BY_CHANCE)})"
        sigma = f"{figure(self.found.sigma)} {self._of[0].value_unit}".rstrip()
        marked = self.found.structure_share
        found = f"structure in {percent(marked)} of the frame" if marked else "no structure found"
        return f"Noisy − denoised, σ = {sigma} · {found}"

    def _draw(self) -> None:
        pane, found = self._pane, self.found
        pane.captions = {LEFT: self.text()}
        pane.set_outlines(None)
        pane.set_overlay(None)
        if self._kind == "residual":
            self.key.show_scale("−3 σ", "+3 σ")
            if found is not None:
                pane.set_image(found.in_sigmas, (-BEYOND, BEYOND))
                pane.set_table(diverging_table())
                pane.outlines.setPen(pg.mkPen(255, 255, 255, 200))
                pane.set_outlines(found.structure_outlines)
        else:
            self.key.show_pair("darker", "brighter")
            if found is not None:
                pane.overlay.setLookupTable(changed_table())
                pane.set_overlay((found.beyond + np.int8(1)).astype(np.uint8) * np.uint8(127))
        pane.viewport().update()

    def _on_found(self, found: Removed) -> None:
        self.found = found
        self._redraw()

    def _on_failed(self, error: Exception) -> None:
        self._failure = f"What was removed cannot be shown: {error}"
        self._redraw()

    def _redraw(self) -> None:
        if self._kind is not None:
            self._draw()


def _look(noisy: Stack, denoised: Stack, index: int, run: Run) -> Removed:
    from training_core.quality.removed import Removed

    run.check()
    by_place = noisy.value_unit == "HU"
    return Removed.of(noisy.frame(index), denoised.frame(index), by_place=by_place)
