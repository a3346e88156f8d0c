"""What is said of the pixel under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training_core.stack import Stack


def position_text(stack: Stack, row: int, column: int) -> str:
    """Write where a pixel is, in pixels and, where the size is known, in a physical unit."""
    size = stack.pixel_size
    if not size.x_um or not size.y_um:
        return f"{column}, {row} px"
    unit, per_unit = ("mm", 1000) if size.x_um >= 100 else ("µm", 1)
    step = size.x_um / per_unit
    decimals = 3 if step < 0.01 else 2 if step < 0.1 else 1
    x, y = column * step, row * size.y_um / per_unit
    return f"{column}, {row} px ({x:.{decimals}f}, {y:.{decimals}f} {unit})"


def value_text(value: float, unit: str = "") -> str:
    """Write one pixel value, whole from 1000 on, else with four digits."""
    whole = abs(value) >= 1000 or float(value).is_integer()
    text = f"{value:.0f}" if whole else f"{value:.4g}"
    return f"{text} {unit}" if unit else text
