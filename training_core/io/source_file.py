"""A file that others may change while it is read: what it was, and pixels that stay in it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels


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
            with self.path.open("rb", buffering=0) as file:
                self.check(os.fstat(file.fileno()))
                file.seek(start)
                done = 0
                while done < count:  # Linux gives no more than 2 GB at once
                    done += file.readinto(data[done:].data) or self._end()
                self.check(os.fstat(file.fileno()))
        except OSError as error:
            self.check()
            raise InputError(f"{self.path.name} cannot be read ({error.strerror}).") from error
        return data

    def _end(self) -> int:
        self.check()
        raise InputError(f"{self.path.name} ends before its last pixel; it is cut off.")


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


class FilePixels(np.lib.mixins.NDArrayOperatorsMixin):
    """Pixels that stay in their file and are read when they are asked for, part by part.

    It stands where an array would, and gives a part without reading it until NumPy needs values. A
    memory map would hold a handle for each file, and kill the process where somebody cuts the file.

    Parameters
    ----------
    mark
        The file; pixels are given only while it is the same.
    dtype, shape, strides, offset
        As those of an array; `offset` is that of the first pixel, in bytes.
    """

    def __init__(
        self,
        mark: FileMark,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int,
    ) -> None:
        self.mark = mark
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.offset = offset

    @classmethod
    def of(cls, path: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> Pixels:
        """Give pixels that lie in a file one after the other, the last axis fastest."""
        steps = np.cumprod([dtype.itemsize, *shape[:0:-1]], dtype=np.int64)[::-1]
        strides = tuple(map(int, steps[: len(shape)]))
        return cast(Pixels, cls(FileMark.of(path), dtype, shape, strides, offset))

    @classmethod
    def like(cls, path: Path, mapped: np.memmap[Any, Any]) -> Pixels:
        """Give the pixels of a memory map without the map."""
        found = cls(FileMark.of(path), mapped.dtype, mapped.shape, mapped.strides, mapped.offset)
        return cast(Pixels, found)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many pixels there are."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the pixels are."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Give a part that is still in the file; a single pixel as it is."""
        parts = index if isinstance(index, tuple) else (index,)
        if not all(_is_plain(part) for part in parts):
            return np.asarray(self)[index]
        # Without the dots, the place of a single pixel would be read at once.
        found = self._at(lambda here: here[parts if Ellipsis in parts else (*parts, ...)])
        return found if found.shape else np.asarray(found)[()]

    def transpose(self, *axes: Any) -> Any:
        """Give the axes in another order."""
        return self._at(lambda here: here.transpose(*axes))

    def reshape(self, *shape: Any) -> Any:
        """Give other axes; without reading where the pixels lie in a row or an axis is of one."""
        longer = [[n for n in each if n != 1] for each in (np.ravel(shape), self.shape)]
        if longer[0] == longer[1] or self._layout().flags.c_contiguous:
            return self._at(lambda here: here.reshape(*shape))
        return np.asarray(self).reshape(*shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        """Read the pixels."""
        pixels = self._read()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Calculate with the pixels."""
        read = (np.asarray(i) if isinstance(i, FilePixels) else i for i in inputs)
        return getattr(ufunc, method)(*read, **options)

    def __getattr__(self, name: str) -> Any:
        """Whatever else an array can do, the pixels can once they are read."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def _layout(self) -> Pixels:
        """Give an array of the same form, of which no value may be looked at: it has none."""
        one = np.empty(1, self.dtype)
        return np.lib.stride_tricks.as_strided(one, self.shape, self.strides)

    def _at(self, view: Any) -> FilePixels:
        here = self._layout()
        part = view(here)
        (first, _), (start, _) = (a.__array_interface__["data"] for a in (here, part))
        place = self.offset + start - first
        return FilePixels(self.mark, self.dtype, part.shape, part.strides, place)

    def _read(self) -> Pixels:
        if not self.size:
            return np.empty(self.shape, self.dtype)
        reach = [(n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)]
        low = self.offset + sum(min(each, 0) for each in reach)
        span = sum(map(abs, reach)) + self.dtype.itemsize
        if self.ndim > 2 and span > 2 * self.nbytes:  # as the frames of one channel do
            pixels = np.empty(self.shape, self.dtype)
            for index in range(len(self)):
                pixels[index] = self[index]
            return pixels
        data = self.mark.read(low, span)
        return np.ndarray(self.shape, self.dtype, data.data, self.offset - low, self.strides)


def _is_plain(part: Any) -> bool:
    """Whether an index leads to a view of an array."""
    whole = isinstance(part, int | np.integer) and not isinstance(part, bool)
    return whole or part is None or part is Ellipsis or isinstance(part, slice)
