"""Answers what the bench asks about a result: trust map, planted dots, noise alone, likeness."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QRectF, Signal, Slot

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.viewer.picture import Picture
from training_core.errors import CoreError
from training_core.place import PatchLocation
from training_core.run import StepsDone

from . import bench_tasks as tasks
from .noise_tab import LOOKING
from .result_tab import sentence_of as pure_sentence
from .trust_tab import sentence_of as dot_sentence

if TYPE_CHECKING:
    from g2g_desktop.model.session import Session
    from training_core.denoise.denoiser import Denoiser
    from training_core.noise.likeness import NoiseLikeness
    from training_core.stack import Stack
    from training_core.trust.planted import PlantedDot
    from training_core.trust.pure_noise import PureNoise
    from training_core.trust.trust_map import TrustMap

    from .bench_panel import BenchPanel
    from .compare_view import CompareView

GREY, GREY_DENOISED = "Noise alone", "Noise alone, denoised"
AMBER = (255, 190, 60)
HATCH_PX, LINE_PX = 6, 2
DOUBTED = "Texture and noise are alike here, so the map knows as little of them as the denoiser. "


class Judging(QObject):
    """Runs what is asked in the tabs Strength, Trust and Noise, one answer of each at a time.

    Signals
    -------
    offered
        More pictures of the scene, stacks by name.
    """

    offered = Signal(object)

    def __init__(self, compare: CompareView, panel: BenchPanel) -> None:
        super().__init__(panel)
        self.compare, self.panel = compare, panel
        self._session: Session | None = None
        self._map = LatestJob(self._on_map, self._on_map_failed, self._on_map_event)
        self._dot = LatestJob(self._on_dot, self._on_dot_failed)
        self._pure = LatestJob(self._on_pure, self._on_pure_failed)
        self._likeness = LatestJob(self._on_likeness, self._on_likeness_failed)
        self._hatched_frame = -1
        self.hatch = self._make_hatch()
        panel.result.pure_noise_asked.connect(self._ask_pure)
        panel.trust.map_asked.connect(self._ask_map)
        panel.trust.planting.connect(self._on_planting)
        panel.opened.connect(self._on_opened)
        compare.mode_changed.connect(self._place_hatch)
        compare.frame_changed.connect(self._place_hatch)
        compare.left.scene().sigMouseClicked.connect(self._on_clicked)

    def _make_hatch(self) -> Picture:
        """Give what is laid over detail that is not supported: slanted amber lines."""
        hatch = Picture()
        table = np.zeros((256, 4), np.uint8)
        table[1:] = (*AMBER, 235)
        hatch.setLookupTable(table)
        hatch.setZValue(15)
        self.compare.left.box.addItem(hatch, ignoreBounds=True)
        return hatch

    def show_session(self, session: Session) -> None:
        """Forget what was found out about another result."""
        self._session = session
        for job in (self._map, self._dot, self._pure, self._likeness):
            job.cancel()
        self.hatch.clear()
        self._hatched_frame = -1
        self.panel.trust.clear()
        self.panel.noise.clear()
        self.panel.result.say_pure("")
        self._on_opened(self.panel.current)

    @property
    def _is_doubted(self) -> bool:
        """Whether texture and noise could not be told apart in any channel."""
        denoiser = self._session.made_by if self._session is not None else None
        return denoiser is not None and any(one.doubted for one in denoiser.channels)

    @property
    def _unit(self) -> str:
        stack = self._session.stack if self._session is not None else None
        return stack.value_unit if stack is not None else ""

    @property
    def _seen(self) -> PatchLocation:
        """The middle of what is in view, as far as it is looked at."""
        seen = self.compare.left.visible_rect.toAlignedRect().intersected(
            self.compare.left.frame_rect.toAlignedRect()
        )
        place = PatchLocation(seen.top(), seen.left(), seen.height(), seen.width())
        return tasks.middle_of(place)

    def _known(self) -> tuple[Stack, Denoiser, int] | None:
        """Give stack, denoiser and frame, once there is a result."""
        session = self._session
        if session is None or session.stack is None or session.denoised is None:
            return None
        if session.made_by is None:
            return None
        return session.stack, session.made_by, self.compare.frame_index

    @Slot()
    def _ask_pure(self) -> None:
        known = self._known()
        if known is not None:
            place = self._seen
            self.panel.result.say_pure("Denoising noise alone...", running=True)
            self._pure.start(partial(tasks.made_of_noise, *known, place), place)

    def _on_pure(self, found: PureNoise) -> None:
        self.panel.result.say_pure(pure_sentence(found.left))
        stack = self._session.stack if self._session is not None else None
        if stack is None or not isinstance(self._pure.label, PatchLocation):
            return
        pair = {GREY: found.noisy, GREY_DENOISED: found.denoised}
        place = self._pure.label
        self.offered.emit({n: tasks.in_frame(stack, place, v) for n, v in pair.items()})
        self.compare.set_mode("side")

    def _on_pure_failed(self, error: Exception) -> None:
        self.panel.result.say_pure(_told(error))

    @Slot(int)
    def _ask_map(self, copies: int) -> None:
        known = self._known()
        if not copies or known is None:
            self._map.cancel()
            self.panel.trust.show_running(False)
            return
        place = self._seen
        self.panel.trust.show_running(True)
        label = place, self.compare.frame_index
        self._map.start(partial(tasks.trust_map, *known, place, copies), label)

    def _on_map_event(self, event: object) -> None:
        if isinstance(event, StepsDone):
            self.panel.trust.show_running(True, event.done, event.total)

    def _on_map(self, found: TrustMap) -> None:
        self.panel.trust.show_map(found, self._unit, DOUBTED if self._is_doubted else "")
        place, self._hatched_frame = self._map.label
        rows, columns = np.indices(found.unsupported.shape)
        lines = found.unsupported & ((rows + columns) % HATCH_PX < LINE_PX)
        self.hatch.setImage(lines.astype(np.uint8), levels=(0, 1))
        self.hatch.setRect(QRectF(place.left, place.top, place.width, place.height))
        self._place_hatch()

    def _on_map_failed(self, error: Exception) -> None:
        self.panel.trust.show_failure(_told(error))

    @Slot()
    def _place_hatch(self) -> None:
        """Show the hatch over the frame it is of, while the tab that speaks of it is open."""
        mine = self._hatched_frame == self.compare.frame_index
        clear = self.compare.mode not in ("residual", "changed")
        self.hatch.setVisible(mine and clear and self.panel.current == "Trust")

    @Slot(bool)
    def _on_planting(self, on: bool) -> None:
        if on:
            self.panel.trust.dot_words.setText(tr("Click into the picture."))

    @Slot(object)
    def _on_clicked(self, event: object) -> None:
        pane = self.compare.left
        there = pane.box.mapSceneToView(event.scenePos())  # type: ignore[attr-defined]
        at = pane.position_at(pane.to_widget(there.x(), there.y()))
        if at is None:
            return
        if self.panel.current == "Trust" and self.panel.trust.plant_button.isChecked():
            self.plant(*at)
        elif self.panel.current == "Slices":
            self.panel.slices.cut_at(*at)

    def plant(self, row: int, column: int) -> None:
        """Plant a dot at a pixel of the frame in view."""
        known = self._known()
        if known is not None:
            self.panel.trust.show_dot(None, (0, 1), "Planting dots...")
            size = self.panel.trust.dot_std_px
            self._dot.start(partial(tasks.plant_dot, *known, (row, column), size))

    def _on_dot(self, dot: PlantedDot) -> None:
        self.panel.trust.show_dot(dot, self.compare.levels, dot_sentence(dot, self._unit))

    def _on_dot_failed(self, error: Exception) -> None:
        self.panel.trust.show_dot(None, (0, 1), _told(error))

    @Slot(str)
    def _on_opened(self, name: str) -> None:
        self._place_hatch()
        session = self._session
        if name != "Noise" or session is None or session.denoised is None:
            return
        if session.patches is None or session.made_by is None or session.stack is None:
            return
        channel = session.stack.channel_of(self.compare.frame_index)
        self.panel.noise.clear(LOOKING)
        given = session.stack, session.patches, session.made_by, channel
        self._likeness.start(partial(tasks.likeness, *given))

    def _on_likeness(self, found: NoiseLikeness) -> None:
        self.panel.noise.show_likeness(found)

    def _on_likeness_failed(self, error: Exception) -> None:
        self.panel.noise.clear(_told(error))


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, CoreError) else f"Something unexpected happened: {error}"
