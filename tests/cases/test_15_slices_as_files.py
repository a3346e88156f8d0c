"""Numbered files are one volume or film in the order of their numbers; gaps are told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.batch.stacks import Batch
from training_core.errors import InputError
from training_core.export.writers import write_stack
from training_core.io.readers import list_inputs, open_stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def rod(n: int) -> np.ndarray:
    """Give slice `n` of a rod that grows, 48 x 48 px float32 with noise of .04."""
    rows, columns = np.mgrid[:48, :48]
    clean = 0.2 + 0.3 * ((columns - 24) ** 2 + (rows - 24) ** 2 < (10 + n) ** 2)
    return (clean + np.random.default_rng(n).normal(0, 0.04, clean.shape)).astype(np.float32)


def cell(n: int) -> np.ndarray:
    """Give a field of view that has nothing to do with the others."""
    rng = np.random.default_rng(n)
    row, column = rng.uniform(8, 40, 2)
    rows, columns = np.mgrid[:48, :48]
    clean = 0.2 + 0.3 * ((columns - column) ** 2 + (rows - row) ** 2 < 64)
    return (clean + rng.normal(0, 0.04, clean.shape)).astype(np.float32)


def save(folder: Path, names: Sequence[str], make=rod) -> Path:
    """Write file number i of `names` with image number i."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        tifffile.imwrite(folder / name, make(number), metadata=None, compression="zlib")
    return folder


def assert_images(stack, numbers: Sequence[int]) -> None:
    frames = stack.pixels.reshape(-1, 48, 48)
    np.testing.assert_array_equal(frames, [rod(n) for n in numbers])


def scan(folder: Path) -> Path:
    """Write what a scanner leaves: slices 1, 2, 3, 5 and 6, a preview and a log."""
    folder.mkdir()
    for n in (1, 2, 3, 5, 6):
        tifffile.imwrite(folder / f"rec_{n:04d}.tif", rod(n), metadata=None, compression="zlib")
    tifffile.imwrite(folder / "rec__preview.tif", np.zeros((40, 40), np.uint8), metadata=None)
    (folder / "rec_.log").write_text("[Reconstruction]\nPixel Size (um)=7.5\n")
    return folder


def test_numbered_slices_are_one_volume_and_a_gap_is_told(tmp_path: Path):
    folder = scan(tmp_path / "recon vol µ")

    stack = open_stack(folder)

    assert (stack.axes, stack.dtype, stack.source) == ("ZYX", np.float32, folder)
    assert_images(stack, [1, 2, 3, 5, 6])
    assert stack.warnings == (
        "5 numbered files are read as slices of one volume.",
        "Left out beside them: rec__preview.tif. Number 4 is missing.",
    )
    given = open_stack(sorted(folder.glob("*.tif")))
    assert (given.axes, given.warnings) == ("ZYX", stack.warnings)


def test_the_command_trains_once_for_a_folder_of_slices(tmp_path: Path):
    folder = scan(tmp_path / "recon vol µ")

    assert Batch.of([folder]).paths == (folder,)


def test_fiji_shows_the_slices_as_slices(tmp_path: Path):
    stack = open_stack(scan(tmp_path / "scan"))

    path = write_stack(stack, tmp_path / "out.tif")

    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].axes == "ZYX"
        assert 'SizeZ="5"' in tif.ome_metadata
        assert 'SizeT="1"' in tif.ome_metadata


@pytest.mark.parametrize(
    ("pattern", "axis", "read_as"),
    [
        ("vol_z{:03d}.tif", "Z", "slices of one volume"),
        ("slice {}.tif", "Z", "slices of one volume"),
        ("{:05d}.tif", "Z", "slices of one volume"),
        ("exp2_t{:02d}.tif", "T", "times of one series"),
        ("Time{}_cell.tif", "T", "times of one series"),
        ("cells_ch{}.tif", "C", "channels"),
    ],
)
def test_names_say_what_is_counted(tmp_path: Path, pattern: str, axis: str, read_as: str):
    folder = save(tmp_path / "in", [pattern.format(n) for n in range(12)])

    stack = open_stack(folder)

    assert stack.axes == f"{axis}YX"
    assert_images(stack, range(12))  # 2 before 10
    assert stack.warnings == (f"12 numbered files are read as {read_as}.",)
    assert list_inputs(folder) == [folder]
    assert stack.doubtful == (pattern == "{:05d}.tif")  # which names nothing


