"""A draft: a file under a name of its own until it is whole, held by the process that writes it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

NAME = re.compile(r"\.g2g-[0-9a-f]{12}\..+")
# A pipe or a link that somebody put there is neither waited for nor followed.
_OPEN = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Some network file systems; there a draft of a dead process stays.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def new_name() -> str:
    """Give a name that no file has, short enough for any system."""
    return f".g2g-{uuid.uuid4().hex[:12]}.part"


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Give a name in the same folder to write to; what is there at the end gets the path's name.

    After an exception nothing is left. Drafts of dead processes in that folder are removed.

    Raises `OSError` if it cannot be written; the file that was there stays.
    """
    remove_leftovers(path.parent)
    temporary = path.with_name(new_name())  # in the same folder, so that renaming is one step
    held = hold(temporary, wait=True)
    try:
        yield temporary
        flush(temporary)  # before it has its name: a loss of power loses nothing then
        if sys.platform == "win32":  # where an open file cannot be renamed
            held.close()
        os.replace(temporary, path)
    finally:
        release(held, temporary)
    if sys.platform != "win32":  # where a folder cannot be flushed, and need not be
        flush(path.parent, os.O_RDONLY)


@contextmanager
def folder_draft(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which gets the path's name at the end; see `draft`.

    Raises
    ------
    OSError
        If it cannot be written, or something has that name by then.
    """
    remove_leftovers(path.parent)
    lock = path.with_name(new_name())
    held = hold(lock, wait=True)
    folder = _folder_of(lock)
    try:
        folder.mkdir()
        yield folder
        for inside in [*folder.rglob("*"), folder]:
            if inside.is_file():
                flush(inside)
            elif sys.platform != "win32":
                flush(inside, os.O_RDONLY)
        if path.exists():  # an empty folder would be replaced without a word
            raise FileExistsError(errno.EEXIST, "it is there by now", str(path))
        os.rename(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        release(held, lock)
    if sys.platform != "win32":
        flush(path.parent, os.O_RDONLY)


def _folder_of(lock: Path) -> Path:
    """Name the folder that is a draft as long as its lock is held."""
    return lock.with_name(f"{lock.name}.d")


def hold(path: Path, *, wait: bool = False) -> BinaryIO:
    """Open a file, made where there is none; until it is closed no other process can hold it.

    The system lets go of it for a process that dies, however it does.

    Raises `BlockingIOError` if another process holds it, unless this one shall wait.
    """
    if sys.platform == "win32" and not wait and path.exists():
        try:
            path.unlink()  # which fails where a process has it open
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
    while True:
        file = os.fdopen(os.open(path, _OPEN | os.O_CREAT, 0o666), "r+b")
        try:
            _lock(file.fileno(), wait)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:  # removed meanwhile by who had it
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def release(held: BinaryIO, path: Path) -> None:
    """Remove a file that this process holds, unless it has another name now, and close it."""
    if sys.platform == "win32":  # where an open file cannot be removed
        held.close()
    with suppress(OSError):  # the folder itself may be what is wrong
        path.unlink(missing_ok=True)
    held.close()


def remove_leftovers(folder: Path) -> None:
    """Remove the drafts and locks in a folder whose process is dead; no other file."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_unheld(Path(entry.path))


def _remove_unheld(path: Path) -> None:
    if sys.platform == "win32":
        path.unlink()  # which fails where a process has it open
        shutil.rmtree(_folder_of(path), ignore_errors=True)
        return
    number = os.open(path, _OPEN)
    try:
        if _lock(number, wait=False):
            shutil.rmtree(_folder_of(path), ignore_errors=True)
            path.unlink()
    finally:
        os.close(number)


def _lock(number: int, wait: bool) -> bool:
    """Lock an open file; False on a file system that has no locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def flush(path: Path, mode: int = os.O_RDWR) -> None:
    """Wait until the disk has taken a file."""
    number = os.open(path, mode)
    try:
        os.fsync(number)
    finally:
        os.close(number)
