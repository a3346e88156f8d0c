"""What a command is to write: held against what it reads and tried before any work, kept to it.

What an interrupted command has done lies in a checkpoint beside each output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from training_core.draft import hold, new_name, release, remove_leftovers
from training_core.errors import (
    BusyError,
    CheckpointError,
    CoreError,
    OutputError,
    TooFewPatchesError,
    UsageError,
)
from training_core.run import SILENT, Run

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint

CHECKPOINT = ".checkpoint"  # what the name of an output is given, while it is made
LONGEST_NAME = 255  # bytes, where the system does not say


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse outputs that would destroy an input or each other, or that cannot be written.

    An output is None where it was not asked for. Of an input that is a folder everything below it
    counts, of a file all that it names, such as the others of an OME-TIFF. Raises `OutputError` if
    an output is one of the inputs under whatever name, if two outputs are one file, or if the
    folder cannot be written to.
    """
    wanted, places = [path for path in outputs if path is not None], set[Path]()
    read = _files(inputs) if any(map(os.path.exists, wanted)) else {}
    for output in wanted:
        try:
            _check(output, read)
            place = Path(os.path.realpath(output))  # of links in a circle, too
        except OSError as error:
            raise _unwritable(output, error) from error
        if place in places:
            raise OutputError(f"{output} is asked for twice; choose another name for one of them.")
        places.add(place)


def _files(inputs: Iterable[Path]) -> dict[tuple[int, int], Path]:
    """Give all that is read, by what is the same under every name."""
    from training_core.io.readers import files_read  # only now, since it loads decoders

    found: dict[tuple[int, int], Path] = {}
    for path in inputs:
        with suppress(OSError):  # there is none
            for file in files_read(path):
                with suppress(OSError):
                    found.setdefault(_identity(file), file)
    return found


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _check(output: Path, read: Mapping[tuple[int, int], Path]) -> None:
    if output.name in ("", ".."):
        raise OutputError(f"{output} is a folder; add the name of a file.")
    if output.exists():
        same = read.get(_identity(output))
        if same is not None:
            raise OutputError(
                f"Writing {output} would replace {same}, which this command reads; choose another "
                "name."
            )
        if not output.is_file() and not output.is_dir():
            raise OutputError(f"{output} is no file; choose another name.")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file and no folder, so {output.name} cannot be in it.")
    excess = len(os.fsencode(output.name)) + len(CHECKPOINT) - _longest_name(folder)
    if excess > 0:
        raise OutputError(
            f"The name {output.name[:40]}... is {excess} bytes too long to be written safely; "
            "choose a shorter one."
        )
    remove_leftovers(folder)
    attempt = folder / new_name()
    attempt.touch(exist_ok=False)
    attempt.unlink()


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return LONGEST_NAME


@contextmanager
def reserved(output: Path) -> Iterator[None]:
    """Keep an output to this command; its folder is made, and goes again where nothing is in it.

    Raises `BusyError` if another command makes that output at this moment, `OutputError` if its
    folder cannot be made.
    """
    folder = output.absolute().parent
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    name = blake2b(os.fsencode(output.name), digest_size=6).hexdigest()
    lock = folder / f".g2g-{name}.lock"  # of a process that was killed it is a leftover
    try:
        held = _held(lock, output)
        try:
            yield
        finally:
            release(held, lock)
    finally:
        for parent in new:
            with suppress(OSError):  # something is in it
                parent.rmdir()


def _held(lock: Path, output: Path) -> BinaryIO:
    """Hold a lock, in a folder that is made, and write into it who does."""
    for _ in range(5):  # who only looks for leftovers has it for a moment
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            held = hold(lock)
            try:
                os.ftruncate(held.fileno(), 0)
                now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
                os.write(held.fileno(), f"Process {os.getpid()}, started {now},".encode())
            except OSError:
                release(held, lock)
                raise
            return held
        except BlockingIOError:
            time.sleep(0.05)
        except OSError as error:
            raise _unwritable(output, error) from error
    who = ""
    with suppress(OSError):
        who = lock.read_text(encoding="utf-8")
    raise BusyError(
        f"{who or 'Another command'} is making {output} at this moment; wait until it has ended, "
        "or choose another name."
    )


def _unwritable(output: Path, error: OSError) -> OutputError:
    return OutputError(f"{output} cannot be written ({error.strerror}); choose another folder.")


# Said before the long part, not after it.
def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` where something is there that may not be replaced."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; choose another name.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or add --overwrite.")


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
            checkpoint = self._allowed(output, run)
            if self.resume and not checkpoint.exists:
                run.note(f"There is nothing to resume for {output.name}; it is started anew.")
            new = not checkpoint.exists
            try:
                yield checkpoint
            except CheckpointError:  # says itself what can be done
                raise
            except BaseException as error:
                hopeless = isinstance(error, TooFewPatchesError)  # the same again would fail again
                told = isinstance(error, CoreError | OSError | MemoryError)
                if hopeless or (new and told and not checkpoint.begun):
                    checkpoint.remove()
                elif checkpoint.exists:
                    run.note(
                        f"{checkpoint.folder} keeps what was done so far; --resume goes on with it."
                    )
                raise
            checkpoint.finish()

    def _allowed(self, output: Path, run: Run) -> Checkpoint:
        """Give the checkpoint of an output, unless it keeps what may neither go nor go on."""
        checkpoint = _checkpoint(output, run, anew=self.overwrite)
        if checkpoint.exists and not self.resume and not self.overwrite:
            raise OutputError(
                f"{checkpoint.folder} keeps an interrupted job; add --resume to go on with it "
                "or --overwrite to start anew."
            )
        return checkpoint

    def settle(self, output: Path) -> None:
        """Decide here about what is there, for an output that is made elsewhere; see `begun`.

        Raises `OutputError` as `checkpoint` and writing would.
        """
        checkpoint = self._allowed(output, SILENT)
        if not self.resume:
            refuse_existing(output, overwrite=self.overwrite)
            checkpoint.remove()

    def begun(self, output: Path) -> Existing:
        """Give what holds where a settled output may have been begun by who was lost since."""
        mine = _checkpoint(output).exists or (output.exists() and not self.overwrite)
        return Existing(resume=True) if mine else self


def _checkpoint(output: Path, run: Run = SILENT, *, anew: bool = False) -> Checkpoint:
    """Give the checkpoint of an output; what is left of one that is finished is removed."""
    from training_core.compute.checkpoint import Checkpoint  # only now, since it loads torch

    checkpoint = Checkpoint(_folder(output), run=run, anew=anew)
    checkpoint.refuse_links()
    if checkpoint.finished:
        checkpoint.remove()
    return checkpoint


def _folder(output: Path) -> Path:
    return output.with_name(output.name + CHECKPOINT)
