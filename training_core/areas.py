"""Areas of a frame that were painted by hand: where noise is learned from in any case, or never."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from .errors import SettingsError

IN, OUT, FREE = "in", "out", "free"
KINDS = (IN, OUT, FREE)
MOST = 1000
_WRITTEN = re.compile(r"(\w+):(\d{1,7}),(\d{1,7}),(\d{1,7}),(\d{1,7})")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of every frame, in pixels; of two that overlap the later one counts.

    Patches that lie in an "in" area as a whole are taken whatever they hold, as long as they are
    not clipped; none is taken that touches an "out" area. "free" takes both back.
    """

    kind: str
    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"An area is {self.kind!r}; choose one of {', '.join(KINDS)}.")
        for name in ("top", "left", "height", "width"):
            value, least = getattr(self, name), int(name in ("height", "width"))
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not least <= value < 10**7:
                raise SettingsError(
                    f"The {name} of an area is {str(value)[:80]}; a whole number of pixels from "
                    f"{least} on is needed."
                )

    @classmethod
    def of(cls, text: str) -> Self:
        """Read an area that is written as KIND:TOP,LEFT,HEIGHT,WIDTH, such as in:0,0,64,128."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise SettingsError(
                f"The area {text[:80]!r} cannot be read; write KIND:TOP,LEFT,HEIGHT,WIDTH in "
                "pixels, such as in:0,0,64,128 or out:100,40,32,32."
            )
        return cls(found[1], *(int(number) for number in found.groups()[1:]))

    def __str__(self) -> str:
        return f"{self.kind}:{self.top},{self.left},{self.height},{self.width}"


def areas_of(values: Iterable[Any]) -> tuple[Area, ...]:
    """Give areas as they are in settings, from plain values or from areas."""
    names = {field.name for field in fields(Area)}
    made = []
    for value in values:
        if isinstance(value, dict) and set(value) == names:
            value = Area(**value)
        if not isinstance(value, Area):
            raise SettingsError(f"An area is {str(value)[:80]!r}; a rectangle is needed.")
        made.append(value)
    if len(made) > MOST:
        raise SettingsError(f"There are {len(made)} painted areas; at most {MOST} can be used.")
    return tuple(made)
