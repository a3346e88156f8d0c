"""Make the pictures of the guide from the bundled samples: python packaging/make_pictures.py.

They are written to `docs/guide/pictures`: for each sample its smooth patches, and before and after
the preset instant, with the clean sample as the reference. The same program gives the same pictures
on a processor; what came of each is printed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from training_core import (
    CoreError,
    assess,
    compare_with_reference,
    denoise_stack,
    find_smooth_patches,
    open_stack,
    preset,
)
from training_core.reporting.figures import comparison_figure, patches_figure
from training_core.resources import resource

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "guide" / "pictures"
SAMPLES = ("fluorescence", "ct", "sem")
# What the page of a sample says to choose, where the program cannot tell texture from noise.
CORRELATION = {"sem": "correlated"}


def main() -> int:
    """Write all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        try:
            print(f"{name}: {make(name)}")
        except CoreError as error:
            sys.exit(f"{name}: {error}")
    return 0


def make(name: str) -> str:
    """Make both pictures of a sample; give the figures for its page."""
    noisy, clean = (
        open_stack(resource(f"samples/{name}_{kind}.tif")) for kind in ("noisy", "clean")
    )
    settings = preset("instant", device="cpu")
    correlation = CORRELATION.get(name, settings.noise_model.correlation)
    settings = replace(settings, noise_model=replace(settings.noise_model, correlation=correlation))
    found = find_smooth_patches(noisy, settings.patches)
    patches_figure(noisy, found, PICTURES / f"{name}_patches.png", overwrite=True)
    denoised = denoise_stack(noisy, settings).denoised
    comparison_figure(noisy, denoised, clean, PICTURES / f"{name}_instant.png", overwrite=True)
    before, after = (compare_with_reference(stack, clean) for stack in (noisy, denoised))
    blind = assess(noisy, denoised)
    return (
        f"{found.count} patches, {found.verdict.level}; {before.psnr:.1f} to {after.psnr:.1f} dB; "
        f"mean {blind.mean_shift_percent:+.2f} %, residual {blind.residual_to_noise} of the noise"
    )


if __name__ == "__main__":
    sys.exit(main())
