"""Bring the axes of a file to those of a stack: TZC or I before YX, colours as channels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training_core.stack import Pixels

COLOUR_NAMES = {"RGB": ("Red", "Green", "Blue"), "CIELAB": ("L*", "a*", "b*")}


@dataclass
class Arranged:
    """Pixels on their way into a stack, and what was changed on it."""

    pixels: Pixels
    axes: str
    channels: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)


def arrange(pixels: Pixels, axes: str, colours: str = "", opacity: int = 0) -> Arranged:
    """Give the pixels with axes from "TZCI" in their order, then "YX".

    Parameters
    ----------
    pixels
        Any shape, one dimension per letter of `axes`; a memory map stays one where possible.
    axes
        Letters as tifffile gives them: S for colour samples, anything unknown becomes I.
    colours
        Meaning of the samples, such as "RGB"; "" for independent samples.
    opacity
        How many of the last samples say how transparent a pixel is.
    """
    work = Arranged(pixels, axes)
    if "S" in work.axes:
        _samples_to_channels(work, colours, opacity)
    _name_unknown_axes(work)
    _frames_last(work)
    _drop_single(work)
    return work


def _move(work: Arranged, source: int, target: int) -> None:
    letter = work.axes[source]
    rest = work.axes[:source] + work.axes[source + 1 :]
    work.pixels = np.moveaxis(work.pixels, source, target)
    work.axes = rest[:target] + letter + rest[target:]


def _samples_to_channels(work: Arranged, colours: str, opacity: int) -> None:
    """Drop opacity, read equal colours as gray, make channels of the others."""
    _move(work, work.axes.index("S"), len(work.axes) - 1)
    if 0 < opacity < work.pixels.shape[-1]:
        work.pixels = work.pixels[..., :-opacity]
        work.warnings.append("The opacity (alpha) of its pixels is left out.")
    count = work.pixels.shape[-1]
    if count == 1 or (colours == "RGB" and _all_equal(work.pixels)):
        work.pixels, work.axes = work.pixels[..., 0], work.axes[:-1]
        return
    if colours:
        work.warnings.append(
            f"It is a colour image ({colours}); its {count} colours are read as channels."
        )
    names = COLOUR_NAMES.get(colours, ())
    work.channels = names if len(names) == count else ()
    _move(work, len(work.axes) - 1, work.axes.index("Y"))
    work.axes = work.axes.replace("S", "C" if "C" not in work.axes else "I")


def _all_equal(samples: Pixels) -> bool:
    first = samples[..., :1]
    return bool(np.array_equal(samples, np.broadcast_to(first, samples.shape)))


def _name_unknown_axes(work: Arranged) -> None:
    """Rename unknown and repeated letters to I, and merge them where there are several."""
    letters: list[str] = []
    for letter in work.axes:
        letters.append(letter if letter in "TZCYX" and letter not in letters else "I")
    work.axes = "".join(letters)
    while work.axes.count("I") > 1:
        first = work.axes.index("I")
        _move(work, work.axes.index("I", first + 1), first + 1)
        shape = work.pixels.shape
        merged = shape[first] * shape[first + 1]
        work.pixels = work.pixels.reshape(*shape[:first], merged, *shape[first + 2 :])
        work.axes = work.axes[:first] + work.axes[first + 1 :]


def _frames_last(work: Arranged) -> None:
    for letter in "YX":  # YXC and the like: moving both keeps the order of the others
        _move(work, work.axes.index(letter), len(work.axes) - 1)


def _drop_single(work: Arranged) -> None:
    """Drop leading axes of length one, as tifffile does when it reads the result back."""
    keep = [i for i, n in enumerate(work.pixels.shape) if n != 1 or work.axes[i] in "YX"]
    work.pixels = work.pixels.reshape([work.pixels.shape[i] for i in keep])
    work.axes = "".join(work.axes[i] for i in keep)
