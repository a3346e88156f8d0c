"""Units as microscopes, ImageJ and OME spell them, and the lengths and times written in them."""

from __future__ import annotations

import re
from typing import Any

_METRES = {"": 1e6, "centi": 1e4, "milli": 1e3, "micro": 1.0, "nano": 1e-3, "pico": 1e-6}
# Micrometres per unit.
UNITS_UM = {
    # The micro sign and the Greek mu.
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns"), 1.0),
    **dict.fromkeys(("å", "angstrom", "ångström", "angstroms"), 1e-4),
    **dict.fromkeys(("inch", "in", "inches"), 25_400.0),
    **{"m": 1e6, "cm": 1e4, "mm": 1e3, "nm": 1e-3, "pm": 1e-6},
    **{
        f"{prefix}{word}": um
        for prefix, um in _METRES.items()
        for word in ("meter", "metre", "meters", "metres")
    },
}
# Seconds per unit; what is not here is not known.
SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("µs", "μs", "us", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}


def micrometres(value: Any, unit: Any) -> float | None:
    """Give a length in micrometres; None where it is none, not positive, or its unit unknown."""
    return positive(value, UNITS_UM.get(plain(unit)))


def seconds(value: Any, unit: Any) -> float | None:
    """Give a time in seconds; None where it is none, not positive, or its unit unknown."""
    return positive(value, SECONDS.get(plain(unit)))


def plain(unit: Any) -> str:
    """Undo what ImageJ writes for signs that are not ASCII, such as the micro sign."""
    return re.sub(r"\\u([\dA-Fa-f]{4})", lambda at: chr(int(at[1], 16)), str(unit)).strip().lower()


def positive(value: Any, factor: float | None) -> float | None:
    """Give `value` times `factor` where both are known and positive."""
    try:
        number = float(value) * (factor or 0.0)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None
