"""The live preview of smooth patches on the frame in view, computed away from the window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QThread, Signal, Slot

from training_core.patches.gallery import choices_of, seen_patch, window_at
from training_core.patches.window_scores import coverage_map, score_windows
from training_core.settings import PatchSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_core.patches.gallery import SeenPatch
    from training_core.patches.window_scores import WindowScores
    from training_core.stack import Stack

    from .stack_view import StackView

MOST_EDGES = 20_000
COVERAGE_SIDE_PX = 512
CLOSE_MS = 400


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What is to be previewed; `generation` changes with everything but the strictness."""

    generation: int
    stack: Stack
    frame: int
    settings: PatchSettings
    shrink: int


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    generation: int
    coverage: NDArray[np.uint8]
    count: int
    fraction: float
    outline: NDArray[np.float64] | None
    scores: WindowScores
    choices: NDArray[np.uint8]


class PatchPreview(QObject):
    """Finds the smooth patches of one frame while settings move.

    A frame is scored once per frame, patch size and stride; a change of strictness alone chooses
    anew from the scores at hand. One question is under way at a time; of those asked meanwhile
    only the last is answered, and an answer about another frame, size or stride is dropped.
    """

    ready = Signal(object, int, float)  # coverage (uint8), count, fraction of the frame covered
    busy_changed = Signal(bool)
    _asked = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stack: Stack | None = None
        self._frame = 0
        self._settings = PatchSettings()
        self._generation = 0
        self._under_way = False
        self._waiting: _Question | None = None
        self._answer: _Answer | None = None
        self._view: StackView | None = None
        self._thread = QThread()
        self._worker = _Scorer()
        self._worker.moveToThread(self._thread)
        self._asked.connect(self._worker.answer)
        self._worker.answered.connect(self._on_answered)
        self._thread.start(QThread.Priority.LowPriority)

    @property
    def shrink(self) -> int:
        """How many pixels of the frame one pixel of the coverage map stands for, each way."""
        longest = max(self._stack.frame_shape) if self._stack else 1
        return max(1, -(-longest // COVERAGE_SIDE_PX))

    def attach(self, view: StackView) -> None:
        """Draw every answer over the frame of `view`, and follow the frame it shows."""
        self._view = view
        view.patch_at = self.patch_at
        view.frame_changed.connect(self.set_frame)

    def patch_at(self, row: int, column: int) -> SeenPatch | None:
        """Give the patch at a pixel of the frame, or why there is none; None while unknown."""
        if self._answer is None:
            return None
        known = self._answer.scores, self._answer.choices
        at = window_at(*known, row, column)
        return None if at is None else seen_patch(*known, self._settings, self._frame, at)

    def set_stack(self, stack: Stack | None) -> None:
        """Preview another stack, from its first frame; None shows nothing any more."""
        self._stack, self._frame = stack, 0
        self._start_over()

    @Slot(int)
    def set_frame(self, index: int) -> None:
        """Preview another frame."""
        if index != self._frame:
            self._frame = index
            self._start_over()

    @Slot(object)
    def set_settings(self, settings: PatchSettings) -> None:
        """Preview with other settings; if only the strictness changed, from known scores."""
        before, self._settings = self._settings, settings
        if _scoring(before) != _scoring(settings):
            self._start_over()
        elif before != settings:
            self._ask()

    def close(self) -> bool:
        """End the worker; nothing is emitted any more. Give whether it has heard."""
        self._stack, self._waiting = None, None
        self._generation += 1
        self._thread.quit()
        return self._thread.wait(CLOSE_MS)

    def _start_over(self) -> None:
        self._generation += 1
        self._waiting = self._answer = None
        if self._view is not None:
            self._view.set_overlay(None, 1)
            self._view.set_outlines(None)
        self._ask()

    def _ask(self) -> None:
        if self._stack is None:
            return
        question = _Question(
            self._generation, self._stack, self._frame, self._settings, self.shrink
        )
        if self._under_way:
            self._waiting = question
        else:
            self._send(question)

    def _send(self, question: _Question) -> None:
        self._under_way = True
        self.busy_changed.emit(True)
        self._asked.emit(question)

    @Slot(object)
    def _on_answered(self, answer: _Answer | None) -> None:
        self._under_way = False
        self.busy_changed.emit(False)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._send(waiting)
        if answer is not None and answer.generation == self._generation:
            self._show(answer)

    def _show(self, answer: _Answer) -> None:
        self._answer = answer
        if self._view is not None:
            self._view.set_overlay(answer.coverage, self.shrink)
            self._view.set_outlines(answer.outline)
        self.ready.emit(answer.coverage, answer.count, answer.fraction)


class _Scorer(QObject):
    """The side of the preview that lives in its thread; remembers the scores of one frame."""

    answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._generation = -1
        self._scores: WindowScores | None = None

    @Slot(object)
    def answer(self, question: _Question) -> None:
        """Score the frame unless that is done, choose, and draw the map."""
        answer = None
        try:
            if self._scores is None or question.generation != self._generation:
                frame = question.stack.frame(question.frame)
                unit = question.stack.value_unit
                self._scores = score_windows(frame, question.settings, unit=unit)
                self._generation = question.generation
            answer = _answer(question, self._scores)
        finally:  # whatever went wrong, the next question must not wait for ever
            self.answered.emit(answer)


def _scoring(settings: PatchSettings) -> tuple[object, ...]:
    """Give what the scores of a frame depend on."""
    return settings.patch_size_px, settings.stride_px, settings.areas


def _answer(question: _Question, scores: WindowScores) -> _Answer:
    chosen = scores.select(question.settings.strictness)
    size, stride = scores.patch_size_px, scores.stride_px
    shape = question.stack.frame_shape
    coverage = coverage_map(chosen, size, stride, shape, question.shrink)
    fraction = np.count_nonzero(coverage) / coverage.size
    outline = None
    if question.shrink <= (grid := math.gcd(size, stride)):  # exact
        outline = outline_of(coverage_map(chosen, size, stride, shape, grid) > 0, grid)
    else:
        outline = outline_of(coverage > 0, question.shrink)
    choices = choices_of(scores, chosen, question.settings)
    counted = int(chosen.sum())
    return _Answer(question.generation, coverage, counted, fraction, outline, scores, choices)


def outline_of(mask: NDArray[np.bool_], scale: int) -> NDArray[np.float64] | None:
    """Give the outline of all that is covered; None if there is too much of it to tell apart.

    Returns
    -------
    numpy.ndarray or None
        (3 * edges, 2) x, y in pixels, one pixel of the mask being `scale` wide: the two ends of
        each edge, then a row of NaN.
    """
    rows, starts, ends = _edges(mask)
    columns, tops, bottoms = _edges(mask.T)
    if len(rows) + len(columns) > MOST_EDGES:
        return None
    points = np.full((len(rows) + len(columns), 3, 2), np.nan)
    points[:, 0, 0] = np.concatenate([starts, columns])
    points[:, 0, 1] = np.concatenate([rows, tops])
    points[:, 1, 0] = np.concatenate([ends, columns])
    points[:, 1, 1] = np.concatenate([rows, bottoms])
    outline: NDArray[np.float64] = points.reshape(-1, 2) * scale
    return outline


def _edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Give the level edges: above which row each lies, and where it begins and ends."""
    padded = np.pad(mask, 1)
    edge = np.pad(padded[1:, 1:-1] != padded[:-1, 1:-1], ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(edge, axis=1)
    rows, starts = np.nonzero(change == 1)
    return rows, starts, np.nonzero(change == -1)[1]
