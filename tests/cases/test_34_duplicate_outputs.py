"""Case 34: recordings of one name in two folders get results whose names tell the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from training_core.batch.targets import target_paths
from training_core.cli.main import main
from training_core.errors import OutputError


def test_neither_overwrites_the_other(tmp_path):
    rng = np.random.default_rng(34)
    for well, level in (("A1", 60), ("B1", 160)):
        (tmp_path / well).mkdir()
        pixels = rng.poisson(level, (96, 96)).astype(np.uint16)
        tifffile.imwrite(tmp_path / well / "img_000.tif", pixels, metadata=None)
    paths = [str(tmp_path / well / "img_000.tif") for well in ("A1", "B1")]
    command = ["denoise", *paths, "--model", str(kept_model(tmp_path)), "--device", "cpu"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    made = {path.name[:2]: tifffile.imread(path) for path in (tmp_path / "out").iterdir()}
    assert set(made) == {"A1", "B1"}
    assert made["A1"].mean() == pytest.approx(60, rel=0.02)
    assert made["B1"].mean() == pytest.approx(160, rel=0.02)


def test_names_differ_in_more_than_their_case():
    paths = [Path("one/Img.tif"), Path("two/img.tif")]
    names = [path.name.lower() for path in target_paths(paths, Path("out"))]
    assert len(set(names)) == 2
    assert [name[:3] for name in names] == ["one", "two"]


def test_folders_of_one_name_are_told_apart_by_those_above():
    paths = [Path(f"{plate}/A1/img.tif") for plate in ("plate1", "plate2")]
    names = [path.name for path in target_paths(paths, Path("out"))]
    assert [name.split("_")[0] for name in names] == ["plate1", "plate2"]


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(OutputError, match="same name"):
        target_paths([Path("a.tif"), Path("./a.tif")], Path("out"))
