"""`import training_core`: what scripts use, loaded when it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import training_core

ROOT = Path(__file__).resolve().parents[2]
# What a script may import without waiting for.
LOADED = """
import sys, training_core
assert "open_stack" in dir(training_core)
heavy = {"torch", "numpy", "scipy", "skimage", "tifffile", "PySide6"} & set(sys.modules)
assert not heavy, heavy
assert training_core.preset("quick").preset == "quick"
assert "torch" not in sys.modules
assert training_core.apply_denoiser.__module__ == "training_core.denoise.tiled"
"""


def test_importing_the_core_loads_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", training_core.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert inspect.getdoc(getattr(training_core, name))


def test_checkers_of_types_and_readers_see_every_name() -> None:
    tree = ast.parse(Path(training_core.__file__).read_text("utf-8"))
    typed = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(training_core.__all__) == typed - {None}
    assert all(f"`{name}`" in (training_core.__doc__ or "") for name in training_core.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'denois'"):
        _ = training_core.denois  # type: ignore[attr-defined,unused-ignore]


def test_an_array_is_denoised_as_it_is() -> None:
    noise = np.random.default_rng(0).normal(500, 30, (2, 96, 96)).astype(np.uint16)
    stack = training_core.Stack(noise, "TYX")
    denoiser = training_core.train([stack], training_core.preset("instant", device="cpu")).denoiser
    clean = training_core.apply_denoiser(stack, denoiser)
    assert isinstance(clean.pixels, np.ndarray)
    assert (clean.pixels.shape, clean.pixels.dtype) == (noise.shape, np.float32)
    assert clean.pixels.std() < 0.3 * noise.std()
    assert abs(training_core.assess(stack, clean).mean_shift_percent) < 0.5


def test_an_array_of_dask_is_denoised_frame_by_frame() -> None:
    dask = pytest.importorskip("dask.array", reason="dask is not installed")
    set_scheduler = pytest.importorskip("dask.config").set
    noise = np.random.default_rng(0).normal(500, 30, (3, 96, 96)).astype(np.uint16)
    settings = training_core.preset("instant", device="cpu")
    lazy = training_core.Stack(dask.from_array(noise, chunks=(1, 96, 96)), "TYX")
    plain = training_core.Stack(noise, "TYX")
    with set_scheduler(scheduler="synchronous"):  # which leaves no threads behind
        made = [training_core.denoise_stack(stack, settings).denoised for stack in (lazy, plain)]
    assert np.array_equal(np.asarray(made[0].pixels), made[1].pixels)
