"""Pictures to show and to keep: before and after side by side, and where the noise was learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from training_core.batch.outputs import refuse_existing
from training_core.draft import draft
from training_core.errors import OutputError
from training_core.patches.smooth_patches import SmoothPatches
from training_core.quality.measures import (
    SOFT_TISSUE_HU,
    ReferenceQuality,
    Window,
    compare_with_reference,
)
from training_core.stack import Pixels, Stack
from training_core.wording import pixel_value

Place = tuple[int, int, int]
Grey = NDArray[np.uint8]

PANEL_PX = 480
GAP_PX = 12
MARGIN_PX = 28
HEAD_PX = 66
PAPER, INK, FAINT = (255, 255, 255), (28, 32, 38), (104, 110, 120)
MARKED = (255, 196, 60)
TINT = np.array([70, 220, 130])
SATURATED_PERCENT = 0.35  # as Fiji's automatic contrast saturates
EXAMPLES_PER_ROW = 4


def comparison_figure(
    noisy: Stack,
    denoised: Stack,
    reference: Stack | None,
    path: Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Draw the middle frame before and after, whole and enlarged where it is rich in detail.

    All views share the contrast of the noisy frame. PSNR and SSIM, of the whole stack, are given
    only where there is a reference. The stacks have one shape; the file is a PNG.

    Raises
    ------
    InputError
        If the shapes differ.
    OutputError
        If the file exists or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    index = noisy.frame_count // 2
    window = contrast_window(noisy, index)
    stacks = [noisy, denoised] if reference is None else [noisy, denoised, reference]
    greys = [to_grey(stack.frame(index), window) for stack in stacks]
    details, notes = _scores(noisy, denoised, reference)
    place = detail_place(greys[-1])
    tiles = [_pair_of_tiles(grey, place, noisy.pixel_size.x_um) for grey in greys]
    headings = list(zip(("Noisy", "Denoised", "Reference"), details, strict=True))
    low, high = (f"{pixel_value(v)}{' HU' * (noisy.value_unit == 'HU')}" for v in window)
    shared = f"Same contrast in all views, {low} to {high}; orange: the part enlarged below."
    caption = [f"{_caption(noisy, index)}. {shared}", *notes]
    return save_png(sheet(headings[: len(tiles)], tiles, caption), path)


def patches_figure(
    stack: Stack, patches: SmoothPatches, path: Path, *, overwrite: bool = False
) -> Path:
    """Draw the frame with the most smooth patches, where they lie, and examples of them.

    Raises `OutputError` if the file exists or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    index = int(np.bincount(patches.locations[:, 0]).argmax()) if patches.count else 0
    grey = to_grey(stack.frame(index), contrast_window(stack, index))
    where = enlarged(_tinted(grey, patches, index))
    _scale_bar(where, stack.pixel_size.x_um, where.width / grey.shape[1])
    count = f"{patches.count:,}".replace(",", " ")
    headings = [
        ("Smooth patches", f"{count} of {patches.patch_size_px} px, tinted"),
        ("Examples", "contrast stretched one by one"),
    ]
    caption = [f"{_caption(stack, index)}. {patches.verdict.sentence}"]
    return save_png(sheet(headings, [[where], [_examples(stack, patches)]], caption), path)


def contrast_window(stack: Stack, frame: int) -> Window:
    """Choose black and white for a frame: 0.35 % saturated in all, soft tissue for CT in HU."""
    if stack.value_unit == "HU":
        return SOFT_TISSUE_HU
    half = SATURATED_PERCENT / 2
    low, high = (float(v) for v in np.percentile(stack.frame(frame), (half, 100 - half)))
    return (low, high) if high > low else (low, low + 1.0)


