"""Going on with an interrupted command: the checkpoint that lies beside each output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training_core.errors import (
    CheckpointError,
    CoreError,
    OutputError,
    TooFewPatchesError,
    UsageError,
)
from training_core.run import SILENT, Run

from .outputs import reserved

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Existing:
    """What to do with what is there already: replace it, go on with it, or (neither) refuse."""

    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            raise UsageError(
                "--overwrite starts anew and --resume goes on with what was interrupted; "
                "choose one of them."
            )

    def is_finished(self, output: Path) -> bool:
        """Whether nothing is left to do for an output, beside removing its checkpoint."""
        if not self.resume or not output.exists():
            return False
        return not _folder(output).exists() or not _checkpoint(output).exists

    @contextmanager
    def checkpoint(self, output: Path, run: Run) -> Iterator[Checkpoint]:
        """Give the checkpoint of an output; it is removed at the end, unless that is an exception.

        Raises
        ------
        OutputError
            If an interrupted job is kept there and may neither be replaced nor gone on with, or
            another command makes the output.
        CheckpointError
            If what is there is no checkpoint.
        """
        with reserved(output):
            checkpoint = _checkpoint(output, run, anew=self.overwrite)
            if checkpoint.exists and not self.resume and not self.overwrite:
                raise OutputError(
                    f"{checkpoint.folder} keeps an interrupted job; add --resume to go on with it "
                    "or --overwrite to start anew."
                )
            if self.resume and not checkpoint.exists:
                run.note(f"There is nothing to resume for {output.name}; it is started anew.")
            with _kept_when_interrupted(checkpoint, run):
                yield checkpoint
            checkpoint.finish()


@contextmanager
def _kept_when_interrupted(checkpoint: Checkpoint, run: Run) -> Iterator[None]:
    new = not checkpoint.exists
    try:
        yield
    except CheckpointError:  # says itself what can be done
        raise
    except BaseException as error:
        hopeless = isinstance(error, TooFewPatchesError)  # the same again would fail again
        told = isinstance(error, CoreError | OSError | MemoryError)
        if hopeless or (new and told and not checkpoint.begun):
            checkpoint.remove()
        elif checkpoint.exists:
            run.note(f"{checkpoint.folder} keeps what was done so far; --resume goes on with it.")
        raise


def _checkpoint(output: Path, run: Run = SILENT, *, anew: bool = False) -> Checkpoint:
    """Give the checkpoint of an output; what is left of one that is finished is removed."""
    from training_core.compute.checkpoint import Checkpoint  # only now, since it loads torch

    checkpoint = Checkpoint(_folder(output), run=run, anew=anew)
    checkpoint.refuse_links()
    if checkpoint.finished:
        checkpoint.remove()
    return checkpoint


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.checkpoint")
