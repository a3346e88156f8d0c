"""How much the frames of a JPEG XL picture hold by their own headers (ISO/IEC 18181-1, annex D).

The picture has a size, which its decoder tells, but each of its frames may have another, which the
decoder takes memory for. Bits are read from the lowest one of a byte on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BARE, BOXES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
HALF = 16  # bits of a number with a fraction
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
REGULAR, LOW_FREQUENCY, REFERENCE, SKIPPED = range(4)  # kinds of frames
SHOWN = (REGULAR, SKIPPED)
FROM_LOW_FREQUENCY = 32  # a flag: the coarsest part is a frame of its own
REPLACED, BLENDED, ADDED, MULTIPLIED = 0, 2, 3, 4  # ways to lay a frame over another
SIDE = ((0, 8), (256, 11), (2304, 14), (18688, 30))
SIZES = ((0, 10), (1024, 14), (17408, 22), (4211712, 30))
POWERS = ((1, 0), (2, 0), (4, 0), (8, 0))
NAME = ((0, 0), (0, 4), (16, 5), (48, 10))
Choices = tuple[tuple[int, int], ...]  # of each an offset, and how many bits are added to it


def frame_values(data: bytes) -> int:
    """Count the values of all frames, or of the pictures that they make where these are more.

    A pixel has three colours, of which gray fills one, and what else the picture has.

    Raises
    ------
    ValueError
        When the headers are damaged, or of a kind after which frames are not found.
    """
    bits = _Bits(_codestream(data))
    if bits.take(16) != int.from_bytes(BARE, "little"):
        raise ValueError("its JPEG XL header is damaged")
    picture = _Picture.read(bits)
    frames = list(_frames(bits, picture))
    shown = sum(frame.kind in SHOWN for frame in frames) * picture.width * picture.height
    return max(shown, sum(f.width * f.height for f in frames)) * (3 + picture.extra)


def _codestream(data: bytes) -> bytes:
    """Take the boxes away that may be around a picture."""
    found, place = [], 0
    while data.startswith(BOXES) and place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        head = 16 if length == 1 else 8
        length = int.from_bytes(data[place + 8 : place + 16]) if length == 1 else length
        end = place + length if length >= head else len(data)  # 0 reaches to the end
        if kind in (b"jxlc", b"jxlp"):  # parts are numbered
            found.append(data[place + head + 4 * (kind == b"jxlp") : end])
        place = end
    return b"".join(found) or data


class _Bits:
    """Bits that are read one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> int:
        """Read a number of so many bits."""
        first, self.place = self.place, self.place + count
        if self.place > 8 * len(self.data):
            raise ValueError("its JPEG XL headers are cut off")
        part = int.from_bytes(self.data[first // 8 : -(-self.place // 8)], "little")
        return part >> first % 8 & (1 << count) - 1

    def flag(self) -> bool:
        return bool(self.take(1))

    def of(self, choices: Choices) -> int:
        """Read which of four forms a number has, and the number."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)

    def kind(self) -> int:
        return self.of(((0, 0), (1, 0), (2, 4), (18, 6)))

    def halves(self, count: int) -> None:
        self.take(HALF * count)

    def long(self) -> int:
        """Read a number of up to 64 bits."""
        form = self.take(2)
        if form < 3:
            return (0, 1 + self.take(4) if form == 1 else 0, 17 + self.take(8) if form == 2 else 0)[
                form
            ]
        number, shift = self.take(12), 12
        while shift < 64 and self.flag():
            count = 8 if shift < 60 else 4
            number |= self.take(count) << shift
            shift += count
        return number

    def extensions(self) -> None:
        """Pass over what later versions may add."""
        known = self.long()
        self.take(sum(self.long() for _ in range(known.bit_count())))

    def align(self) -> None:
        self.place = -(-self.place // 8) * 8

    def named(self) -> None:
        self.take(8 * self.of(NAME))


@dataclass(frozen=True, slots=True)
class _Picture:
    """What the frames of a picture depend on; `extra` is how many channels are no colours."""

    width: int
    height: int
    extra: int = 0
    by_sight: bool = True  # in colours as the eye has them
    lasting: bool = False  # frames are shown one after the other
    timed: bool = False

    @classmethod
    def read(cls, bits: _Bits) -> _Picture:
        """Read all headers before the first frame."""
        width, height = _size(bits)
        usual = bits.flag()
        found = cls(width, height) if usual else cls._unusual(bits, width, height)
        if not bits.flag():
            _pass_transforms(bits, by_sight=found.by_sight)
        return found

    @classmethod
    def _unusual(cls, bits: _Bits, width: int, height: int) -> _Picture:
        lasting = timed = False
        more = bits.flag()
        if more:
            bits.take(3)
            if bits.flag():
                _size(bits)
            if bits.flag():
                raise ValueError(
                    "its JPEG XL has a preview, and how large the frames after it are is not known"
                )
            lasting = bits.flag()
            if lasting:
                bits.of(((100, 0), (1000, 0), (1, 10), (1, 30)))
                bits.of(((1, 0), (1001, 0), (1, 8), (1, 10)))
                bits.of(((0, 0), (0, 3), (0, 16), (0, 32)))
                timed = bits.flag()
        _pass_depth(bits)
        bits.flag()
        extra = bits.of(((0, 0), (1, 0), (2, 4), (1, 12)))
        for _ in range(extra):
            _pass_extra_channel(bits)
        by_sight = bits.flag()
        _pass_colours(bits)
        if more and not bits.flag():
            bits.halves(2)
            bits.flag()
            bits.halves(1)
        bits.extensions()
        return cls(width, height, extra, by_sight, lasting, timed)


def _size(bits: _Bits) -> tuple[int, int]:
    """Give width and height."""
    small = bits.flag()

    def side() -> int:
        return 8 + 8 * bits.take(5) if small else bits.of(((1, 9), (1, 13), (1, 18), (1, 30)))

    height, ratio = side(), bits.take(3)
    if ratio == 0:
        return side(), height
    across, down = RATIOS[ratio - 1]
    return height * across // down, height


def _pass_depth(bits: _Bits) -> None:
    if bits.flag():  # numbers with a fraction
        bits.of(((32, 0), (16, 0), (24, 0), (1, 6)))
        bits.take(4)
    else:
        bits.of(((8, 0), (10, 0), (12, 0), (1, 6)))


def _pass_extra_channel(bits: _Bits) -> None:
    if bits.flag():  # plain opacity
        return
    kind = bits.kind()
    _pass_depth(bits)
    bits.of(((0, 0), (3, 0), (4, 0), (1, 3)))
    bits.named()
    if kind == 0:  # opacity
        bits.flag()
    elif kind == 2:  # a printing colour
        bits.halves(4)
    elif kind == 5:  # the mosaic of a camera
        bits.of(((1, 0), (0, 2), (3, 4), (19, 8)))


def _pass_colours(bits: _Bits) -> None:
    if bits.flag():
        return
    profile, space, custom = bits.flag(), bits.kind(), 2
    if profile:
        raise ValueError(
            "its JPEG XL has a colour profile, and how large the frames after it are is not known"
        )
    by_sight, gray = space == 2, space == 1
    if not by_sight and bits.kind() == custom:
        _pass_places(bits, 1)
    if not (by_sight or gray) and bits.kind() == custom:
        _pass_places(bits, 3)
    if not by_sight:
        if bits.flag():
            bits.take(24)
        else:
            bits.kind()
    bits.kind()


def _pass_places(bits: _Bits, count: int) -> None:
    for _ in range(2 * count):
        bits.of(((0, 19), (524288, 19), (1048576, 20), (2097152, 21)))


def _pass_transforms(bits: _Bits, *, by_sight: bool) -> None:
    if by_sight and not bits.flag():
        bits.halves(16)
    weights = bits.take(3)
    for bit, count in enumerate((15, 55, 210)):
        bits.halves(count * (weights >> bit & 1))


def _frames(bits: _Bits, picture: _Picture) -> Iterator[_Frame]:
    last = False
    while not last:
        bits.align()
        frame = _Frame(bits, picture)
        yield frame
        last = frame.last
        if not last:
            _pass_content(bits, frame)


class _Frame:
    """The header of a frame; of a last one no more than is needed is read."""

    def __init__(self, bits: _Bits, picture: _Picture) -> None:
        self.bits, self.picture = bits, picture
        self.width, self.height = picture.width, picture.height
        self.last, self.modular, self.passes, self.grouped = True, False, 1, 1
        self.kind, self.coarser, self.subsampled = REGULAR, 1, 1
        if bits.flag():
            return
        self.kind = bits.take(2)
        shown = self.kind in SHOWN
        self._read_coding()
        partial = self._read_place(shown=shown)
        way = self._read_blending(partial=partial) if shown else REPLACED
        lasts = 0
        if shown and picture.lasting:
            lasts = bits.of(((0, 0), (1, 0), (0, 8), (0, 32)))
            bits.take(32 * picture.timed)
        self.last = shown and bits.flag()
        if not self.last:
            self._pass_rest(whole=shown and way == REPLACED and not partial, lasts=lasts > 0)

    def _read_coding(self) -> None:
        bits = self.bits
        self.modular, flags = bits.flag(), bits.long()
        three = not self.picture.by_sight and bits.flag()  # as JPEG has its colours
        whole = not flags & FROM_LOW_FREQUENCY
        if three and whole:
            self.subsampled = 2 if bits.take(6) else 1
        if whole:
            self.coarser = bits.of(POWERS)
            for _ in range(self.picture.extra):
                bits.of(POWERS)
        if self.modular:
            self.grouped = bits.take(2)
        elif self.picture.by_sight:
            bits.take(6)
        if self.kind != REFERENCE:
            self._read_passes()

    def _read_passes(self) -> None:
        bits = self.bits
        self.passes = bits.of(((1, 0), (2, 0), (3, 0), (4, 3)))
        if self.passes == 1:
            return
        coarser = bits.of(((0, 0), (1, 0), (2, 0), (3, 1)))
        bits.take(2 * (self.passes - 1))
        for _ in range(coarser):
            bits.of(POWERS)
        for _ in range(coarser):
            bits.of(((0, 0), (1, 0), (2, 0), (0, 3)))

    def _read_place(self, *, shown: bool) -> bool:
        """Read where the frame lies; tell whether that is less than the picture."""
        bits = self.bits
        if self.kind == LOW_FREQUENCY:
            step = 8 ** (1 + bits.take(2))
            self.width, self.height = -(-self.width // step), -(-self.height // step)
            return False
        if not bits.flag():
            return False
        place = [_signed(bits.of(SIDE)) for _ in range(2)] if shown else [0, 0]
        self.width, self.height = bits.of(SIDE), bits.of(SIDE)
        ends = (self.width + place[0], self.height + place[1])
        return max(place) > 0 or ends[0] < self.picture.width or ends[1] < self.picture.height

    def _read_blending(self, *, partial: bool) -> int:
        """Read how each channel is laid over what is there; give the way of the colours."""
        bits, ways = self.bits, []
        for _ in range(1 + self.picture.extra):
            ways.append(bits.of(((0, 0), (1, 0), (2, 0), (3, 2))))
            mixed = self.picture.extra > 0 and ways[-1] in (BLENDED, ADDED)
            if mixed:
                bits.of(((0, 0), (1, 0), (2, 0), (3, 3)))
            if mixed or ways[-1] == MULTIPLIED:
                bits.flag()
            if ways[-1] != REPLACED or partial:
                bits.take(2)
        return ways[0]

    def _pass_rest(self, *, whole: bool, lasts: bool) -> None:
        bits = self.bits
        kept = self.kind != LOW_FREQUENCY and bits.take(2) > 0
        if self.kind == REFERENCE or (whole and (kept or not lasts)):
            bits.flag()
        bits.named()
        if not bits.flag():
            self._pass_filter()
        bits.extensions()

    def _pass_filter(self) -> None:
        bits = self.bits
        if bits.flag() and bits.flag():
            bits.halves(6)
        if bits.take(2):
            if not self.modular and bits.flag():
                bits.halves(8)
            if bits.flag():
                bits.halves(5)
            if bits.flag():
                bits.halves(3 if self.modular else 4)
            bits.halves(self.modular)
        bits.extensions()


def _pass_content(bits: _Bits, frame: _Frame) -> None:
    """Pass over a frame by the list of the sizes of its parts."""
    side = 128 << frame.grouped
    shape = [-(-n // frame.coarser) for n in (frame.width, frame.height)]
    groups = -(-shape[0] // side) * -(-shape[1] // side)
    step = 8 * frame.subsampled
    blocks = [-(-n // step) * frame.subsampled for n in shape]
    coarse = -(-blocks[0] // side) * -(-blocks[1] // side)
    parts = 1 if groups == frame.passes == 1 else 2 + coarse + groups * frame.passes
    if bits.flag():
        raise ValueError(
            "its JPEG XL has a part in disorder, and how large the frames after it are is not known"
        )
    bits.align()
    size = sum(bits.of(SIZES) for _ in range(parts))
    bits.align()
    bits.place += 8 * size


def _signed(number: int) -> int:
    """Give a number whose lowest bit is its sign."""
    return -(number + 1) // 2 if number & 1 else number // 2
