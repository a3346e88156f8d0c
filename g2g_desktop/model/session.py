"""What the window is about: a stack, its settings, what was learned from it, what is going on."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from training_core.errors import CoreError
from training_core.settings import Settings, preset

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from training_core.costs import Span
    from training_core.denoise.denoiser import Denoiser
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.settings import PatchSettings
    from training_core.stack import PixelSize, Stack


class Step(StrEnum):
    """The way from a noisy file to a clean one; the value is the title of its card."""

    DATA = "Data"
    PATCHES = "Smooth patches"
    TRAIN = "Train"
    COMPARE = "Compare"
    EXPORT = "Export"


class Activity(StrEnum):
    """The job that has the stage; the value is what the user reads meanwhile."""

    IDLE = ""
    LOADING = "Opening"
    TRAINING = "Training"
    STOPPING = "Stopping, and keeping what was learned"
    CANCELLING = "Cancelling"
    DENOISING = "Denoising"
    EXPORTING = "Exporting"


class State(StrEnum):
    """Where the session stands: an activity, or at rest with nothing, a stack, or a result."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    TRAINING = "training"
    STOPPING = "stopping"
    CANCELLING = "cancelling"
    DENOISING = "denoising"
    DONE = "done"
    EXPORTING = "exporting"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in which step; `sentence` is for the user, `details` for a report."""

    step: Step
    sentence: str
    details: str = ""

    @classmethod
    def of(cls, step: Step, error: Exception) -> Failure:
        """Turn an exception into a sentence for the user, with the rest for a report."""
        details = "".join(traceback.format_exception(error))
        if isinstance(error, CoreError):
            return cls(step, str(error), details)
        if isinstance(error, MemoryError):
            full = "The memory is used up; close other programs and try again."
            return cls(step, full, details)
        kind = type(error).__name__
        return cls(step, f"Something unexpected happened ({kind}: {error}).", details)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A training that did not come to its end, `when` it was last written down.

    `seconds` is how long it had been worked on.
    """

    folder: Path
    settings: Settings
    when: datetime
    seconds: float