def detail_place(grey: Grey) -> Place:
    """Find the square with the most detail: top, left, side in pixels."""
    wanted = np.clip(min(grey.shape) / 3.5, 16, 160)
    # A whole number of drawn pixels for each enlarged one, where the frame is large enough.
    side = min(*grey.shape, PANEL_PX // int(PANEL_PX / wanted))
    # Noise would win everywhere alike, so only slopes wider than it count.
    slope = ndimage.gaussian_gradient_magnitude(grey.astype(np.float32), 2.0)
    total = np.pad(np.cumsum(np.cumsum(slope, axis=0, dtype=np.float64), axis=1), ((1, 0), (1, 0)))
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    inside += total[:-side, :-side]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return int(top), int(left), side


def scale_bar_um(view_um: float) -> float:
    """Give the length of a scale bar, 1, 2 or 5 times a power of ten, up to a quarter of a view."""
    most = view_um / 4
    unit = 10.0 ** floor(log10(most))
    return unit * max(step for step in (1, 2, 5) if step * unit <= most)


def _scores(
    noisy: Stack, denoised: Stack, reference: Stack | None
) -> tuple[tuple[str, str, str], list[str]]:
    """Give what stands under the three titles, and the note that states the data range."""
    if reference is None:
        return ("", "", ""), []
    before, after = (compare_with_reference(stack, reference) for stack in (noisy, denoised))
    note = f"PSNR and SSIM are those of the whole stack for a data range of {after.data_range:.6g}"
    if after.window is not None:
        note += ", clipped to {:g} to {:g} first".format(*after.window)
    return (_score(before), _score(after), ""), [f"{note}."]


def _score(quality: ReferenceQuality) -> str:
    return f"PSNR {quality.psnr:.2f} dB   SSIM {quality.ssim:.3f}"


def _caption(stack: Stack, index: int) -> str:
    return f"{stack.name}, frame {index + 1} of {stack.frame_count}"


def _pair_of_tiles(grey: Grey, place: Place, pixel_um: float | None) -> list[Image.Image]:
    """Draw the whole frame with the place marked, and the place enlarged."""
    top, left, side = place
    whole = enlarged(grey)
    zoom = whole.width / grey.shape[1]
    box = [left * zoom, top * zoom, (left + side) * zoom - 1, (top + side) * zoom - 1]
    ImageDraw.Draw(whole).rectangle(box, outline=MARKED, width=2)
    detail = enlarged(grey[top : top + side, left : left + side])
    for tile, width_px in ((whole, grey.shape[1]), (detail, side)):
        _scale_bar(tile, pixel_um, tile.width / width_px)
    return [whole, detail]


def _scale_bar(tile: Image.Image, pixel_um: float | None, zoom: float) -> None:
    if pixel_um is None or pixel_um <= 0:
        return
    length_um = scale_bar_um(tile.width / zoom * pixel_um)
    length = round(length_um / pixel_um * zoom)
    right, bottom = tile.width - 14, tile.height - 14
    draw = ImageDraw.Draw(tile)
    draw.rectangle([right - length, bottom - 5, right, bottom], PAPER, (0, 0, 0))
    _write_length(draw, right - length / 2, bottom - 12, _length(length_um))


def _write_length(draw: ImageDraw.ImageDraw, middle: float, baseline: float, text: str) -> None:
    letters = font(17)
    plain = text.replace("µ", "u")
    place = (middle, baseline)
    draw.text(place, plain, PAPER, letters, "ms", stroke_width=2, stroke_fill=(0, 0, 0))
    if plain != text:
        # The font that comes with Pillow has no micro sign: a u gets its tail.
        left = middle - letters.getlength(plain) / 2 + letters.getlength(text.partition("µ")[0]) + 1
        draw.rectangle([left - 1, baseline, left + 3, baseline + 5], (0, 0, 0))
        draw.rectangle([left + 0.5, baseline - 6, left + 1.5, baseline + 4], PAPER)


def _length(um: float) -> str:
    if um < 0.9:
        return f"{um * 1000:g} nm"
    return f"{um:g} µm" if um < 900 else f"{um / 1000:g} mm"


def _tinted(grey: Grey, patches: SmoothPatches, index: int) -> Grey:
    """Colour the pixels of a frame that lie in a smooth patch, (height, width, 3)."""
    covered = np.zeros(grey.shape, bool)
    size = patches.patch_size_px
    for frame, top, left in patches.locations:
        if frame == index:
            covered[top : top + size, left : left + size] = True
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float64)
    rgb[covered] = 0.62 * rgb[covered] + 0.38 * TINT
    edge = covered & ~ndimage.binary_erosion(covered)
    rgb[edge] = TINT
    return rgb.astype(np.uint8)


def _examples(stack: Stack, patches: SmoothPatches) -> Image.Image:
    """Draw up to 16 patches, taken evenly from the list, row by row."""
    made = Image.new("RGB", (PANEL_PX, PANEL_PX), (238, 240, 243))
    cell, size = PANEL_PX // EXAMPLES_PER_ROW, patches.patch_size_px
    chosen = np.unique(np.linspace(0, patches.count - 1, EXAMPLES_PER_ROW**2).round().astype(int))
    for number, (frame, top, left) in enumerate(patches.locations[chosen] if patches.count else ()):
        patch = stack.frame(int(frame))[top : top + size, left : left + size]
        low, high = np.percentile(patch, (0.5, 99.5))
        grey = Image.fromarray(to_grey(patch, (float(low), float(max(high, low + 1e-9)))))
        row, column = divmod(number, EXAMPLES_PER_ROW)
        tile = grey.resize((cell - 4, cell - 4), Image.Resampling.NEAREST)
        made.paste(tile, (column * cell + 2, row * cell + 2))
    return made


def to_grey(frame: Pixels, window: Window) -> Grey:
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


def save_png(picture: Image.Image, path: Path) -> Path:
    """Write a PNG so that it appears whole or not at all."""
    try:
        with draft(path) as temporary:
            picture.save(temporary, "PNG", optimize=True)
    except OSError as error:
        raise OutputError(f"The figure {path} cannot be written: {error.strerror}.") from error
    return path
