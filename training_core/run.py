"""The line between a long computation and whoever watches it: events out, requests in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .errors import printable

TICK_SECONDS = 0.1
PREVIEW_SECONDS = 1.0
TRUSTED = 0.1  # of a stage: from here on its own pace says how long it takes


class Cancelled(Exception):  # an outcome, not an error
    """The user asked to stop and discard."""


class Stage(StrEnum):
    """The parts of a job, in order; the value is what the user reads."""

    READ = "Reading"
    PATCHES = "Finding smooth patches"
    NOISE_MODEL = "Learning the noise"
    FIRST_ESTIMATE = "First estimate"
    ROUNDS = "Training the denoiser"
    DENOISE = "Denoising"
    EVALUATE = "Evaluating"
    WRITE = "Writing"


@dataclass(frozen=True, slots=True)
class ShownRegion:
    """A rectangle of one frame, in pixels: what the preview shows."""

    frame: int
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins; `steps` is how many it will take, `detail` says which round or network."""

    stage: Stage
    steps: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepsDone:
    """Progress within a stage.

    `losses` are means since the last event; `seconds_left` is for the whole job, None if unknown.
    """

    stage: Stage
    done: int
    total: int
    losses: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class PreviewReady:
    """What the denoiser makes of the watched region now.

    `noisy` and `denoised` are (height, width) float32 in the units of the stack.
    """

    stage: Stage
    region: ShownRegion
    noisy: NDArray[np.float32]
    denoised: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage is over, after `seconds` of wall time."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence for the user; a `warning` says that something was not done as asked."""

    text: str
    warning: bool = False


Event = StageStarted | StepsDone | PreviewReady | StageFinished | Note


class Run:
    """One job as seen by the core: it emits events here and asks whether to go on.

    Parameters
    ----------
    on_event
        Called with each event, in the thread of the computation.

    `cancel`, `finish_early` and `watch` may be called from any thread.
    """

    def __init__(self, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._on_event = on_event
        self._cancelled = threading.Event()
        self._finish_early = threading.Event()
        self._region: ShownRegion | None = None
        self._next_tick = 0.0
        self._next_preview = 0.0
        self._clock = _Clock({})

    @property
    def finish_early(self) -> bool:
        """Whether the user asked to stop at the end of this step and keep what there is."""
        return self._finish_early.is_set()

    @property
    def region(self) -> ShownRegion | None:
        """What the user is looking at, for previews; None when nobody is."""
        return self._region

    def cancel(self) -> None:
        """Ask the computation to stop and discard; `check` raises from now on."""
        self._cancelled.set()

    def stop_and_keep(self) -> None:
        """Ask the computation to finish with what it has learned so far."""
        self._finish_early.set()

    def watch(self, region: ShownRegion | None) -> None:
        """Choose the region that previews show; None for no previews."""
        self._region = region

    def check(self) -> None:
        """Raise `Cancelled` if asked to; called once per step, tile and frame."""
        if self._cancelled.is_set():
            raise Cancelled

    def tick_due(self) -> bool:
        """Whether it is time to report; asked before a loss is read back from the device."""
        now = time.monotonic()
        if now < self._next_tick:
            return False
        self._next_tick = now + TICK_SECONDS
        return True

    def preview_due(self) -> bool:
        """Whether somebody watches a region and has seen no preview for a second."""
        now = time.monotonic()
        if self._region is None or now < self._next_preview:
            return False
        self._next_preview = now + PREVIEW_SECONDS
        return True

    def plan(self, seconds: Mapping[Stage, float]) -> None:
        """State how long each coming stage is expected to take, for the time left."""
        self._clock = _Clock(seconds)

    def shorten(self, stage: Stage, share: float) -> None:
        """State that a coming stage will take only this share of what was planned for it."""
        self._clock.shorten(stage, share)

    def start(self, stage: Stage, steps: int, detail: str = "", *, done: int = 0) -> None:
        """Begin a stage (a stage begun again, as each round is, goes on where it was).

        Of its steps, `done` were done before an interruption.
        """
        self.check()
        self._clock.start(stage, done / max(steps, 1))
        self._next_tick = 0.0
        self.emit(StageStarted(stage, steps, detail))

    def progress(
        self, stage: Stage, done: int, total: int, losses: Mapping[str, float] | None = None
    ) -> None:
        """Report `done` of `total` steps of a stage."""
        left = self._clock.seconds_left(stage, done / max(total, 1))
        self.emit(StepsDone(stage, done, total, dict(losses or {}), left))

    def finish(self, stage: Stage, *, done: float = 1.0) -> None:
        """End a stage, of which the fraction `done` was needed."""
        self.emit(StageFinished(stage, self._clock.finish(stage, done)))

    def note(self, text: str, *, warning: bool = False) -> None:
        """Tell the user one sentence."""
        self.emit(Note(printable(text), warning))

    def emit(self, event: Event) -> None:
        """Hand an event to whoever watches."""
        self._on_event(event)


class _Clock:
    """Time left of a planned job: the plan, corrected by how the stages so far really went."""

    def __init__(self, planned: Mapping[Stage, float]) -> None:
        self._planned = dict(planned)
        self._started: dict[Stage, float] = {}
        self._spent: dict[Stage, float] = {}
        self._before: dict[Stage, float] = {}  # fraction that was done before an interruption

    def shorten(self, stage: Stage, share: float) -> None:
        if stage in self._planned:
            self._planned[stage] *= share

    def start(self, stage: Stage, before: float) -> None:
        if stage in self._started:
            return
        self._started[stage] = time.monotonic()
        self._before[stage] = before
        if stage in self._planned:
            self._planned[stage] *= 1 - before
        for skipped in list(Stage)[: list(Stage).index(stage)]:
            if skipped not in self._started and skipped not in self._spent:
                self._planned.pop(skipped, None)  # it was finished before an interruption

    def finish(self, stage: Stage, done: float) -> float:
        started = self._started.pop(stage, None)
        if started is None:  # it was finished before an interruption
            return 0.0
        if stage in self._planned and done < 1:  # what was left out says nothing of the pace
            before = self._before[stage]
            self._planned[stage] *= max(done - before, 0.0) / max(1 - before, 1e-9)
        self._spent[stage] = time.monotonic() - started
        return self._spent[stage]

    def seconds_left(self, stage: Stage, fraction: float) -> float | None:
        elapsed = time.monotonic() - self._started.get(stage, time.monotonic())
        before = self._before.get(stage, 0.0)
        fraction = (fraction - before) / max(1 - before, 1e-9)
        if elapsed < 1.0 or fraction <= 0.0:
            return None
        so_far = sum(self._planned.get(s, 0.0) for s in self._spent)
        pace = sum(self._spent.values()) / so_far if so_far else 1.0
        # A stage's beginning says little of its end, so the plan counts until a tenth is done.
        trust = min(1.0, fraction / TRUSTED) if stage in self._planned else 1.0
        expected = pace * self._planned.get(stage, 0.0)
        here = trust * elapsed / fraction + (1 - trust) * max(expected, elapsed)
        planned = so_far + self._planned.get(stage, 0.0)
        pace = (sum(self._spent.values()) + here) / planned if planned else 1.0
        later = [s for s in self._planned if s is not stage and s not in self._spent]
        return here - elapsed + pace * sum(self._planned[s] for s in later)


SILENT = Run()
