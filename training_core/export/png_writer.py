"""Write a single plane as PNG, gray or RGB, with how it was made as a text inside."""

from __future__ import annotations

import zlib
from pathlib import Path

import imagecodecs
import numpy as np

from training_core.resources import program
from training_core.stack import Stack

from .checked import Frames
from .facts import colours_of, opacity_of

HEADER_BYTES = 33  # the signature and the first chunk, IHDR
METRES_PER_UM = 1e-6


def why_not_png(stack: Stack) -> str:
    """Say why a stack is no PNG; "" where it can be one."""
    if stack.frame_count != (len(colours_of(stack)) or 1) or colours_of(stack) not in ("", "RGB"):
        return "PNG holds one plane, gray or RGB"
    if stack.dtype.name not in ("uint8", "uint16"):
        return f"PNG holds whole numbers of 8 or 16 bit, and its pixels are {stack.dtype}"
    return ""


def write_png(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write the plane; the size of its pixels and the note are in chunks of their own."""
    (plane,) = frames.planes(len(colours_of(frames.stack)) or 1)
    opacity = opacity_of(frames.stack)
    if opacity is not None:
        plane = np.dstack([plane, np.asarray(opacity, plane.dtype)])
    packed = bytes(imagecodecs.png_encode(plane))
    # Keywords and Latin-1, as the specification of PNG has them; a note is JSON in ASCII.
    texts = (f"Software\0{program()}", f"Description\0{note}")
    added = b"".join(_chunk(b"tEXt", text.encode("latin-1", "replace")) for text in texts)
    path.write_bytes(packed[:HEADER_BYTES] + _density(frames.stack) + added + packed[HEADER_BYTES:])


def _density(stack: Stack) -> bytes:
    """Give the chunk that tells how many pixels are in a metre; none where that is not known."""
    sizes = (stack.pixel_size.x_um, stack.pixel_size.y_um)
    per_metre = [round(1 / (size * METRES_PER_UM)) for size in sizes if size]
    if len(per_metre) < 2 or not 0 < min(per_metre) <= max(per_metre) < 2**31:
        return b""
    return _chunk(b"pHYs", b"".join(each.to_bytes(4) for each in per_metre) + b"\1")


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(name))
    return len(content).to_bytes(4) + name + content + check.to_bytes(4)
