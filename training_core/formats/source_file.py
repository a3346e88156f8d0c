"""A file that is read: it may be damaged, claim more than it holds, and change meanwhile."""

from __future__ import annotations

import errno
import lzma
import math
import os
import struct
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import DTypeLike

from training_core.compute.memory import free_memory
from training_core.errors import InputError, ShortageError, shown
from training_core.frames import Pixels, PixelsOnRequest

# Readers and decoders do not agree on a base class.
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    SyntaxError,
    OSError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
)
SMALL_BYTES = 2**29  # with working copies; no danger, whatever a header says
# Images with noise shrink to half or a tenth, a constant to a thousandth and less.
MOST_EXPANSION = 200
SHARE = 0.5  # of the free memory: the results of a job need room as well


def brief(error: BaseException) -> str:
    """Give the first statement of an error, without the names of a library's objects.

    Raises
    ------
    ShortageError
        When it says nothing of the file, but that memory or file handles are used up.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        raise ShortageError(
            "Too many files are open at once for this system; close other programs, or raise the "
            "limit (ulimit -n)."
        ) from error
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        raise ShortageError(
            "There is not enough free memory to read this; close other programs, or open a part "
            "of it."
        ) from error
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return shown(text.split("> ")[-1].split(" - ")[0])


@contextmanager
def damage(told: str, errors: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise `InputError` for what readers raise on damaged files: what is told, and the reason.

    `errors` are those of a library that are of no usual kind.
    """
    kinds = DAMAGE + errors
    try:
        yield
    except kinds as error:
        raise InputError(f"{told} ({brief(error)}).") from error


def check_size(name: str, shape: Sequence[int], dtype: DTypeLike, stored: int | None) -> None:
    """Refuse an image before memory is taken for it.

    Parameters
    ----------
    name
        What the user calls the file.
    shape, dtype
        As the file declares them.
    stored
        How many bytes of the file are said to hold the pixels; None where they are not packed.

    Raises
    ------
    InputError
        When the pixels and their float32 copy need more than half of the free memory, or are far
        more than the bytes that are to hold them can be.
    """
    count, itemsize = math.prod(int(n) for n in shape), np.dtype(dtype).itemsize
    needed = count * (itemsize + np.dtype(np.float32).itemsize)
    if needed <= SMALL_BYTES:
        return
    size = f"{' x '.join(str(n) for n in reversed(shape) if n > 1)} pixels ({np.dtype(dtype)})"
    if stored is not None and count * itemsize > MOST_EXPANSION * stored:
        raise InputError(
            f"{name} declares an image of {size}, but the file is cut off or damaged: {stored:,} "
            "bytes cannot hold it."
        )
    most = SHARE * free_memory()
    if needed > most:
        part = "open a part of it"
        if stored is not None:
            part = "save it as an uncompressed ImageJ or OME-TIFF, which is read in pieces"
        raise InputError(
            f"{name} declares an image of {size}, which needs {needed / 2**30:.1f} GB of memory, "
            f"more than the {max(most, 0) / 2**30:.1f} GB that may be taken (half of what is "
            f"free); close other programs, or {part}."
        )


