"""Colours for grey values: the look-up tables a viewer offers, and that of the smooth patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("Grey", "Inferno", "Viridis", "Magma", "Fire", "HiLo")
# That of ImageJ: red, green and blue at 32 places of the way from black to white.
_NO_BLUE = (*[0] * 11, 35, 98, 160, 223, 255)
FIRE = (
    (0, 0, 1, 25, 49, 73, 98, 122, 146, 162, 173, 184, 195, 207, 217, 229, 240, 252, *[255] * 14),
    (*[0] * 13, 14, 35, 57, 79, 101, 117, 133, 147, 161, 175, 190, 205, 219, 234, 248, *[255] * 4),
    (0, 61, 96, 130, 165, 192, 220, 227, 210, 181, 151, 122, 93, 64, 35, 5, *_NO_BLUE),
)
PATCH_GREEN = (74, 222, 128)
DARKER, BRIGHTER = (64, 156, 255), (255, 150, 50)  # told apart by colour-blind people too


def look_up_table(name: str, inverted: bool = False) -> NDArray[np.uint8]:
    """Give the (256, 3) uint8 table called `name`, one of `NAMES`.

    HiLo is grey with the lowest value blue and the highest red, as microscopists use it to see
    what is outside the window.
    """
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    if name == "Fire":
        knots, places = np.arange(32), np.arange(256) / 8
        grey = np.stack([np.interp(places, knots, part) for part in FIRE], 1).astype(np.uint8)
    elif name not in ("Grey", "HiLo"):
        grey = np.asarray(pg.colormap.get(name.lower()).getLookupTable(nPts=256, mode="byte"))[
            :, :3
        ]
    table = grey[::-1].copy() if inverted else grey.copy()
    if name == "HiLo":
        table[0], table[-1] = (40, 90, 255), (255, 70, 40)
    return table


def coverage_table() -> NDArray[np.uint8]:
    """Give the (256, 4) uint8 table of the overlay: clear at 0, else green."""
    table = np.zeros((256, 4), dtype=np.uint8)
    table[:, :3] = PATCH_GREEN
    table[1:, 3] = 64
    return table


def diverging_table() -> NDArray[np.uint8]:
    """Give the (256, 3) uint8 table of differences: blue below zero, dark at it, orange above.

    Dark in the middle, since the canvas is: what differs lights up.
    """
    share = np.abs(np.linspace(-1, 1, 256))[:, None]
    middle = np.array([24, 26, 30])
    ends = np.where(np.arange(256)[:, None] < 128, DARKER, BRIGHTER)
    # Half way to white at the very ends, so that both reach the same lightness.
    bright = ends + (np.array([255, 255, 255]) - ends) * np.clip(share - 0.6, 0, 1)
    return np.asarray(middle + (bright - middle) * share, np.uint8)


def changed_table() -> NDArray[np.uint8]:
    """Give the (256, 4) uint8 table of changed pixels: 0 made darker, 255 brighter, else clear."""
    table = np.zeros((256, 4), dtype=np.uint8)
    table[:64] = (*DARKER, 230)
    table[192:] = (*BRIGHTER, 230)
    return table
