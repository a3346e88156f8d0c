"""A check of the installation, offline and in well under a minute."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from training_core.errors import CoreError
from training_core.run import SILENT, Run
from training_core.settings import preset
from training_core.stack import Stack

Result = tuple[str, bool, str]

IMPORTED = (
    "numpy",
    "scipy",
    "torch",
    "tifffile",
    "imagecodecs",
    "skimage",
    "PIL",
    "pydicom",
    "pywt",
)
PROBLEMS = (CoreError, ImportError, RuntimeError, OSError, ValueError)


def self_test(*, run: Run = SILENT) -> list[Result]:
    """Try what every job needs: libraries, the device, a file and a tiny denoising job.

    Of each part: its name, whether it worked, and what was found or went wrong, in a sentence.
    """
    parts: dict[str, Callable[[], str]] = {
        "libraries": _libraries,
        "device": lambda: _device(run),
        "file": _file,
        "denoising": _denoising,
    }
    results = []
    for name, part in parts.items():
        run.check()
        try:
            results.append((name, True, part()))
        except PROBLEMS as error:
            results.append((name, False, f"{type(error).__name__}: {error}"))
    return results


def _libraries() -> str:
    for name in IMPORTED:
        import_module(name)
    return f"torch {version('torch')}, numpy {version('numpy')} and {len(IMPORTED) - 2} others load"


def _device(run: Run) -> str:
    from training_core.compute.device import choose_device, describe_device, why_no_gpu

    device = choose_device(run=run)
    why = f" ({why_no_gpu()})" if device.type == "cpu" else ""
    return f"a convolution and its gradient are right on: {describe_device(device)}{why}"


def _noisy_stack() -> Stack:
    noise = np.random.default_rng(0).normal(1000, 30, (2, 64, 64))
    return Stack(noise.astype(np.uint16), "ZYX")


def _file() -> str:
    from training_core.export.writers import write_stack
    from training_core.io.readers import open_stack

    stack = _noisy_stack()
    with tempfile.TemporaryDirectory() as folder:
        path = write_stack(stack, Path(folder) / "self-test.tif")
        if not np.array_equal(open_stack(path).pixels, stack.pixels):
            raise RuntimeError("a TIFF file was read back with other pixels")
    return "a TIFF file is written and read back unchanged"


def _denoising() -> str:
    from training_core.pipeline import denoise_stack

    stack = _noisy_stack()
    quick = preset("quick")
    tiny = replace(
        quick,
        noise_model=replace(quick.noise_model, steps=5),
        denoiser=replace(quick.denoiser, steps=5, rounds=1),
    )
    denoised = denoise_stack(stack, tiny).denoised
    if denoised.shape != stack.shape or denoised.dtype != np.float32:
        raise RuntimeError(f"the result is {denoised.shape} {denoised.dtype}")
    before, after = stack.pixels.std(), denoised.pixels.std()
    return f"a tiny stack is denoised: its noise falls from {before:.0f} to {after:.0f}"
