"""Checkpoints: what a long job has done so far, kept so that it goes on after an interruption.

A checkpoint is a folder with one file per part of the job. A part that is finished is written once,
so only the running one is written again and again; each file is whole at any moment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training_core.errors import CheckpointError
from training_core.run import SILENT, Cancelled, Run
from training_core.settings import Settings
from training_core.stack import Stack

from .state_file import UNREADABLE, UNWRITABLE, read_state, write_state
from .state_file import State as State

FORMAT = 15  # to be raised whenever the same settings make other parts or other numbers
EVERY_SECONDS = 30.0  # what a kill may cost
PART, PIXELS = ".part", ".pixels"  # how the names of the files end
JOB, FINISHED = "job", "finished"  # names of parts that no stage has


class Checkpoint:
    """A folder with the parts of one job.

    Parameters
    ----------
    folder
        Made when a job claims it; None keeps nothing.
    every_s
        How often a running part is written at most, in seconds.
    run
        Told when a part cannot be written or read; the job goes on.
    anew
        Whether to forget what is kept once a job claims the folder.
    save_cancelled
        Whether a cancelled job will be gone on with, so that the step it left at is worth a save.

    Attributes
    ----------
    working
        Whether parts can be written.
    seconds_before
        How long earlier attempts have worked on the job.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        every_s: float = EVERY_SECONDS,
        run: Run = SILENT,
        anew: bool = False,
        save_cancelled: bool = True,
    ) -> None:
        self.folder, self.every_s, self.run, self.anew = folder, every_s, run, anew
        self.save_cancelled = save_cancelled
        self.working = folder is not None
        self.seconds_before, self._since = 0.0, time.monotonic()
        self._job: dict[str, Any] = {}

    @property
    def exists(self) -> bool:
        """Whether something of a job is kept."""
        return bool(self._files())

    @property
    def begun(self) -> bool:
        """Whether a part is kept, beside what the job is about."""
        return any(path.suffix == PART and path.stem != JOB for path in self._files())

    def _fingerprint(self, name: str) -> str:
        """Give a digest of job and part; no other part is ever used in its place."""
        about = [FORMAT, self._job, name]
        return "" if name == JOB else sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def claim(self, job: Mapping[str, Any]) -> None:
        """Say what the job is about, in plain JSON values, before any part is used; keep that.

        Raises `CheckpointError` if the folder keeps parts of another job, or holds what no job
        wrote.
        """
        self.refuse_links()
        if self.anew:
            self.remove()
        self._job, self._since = json.loads(json.dumps(job)), time.monotonic()
        kept = self.read(JOB)
        if kept is None:
            self.write(JOB, {})  # killed before its first part, it must not look as if never begun
            return
        differs = "" if kept["format"] == FORMAT else "another version of the program made it"
        differs = differs or difference(kept["job"], self._job)
        if differs:
            raise CheckpointError(
                f"{self.folder} keeps an interrupted job that cannot be resumed so: {differs}. "
                "Give the same stacks and settings, or start anew with --overwrite."
            )
        self.seconds_before = kept["seconds"]

    @property
    def pixel_bytes(self) -> int:
        """How many bytes of results lie in it already."""
        if not self.working or self.folder is None:
            return 0
        return sum(path.stat().st_size for path in self.folder.glob(f"*{PIXELS}"))

    def part(self, name: str) -> Part:
        """Give the part of that name; nothing may be kept of it yet."""
        return Part(self, name)

    def stage(self, name: str, make: Callable[[], State]) -> State:
        """Give what a stage made: as it was kept, or made and kept now.

        The global random state becomes what it was then, as by `Part.load`.
        """
        part = self.part(name)
        state = part.load()
        if state is None:
            state = make()
            part.save(state)
        return state

    @property
    def finished(self) -> bool:
        """Whether the result was safe when what is here began to be removed."""
        return any(path.stem == FINISHED for path in self._files())

    def finish(self) -> None:
        """Remove everything, since the result is safe; a kill in between does not hide that."""
        if self.exists:
            with suppress(OSError):
                self.file(FINISHED).touch()
        self.remove()

    def remove(self) -> None:
        """Take the parts away, and the folder where nothing else is in it."""
        if self.folder is not None:
            # Job and mark last, so that what a power cut leaves is known for what it is.
            last = FINISHED, JOB
            for path in sorted(self._files(), key=lambda path: [path.stem == one for one in last]):
                with suppress(OSError):
                    path.unlink()
            with suppress(OSError):
                self.folder.rmdir()

    def refuse_links(self) -> None:
        """Refuse a folder or files through which others would be read, written or waited for.

        Raises `CheckpointError` if the folder or a part is a symbolic link or no file, or pixels
        have a second name.
        """
        if self.folder is None or not os.path.lexists(self.folder):
            return
        odd = None if _is_real(self.folder, S_ISDIR) else self.folder
        for path in self._files() if odd is None else ():
            if not _is_real(path, S_ISREG) or (path.suffix == PIXELS and path.stat().st_nlink > 1):
                odd = path
        if odd is not None:
            raise CheckpointError(
                f"{odd} is a link or no file of a checkpoint, so it is not used; remove it."
            )

    def file(self, name: str, ending: str = PART) -> Path:
        """Name the file of a part, in a checkpoint that has a folder."""
        return (self.folder or Path()) / f"{name}{ending}"

    def _files(self) -> list[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.suffix in (PART, PIXELS)]

    def read(self, name: str) -> State | None:
        """Read a part; None, with a note where it is damaged, if there is none of this job."""
        path = self.file(name)
        if path not in self._files() or not _is_real(path, S_ISREG):
            return None
        try:
            return read_state(path, self._fingerprint(name))
        except UNREADABLE as error:
            self.note_damage(path, error)
            return None

    def note_damage(self, path: Path, error: Exception) -> None:
        """Tell that a file is left out."""
        self.run.note(
            f"The checkpoint {path} is damaged and left out ({error}); what it kept is computed "
            "again.",
            warning=True,
        )

    def write(self, name: str, state: State, pixels: Callable[[Path], None] | None = None) -> None:
        """Write a part, and the job; after a first failure the job goes on without checkpoints."""
        if self.folder is None or not self.working:
            return
        seconds = self.seconds_before + time.monotonic() - self._since
        job = {"format": FORMAT, "job": self._job, "seconds": seconds}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if pixels is not None:
                pixels(self.file(name, PIXELS))
            write_state(self.file(JOB), job)
            if name != JOB:
                write_state(self.file(name), state, self._fingerprint(name))
        except UNWRITABLE as error:
            self.working = False
            self.run.note(
                f"There are no more checkpoints, since {self.folder} cannot be written: {error}.",
                warning=True,
            )


