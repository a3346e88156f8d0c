"""A file that a library reads: open while planes are asked for, and safe for several threads."""

from __future__ import annotations

import importlib
import logging
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from training_core.errors import InputError
from training_core.frames import frames_on_request
from training_core.stack import Pixels

from .source_file import DAMAGE, FileMark, check_size, damage

LOGGERS = ("tifffile", "liffile", "oiffile", "olefile", "nd2", "nibabel.global", "zarr")
MOST_OPEN = 8  # files at a time, over all stacks: a system may allow no more than 256
# Libraries share state among their files, so that one plane is read at a time.
_ONE_AT_A_TIME = threading.RLock()
_OPEN: OrderedDict[int, Any] = OrderedDict()


def library(name: str, what: str) -> Any:
    """Import a package that reads a format, only now.

    Raises
    ------
    InputError
        When it is not installed; the sentence has the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = {"nrrd": "pynrrd"}.get(name, name)
        raise InputError(
            f"{what} files need the package {package}, which is not installed; "
            f'install it with: pip install "g2g-desktop[formats]" (or pip install {package}).'
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from printing and warning of what they find odd in a file."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(_nothing)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


class LibraryFile:
    """One file as a library opens it, again where it was closed for others.

    Parameters
    ----------
    path
        The file; planes are given only while it is the same. Of a folder the files may change.
    opener
        Opens it; what it gives has a method `close`.
    errors
        What the library raises on damaged files, beside what all of them do.
    """

    def __init__(
        self,
        path: Path,
        opener: Callable[[Path], Any],
        errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self.path, self.opener, self.errors = path, opener, errors
        self.mark = FileMark.of(path) if path.is_file() else None
        weakref.finalize(self, _close, id(self))

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Give the library's object, to this thread alone.

        Raises
        ------
        InputError
            When the file is damaged, or is not what it was when it was opened.
        """
        with (
            _ONE_AT_A_TIME,
            quiet(),
            damage(f"{self.path.name} is damaged or cut off", self.errors),
        ):
            if self.mark is not None:
                self.mark.check()
            if id(self) not in _OPEN:
                _OPEN[id(self)] = self.opener(self.path)
                if len(_OPEN) > MOST_OPEN:
                    _close(next(iter(_OPEN)))
            _OPEN.move_to_end(id(self))
            yield _OPEN[id(self)]

    def planes(self, read: Callable[[Any, int], Pixels], shape: tuple[int, ...], dtype: Any) -> Any:
        """Give pixels of which a plane is read when it is asked for.

        Parameters
        ----------
        read
            Gives the plane of a number, over all axes but the last two and the last one fastest,
            from what the library opened: (height, width).
        shape, dtype
            Of all planes together.

        Raises
        ------
        InputError
            When a plane is more than the memory holds; later, where one is damaged.
        """
        stored = self.path.stat().st_size if self.mark is not None else None
        check_size(self.path.name, shape[-2:], dtype, stored)

        def plane(number: int) -> Pixels:
            with self.reading() as opened:
                pixels = read(opened, number)
                if pixels.shape != shape[-2:]:
                    raise ValueError(f"plane {number + 1} is {pixels.shape}, not {shape[-2:]}")
                return pixels.astype(dtype, copy=False)

        return frames_on_request(plane, shape, dtype)


def _close(number: int) -> None:
    with _ONE_AT_A_TIME:
        opened = _OPEN.pop(number, None)
        with suppress(*DAMAGE):  # what was read of it is whole
            if opened is not None:
                opened.close()
