"""Case 28: files open and are written beside themselves whatever they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from training_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "a b #1 %20.tif",
    'it\'s "new".tif',
    "细胞_001.tif",
    "-start.tif",
    "no_suffix",
    "%s {0}.tif",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "Mäuse & Zellen (Kopie) [1]"
    made.mkdir()
    return made


def save(path: Path) -> Path:
    pixels = np.random.default_rng(28).poisson(80, (64, 64)).astype(np.uint16)
    tifffile.imwrite(path, pixels, metadata=None)
    return path


def denoise(path: Path, output: Path) -> int:
    model = kept_model(path.parent.parent)
    command = ["denoise", str(path), "--model", str(model), "--device", "cpu"]
    return main([*command, "--output", str(output)])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_written_beside_itself(name, folder):
    path = save(folder / name)
    assert denoise(path, folder / f"{name} - new.tif") == 0
    assert sorted(p.name for p in folder.iterdir()) == sorted((name, f"{name} - new.tif"))
    made = tifffile.imread(folder / f"{name} - new.tif")
    assert made.shape == (64, 64)
    assert made.mean() == pytest.approx(tifffile.imread(path).mean(), rel=0.005)


@pytest.mark.parametrize("fits", [True, False])
def test_a_long_name_leaves_room_or_is_refused_before_the_work(fits, folder, capsys):
    path = save(folder / f"{'x' * 240}.tif")
    name = f"{'y' * (240 if fits else 241)}.tif"  # .checkpoint comes after it
    assert denoise(path, folder / name) == (0 if fits else 2)
    assert (folder / name).exists() == fits
    assert fits or "1 bytes too long" in capsys.readouterr().err
