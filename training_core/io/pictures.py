"""Read single pictures (PNG, BMP, JPEG) and NumPy arrays."""

from __future__ import annotations

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from training_core.errors import InputError
from training_core.stack import Pixels, Stack

from .axes import arrange
from .damaged_files import DAMAGE, brief

GUESSED_AXES = {2: "YX", 3: "IYX", 4: "TZYX", 5: "TZCYX"}
LUMINANCE = (0.299, 0.587, 0.114)
ALPHA_MODES = ("LA", "La", "RGBA", "RGBa", "PA")


def read_picture(path: Path) -> Stack:
    """Read a PNG, BMP or JPEG file as one frame; a palette counts as brightness where it is one.

    Raises
    ------
    InputError
        When the file is damaged or larger than 179 megapixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns from 89 megapixels on, and of odd chunks
        try:
            pixels, mode, notes = _decode(path)
        except Image.DecompressionBombError as error:
            raise InputError(
                f"{path.name} declares more than 179 megapixels; save it as TIFF instead."
            ) from error
        except UnidentifiedImageError as error:
            raise InputError(f"{path.name} is damaged: its header cannot be read.") from error
        except DAMAGE as error:
            raise InputError(
                f"{path.name} is damaged or cut off and cannot be decoded ({brief(error)})."
            ) from error
    axes = "YX" if pixels.ndim == 2 else "YXS"
    colours = "RGB" if pixels.shape[2:] in ((3,), (4,)) else ""
    # Gray pictures are often saved as RGB; `arrange` tells them by equal colours.
    arranged = arrange(pixels, axes, colours, int(mode in ALPHA_MODES))
    if path.suffix.lower() in (".jpg", ".jpeg"):
        notes.append(
            "JPEG compression has changed its noise; use the original file if there is one."
        )
    return Stack(
        arranged.pixels,
        arranged.axes,
        channels=arranged.channels,
        kind="png",
        source=path,
        warnings=(*notes, *arranged.warnings),
    )


def _decode(path: Path) -> tuple[Pixels, str, list[str]]:
    with Image.open(path) as image:
        mode = image.mode
        if mode in ("P", "PA"):
            return _palette(image)
        if _has_16_bit_colours(path):
            # Pillow would reduce these to 8 bits.
            return imagecodecs.png_decode(path.read_bytes()), mode, []
        return np.asarray(image), mode, []


def _has_16_bit_colours(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return header[:4] == b"\x89PNG" and header[24] == 16 and header[25] != 0


def _palette(image: Image.Image) -> tuple[Pixels, str, list[str]]:
    """Give the indices where brighter colours have higher ones, else the colours."""
    index = np.asarray(image.convert("P") if image.mode == "PA" else image)
    palette = np.array(image.getpalette("RGB") or [], dtype=float).reshape(-1, 3)
    # Only the colours in use count: the rest of a palette is often black.
    brightness = palette @ LUMINANCE
    if np.all(np.diff(brightness[: int(index.max()) + 1]) >= 0):
        return index, "P", ["Its colours are a lookup table; the index is read as intensity."]
    return np.asarray(image.convert("RGB")), "RGB", []


def read_array(path: Path) -> Stack:
    """Map a .npy file; its axes are guessed from their number.

    Raises
    ------
    InputError
        When the file is damaged, holds Python objects, or has 1 or more than 5 dimensions.
    """
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise InputError(
            f"{path.name} is damaged or holds no plain array ({brief(error)})."
        ) from error
    if pixels.ndim not in GUESSED_AXES or pixels.size == 0:
        raise InputError(
            f"{path.name} holds an array of shape {pixels.shape}; images need 2 to 5 dimensions."
        )
    arranged = arrange(pixels, GUESSED_AXES[pixels.ndim])
    guessed = pixels.ndim > 3
    notes = (f"Its axes are taken to be {GUESSED_AXES[pixels.ndim]}.",) if guessed else ()
    return Stack(arranged.pixels, arranged.axes, kind="array", source=path, warnings=notes)
