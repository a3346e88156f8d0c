"""The sheets that figures are drawn on: titled columns of pictures with a caption, as PNG files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Frame = NDArray[np.floating[Any]]
Grey = NDArray[np.uint8]
Window = tuple[float, float]

PANEL_PX = 480
GAP_PX = 12
MARGIN_PX = 28
HEAD_PX = 66
PAPER, INK, FAINT = (255, 255, 255), (28, 32, 38), (104, 110, 120)


def to_grey(frame: Frame, window: Window) -> Grey:
    """Map values of any shape to grey levels: the ends of the window to 0 and 255."""
    low, high = window
    return np.asarray(np.clip((frame - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def enlarged(pixels: Grey, panel_px: int = PANEL_PX) -> Image.Image:
    """Fit grey or RGB pixels into a panel; enlarged pixels stay visible as squares."""
    height, width = pixels.shape[:2]
    zoom = panel_px / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    how = Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.BOX
    return Image.fromarray(pixels).convert("RGB").resize(size, how)


def sheet(
    headings: Sequence[tuple[str, str]], columns: Sequence[list[Image.Image]], caption: list[str]
) -> Image.Image:
    """Lay columns of tiles side by side, headings above and a caption below."""
    widths = [max(tile.width for tile in tiles) for tiles in columns]
    heights = [max(row) for row in zip(*([t.height for t in c] for c in columns), strict=True)]
    width = 2 * MARGIN_PX + sum(widths) + GAP_PX * (len(widths) - 1)
    lines = [part for text in caption for part in _wrapped(text, width - 2 * MARGIN_PX)]
    height = HEAD_PX + sum(heights) + GAP_PX * len(heights) + 20 * len(lines) + 18
    made = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(made)
    left = MARGIN_PX
    for (title, detail), tiles, column_width in zip(headings, columns, widths, strict=True):
        draw.text((left, 14), title, INK, font(22))
        draw.text((left, 42), detail, FAINT, font(15))
        for row, tile in enumerate(tiles):
            made.paste(tile, (left, HEAD_PX + sum(heights[:row]) + GAP_PX * row))
        left += column_width + GAP_PX
    for number, line in enumerate(lines):
        draw.text((MARGIN_PX, height - 14 - 20 * (len(lines) - number)), line, FAINT, font(14))
    return made


def _wrapped(text: str, width_px: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(14).getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def font(size: int) -> Any:
    """Give the font that comes with Pillow; it has no micro sign."""
    return ImageFont.load_default(size)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `OutputError` where a file would be replaced that may not be."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow it to be replaced.")


def save_png(picture: Image.Image, path: Path) -> Path:
    """Write a PNG so that it appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    try:
        picture.save(partial, "PNG", optimize=True)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The figure {path} cannot be written: {error.strerror}.") from error
    return path
