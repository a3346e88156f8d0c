"""Which stacks a choice of files and folders holds, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from training_core.batch.stacks import stacks_among
from training_core.batch.targets import Pattern
from training_core.errors import OutputError

PATHS = [Path("/data/day1/a.tif"), Path("/data/day1/b.png"), Path("/data/day2/a.tif")]


def written(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    tifffile.imwrite(path, rng.integers(0, 999, (20, 30)).astype(np.uint16))
    return path


def test_results_lie_in_one_folder_and_no_two_have_one_name():
    names = [path.name for path in Pattern(Path("/out")).targets(PATHS)]
    assert names == [
        "day1_a_tif_denoised.tif",
        "day1_b_png_denoised.tif",
        "day2_a_tif_denoised.tif",
    ]


def test_a_folder_with_a_dot_is_a_folder():
    assert Pattern(Path("/out/v1.2")).targets(PATHS[:1]) == [Path("/out/v1.2/a_denoised.tif")]


def test_folders_are_mirrored():
    assert Pattern(Path("/out"), "_clean", mirrored=True).targets(PATHS) == [
        Path("/out/day1/a_clean.tif"),
        Path("/out/day1/b_clean.tif"),
        Path("/out/day2/a_clean.tif"),
    ]


def test_without_a_folder_results_lie_beside_the_stacks():
    alike = [Path("/data/a.tif"), Path("/data/a.png")]
    assert Pattern().targets(alike) == [
        Path("/data/a.tif_denoised.tif").with_name("a_tif_denoised.tif"),
        Path("/data/a_png_denoised.tif"),
    ]


def test_images_of_one_file_are_told_apart_wherever_results_lie():
    twice, images = [Path("/data/two.lif")] * 2, ["image 1", "image 2"]
    names = ["two_image-1_denoised.tif", "two_image-2_denoised.tif"]
    for pattern in (Pattern(), Pattern(Path("/out")), Pattern(Path("/out"), mirrored=True)):
        assert [path.name for path in pattern.targets(twice, images)] == names


def test_a_suffix_is_a_part_of_a_name():
    with pytest.raises(OutputError, match="cannot be a part of a file name"):
        Pattern(suffix="/../x").targets(PATHS)


def test_folders_are_searched_all_the_way_down(tmp_path: Path):
    files = [written(tmp_path / name) for name in ("cells.tif", "day1/a.tif", "day1/x/b.tif")]
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing to denoise")
    assert stacks_among([tmp_path]) == [(path,) for path in files]


def test_files_chosen_together_stand_for_themselves(tmp_path: Path):
    files = [written(tmp_path / name, n) for n, name in enumerate(("one.tif", "two.tif"))]
    assert stacks_among(files) == [(path,) for path in files]


def test_numbered_planes_are_one_stack(tmp_path: Path):
    files = [written(tmp_path / f"scan_z{n:03}.tif", 5) for n in range(6)]
    assert stacks_among(files) == [tuple(files)]
    assert stacks_among([tmp_path]) == [(tmp_path,)]