@pytest.mark.parametrize(
    ("pattern", "axes", "order"),
    [
        ("a_t{0}_z{1}.tif", "TZYX", [0, 1, 2, 3, 4, 5]),
        ("a_z{1}_t{0}.tif", "TZYX", [0, 1, 2, 3, 4, 5]),
        ("a_z{0}_t{1}.tif", "TZYX", [0, 3, 1, 4, 2, 5]),
        ("a_z{0}_c{1}.tif", "ZCYX", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_two_numbers_are_two_axes(tmp_path: Path, pattern: str, axes: str, order: list[int]):
    names = [pattern.format(i, j) for i in range(2) for j in range(3)]

    stack = open_stack(save(tmp_path / "in", names))

    assert stack.axes == axes
    assert_images(stack, order)
    assert stack.shape[:2] == ((3, 2) if order[1] == 3 else (2, 3))


@pytest.mark.parametrize(
    ("pattern", "axes"),
    [("img_{0:03}_{1:03}.tif", "TZYX"), ("a_z{0}_{1}.tif", "TZYX"), ("a_c{0}_{1}.tif", "ZCYX")],
)
def test_several_numbers_without_a_word_are_guessed_where_they_fill_a_grid(
    tmp_path: Path, pattern: str, axes: str
):
    names = [pattern.format(i, j) for i in range(2) for j in range(3)]
    folder = save(tmp_path / "in", names)

    stack = open_stack(folder)

    assert (stack.axes, stack.doubtful) == (axes, True)
    assert list_inputs(folder) == [folder]
    (folder / names[0]).unlink()  # then nothing is believed, but told
    incomplete = open_stack(folder)
    assert incomplete.axes == "IYX"
    assert_images(incomplete, range(1, 6))
    told = rf"Of the (2 x 3|3 x 2) images that the names .* count there is no {names[0]}\."
    assert re.fullmatch(told, incomplete.warnings[1])
    assert list_inputs(folder) == [folder]  # since neighbours are alike


def test_several_stacks_in_time_keep_their_slices(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for t in range(3):
        volume = np.stack([rod(10 * t + z) for z in range(2)])
        tifffile.imwrite(folder / f"emb_{t}.tif", volume, imagej=True, metadata={"axes": "ZYX"})

    stack = open_stack(folder)

    assert (stack.axes, stack.shape[:2]) == ("TZYX", (3, 2))
    assert_images(stack, [0, 1, 10, 11, 20, 21])
    assert len(list_inputs(folder)) == 3  # each may be denoised for itself


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((1, 2, 5, 6, 8), "Numbers 3, 4, 7 are missing."),
        ((10, 20, 40), "Number 30 is missing."),
        ((0, 5, 10, 15), ""),  # every fifth was kept: none lacks
        ((0, 1, 30), "Numbers 2, 3, 4, 5, 6 and 23 more are missing."),
    ],
)
def test_missing_numbers_are_named(tmp_path: Path, numbers: Sequence[int], told: str):
    stack = open_stack(save(tmp_path / "in", [f"rec{n:03d}.tif" for n in numbers]))

    assert stack.warnings[1:] == ((told,) if told else ())


def test_a_number_that_is_there_twice_is_refused(tmp_path: Path):
    folder = save(tmp_path / "in", ["rec_1.tif", "rec_01.tif", "rec_2.tif"])

    with pytest.raises(InputError, match=r"rec_0?1\.tif and rec_0?1\.tif have the same number"):
        open_stack(folder)


@pytest.mark.parametrize("names", [("a.tif", "a.tif"), ("a1.tif", "a1.tif"), ("²1.tif", "²01.tif")])
def test_names_that_differ_in_no_number_leave_images_unnamed(tmp_path: Path, names: list[str]):
    files = [save(tmp_path / str(n), [name]) / name for n, name in enumerate(names)]

    assert open_stack(files).axes == "IYX"


@pytest.mark.parametrize(
    ("lacking", "told"),
    [([-1], "a_t1_z010.tif"), ([0, 1, -1], "a_t0_z008.tif, a_t0_z009.tif, a_t1_z010.tif")],
)
def test_planes_that_lack_in_two_axes_are_named(tmp_path: Path, lacking: list[int], told: str):
    names = [f"a_t{t}_z{z:03}.tif" for t in range(2) for z in range(8, 11)]
    there = [name for name in names if name not in [names[i] for i in lacking]]
    folder = save(tmp_path / "in", there)

    assert list_inputs(folder) == [folder]  # not each for itself without a word
    with pytest.raises(InputError, match=f"^Of the 2 x 3 images .* there is no {told}.$"):
        open_stack(folder)


def test_a_number_that_lacks_throughout_a_grid_is_named_with_its_axis(tmp_path: Path):
    names = [f"a_t{t}_z{z}.tif" for t in (1, 2, 5) for z in (0, 1, 3)]

    stack = open_stack(save(tmp_path / "in", names))

    assert (stack.axes, stack.shape[:2]) == ("TZYX", (3, 3))
    assert stack.warnings[1] == (
        "Numbers 3, 4 of the times are missing. Number 2 of the slices is missing."
    )


def test_the_numbers_of_tiles_are_places_and_not_times(tmp_path: Path):
    names = [f"scan_x{x}_y{y}_z{z:03}.tif" for x in range(2) for y in (-1, 0) for z in range(3)]
    folder = save(tmp_path / "in", names)

    stack = open_stack(folder)

    assert (stack.axes, stack.shape[:2]) == ("IZYX", (4, 3))
    assert_images(stack, range(12))
    assert list_inputs(folder) == [folder]
    (folder / "scan_x1_y-1_z001.tif").unlink()
    with pytest.raises(InputError, match=r"no scan_x1_y-1_z001\.tif\.$"):
        open_stack(folder)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["pos_-1.tif", "pos_-10.tif", "pos_-3.tif", "pos_0.tif", "pos_2.tif"], [1, 2, 0, 3, 4]),
        (["z-1.tif", "z-2.tif", "z0.tif", "z1.tif"], [1, 0, 2, 3]),
        (["-1.tif", "-2.tif", "-3.tif"], [2, 1, 0]),
        (["img-1.tif", "img-10.tif", "img-2.tif"], [0, 2, 1]),  # a hyphen
        (["2024-01-05.tif", "2024-01-10.tif", "2024-01-06.tif"], [0, 2, 1]),
    ],
)
def test_a_minus_is_a_sign_or_a_hyphen(tmp_path: Path, names: list[str], order: list[int]):
    stack = open_stack(save(tmp_path / "in", names))

    assert_images(stack, order)


def test_a_damaged_slice_is_named(tmp_path: Path):
    folder = save(tmp_path / "in", [f"rec_{n}.tif" for n in range(4)])
    (folder / "rec_2.tif").write_bytes(b"")

    stack = open_stack(folder)

    assert_images(stack, [0, 1, 3])
    assert "1 files are left out: rec_2.tif is empty (0 bytes)." in stack.warnings
    assert list_inputs(folder) == [folder]  # one job as before, and not one for each slice


def test_fields_of_view_that_have_nothing_in_common_stay_apart(tmp_path: Path):
    folder = save(tmp_path / "in", [f"cell {n}.tif" for n in range(6)], cell)
    other = save(tmp_path / "more", [f"image {n}.tif" for n in range(6)], cell)

    assert len(list_inputs(folder)) == len(list_inputs(other)) == 6


def test_numbers_that_say_nothing_leave_images_unnamed(tmp_path: Path):
    folder = save(tmp_path / "in", ["2024-01-05 11.tif", "2024-02-06 12.tif", "2024-02-07 09.tif"])

    assert open_stack(folder).axes == "IYX"