def _is_real(path: Path, kind: Callable[[int], bool]) -> bool:
    return kind(path.lstat().st_mode)


class Part:
    """One stage of a job, or what one stage made, with torch's global random state."""

    def __init__(self, checkpoint: Checkpoint, name: str) -> None:
        self.checkpoint, self.name = checkpoint, name
        self._next = time.monotonic() + checkpoint.every_s

    def load(self) -> State | None:
        """Give what was saved last, tensors on the processor; None where nothing is kept.

        The global random state becomes what it was then, so load parts in the order of the job.
        """
        kept = self.checkpoint.read(self.name)
        if kept is None:
            return None
        torch.set_rng_state(kept["random"])
        state: State = kept["state"]
        return state

    def due(self) -> bool:
        """Whether it is time to save again."""
        return self.checkpoint.working and time.monotonic() >= self._next

    def save(self, state: State, pixels: Callable[[Path], None] | None = None) -> None:
        """Replace what is kept, in one step; where that fails the old part stays.

        `pixels` is called before, with the path of a file for what is too large to be written anew.
        """
        kept, began = {"state": state, "random": torch.get_rng_state()}, time.monotonic()
        self.checkpoint.write(self.name, kept, pixels)
        ended = time.monotonic()
        # A slow disk must not take more than a tenth of the time.
        self._next = ended + max(self.checkpoint.every_s, 9 * (ended - began))

    @property
    def pixels_path(self) -> Path:
        """Where `pixels` of `save` writes to, in a checkpoint that has a folder."""
        return self.checkpoint.file(self.name, PIXELS)

    def drop(self) -> None:
        """Remove what nothing needs any more; not on a full disk, which has not what comes next."""
        if self.checkpoint.working:
            with suppress(OSError):  # at worst it lies there until the whole folder is removed
                self.checkpoint.file(self.name).unlink(missing_ok=True)

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
        with self.saved_before_leaving(state, pixels):
            run.check()
        if self.due():
            self.save(state(), pixels)

    @contextmanager
    def saved_before_leaving(
        self, state: Callable[[], State], pixels: Callable[[Path], None] | None = None
    ) -> Iterator[None]:
        """Save the state where the run is cancelled inside."""
        try:
            yield
        except Cancelled:
            if self.checkpoint.save_cancelled:
                self.save(state(), pixels)
            raise

    def collect(self, count: int, make: Callable[[int], Tensor], run: Run) -> list[Tensor]:
        """Give `make(0)` to `make(count - 1)`; those that are kept already are not made again.

        What was made until the run was cancelled is kept.
        """
        made: list[Tensor] = (self.load() or {"made": []})["made"]
        if len(made) == count:
            return made
        for number in range(len(made), count):
            self.check(run, lambda: {"made": made})
            with self.saved_before_leaving(lambda: {"made": made}):
                image = make(number)
            # Contiguous, as it will be when it is read: sums depend on the order in memory.
            made.append(image.contiguous())
        self.save({"made": made})
        return made


NO_CHECKPOINT = Checkpoint(None)
NO_PART = NO_CHECKPOINT.part("nothing")


def describe_job(
    stacks: Sequence[Stack], settings: Settings, repeats: Sequence[Stack] = ()
) -> dict[str, Any]:
    """Give what decides the result of a training, for `Checkpoint.claim`."""
    digests = {"stacks": [_digest(stack) for stack in stacks], "settings": settings.to_dict()}
    return digests | {"repeats": [_digest(repeat) for repeat in repeats]}


def describe_denoising(stack: Stack, model: Path) -> dict[str, Any]:
    """Give what decides the result of denoising with a model file."""
    return {"stacks": [_digest(stack)], "model": sha256(model.read_bytes()).hexdigest()}


def _digest(stack: Stack) -> str:
    """Give a digest of the pixels and of what else of a stack training looks at."""
    about = [stack.axes, stack.shape, stack.dtype.str, stack.value_unit]
    digest = sha256(json.dumps(about).encode())
    for index in range(stack.frame_count):
        digest.update(np.ascontiguousarray(stack.raw_frame(index)).data)
    return digest.hexdigest()


ABSENT = "absent"  # stands for what only the other job has, which is not None


def difference(kept: Any, asked: Any, name: str = "") -> str:
    """Name the first difference between two jobs; empty if there is none."""
    if kept == asked:
        return ""
    if name in ("stacks", "model", "repeats"):
        return f"it is about another {name.rstrip('s')}"
    if not (isinstance(kept, dict) and isinstance(asked, dict)):
        return f"{name} was {kept}, not {asked}"
    each = (
        difference(kept.get(key, ABSENT), asked.get(key, ABSENT), key.replace("_", " "))
        for key in {**kept, **asked}
    )
    return next(filter(None, each), f"{name or 'it'} differs")
