"""Tiny seeded jobs, one of each kind, told by digests of the weights and pixels they end with.

Run as a script it runs the jobs named on the command line (none: all) and prints one JSON object:
the digests by job. `test_golden` starts it with `environment()`, in which every x86-64 processor
with AVX2 computes the same, and compares with `golden.json`; `--keep` writes that file anew, which
belongs in a commit of its own that says why the arithmetic changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_core.settings import Settings
    from training_core.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).with_name("golden.json")
PACKAGES = ("torch", "numpy", "scipy")
# Of each thing that a job makes: its digest, and a sketch, which survives other rounding.
Marks = dict[str, dict[str, Any]]
SKETCHED = 8


def environment() -> dict[str, str]:
    """Give the variables under which processors do not choose among kernels that round apart."""
    from numpy._core._multiarray_umath import __cpu_features__ as features  # type: ignore[import-not-found,unused-ignore]

    wide = [
        name for name, here in features.items() if here and name.startswith(("AVX512", "X86_V4"))
    ]
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MKL_CBWR": "COMPATIBLE",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": " ".join(wide),
    }


def releases() -> dict[str, str]:
    """Give the releases that the digests belong to; another one may round differently."""
    return {name: version(name) for name in PACKAGES}


def tiny(**changes: Any) -> Settings:
    """Give the default method on a few steps: every stage runs, none for long."""
    from training_core.settings import DenoiserSettings, NoiseModelSettings, PatchSettings, Settings

    plain: dict[str, Any] = {
        "rounds": 2,
        "steps": 6,
        "batch": 2,
        "crop_px": 32,
        "area_mpx": 0.02,
        "even_flat_areas": False,
        "collaborate": False,
    }
    return Settings(
        preset="quick",
        seed=3,
        device="cpu",
        precision="float32",
        patches=PatchSettings(patch_size_px=16, stride_px=4),
        noise_model=NoiseModelSettings(steps=6, batch=4),
        denoiser=DenoiserSettings(**{**plain, **changes}),
    )


def published() -> Settings:
    """Give the published method on two steps a stage."""
    from training_core.settings import PatchSettings, preset

    whole = preset("paper", seed=3, device="cpu", precision="float32")
    return replace(
        whole,
        patches=PatchSettings(strictness=0.6, patch_size_px=64, stride_px=4),
        noise_model=replace(whole.noise_model, steps=2, batch=2, critic_steps=2),
        denoiser=replace(whole.denoiser, rounds=2, steps=2, batch=2),
    )


def block(height: int, width: int, low: float, high: float) -> np.ndarray:
    """Give a bright block in a corner and a bar: even parts enough for patches, and two edges."""
    image = np.full((height, width), float(low))
    image[height // 3 :, : width // 3] = high
    image[height // 8 : height // 8 + 3, width // 2 :] = (low + high) / 2
    return image


def white() -> tuple[Stack, Settings]:
    """Independent noise in whole numbers, as a camera has it in plenty of light."""
    from training_core.stack import Stack

    noise = 20.0 * np.random.default_rng(1).standard_normal((96, 96))
    return Stack(np.rint(block(96, 96, 200, 800) + noise).astype(np.uint16), "YX"), tiny(
        collaborate=True
    )


def correlated() -> tuple[Stack, Settings]:
    """Noise that neighbouring pixels share, as in a wide-field picture that was resampled."""
    from scipy.ndimage import gaussian_filter

    from training_core.stack import Stack

    noise = gaussian_filter(np.random.default_rng(2).standard_normal((96, 96)), 0.7, mode="wrap")
    noisy = block(96, 96, 100, 300) + 12.0 * noise / noise.std()
    return Stack(noisy.astype(np.float32), "YX"), tiny(
        even_flat_areas=True, network="compact", width=8, depth=3
    )


def few_photons() -> tuple[Stack, Settings]:
    """Poisson noise of a few counts a pixel."""
    from training_core.stack import Stack

    counts = np.random.default_rng(3).poisson(block(96, 96, 5, 60))
    return Stack(counts.astype(np.uint8), "YX"), tiny(network="compact", width=8, depth=3)


def ct() -> tuple[Stack, Settings]:
    """A disc of water in air, in HU, whose noise is stronger on one side."""
    from training_core.stack import Stack

    rows, columns = np.mgrid[:96, :96]
    disc = np.where(np.hypot(rows - 48, columns - 48) < 44, 40.0, -1000.0)
    sigma = 15.0 + 0.3 * columns
    noisy = disc + sigma * np.random.default_rng(4).standard_normal((2, 96, 96))
    return Stack(np.rint(noisy).astype(np.int16), "ZYX", value_unit="HU"), tiny()


def neighbours() -> tuple[Stack, Settings]:
    """A still scene five times, in whole numbers: the last bits differ between processors."""
    from training_core.stack import Stack

    noise = 15.0 * np.random.default_rng(5).standard_normal((5, 72, 72))
    noisy = block(72, 72, 200, 500) + noise
    return Stack(np.rint(noisy).astype(np.uint16), "TYX"), tiny()


def two_channels() -> tuple[Stack, Settings]:
    """Two dyes, each with noise of its own; kept as it was recorded by a plain set of settings."""
    from training_core.stack import Stack

    clean = np.stack([block(72, 72, 100, 300), block(72, 72, 2000, 2500)])
    noise = np.random.default_rng(6).standard_normal((2, 72, 72)) * np.array([8, 90]).reshape(
        2, 1, 1
    )
    settings = tiny(first_estimate="shrinkage", every_orientation=True)
    return Stack(np.rint(clean + noise).astype(np.uint16), "CYX"), settings


def as_published() -> tuple[Stack, Settings]:
    """The method as the paper has it, on frames that are nearly flat."""
    from training_core.stack import Stack

    clean = np.full((3, 88, 72), 500.0)
    clean[:, :, 40:] = 515.0
    noisy = clean + 30.0 * np.random.default_rng(7).standard_normal(clean.shape)
    return Stack(np.rint(noisy).astype(np.uint16), "ZYX"), published()


JOBS: dict[str, Callable[[], tuple[Stack, Settings]]] = {
    "white": white,
    "correlated": correlated,
    "few photons": few_photons,
    "CT": ct,
    "neighbours": neighbours,
    "two channels": two_channels,
    "as published": as_published,
}


def digest(*arrays: np.ndarray) -> str:
    """Give the first 16 digits of the SHA-256 of arrays, with dtypes and shapes."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def sketch(*arrays: np.ndarray) -> list[float]:
    """Give the root mean square of all values, and eight sums of them with random weights."""
    values = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
    draw, count = np.random.default_rng(0), np.sqrt(max(values.size, 1))
    sums = [float(draw.standard_normal(values.size) @ values / count) for _ in range(SKETCHED)]
    return [float(np.linalg.norm(values) / count), *sums]