@dataclass(frozen=True, slots=True)
class FileMark:
    """What a file was when it was opened: which one, how long, and when it was last changed."""

    path: Path
    identity: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file."""
        return cls(path, _identity(path.stat()))

    def check(self, now: os.stat_result | None = None) -> None:
        """Raise `InputError` where the file is another by now, or is gone."""
        try:
            same = _identity(now or self.path.stat()) == self.identity
        except OSError:
            same = False
        if not same:
            raise InputError(
                f"{self.path.name} was changed, replaced or cut off while it was read; wait until "
                "nothing writes to it any more and start again."
            )

    def read(self, start: int, count: int) -> Pixels:
        """Give `count` bytes, (count,) uint8; the file is open for no longer than that takes."""
        data = np.empty(count, np.uint8)
        try:
            with self.path.open("rb") as file:
                self.check(os.fstat(file.fileno()))
                file.seek(start)
                done = file.readinto(data.data)
                self.check(os.fstat(file.fileno()))
        except OSError as error:
            self.check()
            raise InputError(f"{self.path.name} cannot be read ({error.strerror}).") from error
        if done < count:
            raise InputError(f"{self.path.name} ends before its last pixel; it is cut off.")
        return data


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    """Raise `InputError` at the end where a file is not what it was at the beginning."""
    marks = [FileMark.of(path) for path in paths]
    try:
        yield
    except InputError:
        for mark in marks:  # cut meanwhile, a file looks damaged
            mark.check()
        raise
    for mark in marks:
        mark.check()


class FilePixels(PixelsOnRequest):
    """Pixels that stay in their file and are read when they are asked for, part by part.

    It stands where an array would, and gives a part without reading it until NumPy needs values. A
    memory map would hold a handle for each file, and kill the process where somebody cuts the file.

    Parameters
    ----------
    mark
        The file; pixels are given only while it is the same.
    layout
        An array of the same form, of which no value may be looked at: it has none.
    offset
        Where the first pixel lies, in bytes.
    """

    def __init__(self, mark: FileMark, layout: Pixels, offset: int) -> None:
        self.mark, self.layout, self.offset = mark, layout, offset
        self.shape, self.dtype = layout.shape, layout.dtype

    @classmethod
    def of(cls, path: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> Pixels:
        """Give pixels that lie in a file one after the other, the last axis fastest."""
        strides = np.cumprod([dtype.itemsize, *shape[:0:-1]], dtype=np.int64)[::-1]
        return cls._of(path, dtype, offset, shape, strides[: len(shape)])

    @classmethod
    def like(cls, path: Path, mapped: np.memmap[Any, Any]) -> Pixels:
        """Give the pixels of a memory map without the map."""
        return cls._of(path, mapped.dtype, mapped.offset, mapped.shape, mapped.strides)

    @classmethod
    def _of(cls, path: Path, dtype: Any, offset: int, shape: Any, strides: Any) -> Pixels:
        layout = np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
        return cast(Pixels, cls(FileMark.of(path), layout, offset))

    def __getitem__(self, index: Any) -> Any:
        """Give a part that is still in the file; a single pixel as it is."""
        parts = index if isinstance(index, tuple) else (index,)
        if not all(_is_plain(part) for part in parts):
            return np.asarray(self)[index]
        # Without the dots, the place of a single pixel would be read at once.
        found = self._at(self.layout[parts if Ellipsis in parts else (*parts, ...)])
        return found if found.shape else np.asarray(found)[()]

    def transpose(self, *axes: Any) -> Any:
        """Give the axes in another order."""
        return self._at(self.layout.transpose(*axes))

    def reshape(self, *shape: Any) -> Any:
        """Give other axes; without reading where the pixels lie in a row or an axis is of one."""
        longer = [[n for n in each if n != 1] for each in (np.ravel(shape), self.shape)]
        if longer[0] == longer[1] or self.layout.flags.c_contiguous:
            return self._at(self.layout.reshape(*shape))
        return np.asarray(self).reshape(*shape)

    def _at(self, part: Pixels) -> FilePixels:
        """Give the pixels of a view of the layout."""
        here, start = (a.__array_interface__["data"][0] for a in (self.layout, part))
        return FilePixels(self.mark, part, self.offset + start - here)

    def read(self) -> Pixels:
        """Read the pixels."""
        if not self.size:
            return np.empty(self.shape, self.dtype)
        reach = [(n - 1) * step for n, step in zip(self.shape, self.layout.strides, strict=True)]
        low = self.offset + sum(min(each, 0) for each in reach)
        span = sum(map(abs, reach)) + self.dtype.itemsize
        if self.ndim > 2 and span > 2 * self.nbytes:  # as the frames of one channel do
            pixels = np.empty(self.shape, self.dtype)
            for index in range(len(self)):
                pixels[index] = self[index]
            return pixels
        data = self.mark.read(low, span)
        return np.ndarray(self.shape, self.dtype, data.data, self.offset - low, self.layout.strides)


def planes_in_file(
    path: Path, dtype: DTypeLike, offset: int, shape: tuple[int, ...], *, inner: int = 2
) -> tuple[Pixels, list[str]]:
    """Give pixels that stay in their file, and what to say of planes that are not there.

    Parameters
    ----------
    path, dtype, offset
        The file, its samples in their byte order, and where the first one lies, in bytes.
    shape
        As the file declares it, the last axis fastest.
    inner
        How many axes at its end make a plane.

    Returns
    -------
    Pixels
        Of the declared shape, or with a shorter slowest axis where the file is cut off.
    list of str
        The warning that counts what is missing.

    Raises
    ------
    InputError
        When nothing along the slowest axis is whole.
    """
    dtype = np.dtype(dtype)
    shape = tuple(int(n) for n in shape)
    if not all(n > 0 for n in shape) or len(shape) < inner:
        raise InputError(f"{path.name} holds no image: its header declares {shape} pixels.")
    lead, plane = shape[: len(shape) - inner], shape[len(shape) - inner :]
    longer = next((axis for axis, n in enumerate(lead) if n > 1), 0)
    declared, outer = math.prod(lead), math.prod(lead[longer + 1 :])
    size = path.stat().st_size
    whole = min(declared, max(size - offset, 0) // (math.prod(plane) * dtype.itemsize))
    if whole < outer or offset < 0:
        raise InputError(
            f"{path.name} declares an image of {' x '.join(map(str, reversed(shape)))} pixels "
            f"({dtype}), but the file is cut off or damaged: its {size:,} bytes cannot hold it."
        )
    check_size(path.name, plane, dtype, None)
    notes = []
    if whole < declared:
        kept = whole // outer
        notes.append(
            f"It declares {declared} planes but only {whole} of them are whole; "
            f"{declared - kept * outer} are missing or left out."
        )
        lead = (*lead[:longer], kept, *lead[longer + 1 :])
    return FilePixels.of(path, dtype, offset, (*lead, *plane)), notes


def _is_plain(part: Any) -> bool:
    """Whether an index leads to a view of an array."""
    whole = isinstance(part, int | np.integer) and not isinstance(part, bool)
    return whole or part is None or part is Ellipsis or isinstance(part, slice)
