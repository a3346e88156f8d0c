"""How much compressed data hold by their own account, before a decoder takes memory for it.

A strip of a TIFF file or a frame of a DICOM file may be a picture with a header of its own, and a
few bytes of it or of a packed block can declare or expand to gigabytes, whatever the file around it
says.
"""

from __future__ import annotations

import bz2
import lzma
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from .jpeg_xl import refuse_frames

SHAPE = re.compile(r", shape=\(([\d, ]+)\)$")
TYPES = ("u1", "u2", "f4", "f2", "i1", "i2", "i4", "u4", "f8")
PIECE_BYTES = 2**20
SMALL_BYTES = 2**26  # of one block; likewise
DEFLATED = 1032  # how much deflating can shrink at most
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


def _of_jpeg_xl(data: bytes) -> int:
    refuse_frames(data)
    return _asked(imagecodecs.jpegxl_decode, data)


def _by_decoder(name: str) -> Held:
    return partial(_asked, getattr(imagecodecs, f"{name}_decode"))


# By the number of the compression. The others of TIFF fill what they are given and no more.
IN_TIFF: Mapping[int, Held] = {
    **dict.fromkeys((6, 7, 33007, 34892), of_jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), of_jpeg_2000),
    **dict.fromkeys((22610, 34934), _by_decoder("jpegxr")),
    **dict.fromkeys((50002, 52546), _of_jpeg_xl),
    **dict.fromkeys((34927, 50001), _by_decoder("webp")),
    34887: _by_decoder("lerc"),
    34933: _by_decoder("png"),
}


def refuse_unpacking(packing: str, data: bytes, declared: int) -> None:
    """Raise ValueError where a block becomes far more bytes than what is around it declares.

    `packing` is one of `UNPACKED`.
    """
    most = max(4 * declared, SMALL_BYTES)
    if packing in ("zlib", "gzip") and len(data) * DEFLATED <= most:
        return
    if UNPACKED[packing](data, most) > most:
        raise ValueError("a part of it holds far more pixels than it declares")


def _counted(unpacker: Callable[[], Any], data: bytes, most: int) -> int:
    """Count what one or several streams become, until that is more than `most`."""
    count = 0
    while data and count <= most:
        unpack, rest = unpacker(), data
        while not unpack.eof and count <= most:
            piece = unpack.decompress(rest, 16 * PIECE_BYTES)
            count, rest = count + len(piece), getattr(unpack, "unconsumed_tail", b"")
            if not (piece or rest):
                return count  # it is cut off, which the decoder tells
        data = unpack.unused_data
    return count


def _of_zstd(data: bytes, most: int) -> int:
    """Give what a block says in its header; where it does not, decode it as far as allowed."""
    flags = data[4] if data.startswith(b"\x28\xb5\x2f\xfd") and len(data) > 4 else 0
    alone, size = flags >> 5 & 1, (flags >> 5 & 1, 2, 4, 8)[flags >> 6]
    place = 6 - alone + (0, 1, 2, 4)[flags & 3]
    if size and place + size <= len(data):
        return int.from_bytes(data[place : place + size], "little") + 256 * (size == 2)
    try:
        return len(imagecodecs.zstd_decode(data, out=most))
    except RuntimeError:  # the place is too small, or it is damaged, which the decoder tells
        return most + 1


def _said(place: int) -> Callable[[bytes, int], int]:
    """Give what four bytes of a header say, which the decoder believes."""
    return lambda data, _: int.from_bytes(data[place : place + 4], "little")


# What a packed block becomes, looked at no further than a limit.
UNPACKED: Mapping[str, Callable[[bytes, int], int]] = {
    **dict.fromkeys(
        ("zlib", "gzip"), partial(_counted, lambda: zlib.decompressobj(zlib.MAX_WBITS | 32))
    ),
    "bz2": partial(_counted, bz2.BZ2Decompressor),
    "lzma": partial(_counted, lzma.LZMADecompressor),
    "zstd": _of_zstd,
    "blosc": _said(4),
    "lz4": _said(0),
    "szip": _said(0),
}


def inflated_bytes(file: BinaryIO) -> int:
    """Count what deflated data without a header, from here to its end, would become."""
    count, inflate = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    packed = file.read(PIECE_BYTES)
    while packed and not inflate.eof:
        count += len(inflate.decompress(packed, PIECE_BYTES))
        packed = inflate.unconsumed_tail or file.read(PIECE_BYTES)
    return count
