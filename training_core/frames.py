"""Pixels that are read or made when they are asked for, so that no stack need fit the memory."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import appdirs
import numpy as np
from numpy.typing import NDArray

from .draft import hold, new_name, release, remove_leftovers
from .errors import ShortageError
from .run import SILENT, Run

Pixels = NDArray[Any]

# What a stack may take at each step of a job; frames of larger ones are made on request.
HELD_BYTES = 2**28
REMEMBERED = 8  # frames at most: what looks at one looks at it again, and at its neighbours


class PixelsOnRequest(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands where an array of pixels would; its values are there once something needs them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, index: Any) -> Any:
        """Give a part."""

    @abstractmethod
    def read(self) -> Pixels:
        """Give all pixels."""

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        """Give all pixels."""
        pixels = self.read()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Calculate with the pixels."""
        read = (np.asarray(i) if isinstance(i, PixelsOnRequest) else i for i in inputs)
        return getattr(ufunc, method)(*read, **options)

    def __getattr__(self, name: str) -> Any:
        """Whatever else an array can do, the pixels can once they are there."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        return getattr(self.read(), name)


class MadeFrames(PixelsOnRequest):
    """Frames that a function makes, each when it is asked for.

    `numbers` are those of the frames, over all axes but the last two; `make` gives the frame of a
    number, (height, width) of `dtype`, into which nobody may write.
    """

    def __init__(
        self,
        make: Callable[[int], Pixels],
        numbers: NDArray[np.intp],
        frame: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.make, self.numbers = make, numbers
        self.shape, self.dtype = (*numbers.shape, *frame), np.dtype(dtype)

    def __getitem__(self, index: Any) -> Any:
        """Give a frame or a part of it; of several frames, those frames on request."""
        parts = index if isinstance(index, tuple) else (index,)
        if any(part is None or part is Ellipsis for part in parts):
            return self.read()[index]
        leading, rest = parts[: self.numbers.ndim], parts[self.numbers.ndim :]
        numbers = self.numbers[leading]
        if np.ndim(numbers):
            some = MadeFrames(self.make, numbers, self.shape[-2:], self.dtype)
            return some.read()[(*[slice(None)] * numbers.ndim, *rest)] if rest else some
        frame = self.make(int(numbers))
        return frame[rest] if rest else frame

    def transpose(self, *axes: Any) -> Any:
        """Give the axes in another order; on request where the frames stay as they are."""
        order = tuple(int(n) % self.ndim for n in np.ravel(axes)) or tuple(range(self.ndim))[::-1]
        if order[-2:] != (self.ndim - 2, self.ndim - 1):
            return self.read().transpose(*axes)
        numbers = self.numbers.transpose(order[:-2])
        return MadeFrames(self.make, numbers, self.shape[-2:], self.dtype)

    def reshape(self, *shape: Any) -> Any:
        """Give other axes; on request where the frames stay as they are."""
        wanted = tuple(int(n) for n in np.ravel(shape))
        if len(wanted) < 2 or wanted[-2:] != self.shape[-2:]:
            return self.read().reshape(*shape)
        numbers = self.numbers.reshape(wanted[:-2])
        return MadeFrames(self.make, numbers, self.shape[-2:], self.dtype)

    def read(self) -> Pixels:
        """Make all frames."""
        pixels = np.empty((self.numbers.size, *self.shape[-2:]), self.dtype)
        for into, number in zip(pixels, self.numbers.flat, strict=True):
            into[:] = self.make(int(number))
        return pixels.reshape(self.shape)


def made_frames(
    make: Callable[[int], Pixels], shape: tuple[int, ...], dtype: Any, run: Run = SILENT
) -> Pixels:
    """Give the pixels of a stack whose frames are made: at once, or on request of a large one."""

    def checked(number: int) -> Pixels:
        run.check()
        return make(number).astype(dtype, copy=False)

    frames = frames_on_request(checked, shape, dtype)
    return np.asarray(frames) if frames.nbytes <= HELD_BYTES else frames


def frames_on_request(make: Callable[[int], Pixels], shape: tuple[int, ...], dtype: Any) -> Pixels:
    """Give all frames of a stack on request; as many as may be held are remembered.

    `make` is asked from several threads at once where the frames are.
    """
    numbers = np.arange(math.prod(shape[:-2])).reshape(shape[:-2])
    fit = HELD_BYTES // max(math.prod(shape[-2:]) * np.dtype(dtype).itemsize, 1)
    remembering = lru_cache(max(1, min(REMEMBERED, fit)))(make)
    return cast(Pixels, MadeFrames(remembering, numbers, shape[-2:], dtype))


def _own_folders() -> list[Path]:
    """Give where files of this program's own may lie: on a disk, else where the system has them.

    The system's folder may be memory, which is what such files spare.
    """
    cache = Path(appdirs.user_cache_dir("g2g-desktop", appauthor=False))
    return [*([cache] if cache.is_absolute() else []), Path(tempfile.gettempdir())]


def remove_left_frames() -> None:
    """Remove the files of frames that killed processes left; those of others that live stay."""
    for folder in _own_folders():
        remove_leftovers(folder)


class FrameFile:
    """Frames of a result that lie in a file one after the other, each written once.

    Without a `path` it takes a file for as long as this lives. Raises `ShortageError` if no disk
    has room for a file of its own.
    """

    def __init__(self, path: Path | None, shape: tuple[int, int, int], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.frame_bytes = math.prod(shape[1:]) * self.dtype.itemsize
        self.path = path or self._own()

    def _own(self) -> Path:
        remove_left_frames()
        needed = self.shape[0] * self.frame_bytes
        for folder in _own_folders():
            with suppress(OSError):  # a home that is not there, or may not be written to
                folder.mkdir(parents=True, exist_ok=True)
                if shutil.disk_usage(folder).free > needed:
                    path = folder / new_name()
                    weakref.finalize(self, release, hold(path), path)
                    return path
        raise ShortageError(
            f"The result takes {needed / 1e9:.1f} GB, and {_own_folders()[0]} has no room for "
            "that; make room on that disk and start again."
        )

    def __getitem__(self, index: int) -> Pixels:
        """Read a frame."""
        with self.path.open("rb") as file:
            file.seek(index * self.frame_bytes)
            frame = np.fromfile(file, self.dtype, self.frame_bytes // self.dtype.itemsize)
        return frame.reshape(self.shape[1:])

    def __setitem__(self, index: int, frame: Pixels) -> None:
        """Write a frame; raises `ShortageError` where the disk does not take it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self.path.exists() else "wb") as file:
                file.seek(index * self.frame_bytes)
                file.write(np.ascontiguousarray(frame, self.dtype).data)
        except OSError as error:
            raise ShortageError(
                f"{self.path.parent} cannot take the frames that are made ({error.strerror}); make "
                "room on that disk and start again."
            ) from error

    def pixels(self, shape: tuple[int, ...]) -> Pixels:
        """Give all frames in another shape, read when they are asked for."""
        return frames_on_request(self.__getitem__, shape, self.dtype)
