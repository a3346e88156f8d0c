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


# Whether a JPEG XL picture is one frame of its own size. A frame may be far larger than the picture
# that is cut out of it, and libjxl takes no limit. So the header is read up to where it says that
# the first frame is the only one, and all that could hold a larger one is refused: previews, films,
# layers, and colour profiles, behind whose packed bits the frame begins. By ISO/IEC 18181-1.
JXL_BOXES, JXL_START = b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"
HEADER_BYTES = 8192  # longer are those of thousands of channels
GREY, XYB = 1, 2  # colour spaces
ALPHA, SPOT, PATTERN = 0, 2, 5  # kinds of extra channels
CUSTOM = 2  # white point or primaries
Choice = tuple[tuple[int, int], ...]  # bits to read and what to add to them, by two bits before
LENGTH = ((9, 1), (13, 1), (18, 1), (30, 1))
ENUM = ((0, 0), (0, 1), (4, 2), (6, 18))
CHROMATICITY = ((19, 0), (19, 524288), (20, 1048576), (21, 2097152))
UPSAMPLING = ((0, 1), (0, 2), (0, 4), (0, 8))
FEW = ((0, 0), (0, 1), (0, 2), (3, 0))


class _Bits:
    """The bits of a header, the lowest of each byte first; behind its end they are 0."""

    def __init__(self, data: bytes) -> None:
        self.left, self.read = int.from_bytes(data, "little"), 0

    def take(self, count: int = 1) -> int:
        value = self.left & ((1 << count) - 1)
        self.left, self.read = self.left >> count, self.read + count
        return value

    def choose(self, choice: Choice) -> int:
        bits, offset = choice[self.take(2)]
        return self.take(bits) + offset

    def flags(self) -> int:
        """Read what may have 64 bits; 4095 stands for all that have more than eight."""
        return self.choose(((0, 0), (4, 1), (8, 17), (0, 4095)))


def refuse_frames(data: bytes) -> None:
    """Raise ValueError where a JPEG XL picture is not surely one frame of its own size."""
    bits = _Bits(b"".join(_without_boxes(data))[:HEADER_BYTES])
    if bits.take(16) != int.from_bytes(JXL_START, "little"):
        raise ValueError("its JPEG XL header is damaged")
    _skip_size(bits)
    xyb, channels = (True, 0) if bits.take() else _metadata(bits)
    _only(bits.take(), 1)  # transforms as usual
    bits.take(-bits.read % 8)
    if not bits.take():  # else it is a usual frame in all
        _skip_frame(bits, xyb, channels)


def _only(found: int, plain: int) -> None:
    if found != plain:
        raise ValueError("its JPEG XL is no plain picture of one frame")


def _without_boxes(data: bytes) -> Iterator[bytes]:
    """Take the codestream out of its boxes, where it lies in some."""
    if not data.startswith(JXL_BOXES):
        yield data
        return
    place = 0
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        _only(length == 1, False)  # boxes of more than 4 GB
        end = place + length if length else len(data)
        if kind in (b"jxlc", b"jxlp"):
            yield data[place + (12 if kind == b"jxlp" else 8) : end]
        place = max(end, place + 8)


def _skip_size(bits: _Bits) -> None:
    small = bits.take()
    for ratio in (False, True):
        if ratio and bits.take(3):
            return  # the width follows from the height
        bits.take(5) if small else bits.choose(LENGTH)


def _metadata(bits: _Bits) -> tuple[bool, int]:
    """Give whether colours are XYB, and how many channels there are beside them."""
    extra = bits.take()
    if extra:
        bits.take(3)  # orientation
        if bits.take():
            _skip_size(bits)  # at which it is to be shown
        _only(bits.take(2), 0)  # preview and film
    _skip_depth(bits)
    bits.take()
    channels = bits.choose(((0, 0), (0, 1), (4, 2), (12, 1)))
    for _ in range(channels):
        _skip_channel(bits)
    xyb = bool(bits.take())
    if not bits.take():
        _skip_colours(bits)
    if extra and not bits.take():  # tone mapping
        bits.take(16 + 16 + 1 + 16)
    _only(bits.flags(), 0)  # extensions
    return xyb, channels


def _skip_depth(bits: _Bits) -> None:
    if bits.take():
        bits.choose(((0, 32), (0, 16), (0, 24), (6, 1)))
        bits.take(4)
    else:
        bits.choose(((0, 8), (0, 10), (0, 12), (6, 1)))


def _skip_channel(bits: _Bits) -> None:
    if bits.take():
        return
    kind = bits.choose(ENUM)
    _skip_depth(bits)
    bits.choose(((0, 0), (0, 3), (0, 4), (3, 1)))
    bits.take(8 * bits.choose(((0, 0), (4, 0), (5, 16), (10, 48))))  # its name
    if kind == ALPHA:
        bits.take()
    elif kind == SPOT:
        bits.take(4 * 16)
    elif kind == PATTERN:
        bits.choose(((0, 1), (2, 0), (4, 3), (8, 19)))


def _skip_colours(bits: _Bits) -> None:
    _only(bits.take(), 0)  # a profile
    space = bits.choose(ENUM)
    if space != XYB and bits.choose(ENUM) == CUSTOM:
        _skip_chromaticities(bits, 1)
    if space not in (GREY, XYB) and bits.choose(ENUM) == CUSTOM:
        _skip_chromaticities(bits, 3)
    if space != XYB:
        bits.take(24) if bits.take() else bits.choose(ENUM)  # gamma, or another curve
    bits.choose(ENUM)  # rendering intent


def _skip_chromaticities(bits: _Bits, count: int) -> None:
    for _ in range(2 * count):
        bits.choose(CHROMATICITY)


def _skip_frame(bits: _Bits, xyb: bool, channels: int) -> None:
    """Read the header of the first frame, as far as it says that it is the only one."""
    _only(bits.take(2), 0)  # a usual frame
    modular, flags = bits.take(), bits.flags()
    _only(flags & 32, 0)  # a frame before it
    if not xyb and bits.take():  # YCbCr
        bits.take(6)
    for _ in range(1 + channels):
        bits.choose(UPSAMPLING)
    if modular:
        bits.take(2)
    elif xyb:
        bits.take(6)
    passes = bits.choose(((0, 1), (0, 2), (0, 3), (3, 4)))
    if passes > 1:
        steps = bits.choose(((0, 0), (0, 1), (0, 2), (1, 3)))
        bits.take(2 * (passes - 1))
        for choice in (UPSAMPLING, FEW):
            for _ in range(steps):
                bits.choose(choice)
    _only(bits.take(), 0)  # a size or place of its own
    for _ in range(1 + channels):
        _only(bits.take(2), 0)  # blended with what there was
    _only(bits.take(), 1)  # the last one


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