class Session(QObject):
    """The one mutable model of the window.

    Read its attributes freely; change them through its methods, each of which emits `changed` once.
    A change forgets what lies downstream of it. The one exception is a result that took minutes to
    compute: new settings make it stale, and only the next result or another stack replaces it.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity.IDLE
        self.step = Step.DATA
        self.settings: Settings = preset("balanced")
        self.failure: Failure | None = None
        self.stack: Stack | None = None
        self.patches: SmoothPatches | None = None
        self.expected_time: Span | None = None
        self.expected_known = False  # whether it was asked; None then means that nobody knows
        self.denoiser: Denoiser | None = None
        self.model_name = ""
        self.model_saved = True
        self.first_look: bool | None = None  # not before the smooth patches are found
        self.interrupted: Interrupted | None = None
        self.denoised: Stack | None = None
        self._as_made: tuple[Stack, Denoiser] | None = (
            None  # the result before its strength changed
        )
        self.result_warnings: tuple[str, ...] = ()
        self.quality_warns = False
        self.exported: Path | None = None
        self.exported_dtype = "same"

    @property
    def state(self) -> State:
        """The activity, or what there is while nothing is going on."""
        if self.activity is not Activity.IDLE:
            return State[self.activity.name]
        if self.stack is None:
            return State.EMPTY
        return State.READY if self.denoised is None else State.DONE

    @property
    def is_stale(self) -> bool:
        """Whether the model was trained here, with settings other than those now shown."""
        if self.denoiser is None or self.model_name:
            return False
        return bool(self.denoiser.settings != self.settings)

    @property
    def unsaved(self) -> str:
        """What closing would lose, in a sentence; "" when nothing.

        A model counts as long as it has not yielded an exported stack.
        """
        if self.denoised is not None:
            lost = "" if self.exported else "The denoised stack has not been exported"
        else:
            lost = "" if self.model_saved else "The trained model has not been saved"
        return f"{lost} and would be lost." if lost else ""

    def begin(self, activity: Activity, step: Step | None = None) -> None:
        """Let a job take the stage, and show the card of `step`."""
        self.activity = activity
        self.step = step or self.step
        self.failure = None
        if activity is Activity.TRAINING:
            self.interrupted = None  # gone on with, or left for another
        self.changed.emit()

    def end(self, failure: Failure | None = None) -> None:
        """Leave the stage, after a cancel or a failure."""
        self.activity = Activity.IDLE
        self.failure = failure
        self.changed.emit()

    def show(self, step: Step) -> None:
        """Open the card of `step`."""
        self.step = step
        self.changed.emit()

    def set_first_look(self, shown: bool) -> None:
        """Show what is in view as the bundled network denoises it, or no longer for this stack."""
        self.first_look = shown
        self.changed.emit()

    def set_stack(self, stack: Stack) -> None:
        """Take a new stack; a model stays, for it may serve this one as well."""
        self.stack = stack
        self.denoised = self.exported = self.patches = None
        self._forget_time()
        self.first_look, self.quality_warns = None, False
        self.interrupted = None
        self.step = Step.PATCHES
        self.end()

    def set_interrupted(self, interrupted: Interrupted | None) -> None:
        """Take the training of this stack that a crash interrupted, and show that it is there."""
        self.interrupted = interrupted
        if interrupted is not None and self.state is State.READY:
            self.step = Step.TRAIN
        self.changed.emit()

    def set_pixel_size(self, size: PixelSize) -> None:
        """Correct the pixel size; no pixel changes, so every result stays."""
        if self.stack is not None:
            self.stack = replace(self.stack, pixel_size=size)
        if self.denoised is not None:
            self.denoised = replace(self.denoised, pixel_size=size)
        self.changed.emit()

    def set_settings(self, settings: Settings) -> None:
        """Take new settings, and forget the patches found and the time expected with others."""
        if settings == self.settings:
            return
        if settings.patches != self.settings.patches:
            self.patches = None
        if replace(settings, patches=self.settings.patches) != self.settings:
            self._forget_time()  # which hardly depends on the patches
        self.settings = settings
        self.changed.emit()

    def set_patch_settings(self, patches: PatchSettings) -> None:
        """Take new patch settings."""
        self.set_settings(replace(self.settings, patches=patches))

    def set_patches(self, patches: SmoothPatches) -> None:
        """Take the smooth patches found in the whole stack, which the first look waits for."""
        self.patches = patches
        self.first_look = self.first_look is not False
        self.changed.emit()

    def set_expected_time(self, expected: Span | None) -> None:
        """Take how long training is expected to take; None where no job was run here before."""
        self.expected_time, self.expected_known = expected, True
        self.changed.emit()

    def _forget_time(self) -> None:
        self.expected_time, self.expected_known = None, False

    def set_denoiser(self, denoiser: Denoiser, model_name: str = "") -> None:
        """Take a model: trained here, or opened from the file `model_name`."""
        self.denoiser = denoiser
        self._forget_time()  # its training has shown how fast this computer is
        self.model_name = model_name
        self.model_saved = bool(model_name)
        self.changed.emit()

    def set_denoised(self, denoised: Stack, warnings: tuple[str, ...] = ()) -> None:
        """Take the result, and what is to be known about it."""
        self.denoised = denoised
        self._as_made = None if self.denoiser is None else (denoised, self.denoiser)
        self._forget_time()  # likewise
        self.result_warnings = warnings
        self.quality_warns = False
        self.exported = None
        self.step = Step.COMPARE
        self.end()

    @property
    def as_made(self) -> tuple[Stack, Denoiser] | None:
        """The result as it was computed, and the denoiser that it is of, whatever its strength."""
        return self._as_made

    def set_strength(self, denoised: Stack, denoiser: Denoiser) -> None:
        """Take the same result with another share of the noise kept, and the model of that."""
        if not self.is_stale and not self.model_name:
            kept = denoiser.settings.denoiser.kept_noise
            changed = replace(self.settings.denoiser, kept_noise=kept)
            self.settings = replace(self.settings, denoiser=changed)
        self.denoised, self.denoiser = denoised, denoiser
        self.exported, self.model_saved = None, False
        self.changed.emit()

    def set_quality(self, warns: bool) -> None:
        """Take whether any figure of the result gives reason to look closer."""
        if warns != self.quality_warns:
            self.quality_warns = warns
            self.changed.emit()

    def set_exported(self, path: Path, dtype: str = "same") -> None:
        """Remember that the result is on disk, in the data type of the input or as "float32"."""
        self.exported, self.exported_dtype = path, dtype
        self.step = Step.EXPORT
        self.end()

    def set_model_saved(self) -> None:
        """Remember that the model is on disk."""
        self.model_saved = True
        self.end()
