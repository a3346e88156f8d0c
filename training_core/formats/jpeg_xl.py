"""Whether a JPEG XL picture is one frame of its own size: others take any memory to decode.

A frame may be far larger than the picture that is cut out of it, and libjxl, which keeps it whole,
takes no limit. So what tells the size of the first frame is read here, and all that could hold a
larger one, or another frame before it, is refused: previews, films, layers, and colour profiles,
behind whose packed bits the frame begins. Names are those of ISO/IEC 18181-1.
"""

from __future__ import annotations

from collections.abc import Iterator

CONTAINER, CODESTREAM = b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"
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
    bits = _Bits(b"".join(_codestream(data))[:HEADER_BYTES])
    if bits.take(16) != int.from_bytes(CODESTREAM, "little"):
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


def _codestream(data: bytes) -> Iterator[bytes]:
    """Take the codestream out of its boxes, where it lies in some."""
    if not data.startswith(CONTAINER):
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
