"""Areas of a frame that were painted by hand: where noise is learned from in any case, or never."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from .errors import SettingsError

Corner = tuple[int, int]

IN, OUT, FREE = "in", "out", "free"
KINDS = (IN, OUT, FREE)
MOST, MOST_CORNERS = 1000, 1000
_WRITTEN = re.compile(r"(\w+):(\d{1,7},\d{1,7}(?:,\d{1,7},\d{1,7}|(?:/\d{1,7},\d{1,7}){2,}))")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle or a polygon of every frame; of two that overlap the later one counts.

    Patches that lie in an "in" area as a whole are taken whatever they hold, as long as they are
    not clipped; none is taken that touches an "out" area. "free" takes both back. `corners` are
    (row, column) between pixels: the upper left and the lower right one of a rectangle, or all
    those of a polygon, three or more.
    """

    kind: str
    corners: tuple[Corner, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"An area is {self.kind!r}; choose one of {', '.join(KINDS)}.")
        corners = _corners_of(self.corners)
        if not 2 <= len(corners) <= MOST_CORNERS:
            raise SettingsError(
                f"An area has {len(corners)} corners; give the two ends of a rectangle, or 3 to "
                f"{MOST_CORNERS} corners of a polygon."
            )
        if len(corners) == 2 and not (
            corners[0][0] < corners[1][0] and corners[0][1] < corners[1][1]
        ):
            raise SettingsError(
                f"A rectangle from {corners[0]} to {corners[1]} holds no pixel; the second corner "
                "is to be below and right of the first one."
            )
        object.__setattr__(self, "corners", corners)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read KIND:TOP,LEFT,HEIGHT,WIDTH, or the corners as in in:0,0/0,64/64,32, in pixels."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise SettingsError(
                f"The area {text[:80]!r} cannot be read; write KIND:TOP,LEFT,HEIGHT,WIDTH in "
                "pixels, such as in:0,0,64,128, or the corners of a polygon, TOP,LEFT of each, "
                "such as out:100,40/100,80/140,60."
            )
        numbers = [[int(n) for n in corner.split(",")] for corner in found[2].split("/")]
        if len(numbers) == 1:
            top, left, height, width = numbers[0]
            return cls(found[1], ((top, left), (top + height, left + width)))
        return cls(found[1], tuple((top, left) for top, left in numbers))

    def __str__(self) -> str:
        if len(self.corners) == 2:
            (top, left), (bottom, right) = self.corners
            return f"{self.kind}:{top},{left},{bottom - top},{right - left}"
        return f"{self.kind}:" + "/".join(f"{row},{column}" for row, column in self.corners)


def areas_of(values: Iterable[Any]) -> tuple[Area, ...]:
    """Give areas as they are in settings, from plain values or from areas."""
    names = {field.name for field in fields(Area)}
    made = []
    for value in values:
        if isinstance(value, dict) and set(value) == names:
            value = Area(**value)
        if not isinstance(value, Area):
            raise SettingsError(
                f"An area is {str(value)[:80]!r}; its kind and its corners are needed."
            )
        made.append(value)
    if len(made) > MOST:
        raise SettingsError(f"There are {len(made)} painted areas; at most {MOST} can be used.")
    return tuple(made)


def _corners_of(values: Any) -> tuple[Corner, ...]:
    """Give corners as pairs of whole numbers, from what a file may hold."""
    if not isinstance(values, (list, tuple)):
        raise SettingsError(f"The corners of an area are {str(values)[:80]!r}; pairs are needed.")
    for corner in values:
        pair = isinstance(corner, (list, tuple)) and len(corner) == 2
        if not pair or not all(type(n) is int and 0 <= n < 10**7 for n in corner):
            raise SettingsError(
                f"A corner of an area is {str(corner)[:80]}; row and column are needed, whole "
                "numbers of pixels from 0 on."
            )
    return tuple((corner[0], corner[1]) for corner in values)
