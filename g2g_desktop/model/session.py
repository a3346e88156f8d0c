"""What the window is about: a stack, its settings, what was made of it, what is going on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from training_core.settings import Settings, preset

from .known import Known
from .result import Results, StackResult
from .states import Activity as Activity
from .states import Device as Device
from .states import ExpectedTime as ExpectedTime
from .states import Failure as Failure
from .states import Interrupted as Interrupted
from .states import KeptRun as KeptRun
from .states import State as State
from .states import Step as Step

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.areas import Area
    from training_core.denoise.denoiser import Denoiser
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.reporting.findings import Judgement
    from training_core.reporting.likeness import Likeness
    from training_core.settings import PatchSettings
    from training_core.stack import PixelSize, Stack


class Session(Known):
    """The one mutable model of the window.

    Read its attributes freely; change them through its methods, each of which emits `changed` once.
    A change forgets what lies downstream of it. The one exception are results, which took minutes
    to compute: new settings make them stale, and only another stack replaces them.
    """

    changed = Signal()

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

    def tell(self, failure: Failure | None) -> None:
        """Say what failed beside the stage; None: the user has read it."""
        self.failure = failure
        self.changed.emit()

    def show(self, step: Step) -> None:
        """Open the card of `step`."""
        self.step = step
        self.changed.emit()

    def set_queue_works(self, works: bool) -> None:
        """Take whether the queue is at work, beside which nothing else is trained."""
        if works != self.queue_works:
            self.queue_works = works
            self.changed.emit()

    def set_first_look(self, shown: bool) -> None:
        """Show what is in view as the bundled network denoises it, or no longer for this stack."""
        self.first_look = shown
        self.changed.emit()

    def set_stack(
        self,
        stack: Stack | None,
        results: Results = Results(),  # noqa: B008 - frozen
        settings: Settings | None = None,
    ) -> None:
        """Take another stack, with the results and settings it had before, or none.

        A model stays, for it may serve this one as well. Settings do not: what suits one stack may
        harm the next unseen; taking that back is one step of the history. Those that were made
        before there was any stack are meant for the first.
        """
        usual = self.settings if self.stack is None else preset("balanced")
        self.stack, self.results = stack, results
        self.problem, self.alike = "", None
        self.patches = self.expected = self.first_look = self.interrupted = None
        self.history.start(settings or usual)
        self.step = Step.DATA if stack is None or stack.doubtful else Step.PATCHES
        if results.every:
            self.step = Step.COMPARE
        elif stack is not None and not stack.doubtful and self.denoiser is not None:
            self.step = Step.TRAIN  # where the question is what to do with the model
        self.end()

    def set_axes(self, axes: str) -> None:
        """Take what the axes of the stack are; where they were read so, every result stays."""
        if self.stack is None:
            return
        stack, same = self.stack.with_axes(axes), axes == self.stack.axes
        if not same:
            self.set_stack(stack, settings=self.settings)
            return
        self.stack = stack
        if not self.results.every:
            self.step = Step.PATCHES
        self.changed.emit()

    def set_problem(self, sentence: str) -> None:
        """Take why nothing can be learned from the stack."""
        self.problem = sentence
        self.changed.emit()

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
        self.results = self.results.with_pixel_size(size)
        self.changed.emit()

    def set_settings(self, settings: Settings, *, apart: bool = False) -> None:
        """Take new settings, which can be taken back (`apart` from a change just before)."""
        if settings != self.settings:
            before = self.settings
            self.history.take(settings, apart=apart)
            self._forget_what_depended_on(before)

    def undo(self) -> None:
        """Take the last change of the settings back."""
        before = self.settings
        self.history.undo()
        self._forget_what_depended_on(before)

    def redo(self) -> None:
        """Make it again."""
        before = self.settings
        self.history.redo()
        self._forget_what_depended_on(before)

    def _forget_what_depended_on(self, before: Settings) -> None:
        """Forget what was found, expected and said with other settings."""
        self.failure = None
        if self.settings.patches != before.patches:
            self.patches = None
        if replace(self.settings, patches=before.patches) != before:
            self.expected = None  # which hardly depends on the patches
        self.changed.emit()

    def set_patch_settings(self, patches: PatchSettings, *, apart: bool = False) -> None:
        """Take new patch settings."""
        self.set_settings(replace(self.settings, patches=patches), apart=apart)

    def paint(self, area: Area) -> None:
        """Take an area that was painted, as one change of the settings."""
        patches = self.settings.patches
        self.set_patch_settings(replace(patches, areas=(*patches.areas, area)), apart=True)

    def set_patches(self, patches: SmoothPatches) -> None:
        """Take the smooth patches found in the whole stack, which the first look waits for."""
        self.patches = patches
        self.first_look = self.first_look is not False
        self.changed.emit()

    def set_expected_time(self, expected: ExpectedTime) -> None:
        """Take how long training is expected to take."""
        self.expected = expected
        self.changed.emit()

    def set_denoiser(
        self, denoiser: Denoiser, model_name: str = "", path: Path | None = None
    ) -> None:
        """Take a model: trained here, or opened from the file `model_name` at `path`."""
        self.model_path = path
        self.denoiser, self.alike = denoiser, None
        self.expected = None  # its training has shown how fast this computer is
        self.model_name, self.saved_as = model_name, model_name
        self.model_saved = bool(model_name)
        if model_name and self.stack is not None:
            self.step = Step.TRAIN
        self.changed.emit()

    def set_alike(self, alike: Likeness) -> None:
        """Take how the model suits the stack."""
        self.alike = alike
        self.changed.emit()

    def set_denoised(self, denoised: Stack, warnings: tuple[str, ...] = ()) -> None:
        """Take what the model has made of the stack, beside what there is already."""
        assert self.denoiser is not None  # nothing else denoises
        if self.alike is not None and self.alike.sentence:
            warnings = (self.alike.sentence, *warnings)
        made = StackResult(
            denoised,
            self.denoiser,
            self.model_name,
            warnings,
            self.alike,
            as_made=(denoised, self.denoiser),
        )
        self.results = self.results.and_then(made)
        self.expected = None  # likewise
        self.step = Step.COMPARE
        self.end()

    def choose_result(self, index: int) -> None:
        """Show another of the results, counted from 0 and round from the last to the first."""
        self.results = replace(self.results, chosen=index % max(len(self.results.every), 1))
        self.changed.emit()

    def set_strength(self, denoised: Stack, denoiser: Denoiser) -> None:
        """Take the result shown with another share of the noise kept, and the model of that."""
        result = self.result
        assert result is not None  # whose strength it is
        if not (self.is_stale or result.model_name or result.is_foreign):
            kept = denoiser.settings.denoiser.kept_noise
            changed = replace(self.settings.denoiser, kept_noise=kept)
            self.history.take(replace(self.settings, denoiser=changed))
        if result.denoiser is self.denoiser:
            self.denoiser, self.model_saved, self.saved_as = denoiser, False, ""
        self.results = self.results.changed(
            denoised=denoised, denoiser=denoiser, judgement=None, exported=None
        )
        self.changed.emit()

    def set_judgement(self, judgement: Judgement | None) -> None:
        """Take the one verdict on the result that is shown."""
        if self.result is not None and judgement != self.result.judgement:
            self.results = self.results.changed(judgement=judgement)
            self.changed.emit()

    def set_exported(self, path: Path, dtype: str = "same") -> None:
        """Remember that the result is on disk, in the data type of the input or as "float32"."""
        self.results = self.results.changed(exported=path, exported_dtype=dtype)
        self.step = Step.EXPORT
        self.end()

    def set_model_saved(self, path: Path | None = None) -> None:
        """Remember that the model is on disk, at `path`."""
        self.model_saved, self.model_path = True, path
        name = path.name if path is not None else ""
        self.saved_as = name
        self.end()
