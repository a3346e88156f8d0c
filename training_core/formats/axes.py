"""Bring the axes of a file to those of a stack: TZC or I before YX, colours as channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training_core.frames import HELD_BYTES, Pixels

COLOUR_NAMES = {"RGB": ("Red", "Green", "Blue"), "CIELAB": ("L*", "a*", "b*")}
# Of arrays that do not say what their axes are.
GUESSED_AXES = {2: "YX", 3: "IYX", 4: "TZYX", 5: "TZCYX"}


def guess_told(count: int) -> str:
    """Say how so many axes were guessed; "" where that says no more than what is there."""
    return f"Its axes are taken to be {GUESSED_AXES[count]}." if count > 3 else ""


@dataclass
class Arranged:
    """Pixels on their way into a stack, and what was changed on it."""

    pixels: Pixels
    axes: str
    channels: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    opacity: Pixels | None = None  # a plane for each picture, in its order


def arrange(pixels: Pixels, axes: str, colours: str = "", opacity: int = 0) -> Arranged:
    """Give the pixels with axes from "TZCI" in their order, then "YX"; without those of length one.

    Parameters
    ----------
    pixels
        Any shape, one dimension per letter of `axes`; a memory map stays one where possible.
    axes
        Letters as tifffile gives them: S for colour samples; all unknown ones become one I.
    colours
        Meaning of the samples, such as "RGB"; "" for independent samples.
    opacity
        How many of the last samples say how transparent a pixel is; one is kept apart.
    """
    work = Arranged(pixels, axes)
    if "S" in axes:
        _samples_to_channels(work, colours, opacity)
    if work.opacity is not None:
        work.opacity = arrange(work.opacity, axes.replace("S", "", 1)).pixels
    names = ""
    for letter in work.axes:
        names += letter if letter in "TZCYX" and letter not in names else "I"
    lead = sorted(
        (i for i, a in enumerate(names) if a not in "YX"), key=lambda i: names.index(names[i])
    )
    order = [*lead, names.index("Y"), names.index("X")]
    lengths: dict[str, int] = {}
    for i in order:
        lengths[names[i]] = lengths.get(names[i], 1) * work.pixels.shape[i]
    kept = {axis: n for axis, n in lengths.items() if n != 1 or axis in "YX"}
    work.pixels = work.pixels.transpose(order).reshape(list(kept.values()))
    work.axes = "".join(kept)
    return work


def _samples_to_channels(work: Arranged, colours: str, opacity: int) -> None:
    """Take opacity out, read equal colours as gray, make channels of the others."""
    place, rest = work.axes.index("S"), work.axes.replace("S", "", 1)
    before = rest.index("Y")
    order = [i for i in range(len(work.axes)) if i != place]
    order.insert(before, place)
    pixels = work.pixels.transpose(order)
    ahead: tuple[Any, ...] = (slice(None),) * before
    work.axes = rest
    if 0 < opacity < pixels.shape[before]:
        if opacity == 1:
            work.opacity = pixels[(*ahead, -1)]
        pixels = pixels[(*ahead, slice(None, -opacity))]
        fate = "stays as it is" if opacity == 1 else "is left out"
        work.warnings.append(f"The opacity (alpha) of its pixels {fate}.")
    count = pixels.shape[before]
    if count == 1 or (colours == "RGB" and _is_gray(pixels, before)):
        work.pixels = pixels[(*ahead, 0)]
        return
    if colours:
        work.warnings.append(
            f"It is a colour image ({colours}); its {count} colours are read as channels."
        )
    names = COLOUR_NAMES.get(colours, ())
    work.channels = names if len(names) == count else ()
    work.pixels = pixels
    work.axes = f"{rest[:before]}{'I' if 'C' in rest else 'C'}{rest[before:]}"


def _is_gray(pixels: Pixels, place: int) -> bool:
    """Whether the colours along an axis are equal; in a large stack those of some planes are."""
    if pixels.nbytes <= HELD_BYTES or not place:
        ahead: tuple[Any, ...] = (slice(None),) * place
        first = pixels[(*ahead, slice(0, 1))]
        return bool(np.all(pixels == first))
    return all(_is_gray(pixels[i], place - 1) for i in {0, len(pixels) // 2, len(pixels) - 1})
