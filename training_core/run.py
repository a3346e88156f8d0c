"""The line between a long computation and whoever watches it: events out, requests in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .costs import OWN, Amounts, Costs, Span, total
from .errors import printable

if TYPE_CHECKING:  # so that `g2g --version` does without numpy
    import numpy as np
    from numpy.typing import NDArray

TICK_SECONDS = 0.1  # 46 000 signals a second made the window stand still for .1 to .8 s
PREVIEW_SECONDS = 1.0
NOISE_SECONDS = 0.5
SHOWING = 0.1  # of the time at most goes to what is shown


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


BY_STEPS = (Stage.READ, Stage.EVALUATE, Stage.WRITE)  # their own steps say how far they are


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

    `losses` are means since the last event; `time_left` is for the whole job, None while nothing is
    known of the speed of this machine.
    """

    stage: Stage
    done: int
    total: int
    losses: Mapping[str, float] = field(default_factory=dict)
    time_left: Span | None = None


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
class NoiseReady:
    """What the generator of a channel makes after so many steps of its game.

    `likeness` is a `NoiseLikeness` of its samples and of real noise that it was never shown.
    """

    channel: int
    step: int
    likeness: Any


@dataclass(frozen=True, slots=True)
class RoundJudged:
    """How good a round of the denoiser is, told blind; 0 is the network before training.

    `decibels` is the estimated reduction of the noise, None where nothing is left to tell. A round
    may be judged again, once more is known of the noise.
    """

    round: int
    decibels: float | None


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


Event = StageStarted | StepsDone | PreviewReady | NoiseReady | RoundJudged | StageFinished | Note


