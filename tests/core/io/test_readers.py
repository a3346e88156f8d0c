"""Files, folders and lists of files open as one stack, or are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from training_core.batch.stacks import stacks_among
from training_core.errors import InputError
from training_core.export.writers import write_stack
from training_core.io import readers
from training_core.io.readers import list_inputs, open_stack
from training_core.reporting.noise_analysis import analyse_noise
from training_core.run import Cancelled, Run, Stage, StageFinished, StageStarted
from training_core.stack import check_trainable

GRAY = np.arange(240, dtype=np.uint8).reshape(12, 20)


def save_frames(folder: Path, names: list[str]) -> None:
    for value, name in enumerate(names):
        Image.fromarray(GRAY + np.uint8(value)).save(folder / name)


def test_several_files_are_one_stack_in_natural_order(tmp_path: Path):
    save_frames(tmp_path, ["t10.png", "t2.png", "t1.png"])

    stack = open_stack(tmp_path)

    assert (stack.axes, stack.shape, stack.source) == ("TYX", (3, 12, 20), tmp_path)
    assert stack.pixels[:, 0, 0].tolist() == [2, 1, 0]
    given = open_stack([tmp_path / "t10.png", tmp_path / "t1.png"])
    assert given.pixels[:, 0, 0].tolist() == [2, 0]


def test_a_list_of_one_file_and_a_folder_with_one_file_are_that_file(tmp_path: Path):
    save_frames(tmp_path, ["a.png"])

    for source in (tmp_path, [tmp_path / "a.png"], str(tmp_path / "a.png")):
        assert open_stack(source).axes == "YX"


def test_files_of_different_shape_are_no_stack(tmp_path: Path):
    save_frames(tmp_path, ["a.png"])
    Image.fromarray(GRAY[:5]).save(tmp_path / "b.png")

    with pytest.raises(InputError, match=r"b\.png is 20 x 5 pixels of uint8 but a\.png is 20 x 12"):
        open_stack(tmp_path)


def test_a_damaged_file_among_several_is_left_out_and_named(tmp_path: Path):
    save_frames(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "b.png").write_bytes(b"")

    stack = open_stack(tmp_path)

    assert stack.pixels[:, 0, 0].tolist() == [0, 2]
    assert stack.warnings == ("1 files are left out: b.png is empty (0 bytes).",)


def test_what_a_file_is_counts_and_not_its_name(tmp_path: Path):
    path = tmp_path / "picture.tif"
    Image.fromarray(GRAY).save(path, format="PNG")

    np.testing.assert_array_equal(open_stack(path).pixels, GRAY)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.tif", b"", "a.tif is empty (0 bytes)."),
        ("a.tif", b"text", "a.tif is not the TIF file that its name says, or its beginning is"),
        ("a.xyz", b"text", "a.xyz is no image that can be opened; TIFF, PNG, BMP, JPEG, DICOM"),
        ("a.czi", b"ZISRAWFILE", "a.czi is damaged or cut off"),
        ("a.czi", b"text", "a.czi is not the CZI file that its name says"),
        ("a.oir", b"text", "a.oir is in Olympus OIR format, which this version does not read"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, name: str, content: bytes, sentence: str):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputError) as caught:
        open_stack(path)

    assert str(caught.value).startswith(sentence)


def test_a_missing_file_and_a_name_that_cannot_be(tmp_path: Path):
    with pytest.raises(InputError, match=r"There is no file or folder .*nothing\.tif"):
        open_stack(tmp_path / "nothing.tif")
    with pytest.raises(InputError, match="cannot be opened"):
        open_stack("x" * 5000)
    with pytest.raises(InputError, match="neither a file nor a folder"):
        open_stack("/dev/zero")
    with pytest.raises(InputError, match="No file was given"):
        open_stack([])


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_frames(tmp_path, ["a.png"])

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", "a.png")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"a\.png cannot be opened \(Permission denied\)\."):
        open_stack(tmp_path / "a.png")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        list_inputs(tmp_path)


def test_a_folder_without_images(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("none")

    for action in (open_stack, list_inputs):
        with pytest.raises(InputError, match="holds no images that can be opened"):
            action(tmp_path)


def test_a_folder_is_listed_with_what_cannot_be_read_but_not_hidden_files(tmp_path: Path):
    save_frames(tmp_path, ["t10.png", "t2.png", ".hidden.png"])
    (tmp_path / "x.czi").write_bytes(b"ZISRAWFILE")
    (tmp_path / "notes.txt").write_text("none")

    assert [p.name for p in list_inputs(tmp_path)] == ["t2.png", "t10.png", "x.czi"]
    assert list_inputs(tmp_path / "x.czi") == [tmp_path / "x.czi"]


def test_black_and_white_becomes_zero_and_one(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.fromarray(GRAY > 100).save(path)

    stack = open_stack(path)

    assert stack.dtype == np.uint8
    np.testing.assert_array_equal(stack.pixels, (GRAY > 100).astype(np.uint8))
    assert "black or white" in stack.warnings[0]


def test_missing_values_become_the_median_of_their_frame(tmp_path: Path):
    path = tmp_path / "a.tif"
    pixels = np.stack([GRAY, GRAY + 5]).astype(np.float32)
    pixels[1, 2, 3], pixels[1, 4, 5] = np.nan, np.inf
    tifffile.imwrite(path, pixels, photometric="minisblack")

    stack = open_stack(path)

    expected = np.median(pixels[1][np.isfinite(pixels[1])])
    assert stack.pixels[1, 2, 3] == stack.pixels[1, 4, 5] == expected
    np.testing.assert_array_equal(stack.pixels[0], pixels[0])
    assert stack.warnings[0].startswith("2 pixels are NaN or infinite; they teach nothing")
    np.testing.assert_array_equal(stack.file_frame(1), pixels[1])
    written = write_stack(stack, tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(written), pixels)


def test_a_plane_of_nothing_but_nan_is_kept_and_refuses_nothing(tmp_path: Path):
    path = tmp_path / "a.tif"
    pixels = np.stack([GRAY, GRAY]).astype(np.float32)
    pixels[1] = np.nan
    tifffile.imwrite(path, pixels, photometric="minisblack")
    stack = open_stack(path)
    assert not stack.pixels[1].any()
    assert np.isnan(stack.file_frame(1)).all()


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.full((4, 5), np.nan, np.float32), "has no finite pixel"),
        (np.zeros((4, 5), np.complex64), "has complex pixels"),
    ],
)
def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path, pixels: np.ndarray, sentence: str):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels)

    with pytest.raises(InputError, match=sentence):
        open_stack(path)


def test_names_in_any_script_and_with_any_sign(tmp_path: Path):
    folder = tmp_path / "é 名前 #1 %20"
    folder.mkdir()
    save_frames(folder, ["ünï çødé #2.png"])

    assert open_stack(folder / "ünï çødé #2.png").name == "ünï çødé #2.png"


def test_reading_is_a_stage_that_can_be_cancelled(tmp_path: Path):
    save_frames(tmp_path, ["a.png", "b.png"])
    events: list[object] = []

    open_stack(tmp_path, run=Run(events.append))
    assert (events[0].stage, type(events[0])) == (Stage.READ, StageStarted)
    assert (events[-1].stage, type(events[-1])) == (Stage.READ, StageFinished)

    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        open_stack(tmp_path, run=run)


@pytest.mark.shared_data
def test_the_same_image_agrees_across_formats(shared_data: Path):
    name = "HV110_P0500510000"
    ome = open_stack(shared_data / f"formats/ome_tiff/FOV7_{name}.ome.tiff")
    png = open_stack(shared_data / f"fmd/Confocal_BPAE_B/raw/7/{name}.png")
    czi = open_stack(shared_data / f"formats/czi/FOV7_{name}.czi")

    np.testing.assert_array_equal(ome.pixels, png.pixels)
    np.testing.assert_array_equal(czi.pixels, png.pixels)


@pytest.mark.shared_data
def test_a_folder_of_many_real_files(shared_data: Path):
    stack = open_stack(shared_data / "stacks/cbmi_er_lowsnr")

    assert (stack.axes, stack.shape, stack.dtype) == ("IYX", (12, 256, 256), np.uint16)


def test_a_whole_disk_is_refused_at_once(monkeypatch: pytest.MonkeyPatch):
    def walked(*_: object) -> None:
        raise AssertionError("the disk was looked through")

    monkeypatch.setattr(Path, "iterdir", walked)
    monkeypatch.setattr(Path, "rglob", walked)
    root = Path(Path.cwd().anchor)
    for look in (open_stack, list_inputs, stacks_among):
        with pytest.raises(InputError, match="is a whole disk; open the folder"):
            look([root] if look is stacks_among else root)


def test_a_folder_of_other_files_is_not_looked_through_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for number in range(40):
        (tmp_path / "a" / "b" / f"{number}.txt").write_text("no image")
    asked: list[Path] = []
    monkeypatch.setattr(readers, "MOST_OF_OTHERS", 10)
    monkeypatch.setattr(readers, "is_dicom", asked.append)

    with pytest.raises(InputError, match="holds no images"):
        list_inputs(tmp_path)
    assert len(asked) < 20


@pytest.mark.parametrize("axes", ["TYX", "TZYX", "ZCYX"])
@pytest.mark.parametrize("frame", [(1, 1), (1, 8), (8, 1)])
def test_frames_of_one_pixel_keep_their_axes(tmp_path: Path, axes: str, frame: tuple[int, int]):
    lead = (6,) if len(axes) == 3 else (2, 3)
    pixels = np.arange(6 * frame[0] * frame[1], dtype=np.uint16).reshape(*lead, *frame)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, metadata={"axes": axes}, photometric="minisblack")

    stack = open_stack(path)

    assert stack.axes == axes
    np.testing.assert_array_equal(stack.pixels, pixels)


@pytest.mark.parametrize("spread", [200, 10**7])
def test_large_whole_numbers_are_refused_where_they_are_too_fine(tmp_path: Path, spread: int):
    noise = np.random.default_rng(0).integers(0, spread, (64, 64))
    tifffile.imwrite(tmp_path / "a.tif", np.uint64(2**63) + noise.astype(np.uint64), metadata=None)

    stack = open_stack(tmp_path / "a.tif")

    if spread > 1000:
        check_trainable(stack)
        return
    with pytest.raises(InputError, match=r"about 9\.22e\+18 and differ by 199 only"):
        check_trainable(stack)
    (analysis,) = analyse_noise(stack)
    assert analysis.noise is None
    assert "subtract an offset" in analysis.refusal


@pytest.mark.parametrize(("dtype", "scale", "fine"), [("f4", 1e37, 1e31), ("f8", 1e307, 1e31)])
def test_values_near_the_largest_number_are_refused(
    tmp_path: Path, dtype: str, scale: float, fine: float
):
    noise = np.random.default_rng(0).normal(8, 1, (64, 64))
    noise[0, 0] = np.nan  # which is looked past
    for factor in (scale, fine):
        tifffile.imwrite(tmp_path / "a.tif", (noise * factor).astype(dtype), metadata=None)
        if factor == fine:
            check_trainable(open_stack(tmp_path / "a.tif"))
            continue
        with pytest.raises(
            InputError, match=r"near the largest that float.* divide them|too far off"
        ):
            check_trainable(open_stack(tmp_path / "a.tif"))
