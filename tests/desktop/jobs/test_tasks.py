"""What the window asks of the core."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from g2g_desktop.jobs.tasks import ExportChoice, export
from training_core.errors import OutputError
from training_core.io.readers import open_stack
from training_core.run import SILENT

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.stack import Stack


@pytest.mark.parametrize(("dtype", "held"), [("float32", np.float32), ("same", np.uint16)])
def test_an_export_holds_the_result_in_the_chosen_type(
    small_stack: Stack, tmp_path: Path, dtype: str, held: type
) -> None:
    denoised = small_stack.with_pixels(small_stack.pixels.astype(np.float32) + 0.25)
    denoiser: Any = SimpleNamespace(card={})  # which could denoise nothing again
    path = export(small_stack, denoised, denoiser, ExportChoice(tmp_path / "a.tif", dtype), SILENT)
    written = open_stack(path)
    assert written.dtype == held
    wanted = denoised.pixels if dtype == "float32" else small_stack.pixels
    assert np.array_equal(written.pixels, wanted)


def test_an_export_never_replaces_a_slice_it_was_made_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a1.tif", "a2.tif"):
        tifffile.imwrite(tmp_path / name, rng.poisson(50, (64, 64)).astype(np.uint16))
    stack = open_stack(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    choice = ExportChoice(tmp_path / "a2.tif", overwrite=True)
    with pytest.raises(OutputError, match="would replace"):
        export(stack, stack, SimpleNamespace(card={}), choice, SILENT)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("names", [True, False])
def test_names_of_files_are_in_an_export_only_where_they_may_be(
    small_stack: Stack, tmp_path: Path, names: bool
) -> None:
    denoiser: Any = SimpleNamespace(card={"trained_on": ["Dolores Haze.tif"], "seed": 3})
    choice = ExportChoice(tmp_path / "a.tif", names=names)
    content = export(small_stack, small_stack, denoiser, choice, SILENT).read_bytes()
    assert (b"Dolores Haze" in content) == names
    assert b"seed" in content
