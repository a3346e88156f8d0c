"""Checkpoints: what a long job has done so far, kept so that it goes on after an interruption.

A checkpoint is a folder with one file per part of the job. A part that is finished is written once,
so only the running one is written again and again; each file is whole at any moment.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .errors import CheckpointError
from .run import SILENT, Cancelled
from .state_file import UNREADABLE, UNWRITABLE, State, read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from .run import Run
    from .settings import Settings
    from .stack import Stack

__all__ = [
    "NO_CHECKPOINT",
    "NO_PART",
    "Checkpoint",
    "Part",
    "State",
    "describe_denoising",
    "describe_job",
]

FORMAT = 1  # to be raised whenever the same settings make other parts or other numbers
EVERY_SECONDS = 30.0
PART, PIXELS = ".part", ".pixels"  # how the names of the files end
JOB = "job"


class Checkpoint:
    """A folder with the parts of one job.

    Parameters
    ----------
    folder
        Made when the first part is written; None keeps nothing.
    every_s
        How often a running part is written at most, in seconds.
    run
        Told when a part cannot be written or read; the job goes on.
    """

    def __init__(
        self, folder: Path | None, *, every_s: float = EVERY_SECONDS, run: Run = SILENT
    ) -> None:
        self.folder, self.every_s, self.run = folder, every_s, run
        self.working = folder is not None
        self._job: dict[str, Any] = {}
        self._seconds, self._since = 0.0, time.monotonic()

    @property
    def exists(self) -> bool:
        """Whether something of a job is kept."""
        return bool(self._files())

    @property
    def seconds(self) -> float:
        """How long the job has been worked on, without the time between two attempts."""
        return self._seconds + time.monotonic() - self._since

    @property
    def fingerprint(self) -> str:
        """A digest of what the job is about; parts of another one are never used."""
        return sha256(json.dumps([FORMAT, self._job], sort_keys=True).encode()).hexdigest()

    def claim(self, job: Mapping[str, Any]) -> None:
        """Say what the job is about, in plain JSON values, before any part is used.

        Raises
        ------
        CheckpointError
            If the folder keeps parts of another job.
        """
        self._seconds, self._since = 0.0, time.monotonic()
        self._job = {}  # what the job is about is read before it is known
        kept = self.read(JOB)
        self._job = json.loads(json.dumps(job))
        if kept is None:
            return
        self._seconds = kept["seconds"]
        differs = "" if kept["format"] == FORMAT else "another version of the program made it"
        differs = differs or _difference(kept["job"], self._job)
        if differs:
            raise CheckpointError(
                f"{self.folder} keeps an interrupted job that cannot be resumed so: {differs}. "
                "Give the same stacks and settings, or start anew with --overwrite."
            )

    def part(self, name: str) -> Part:
        """Give the part of that name; nothing may be kept of it yet."""
        return Part(self, name)

    def pixels_path(self, name: str) -> Path:
        """Give the path of the file beside a part, for a checkpoint that has a folder."""
        assert self.folder is not None
        return self.folder / f"{name}{PIXELS}"

    def remove(self) -> None:
        """Take the parts away, and the folder where nothing else is in it."""
        for path in self._files():
            path.unlink(missing_ok=True)
        if self.folder is not None:
            with suppress(OSError):
                self.folder.rmdir()

    def _files(self) -> list[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.suffix in (PART, PIXELS)]

    def forget(self, name: str) -> None:
        """Remove a part."""
        if self.folder is not None:
            with suppress(OSError):  # at worst it lies there until the whole folder is removed
                (self.folder / f"{name}{PART}").unlink(missing_ok=True)

    def read(self, name: str) -> State | None:
        """Read a part; None, with a note where it is damaged, if there is none of this job."""
        if self.folder is None or not (path := self.folder / f"{name}{PART}").exists():
            return None
        fingerprint = "" if name == JOB else self.fingerprint
        try:
            return read_state(path, fingerprint)
        except UNREADABLE as error:
            self.run.note(
                f"The checkpoint {path} is damaged and left out ({error}); what it kept is "
                "computed again.",
                warning=True,
            )
            return None

    def write(self, name: str, state: State, pixels: Callable[[Path], None] | None = None) -> None:
        """Write a part; after a first failure the job goes on without checkpoints."""
        if self.folder is None or not self.working:
            return
        job = {"format": FORMAT, "job": self._job, "seconds": self.seconds}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if pixels is not None:
                pixels(self.pixels_path(name))
            write_state(self.folder / f"{JOB}{PART}", job)
            write_state(self.folder / f"{name}{PART}", state, self.fingerprint)
        except UNWRITABLE as error:
            self.working = False
            self.run.note(
                f"There are no more checkpoints, since {self.folder} cannot be written: {error}.",
                warning=True,
            )


class Part:
    """One stage of a job, or what one stage made, with torch's global random state."""

    def __init__(self, checkpoint: Checkpoint, name: str) -> None:
        self._checkpoint, self.name = checkpoint, name
        self._written = time.monotonic()

    def load(self) -> State | None:
        """Give what was saved last, tensors on the processor; None where nothing is kept.

        The global random state becomes what it was then, so load parts in the order of the job.
        """
        kept = self._checkpoint.read(self.name)
        if kept is None:
            return None
        torch.set_rng_state(kept["random"])
        state: State = kept["state"]
        return state

    def due(self) -> bool:
        """Whether it is time to save again."""
        kept = self._checkpoint
        return kept.working and time.monotonic() - self._written >= kept.every_s

    def save(self, state: State, pixels: Callable[[Path], None] | None = None) -> None:
        """Replace what is kept, in one step; where that fails the old part stays.

        Parameters
        ----------
        pixels
            Called before with the path of a file for what is too large to be written each time.
        """
        kept = {"state": state, "random": torch.get_rng_state()}
        self._checkpoint.write(self.name, kept, pixels)
        self._written = time.monotonic()

    @property
    def pixels_path(self) -> Path:
        """Where `pixels` of `save` writes to."""
        return self._checkpoint.pixels_path(self.name)

    def drop(self) -> None:
        """Forget what is kept, which nothing needs any more."""
        self._checkpoint.forget(self.name)

    def check(
        self,
        run: Run,
        state: Callable[[], State],
        pixels: Callable[[Path], None] | None = None,
    ) -> None:
        """Ask before each step whether to go on; save the state when it is due or before leaving.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        try:
            run.check()
        except Cancelled:
            self.save(state(), pixels)
            raise
        if self.due():
            self.save(state(), pixels)

    def collect(self, count: int, make: Callable[[int], Tensor], run: Run) -> list[Tensor]:
        """Give `make(0)` to `make(count - 1)`; those that are kept already are not made again.

        Raises
        ------
        Cancelled
            If the run was cancelled; what was made until then is kept.
        """
        made: list[Tensor] = (self.load() or {"made": []})["made"]
        if len(made) == count:
            return made
        try:
            for number in range(len(made), count):
                self.check(run, lambda: {"made": made})
                # Contiguous, as it will be when it is read: sums depend on the order in memory.
                made.append(make(number).contiguous())
        except Cancelled:
            self.save({"made": made})
            raise
        self.save({"made": made})
        return made


NO_CHECKPOINT = Checkpoint(None)
NO_PART = NO_CHECKPOINT.part("nothing")


def describe_job(stacks: Sequence[Stack], settings: Settings) -> dict[str, Any]:
    """Give what decides the result of a training, for `Checkpoint.claim`."""
    return {"stacks": [_digest(stack) for stack in stacks], "settings": settings.to_dict()}


def describe_denoising(stack: Stack, model: Path) -> dict[str, Any]:
    """Give what decides the result of denoising with a model file, or with a bundled model."""
    digest = sha256(model.read_bytes()).hexdigest() if model.is_file() else str(model)
    return {"stacks": [_digest(stack)], "model": digest}


def _digest(stack: Stack) -> str:
    """Give a digest of the pixels and of what else of a stack training looks at."""
    about = [stack.axes, stack.shape, stack.dtype.str, stack.value_unit]
    digest = sha256(json.dumps(about).encode())
    for index in range(stack.frame_count):
        digest.update(np.ascontiguousarray(stack.raw_frame(index)).data)
    return digest.hexdigest()


def _difference(kept: Any, asked: Any, name: str = "") -> str:
    """Name the first difference between two jobs; empty if there is none."""
    if kept == asked:
        return ""
    if name in ("stacks", "model"):
        return f"it is about another {name.rstrip('s')}"
    if not (isinstance(kept, dict) and isinstance(asked, dict)):
        return f"{name} was {kept}, not {asked}"
    return next(
        found
        for key in {**kept, **asked}
        if (found := _difference(kept.get(key), asked.get(key), key.replace("_", " ")))
    )
