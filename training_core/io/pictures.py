"""Read single pictures (PNG, BMP, JPEG) and NumPy arrays."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from training_core.errors import InputError
from training_core.formats.axes import GUESSED_AXES, arrange, guess_told
from training_core.formats.source_file import FilePixels, check_size, damage
from training_core.stack import Pixels, Stack

LUMINANCE = (0.299, 0.587, 0.114)
PNG = b"\x89PNG\r\n\x1a\n"
SAMPLES = {"I": np.int32, "F": np.float32, "I;16": np.uint16, "I;16B": np.uint16}
ALPHA_MODES = ("LA", "La", "RGBA", "RGBa", "PA")


def read_picture(path: Path) -> Stack:
    """Read a PNG, BMP or JPEG file as one frame; a palette counts as brightness where it is one.

    Raises
    ------
    InputError
        When the file is damaged or larger than 179 megapixels.
    """
    with (
        damage(f"{path.name} is damaged or cut off and cannot be decoded"),
        warnings.catch_warnings(action="ignore"),  # as Pillow gives for large and odd files
    ):
        try:
            pixels, mode, notes = _decode(path)
        except Image.DecompressionBombError as error:
            raise InputError(
                f"{path.name} declares more than 179 megapixels; save it as TIFF instead."
            ) from error
        except UnidentifiedImageError as error:
            raise InputError(f"{path.name} is damaged: its header cannot be read.") from error
    axes = "YX" if pixels.ndim == 2 else "YXS"
    colours = "RGB" if pixels.shape[2:] in ((3,), (4,)) else ""
    # Gray pictures are often saved as RGB; `arrange` tells them by equal colours.
    arranged = arrange(pixels, axes, colours, int(mode in ALPHA_MODES))
    if path.suffix.lower() in (".jpg", ".jpeg"):
        notes.append(
            "JPEG compression has changed its noise; use the original file if there is one."
        )
    kept: dict[str, Any] = {"colours": colours} if arranged.channels else {}
    if arranged.opacity is not None:
        kept["opacity"] = arranged.opacity
    return Stack(
        arranged.pixels,
        arranged.axes,
        channels=arranged.channels,
        kind="png",
        source=path,
        warnings=(*notes, *arranged.warnings),
        metadata=kept,
    )


def _decode(path: Path) -> tuple[Pixels, str, list[str]]:
    with Image.open(path) as image:
        mode = image.mode
        deep = _has_16_bit_colours(path)
        shape = (image.height, image.width, len(image.getbands()))
        value = np.uint16 if deep else SAMPLES.get(mode, np.uint8)
        check_size(path.name, shape, value, path.stat().st_size)
        if image.format == "PNG":
            _check_chunks(path)
        count = getattr(image, "n_frames", 1)
        notes = [f"It holds {count} pictures; only the first is read."] if count > 1 else []
        if mode in ("P", "PA"):
            pixels, mode, more = _palette(image)
            return pixels, mode, [*notes, *more]
        if deep:
            # Pillow would reduce these to 8 bits.
            return imagecodecs.png_decode(path.read_bytes()), mode, notes
        return np.asarray(image), mode, notes


def _check_chunks(path: Path) -> None:
    """Raise ValueError where a part of a PNG file is cut off or fails its checksum.

    Pillow passes over the checksums of the pixels.
    """
    name = b""
    with path.open("rb") as file:
        file.seek(len(PNG))
        while name != b"IEND":
            head = file.read(8)
            if len(head) < 8:
                raise ValueError("it ends too early")
            length, name = int.from_bytes(head[:4]), head[4:]
            content = file.read(length)
            if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(file.read(4)):
                raise ValueError("a checksum does not match")


def _has_16_bit_colours(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return header.startswith(PNG) and header[24] == 16 and header[25] != 0


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
    """Open a .npy file, whose pixels stay in it; its axes are guessed from their number.

    Raises
    ------
    InputError
        When the file is damaged, holds Python objects, or has 1 or more than 5 dimensions.
    """
    with (
        damage(f"{path.name} is damaged or holds no plain array"),
        warnings.catch_warnings(action="ignore"),  # NumPy warns of what Python 2 wrote
    ):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # no value of it is looked at
    if mapped.ndim not in GUESSED_AXES or mapped.size == 0:
        raise InputError(
            f"{path.name} holds an array of shape {mapped.shape}; images need 2 to 5 dimensions."
        )
    check_size(path.name, mapped.shape[-2:], mapped.dtype, None)
    pixels = FilePixels.like(path, mapped)
    arranged = arrange(pixels, GUESSED_AXES[pixels.ndim])
    guess = guess_told(pixels.ndim)
    notes = (guess,) if guess else ()
    return Stack(
        arranged.pixels, arranged.axes, kind="array", source=path, warnings=notes, guess=guess
    )
