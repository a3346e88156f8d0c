"""How much compressed data hold by their own account, before a decoder takes memory for it.

A strip of a TIFF file or a frame of a DICOM file may be a picture with a header of its own, and a
few bytes of it can declare or expand to gigabytes, whatever the file around it says.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from pydicom import uid

SHAPE = re.compile(r", shape=\(([\d, ]+)\)$")
TYPES = ("u1", "u2", "f4", "f2", "i1", "i2", "i4", "u4", "f8")
PIECE_BYTES = 2**20
SMALL_VALUES = 2**22  # of one picture; no danger, whatever is around it
START_OF_DATA, CODESTREAM, BOXES = 0xDA, b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
# The markers after which JPEG tells its size: all of its processes, and that of JPEG-LS.
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
Held = Callable[[bytes], int]


def refuse_larger(held: Held, data: bytes, declared: int) -> None:
    """Raise ValueError where a picture holds far more values than what is around it declares."""
    if held(data) > max(4 * declared, SMALL_VALUES):
        raise ValueError("a part of it holds far more pixels than it declares")


def of_jpeg(data: bytes) -> int:
    """Give how many values a JPEG or JPEG-LS picture holds; 0 for a part without a size."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 10 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker in FRAMES:
            size = data[place + 5 : place + 10]
            return int.from_bytes(size[:2]) * int.from_bytes(size[2:4]) * size[4]
        if marker == START_OF_DATA:
            break
        # Between markers bytes may be lost, and 0xFF may be repeated; some have no length.
        alone = marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD8
        place += 1 if alone else 2 + max(length, 2)
    return 0


def of_jpeg_2000(data: bytes) -> int:
    """Give how many values a JPEG 2000 picture holds, with or without boxes around it.

    Raises
    ------
    ValueError
        When it has no header.
    """
    start = next(_codestreams(data), 0)
    if data[start : start + 4] != CODESTREAM or len(data) < start + 42:
        raise ValueError("its JPEG 2000 header is damaged")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    return int(max(right - left, 0) * max(bottom - top, 0) * components)


def _codestreams(data: bytes) -> Iterator[int]:
    """Find where the pictures begin in the boxes of a JP2 file; nothing where there are none."""
    place = 0
    while data.startswith(BOXES) and place + 16 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        head = 16 if length == 1 else 8
        if kind == b"jp2c":
            yield place + head
        length = int.from_bytes(data[place + 8 : place + 16]) if length == 1 else length
        place += length if length >= head else len(data)  # 0 reaches to the end


def _asked(decode: Callable[..., Any], data: bytes) -> int:
    """Let a decoder say how many values it would give: it refuses to fill what has none.

    Only for those that look at this before anything else. No other reading of a header is as sure
    to agree with theirs.

    Raises
    ------
    ValueError
        When it does not say so.
    """
    for dtype in TYPES:
        try:
            decode(data, out=np.empty(0, dtype))
        except ValueError as error:
            if found := SHAPE.search(str(error)):
                return math.prod(int(n) for n in found[1].replace(" ", "").split(",") if n)
    raise ValueError("how large it is cannot be told")


def _by_decoder(name: str) -> Held:
    return partial(_asked, getattr(imagecodecs, f"{name}_decode"))


# By the number of the compression. The others of TIFF fill what they are given and no more.
IN_TIFF: Mapping[int, Held] = {
    **dict.fromkeys((6, 7, 33007, 34892), of_jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), of_jpeg_2000),
    **dict.fromkeys((22610, 34934), _by_decoder("jpegxr")),
    **dict.fromkeys((50002, 52546), _by_decoder("jpegxl")),
    **dict.fromkeys((34927, 50001), _by_decoder("webp")),
    34887: _by_decoder("lerc"),
    34933: _by_decoder("png"),
}
IN_DICOM: Mapping[str, Held] = {
    **dict.fromkeys((*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes), of_jpeg),
    **dict.fromkeys(uid.JPEG2000TransferSyntaxes, of_jpeg_2000),
}


def inflated_bytes(file: BinaryIO) -> int:
    """Count what deflated data without a header, from here to its end, would become."""
    count, inflate = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    packed = file.read(PIECE_BYTES)
    while packed and not inflate.eof:
        count += len(inflate.decompress(packed, PIECE_BYTES))
        packed = inflate.unconsumed_tail or file.read(PIECE_BYTES)
    return count
