"""What a command is to write: held against what it reads, and tried, before any work."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import BinaryIO

from training_core.draft import hold, release, remove_leftovers
from training_core.errors import OutputError

LONGEST_ADDITION = len(".checkpoint")  # to the name of an output, while it is made
LONGEST_NAME = 255  # bytes, where the system does not say


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse outputs that would destroy an input or each other, or that cannot be written.

    Parameters
    ----------
    outputs
        Files that are to be written; None for one that was not asked for.
    inputs
        Files and folders that are read; of a folder, every file in it counts.

    Raises
    ------
    OutputError
        If an output is one of the inputs under whatever name, if two outputs are one file, or if
        the folder cannot be written to.
    """
    wanted = [path for path in outputs if path is not None]
    read = [file for path in inputs for file in _files(path)]
    for output in wanted:
        try:
            _check(output, read)
        except OSError as error:
            raise _unwritable(output, error) from error
    for one, other in combinations(wanted, 2):
        if one.resolve() == other.resolve():
            raise OutputError(f"{one} is asked for twice; choose another name for one of them.")


def _files(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        yield from (inside for inside in path.iterdir() if inside.is_file())


def _check(output: Path, read: Sequence[Path]) -> None:
    if output.exists():
        same = next((path for path in read if path.exists() and output.samefile(path)), None)
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
    excess = len(os.fsencode(output.name)) + LONGEST_ADDITION - _longest_name(folder)
    if excess > 0:
        raise OutputError(
            f"The name {output.name[:40]}... is {excess} bytes too long to be written safely; "
            "choose a shorter one."
        )
    remove_leftovers(folder)
    attempt = folder / f".g2g-{uuid.uuid4().hex[:12]}.part"
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

    Raises
    ------
    OutputError
        If another command makes that output at this moment, or its folder cannot be made.
    """
    folder = output.absolute().parent
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    name = blake2b(os.fsencode(output.name), digest_size=6).hexdigest()
    lock = folder / f".g2g-{name}.lock"  # of a process that was killed it is a leftover
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = _held(lock, output)
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield
    finally:
        release(held, lock)
        for parent in new:
            with suppress(OSError):  # something is in it
                parent.rmdir()


def _held(lock: Path, output: Path) -> BinaryIO:
    for _ in range(5):  # who only looks for leftovers has it for a moment
        try:
            held = hold(lock)
        except BlockingIOError:
            time.sleep(0.05)
            continue
        try:
            os.ftruncate(held.fileno(), 0)
            now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
            os.write(held.fileno(), f"Process {os.getpid()}, started {now},".encode())
        except OSError:
            release(held, lock)
            raise
        return held
    who = ""
    with suppress(OSError):
        who = lock.read_text(encoding="utf-8")
    raise OutputError(
        f"{who or 'Another command'} is making {output} at this moment; wait until it has ended, "
        "or choose another name."
    )


def _unwritable(output: Path, error: OSError) -> OutputError:
    return OutputError(f"{output} cannot be written ({error.strerror}); choose another folder.")