class Run:
    """One job as seen by the core: it emits events here and asks whether to go on.

    Whatever takes a run asks `check` once per step, tile and frame, and so raises `Cancelled`.
    `on_event` is called with each event, in the thread of the computation; `pause`, `go_on`,
    `cancel`, `stop_and_keep` and `watch` may be called from any thread. `costs` is what work costs
    here, as far as is known.
    """

    def __init__(self, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._on_event = on_event
        self._cancelled = threading.Event()
        self._finish_early = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._region: ShownRegion | None = None
        self._next_tick = 0.0
        self._next_shown: dict[float, float] = {}
        self.costs = Costs()
        self._times = _Timetable(self.costs, {})

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
        self.go_on()

    def stop_and_keep(self) -> None:
        """Ask the computation to finish with what it has learned so far."""
        self._finish_early.set()
        self.go_on()

    def pause(self) -> None:
        """Let the computation wait, in its next `check`."""
        self._going.clear()

    def go_on(self) -> None:
        """End a pause."""
        self._going.set()

    def watch(self, region: ShownRegion | None) -> None:
        """Choose the region that previews show; None for no previews."""
        self._region = region

    def check(self) -> None:
        """Raise `Cancelled` if asked to, after a pause; called once per step, tile and frame."""
        if not self._going.is_set():
            began = time.monotonic()
            self._going.wait()
            self.costs.skip(time.monotonic() - began)
        if self._cancelled.is_set():
            raise Cancelled

    def tick_due(self) -> bool:
        """Whether it is time to report; asked before a loss is read back from the device."""
        now = time.monotonic()
        if now < self._next_tick:
            return False
        self._next_tick = now + TICK_SECONDS
        return True

    def show(self, make: Callable[[], Event | None], seconds: float) -> None:
        """Emit what `make` gives, if somebody watches who saw nothing of it for so many seconds.

        What takes long to make is shown less often.
        """
        began = time.monotonic()
        if self._region is None or began < self._next_shown.get(seconds, 0.0):
            return
        event = make()
        took = time.monotonic() - began
        self._next_shown[seconds] = began + max(seconds, took / SHOWING)
        if event is not None:
            self.emit(event)

    def plan(self, machine: str, work: Mapping[Stage, Amounts]) -> None:
        """State how much work the coming stages are, and on what it is done, for the time left."""
        self.costs.begin(machine)
        self._times = _Timetable(self.costs, work)

    def shorten(self, stage: Stage, share: float) -> None:
        """State that a coming stage will take only this share of what was planned for it."""
        self._times.shorten(stage, share)

    def start(self, stage: Stage, steps: int, detail: str = "", *, done: int = 0) -> None:
        """Begin a stage (a stage begun again, as each round is, goes on where it was).

        Of its steps, `done` were done before an interruption.
        """
        self.check()
        self._times.start(stage, steps, done)
        self._next_tick = 0.0
        self.emit(StageStarted(stage, steps, detail))

    def did(self, kind: str, amount: float) -> None:
        """Say that an amount of work was done since the last time (see `costs`)."""
        self._times.did(kind, amount)

    def expect(self, kind: str, amount: float) -> None:
        """Say how much of a kind of work the current stage will do in any case from now on."""
        self._times.expect(kind, amount)

    def progress(
        self, stage: Stage, done: int, total: int, losses: Mapping[str, float] | None = None
    ) -> None:
        """Report `done` of `total` steps of a stage."""
        left = self._times.progress(stage, done)
        self.emit(StepsDone(stage, done, total, dict(losses or {}), left))

    def finish(self, stage: Stage) -> None:
        """End a stage."""
        self.emit(StageFinished(stage, self._times.finish(stage)))

    def note(self, text: str, *, warning: bool = False) -> None:
        """Tell the user one sentence."""
        self.emit(Note(printable(text), warning))

    def emit(self, event: Event) -> None:
        """Hand an event to whoever watches."""
        self._on_event(event)


class _Timetable:
    """What is left to do of a planned job, stage by stage, in amounts of each kind of work."""

    def __init__(self, costs: Costs, planned: Mapping[Stage, Amounts]) -> None:
        self._costs = costs
        self._left = {stage: dict(work) for stage, work in planned.items()}
        self._began: dict[Stage, float] = {}
        self._now: Stage | None = None
        self._told = 0  # steps of a stage that is measured in nothing else

    def shorten(self, stage: Stage, share: float) -> None:
        for kind, (least, most) in self._left.get(stage, {}).items():
            self._left[stage][kind] = (min(least, share * most), share * most)

    def start(self, stage: Stage, steps: int, done: int) -> None:
        for earlier in list(Stage)[: list(Stage).index(stage)]:
            self._left.pop(earlier, None)  # it is over, or was before an interruption
        first, self._now = stage not in self._began, stage
        self._began.setdefault(stage, time.monotonic())
        if stage in BY_STEPS or stage not in self._left or OWN in self._left[stage]:
            self._left[stage] = {OWN: (steps - done, steps - done)}
            self._told = done
            self._costs.restart(OWN)
        elif first and done:
            self.shorten(stage, 1 - done / max(steps, 1))

    def did(self, kind: str, amount: float) -> None:
        self._costs.did(kind, amount)
        work = self._left.get(self._now, {}) if self._now else {}
        if kind in work:
            least, most = work[kind]
            work[kind] = (max(least - amount, 0.0), max(most - amount, 0.0))

    def expect(self, kind: str, amount: float) -> None:
        work = self._left.get(self._now, {}) if self._now else {}
        if kind in work:
            least, most = work[kind]
            work[kind] = (max(least, amount), max(most, amount))

    def progress(self, stage: Stage, done: int) -> Span | None:
        if OWN in self._left.get(stage, {}) and done > self._told:
            self.did(OWN, done - self._told)
            self._told = done
        return self._costs.span(total(self._left.values()))

    def finish(self, stage: Stage) -> float:
        if OWN in self._left.get(stage, {}):
            del self._left[stage]
        began = self._began.pop(stage, None)
        return 0.0 if began is None else time.monotonic() - began  # 0: before an interruption


SILENT = Run()


class PartOfRun(Run):
    """A part of another run, which alone is cancelled and finished early; silent by itself."""

    def __init__(self, whole: Run, on_event: Callable[[Event], None] = SILENT.emit) -> None:
        super().__init__(on_event)
        self._whole = whole

    @property
    def finish_early(self) -> bool:
        """Whether the whole run is to finish early."""
        return self._whole.finish_early

    def check(self) -> None:
        """Raise `Cancelled` if the whole run is cancelled."""
        self._whole.check()
