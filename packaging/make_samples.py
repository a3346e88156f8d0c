"""Make the sample stacks in `resources/samples`: simulated, so that the project may ship them.

Each sample is a noisy stack and its clean reference:

- `fluorescence_noisy.tif`, `fluorescence_clean.tif`: ZYX uint16, cells with microtubules, nuclei
  and vesicles; shot noise and read noise of a camera with an offset, so the noise grows with
  brightness.
- `ct_noisy.tif`, `ct_clean.tif`: ZYX int16 in Hounsfield units, a slice of an abdomen; the noise
  comes from counting photons in the projections and is correlated by the reconstruction.
- `sem_noisy.tif`, `sem_clean.tif`: YX uint8, a sintered surface; white detector noise, smeared a
  little along the scan lines, and a small step from line to line.

Run `python packaging/make_samples.py [FOLDER]`; the same seed gives the same pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample_scenes import PIXEL_CM, Pair, ct, fluorescence, sem

from training_core.export.writers import write_stack
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SAMPLES = Path(__file__).parent.parent / "resources" / "samples"


def main(folder: Path = SAMPLES) -> None:
    """Write the six files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (make, axes, pixel_um) in MAKERS.items():
        for kind, pixels in zip(("noisy", "clean"), make(), strict=True):
            write(folder / f"{name}_{kind}.tif", pixels, axes, pixel_um)


def write(path: Path, pixels: NDArray[Any], axes: str, pixel_um: float) -> None:
    """Write as the program itself does: ImageJ TIFF, and OME-TIFF in HU for the signed CT."""
    signed = pixels.dtype.kind == "i"
    depth_um = (3000.0 if signed else 0.3) if "Z" in axes else None
    stack = Stack(
        pixels,
        axes,
        PixelSize(pixel_um, pixel_um, depth_um),
        value_unit="HU" if signed else "",
        kind="ome" if signed else "imagej",
    )
    write_stack(stack, path, overwrite=True)


MAKERS: dict[str, tuple[Callable[[], Pair], str, float]] = {
    "fluorescence": (fluorescence, "ZYX", 0.108),
    "ct": (ct, "ZYX", round(10_000 * PIXEL_CM)),
    "sem": (sem, "YX", 0.012),
}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
