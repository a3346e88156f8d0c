"""What a file says of its channels beside their names: the colour of each, and its light."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .units import positive

HEXADECIMAL = re.compile(r"#?(?:[\da-f]{2})?([\da-f]{6})", re.IGNORECASE)  # opacity comes first
NAMED = {
    "red": "FF0000",
    "green": "00FF00",
    "blue": "0000FF",
    "cyan": "00FFFF",
    "magenta": "FF00FF",
    "yellow": "FFFF00",
    "gray": "FFFFFF",
    "grey": "FFFFFF",
}


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a file, a value for each; what is not known of one is "" or None.

    Attributes
    ----------
    names
        What they are called.
    colours
        What they are shown in, such as "00FF00"; see `colour`.
    emission_nm, excitation_nm
        Wavelengths in nanometres.
    """

    names: Sequence[str] = ()
    colours: Sequence[str] = ()
    emission_nm: Sequence[Any] = ()
    excitation_nm: Sequence[Any] = ()

    def noted(self, count: int) -> dict[str, list[str]]:
        """Give what is known of each of so many channels, in the words of OME-XML."""
        said: dict[str, list[str]] = {}
        if len(self.colours) == count and all(self.colours):
            said["Color"] = [_signed(text) for text in self.colours]
        for name, values in (("Emission", self.emission_nm), ("Excitation", self.excitation_nm)):
            lengths = [positive(value, 1.0) for value in values]
            if len(lengths) == count and all(lengths):
                said[f"{name}Wavelength"] = [f"{length:.6g}" for length in lengths]
                said[f"{name}WavelengthUnit"] = ["nm"] * count
        return said


def colour(said: Any) -> str:
    """Give a colour as red, green and blue in hexadecimal; "" where it is none.

    Of a name ("Green"), a hexadecimal number with opacity before it or without ("#FF00FF00"), or
    three numbers: whole ones up to 255, or fractions.
    """
    if isinstance(said, str):
        known = HEXADECIMAL.fullmatch(said.strip())
        return known[1].upper() if known else NAMED.get(said.strip().lower(), "")
    parts = list(said)[:3]
    if len(parts) < 3 or not all(0 <= part <= 255 for part in parts):
        return ""
    fractions = any(isinstance(part, float) for part in parts) and max(parts) <= 1
    return bytes(round(part * 255) if fractions else int(part) for part in parts).hex().upper()


def _signed(text: str) -> str:
    """Give red, green, blue and full opacity as the number that OME-XML has, with its sign."""
    number = int(f"{text}FF", 16)
    return str(number - 2**32 if number >= 2**31 else number)