def marks(*arrays: np.ndarray) -> dict[str, Any]:
    """Give what arrays are known again by."""
    return {"digest": digest(*arrays), "sketch": sketch(*arrays)}


def processor() -> str:
    """Name the maker of the processor: on that of another libraries round apart."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    told = next((line for line in lines if line.startswith("vendor_id")), platform.processor())
    return told.split(":")[-1].strip()


def work(name: str) -> Marks:
    """Run a job; give the marks of what it learned and made."""
    from training_core.pipeline import denoise_stack
    from training_core.stack import cast_like

    stack, settings = JOBS[name]()
    outcome = denoise_stack(stack, settings)
    weights = [v.detach().numpy() for v in outcome.denoiser.network.state_dict().values()]
    return {
        "weights": marks(*weights),
        "pixels": marks(np.asarray(cast_like(outcome.denoised, stack).pixels)),
    }


def commands() -> Marks:
    """Run `g2g run` and, with the model that `g2g train` kept, `g2g denoise`."""
    import tifffile

    from training_core.cli.main import main

    options = ["--preset", "quick", "--device", "cpu", "--json"]
    for name, value in SHORT.items():
        options += ["--set", f"{name}={value}"]
    found = {}
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        source, run, model, made = (folder / n for n in ("in.tif", "run.tif", "m.g2g", "made.tif"))
        tifffile.imwrite(source, white()[0].pixels, imagej=True)
        for argv in (
            ["run", source, "--output", run, *options],
            ["train", source, "--model", model, *options],
            ["denoise", source, "--model", model, "--output", made, "--device", "cpu", "--json"],
        ):
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                if code := main([str(word) for word in argv]):
                    raise SystemExit(f"g2g {argv[0]} ended with {code}")
        found["run"] = marks(tifffile.imread(run))
        found["denoise"] = marks(tifffile.imread(made))
    return found


SHORT = {
    "precision": "float32",
    "patches.patch_size_px": 16,
    "patches.stride_px": 4,
    "noise_model.steps": 4,
    "noise_model.batch": 4,
    "denoiser.rounds": 1,
    "denoiser.steps": 4,
    "denoiser.batch": 2,
    "denoiser.crop_px": 32,
    "denoiser.first_estimate": "shrinkage",
    "denoiser.even_flat_areas": "false",
}


def main(names: list[str]) -> int:
    """Run jobs and print their marks; with `--keep`, keep them."""
    import torch

    torch.backends.mkldnn.enabled = False  # it blocks by the size of caches, and so rounds apart
    keep = "--keep" in names
    chosen = [name for name in names if name != "--keep"] or [*JOBS, "commands"]
    found = {name: commands() if name == "commands" else work(name) for name in chosen}
    if keep:
        jobs = (json.loads(KEPT.read_text())["jobs"] if KEPT.exists() else {}) | found
        told = {"releases": releases(), "processor": processor(), "jobs": jobs}
        KEPT.write_text(json.dumps(told, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
