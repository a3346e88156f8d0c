"""The states that a session can be in, and what is told of them."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training_core.errors import CoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from training_core.costs import Span
    from training_core.settings import Settings


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
    PAUSED = "Paused"
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
    PAUSED = "paused"
    STOPPING = "stopping"
    CANCELLING = "cancelling"
    DENOISING = "denoising"
    DONE = "done"
    EXPORTING = "exporting"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong; `sentence` is for the user, `details` for a report.

    `step` is that of the stack in the window; None where it concerns something else, such as a file
    that could not be opened in its place.
    """

    step: Step | None
    sentence: str
    details: str = ""

    @classmethod
    def of(cls, step: Step | None, error: Exception) -> Failure:
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


@dataclass(frozen=True, slots=True)
class KeptRun:
    """An interrupted training of whatever stack: its `files`, and which image of one it was of.

    `title` names its settings; `when` it was last written down.
    """

    folder: Path
    files: tuple[Path, ...]
    series: int | None
    title: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """What computes: its name, and where it is the processor why (a clause, "" where unknown)."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """How long training and denoising take, with the settings in force and with each preset.

    None where no job was run here before, so that nobody knows.
    """

    now: Span | None
    presets: Mapping[str, Span | None]
