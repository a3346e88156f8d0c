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

import tifffile
from sample_scenes import PIXEL_CM, Pair, ct, fluorescence, sem

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
    """Write an ImageJ TIFF; OME-TIFF for signed pixels, which ImageJ's own kind does not know."""
    signed = pixels.dtype.kind == "i"
    if signed:
        metadata = {f"PhysicalSize{axis}": pixel_um for axis in "XY"}
        metadata |= {"axes": axes, "PhysicalSizeZ": 3000.0}
    else:
        metadata = {"axes": axes, "unit": "um"} | ({"spacing": 0.3} if "Z" in axes else {})
    tifffile.imwrite(
        path,
        pixels,
        imagej=not signed,
        ome=signed,
        resolution=(1 / pixel_um, 1 / pixel_um),
        compression="zlib",
        predictor=True,
        metadata=metadata,
    )


MAKERS: dict[str, tuple[Callable[[], Pair], str, float]] = {
    "fluorescence": (fluorescence, "ZYX", 0.108),
    "ct": (ct, "ZYX", round(10_000 * PIXEL_CM)),
    "sem": (sem, "YX", 0.012),
}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
