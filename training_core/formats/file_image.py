"""One image of a file: its name and size for who chooses, its channels, the stack that it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from training_core.errors import InputError, shown
from training_core.run import Run
from training_core.stack import Pixels, PixelSize, Stack

from .axes import arrange
from .units import positive

HEXADECIMAL = re.compile(r"#?(?:[\da-f]{2})?([\da-f]{6})", re.IGNORECASE)  # opacity comes first
NAMED = {
    "red": "FF0000",
    "green": "00FF00",
    "blue": "0000FF",
    "cyan": "00FFFF",
    "magenta": "FF00FF",
    "yellow": "FFFF00",
    "gray": "FFFFFF",
    "grey": "FFFFFF",
}


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image of a file, of which there may be several (series, scenes, positions).

    Attributes
    ----------
    name
        What the file calls it; "" where it says nothing.
    axes, shape, dtype
        As those of the stack; "" and () where only opening tells.
    open
        Gives the stack.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    open: Callable[[Run], Stack]

    @classmethod
    def of(cls, stack: Stack, name: str = "") -> Self:
        """Give the image of a stack whose pixels are read when they are asked for."""
        return cls(name, stack.axes, stack.shape, stack.dtype, lambda _: stack)

    @classmethod
    def refused(cls, name: str, error: InputError) -> Self:
        """Give an image that is in the file and cannot be opened."""

        def open_(run: Run) -> Stack:
            raise error

        return cls(name, "", (), None, open_)

    @property
    def size(self) -> int:
        """How many pixels there are."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 0

    @property
    def told(self) -> str:
        """What it is, such as "overview (CYX 2 x 512 x 512 uint8)"."""
        if not self.shape:
            return f"{shown(self.name)} (which cannot be read)".lstrip()
        size = f"{self.axes} {' x '.join(map(str, self.shape))} {self.dtype or ''}".rstrip()
        return f"{shown(self.name)} ({size})" if self.name else size


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a file, a value for each; what is not known of one is "" or None.

    Attributes
    ----------
    names
        What they are called.
    colours
        What they are shown in, such as "00FF00"; see `colour`.
    emission_nm, excitation_nm
        Wavelengths in nanometres.
    """

    names: Sequence[str] = ()
    colours: Sequence[str] = ()
    emission_nm: Sequence[Any] = ()
    excitation_nm: Sequence[Any] = ()

    def noted(self, count: int) -> dict[str, list[str]]:
        """Give what is known of each of so many channels, in the words of OME-XML."""
        said: dict[str, list[str]] = {}
        if 0 < count == len(self.colours) and all(self.colours):
            said["Color"] = [_signed(text) for text in self.colours]
        for name, values in (("Emission", self.emission_nm), ("Excitation", self.excitation_nm)):
            lengths = [positive(value, 1.0) for value in values]
            if 0 < count == len(lengths) and all(lengths):
                said[f"{name}Wavelength"] = [f"{length:.6g}" for length in lengths]
                said[f"{name}WavelengthUnit"] = ["nm"] * count
        return said


def colour(said: Any) -> str:
    """Give a colour as red, green and blue in hexadecimal; "" where it is none.

    Of a name ("Green"), a hexadecimal number with opacity before it or without ("#FF00FF00"), or
    three numbers: whole ones up to 255, or fractions.
    """
    if isinstance(said, str):
        known = HEXADECIMAL.fullmatch(said.strip())
        return known[1].upper() if known else NAMED.get(said.strip().lower(), "")
    parts = list(said)[:3]
    if len(parts) < 3 or not all(0 <= part <= 255 for part in parts):
        return ""
    fractions = any(isinstance(part, float) for part in parts) and max(parts) <= 1
    return bytes(round(part * 255) if fractions else int(part) for part in parts).hex().upper()


def _signed(text: str) -> str:
    """Give red, green, blue and full opacity as the number that OME-XML has, with its sign."""
    number = int(f"{text}FF", 16)
    return str(number - 2**32 if number >= 2**31 else number)


NOTHING = Channels()


def lazy_stack(
    path: Path,
    pixels: Pixels,
    axes: str,
    *,
    colours: str = "",
    channels: Channels = NOTHING,
    warnings: Sequence[str] = (),
    guess: str = "",
    kind: str = "array",
    **meaning: Any,
) -> Stack:
    """Give the stack of pixels that are read when they are asked for.

    Parameters
    ----------
    path
        The file.
    pixels
        One dimension per letter of `axes`, without any of length 0.
    axes
        Letters as `arrange` takes them.
    colours
        What the samples of a pixel are, such as "RGB".
    channels
        What is said of each index of C; left out where their number is another.
    guess
        How the axes were guessed; "" where the file says them.
    meaning
        `pixel_size`, `time_step_s`, `value_unit`, `metadata` of the stack.

    Raises
    ------
    InputError
        When there is no pixel, or no plane of height and width.
    """
    if not all(pixels.shape) or not {"Y", "X"} <= set(axes):
        raise InputError(f"{path.name} holds no image: its pixels are {pixels.shape} ({axes}).")
    opacity = int(colours == "RGB" and pixels.shape[axes.index("S")] == len("RGBA"))
    arranged = arrange(pixels, axes, colours, opacity)
    count = arranged.pixels.shape[arranged.axes.index("C")] if "C" in arranged.axes else 1
    names = tuple(shown(name) for name in channels.names)
    names = names if len(names) == count and any(names) else arranged.channels
    if colours:  # so that it is written as a picture in colour again
        meaning["metadata"] = {**meaning.get("metadata", {}), "colours": colours}
    elif noted := channels.noted(count):
        meaning["metadata"] = {**meaning.get("metadata", {}), "ome_channels": noted}
    if arranged.opacity is not None:
        meaning["metadata"] |= {"opacity": arranged.opacity}
    if not set("TI") & set(arranged.axes):
        meaning.pop("time_step_s", None)
    return Stack(
        arranged.pixels,
        arranged.axes,
        channels=names,
        kind=kind,
        source=path,
        warnings=(*filter(None, [guess]), *warnings, *arranged.warnings),
        guess=guess,
        **meaning,
    )


def pixel_size(*sizes_um: float | None) -> PixelSize:
    """Give a pixel size from x, y and z in micrometres; what is not positive is not known."""
    known = (size if size and 0 < size < float("inf") else None for size in sizes_um)
    return PixelSize(*known)
