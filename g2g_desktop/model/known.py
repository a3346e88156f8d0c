"""What is known in the window: a stack, its settings, its results, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from training_core.patches.smooth_patches import NEEDED
from training_core.settings import Settings, preset

from .result import Results, StackResult, Story
from .settings_history import SettingsHistory
from .states import Activity, ExpectedTime, Failure, Interrupted, State, Step

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.denoise.denoiser import Denoiser
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.reporting.likeness import Likeness
    from training_core.stack import Stack


class Known(QObject):
    """All that can be read; `Session` adds the ways to change it."""

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity.IDLE
        self.step = Step.DATA
        self.history = SettingsHistory(preset("balanced"))
        self.failure: Failure | None = None
        self.stack: Stack | None = None
        self.problem = ""  # why nothing can be learned from the stack
        self.patches: SmoothPatches | None = None
        self.expected: ExpectedTime | None = None  # until it was asked for
        self.denoiser: Denoiser | None = None
        self.model_name = ""
        self.model_saved = True
        self.model_path: Path | None = None  # of the model's file, where it is in one
        self.saved_as = ""  # the file that a model which was trained here is in
        self.alike: Likeness | None = None  # of the model and the stack, until it was compared
        self.first_look: bool | None = None  # not before the smooth patches are found
        self.interrupted: Interrupted | None = None
        self.results = Results()
        self.queue_works = False  # on files of the list, with all of the computer

    @property
    def settings(self) -> Settings:
        """Those that the next training has."""
        return self.history.now

    @property
    def result(self) -> StackResult | None:
        """The one of the results that is shown."""
        return self.results.shown

    @property
    def denoised(self) -> Stack | None:
        """The denoised stack that is shown."""
        return self.result.denoised if self.result else None

    @property
    def made_by(self) -> Denoiser | None:
        """The model that made what is shown, where that is in memory."""
        return self.result.model if self.result else None

    @property
    def exported(self) -> Path | None:
        """Where that was written to."""
        return self.result.exported if self.result else None

    @property
    def several(self) -> bool:
        """Whether there is more than one result to choose from."""
        return len(self.results.every) > 1

    @property
    def needed_stack(self) -> Stack:
        """The stack, for what is allowed only where there is one."""
        assert self.stack is not None
        return self.stack

    @property
    def needed_model(self) -> Denoiser:
        """The model, likewise."""
        assert self.denoiser is not None
        return self.denoiser

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
        """Whether the result was trained here, with settings other than those now shown."""
        result = self.result
        if result is None or result.model_name or result.is_foreign:
            return False
        if isinstance(result.denoiser, Story):
            return False  # its settings are not those of the window
        return bool(result.denoiser.settings != self.settings)

    @property
    def can_train(self) -> bool:
        """Whether anything can be learned from the stack, as far as that is known."""
        found = self.patches
        few = found is not None and found.verdict.level == "red" and found.count < NEEDED // 3
        return self.stack is not None and not self.problem and not few

    @property
    def model_waits(self) -> bool:
        """Whether there is a model that has not been used on this stack, and could be."""
        used = any(one.denoiser is self.denoiser for one in self.results.every)
        return self.stack is not None and self.denoiser is not None and not used

    @property
    def compares(self) -> bool:
        """Whether the comparison is in sight, where there is one."""
        return self.step in (Step.COMPARE, Step.EXPORT) and self.denoised is not None

    @property
    def has_remedy(self) -> bool:
        """Whether the verdict on the patches advises other settings."""
        return self.patches is not None and self.patches.verdict.remedy is not None

    @property
    def can_undo(self) -> bool:
        """Whether the settings were changed."""
        return self.history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether a change of the settings was taken back."""
        return self.history.can_redo

    @property
    def unsaved(self) -> str:
        """What closing would lose, in a sentence; "" when nothing.

        A model counts as long as it has not yielded an exported stack.
        """
        if self.results.every:
            exported = any(one.exported for one in self.results.every)
            lost = "" if exported else "The denoised stack has not been exported"
        else:
            lost = "" if self.model_saved else "The trained model has not been saved"
        return f"{lost} and would be lost." if lost else ""
