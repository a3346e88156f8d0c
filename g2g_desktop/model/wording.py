"""Facts of a stack as microscopists write them: axes, bit depth, pixel size, size on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_core.wording import length

if TYPE_CHECKING:
    import numpy as np

    from training_core.stack import Stack

AXIS_NAMES = {"Z": "depth", "T": "time", "C": "channels", "I": "images"}


def axes_text(stack: Stack) -> str:
    """Write the axes, such as "Z 41 · C 2 · Y 512 · X 512"."""
    return " · ".join(f"{a} {n}" for a, n in zip(stack.axes, stack.shape, strict=True))


def axes_help(stack: Stack) -> str:
    """Write what the letters of the axes mean."""
    named = [f"{AXIS_NAMES[a]} {n}" for a, n in zip(stack.axes, stack.shape, strict=True)
             if a in AXIS_NAMES]  # fmt: skip
    height, width = stack.frame_shape
    return ", ".join([*named, f"{width} pixels wide, {height} high"])


def axes_question(stack: Stack) -> str:
    """Ask what nobody has said of the axes."""
    if stack.axes[1:] == "YX":
        told = stack.guess or f"Nothing says what its {stack.shape[0]} images are."
        return f"{told} What are they?"
    pairs = zip(stack.axes[:-2], stack.shape, strict=False)
    lead = " · ".join(f"{axis}\N{NO-BREAK SPACE}{length}" for axis, length in pairs)
    return f"Nothing says which axis is which. Are they {lead}?"


def pixels_text(stack: Stack, dtype: np.dtype[Any] | None = None) -> str:
    """Write the data type as microscopists say it, such as "16 bit" or "32-bit float"."""
    dtype = dtype or stack.dtype
    bits = 8 * dtype.itemsize
    kind = {"f": f"{bits}-bit float", "i": f"{bits} bit, signed"}.get(dtype.kind)
    return (kind or f"{bits} bit") + (f", {stack.value_unit}" if stack.value_unit else "")


def pixel_size_text(stack: Stack) -> str:
    """Write the pixel size, such as "0.108 µm · Z 0.3 µm"; "" where unknown."""
    size = stack.pixel_size
    if not size.x_um:
        return ""
    same = size.y_um is None or abs(size.x_um - size.y_um) < 1e-6 * size.x_um
    plane = length(size.x_um) if same else f"{length(size.x_um)} x {length(size.y_um or 0.0)}"
    return f"{plane} · Z {length(size.z_um)}" if size.z_um and "Z" in stack.axes else plane


def file_text(stack: Stack, dtype: np.dtype[Any]) -> str:
    """Write what a file holds, such as "Z 3 · 256 × 256 · 0.108 µm · Z 0.3 µm · 16 bit"."""
    height, width = stack.frame_shape
    axes = [f"{a} {n}" for a, n in zip(stack.axes, stack.shape, strict=True)
            if a not in "YX" and n > 1]  # fmt: skip
    parts = (*axes, f"{width} \N{MULTIPLICATION SIGN} {height}", pixel_size_text(stack))
    return " · ".join(part for part in (*parts, pixels_text(stack, dtype)) if part)
