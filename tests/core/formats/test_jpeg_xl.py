"""JPEG XL pictures that are one frame of their own size, and others."""

from __future__ import annotations

from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import pytest

from training_core.formats.inner_size import JXL_BOXES, refuse_frames

PLAIN = "no plain picture of one frame"
# A frame of 600 x 600 px, of which 8 x 8 px are the picture, as libjxl decodes it.
LARGER = bytes.fromhex(
    "ff0a3a0001417123082200008495b04200007802000040011440011440011440011400014b189b9c"
    "71840338800338204ac039050100204480081001224084fff7eff9efa131e79c6bed739224494240"
    "5555555555f5ffffffdcfbbabbbbbbe1fffd7bfe7b68cc39e75afb9c24499210505555555555fdff"
    "ff3ff7beeeeeee6ef87fff9eff1e1a73ceb9d63e2749922404545555555555ffffffcfbdafbbbbbb"
    "1bfedfbfe7bf87c69c73aeb5cf49922409015555555555d5ffffff73efebeeeeee1ec3ffc7ff03c3"
    "ffc7ff03c3ffc3bf00c3ffc7ff03c3ffc7ff03c3ffc3bf00c3ffc3bf00c3ffc3bf00c3ffc171"
)
HOW: tuple[dict[str, Any], ...] = (
    {"lossless": True, "effort": 1},
    {"lossless": True, "effort": 7},
    {"lossless": True, "usecontainer": True},
    {"lossless": False, "distance": 1.0},
    {"lossless": False, "distance": 2.0, "decodingspeed": 2},
)


@pytest.mark.parametrize(("how", "dtype"), [*product(HOW, ("uint8", "uint16", "float32"))])
@pytest.mark.parametrize("shape", [(8, 8), (300, 257), (64, 200, 2), (64, 70, 3), (64, 70, 4)])
def test_pictures_of_one_frame_are_let_through(
    how: dict[str, Any], dtype: str, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).random(shape)
    pixels = (values if dtype == "float32" else 200 * values).astype(dtype)

    refuse_frames(imagecodecs.jpegxl_encode(pixels, **how))


def test_a_frame_larger_than_its_picture_is_refused() -> None:
    assert imagecodecs.jpegxl_decode(LARGER).shape == (8, 8)

    for data in (LARGER, boxed(b"jxlc", LARGER), boxed(b"jxlp", bytes(4) + LARGER)):
        with pytest.raises(ValueError, match=PLAIN):
            refuse_frames(data)


def test_films_are_refused() -> None:
    film = imagecodecs.jpegxl_encode(np.zeros((5, 40, 50, 3), np.uint8))

    with pytest.raises(ValueError, match=PLAIN):
        refuse_frames(film)


@pytest.mark.parametrize("data", [b"", JXL_BOXES, b"GIF89a"])
def test_what_is_no_jpeg_xl_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG XL header is damaged"):
        refuse_frames(data)


def boxed(kind: bytes, content: bytes) -> bytes:
    """Put a codestream into a file as phones write it."""
    length = (8 + len(content)).to_bytes(4)
    return JXL_BOXES + length + kind + content
