"""DICOM slices become one volume in Hounsfield units, ordered by where they lie."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.support.ct_slices import ct_slice
from training_core.errors import InputError
from training_core.io.readers import list_images, list_inputs, open_stack
from training_core.run import Cancelled, Run
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def slice_at(z_mm: float, value: int, **changes: Any) -> Dataset:
    """Make an axial CT slice of 6 x 8 pixels whose pixels count up from `value`."""
    kind = np.int16 if changes.get("PixelRepresentation") else np.uint16
    pixels = (np.arange(48).reshape(6, 8) + value).astype(kind)
    usual = {
        "PixelSpacing": [0.7, 0.5],
        "ImagePositionPatient": [-10, -20, z_mm],
        "RescaleType": "HU",
    }
    return ct_slice(pixels, **usual | changes)


def save(folder: Path, **slices: Dataset) -> Path:
    for name, data in slices.items():
        data.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return folder


def test_slices_are_ordered_by_position_and_not_by_name(tmp_path: Path):
    save(tmp_path, a=slice_at(4.0, 300), b=slice_at(-2.0, 100), c=slice_at(1.0, 200))

    stack = open_stack(tmp_path)

    assert (stack.axes, stack.dtype, stack.value_unit) == ("ZYX", np.int16, "HU")
    assert stack.pixels[:, 0, 0].tolist() == [100 - 1024, 200 - 1024, 300 - 1024]
    assert stack.pixel_size == PixelSize(500.0, 700.0, 3000.0)
    assert (stack.kind, stack.source, stack.warnings) == ("dicom", tmp_path, ())


def test_positions_are_projected_on_the_normal_of_tilted_slices(tmp_path: Path):
    tilt = np.deg2rad(18.5)
    tilted = [1, 0, 0, 0, round(float(np.cos(tilt)), 7), round(float(-np.sin(tilt)), 7)]
    save(
        tmp_path,
        a=slice_at(4.22, 2, ImageOrientationPatient=tilted),
        b=slice_at(0.0, 1, ImageOrientationPatient=tilted),
    )

    stack = open_stack(tmp_path)

    assert stack.pixel_size.z_um == pytest.approx(4220 * np.cos(tilt), rel=1e-4)
    assert stack.pixels[:, 0, 0].tolist() == [1 - 1024, 2 - 1024]


def test_a_missing_slice_leaves_no_slice_distance(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 1), b=slice_at(3.0, 2), c=slice_at(9.0, 3))

    stack = open_stack(tmp_path)

    assert stack.pixel_size.z_um is None
    assert "3 to 6 mm apart" in stack.warnings[0]


def test_a_fractional_slope_gives_float32(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 10, RescaleSlope=0.5, RescaleIntercept=-3.25))

    stack = open_stack(tmp_path)

    assert (stack.axes, stack.dtype) == ("YX", np.float32)
    assert stack.pixels[0, 1] == 11 * 0.5 - 3.25


def test_values_beyond_int16_are_not_wrapped(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 65_000, BitsStored=16, HighBit=15))

    stack = open_stack(tmp_path)

    assert stack.dtype == np.int32
    assert stack.pixels[0, 0] == 65_000 - 1024


def test_padding_is_kept_as_the_scanner_wrote_it(tmp_path: Path):
    padded = slice_at(0.0, -2000, PixelRepresentation=1, BitsStored=16, HighBit=15)
    save(tmp_path, a=padded)

    assert open_stack(tmp_path / "a.dcm").pixels[0, 0] == -2000 - 1024


def test_values_without_a_rescale_stay_as_stored(tmp_path: Path):
    data = slice_at(0.0, 5, Modality="MR")
    del data.RescaleSlope, data.RescaleIntercept, data.RescaleType
    save(tmp_path, a=data)

    stack = open_stack(tmp_path)

    assert (stack.dtype, stack.value_unit, stack.pixels[0, 0]) == (np.uint16, "", 5)


@pytest.mark.parametrize("slope", [None, "", 0])
def test_a_rescale_that_is_empty_says_nothing(tmp_path: Path, slope: object):
    save(tmp_path, a=slice_at(0.0, 5, RescaleSlope=slope))

    assert open_stack(tmp_path).pixels[0, 0] == 5 - 1024


def test_a_tilted_gantry_is_told(tmp_path: Path):
    slices = {f"s{z}": slice_at(float(z), z, GantryDetectorTilt=18.5) for z in range(3)}
    save(tmp_path, **slices)

    assert "tilted by 18.5 degrees" in open_stack(tmp_path).warnings[0]
    assert not open_stack(tmp_path / "s0.dcm").warnings


@pytest.mark.parametrize(
    ("said", "step_s"),
    [({"FrameTime": 40}, 0.04), ({"CineRate": 20}, 0.05), ({"CineRate": ""}, None)],
)
def test_a_film_has_its_frame_time(tmp_path: Path, said: dict[str, Any], step_s: float | None):
    film = slice_at(0.0, 7, NumberOfFrames=3, **said)
    del film.ImagePositionPatient
    film.PixelData = film.PixelData * 3
    save(tmp_path, film=film)

    stack = open_stack(tmp_path / "film.dcm")

    assert stack.shape[0] == 3
    assert stack.time_step_s == step_s


def test_an_inverted_display_changes_no_value(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 5, PhotometricInterpretation="MONOCHROME1"))

    stack = open_stack(tmp_path)

    assert stack.pixels[0, 0] == 5 - 1024
    assert stack.metadata["photometric"] == "miniswhite"


def test_the_largest_of_several_series_is_read_and_told_by_its_number(tmp_path: Path):
    other = generate_uid()
    said = {"SeriesDescription": "thin, Mrs. Doe", "SeriesNumber": 4}
    save(
        tmp_path,
        a=slice_at(0.0, 1, **said),
        b=slice_at(1.0, 2, **said),
        c=slice_at(0.5, 9, SeriesInstanceUID=other),
    )

    stack = open_stack(tmp_path)

    assert stack.shape == (2, 6, 8)
    assert stack.warnings == (
        "It holds 2 images, and number 2 is read: Series 4 (IYX 2 x 6 x 8). There are "
        "1: IYX 1 x 6 x 8, 2: Series 4 (IYX 2 x 6 x 8); the option --series chooses.",
    )
    assert [image.name for image in list_images(tmp_path)] == ["", "Series 4"]
    assert open_stack(tmp_path, series=1).pixels[0, 0] == 9 - 1024
    assert open_stack(tmp_path, series="Series 4").shape == (2, 6, 8)


def test_a_damaged_slice_is_left_out_and_named(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 1), b=slice_at(1.0, 2), c=slice_at(2.0, 3))
    file = tmp_path / "c.dcm"
    file.write_bytes(file.read_bytes()[:-40])

    stack = open_stack(tmp_path)

    assert stack.shape == (2, 6, 8)
    assert "1 of its 3 files left out: c.dcm is damaged" in stack.warnings[0]


def test_images_at_one_position_are_unnamed_images(tmp_path: Path):
    save(
        tmp_path,
        a=slice_at(0.0, 20, InstanceNumber=2),
        b=slice_at(0.0, 10, InstanceNumber=1),
    )

    stack = open_stack(tmp_path)

    assert stack.axes == "IYX"
    assert stack.pixels[:, 0, 0].tolist() == [10 - 1024, 20 - 1024]


def test_colours_that_are_not_known_are_refused(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 1, PhotometricInterpretation="HSV", SamplesPerPixel=3))

    with pytest.raises(InputError, match="is a DICOM image in the colours HSV"):
        open_stack(tmp_path / "a.dcm")


def test_a_file_without_preamble_is_read(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 7))
    data = pydicom.dcmread(tmp_path / "a.dcm")
    bare = tmp_path / "bare.dcm"
    with bare.open("wb") as file:
        writer = pydicom.filebase.DicomFileLike(file)
        writer.is_little_endian, writer.is_implicit_VR = True, False
        pydicom.filewriter.write_dataset(writer, data)

    assert open_stack(bare).pixels[0, 0] == 7 - 1024


def test_reading_can_be_cancelled_between_slices(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 1), b=slice_at(1.0, 2))
    run = Run()
    run.cancel()

    with pytest.raises(Cancelled):
        open_stack(tmp_path, run=run)


def test_a_folder_of_slices_is_one_input(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        save(folder, a=slice_at(0.0, 1), b=slice_at(1.0, 2))

    assert list_inputs(first) == [first]
    assert list_inputs(tmp_path) == [first, second]


def test_a_few_slices_among_other_images_are_no_series(tmp_path: Path):
    save(tmp_path, a=slice_at(0.0, 1), b=slice_at(1.0, 2))
    (tmp_path / "preview.png").write_bytes(b"")
    assert list_inputs(tmp_path) == [tmp_path]

    for name in ("c.tif", "d.tif"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in list_inputs(tmp_path)] == [
        "a.dcm",
        "b.dcm",
        "c.tif",
        "d.tif",
        "preview.png",
    ]


@pytest.mark.shared_data
def test_a_real_low_dose_volume(shared_data: Path):
    stack = open_stack(shared_data / "ct/ldct_mayo/L096/quarter")

    assert (stack.axes, stack.shape, stack.dtype) == ("ZYX", (6, 512, 512), np.int16)
    assert stack.pixel_size.x_um == 742.1875
    lowest = pydicom.dcmread(shared_data / "ct/ldct_mayo/L096/quarter/000271.IMA")
    np.testing.assert_array_equal(stack.pixels[0], lowest.pixel_array.astype(int) - 1024)


@pytest.mark.shared_data
def test_an_enhanced_multi_frame_file_has_its_values_per_frame(shared_data: Path):
    stack = open_stack(shared_data / "ct/CT_enhanced_2frame.dcm")

    raw = pydicom.dcmread(stack.source).pixel_array.astype(int)
    assert (stack.axes, stack.value_unit) == ("ZYX", "HU")
    assert stack.pixel_size == PixelSize(388.672, 388.672, 10_000.0)
    assert sorted(stack.pixels.sum((1, 2)).tolist()) == sorted((raw - 1024).sum((1, 2)).tolist())


@pytest.mark.shared_data
def test_a_gantry_tilt_is_taken_into_account(shared_data: Path):
    stack = open_stack(shared_data / "ct/ge_head_series")

    assert stack.pixel_size.z_um == pytest.approx(4220 * 0.9483237, rel=1e-5)
    assert stack.pixels.min() == -1500


FILES_OF_PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_small_odd.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_app14_dcmd.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_rle_2frame.dcm",
        "SC_rgb_rle_16bit.dcm",
        "examples_ybr_color.dcm",
    ],
)
def test_colours_are_red_green_and_blue_as_pydicom_gives_them(name: str):
    with warnings.catch_warnings(action="ignore"):
        expected = pydicom.dcmread(FILES_OF_PYDICOM / name).pixel_array

    stack = open_stack(FILES_OF_PYDICOM / name)

    assert stack.axes.endswith("CYX")
    assert stack.channels == ("Red", "Green", "Blue")
    assert stack.metadata["colours"] == "RGB"
    np.testing.assert_array_equal(np.moveaxis(np.asarray(stack.pixels), -3, -1), expected)
    (image,) = list_images(FILES_OF_PYDICOM / name)
    assert image.axes == "ICYX"
    assert image.shape[-3:] == stack.shape[-3:]


def test_colours_that_pydicom_cannot_unpack_are_those_of_the_plain_file():
    plain = open_stack(FILES_OF_PYDICOM / "SC_rgb_jpeg_gdcm.dcm")  # lossless JPEG
    lossy = open_stack(FILES_OF_PYDICOM / "SC_rgb_jls_lossy_line.dcm")

    assert plain.shape == lossy.shape == (3, 100, 100)
    assert np.abs(plain.pixels.astype(int) - lossy.pixels).max() <= 10


def test_a_palette_gives_its_colours():
    data = pydicom.dcmread(FILES_OF_PYDICOM / "examples_palette.dcm")
    red = np.frombuffer(data.RedPaletteColorLookupTableData, "<u2")

    stack = open_stack(FILES_OF_PYDICOM / "examples_palette.dcm")

    assert (stack.axes, stack.dtype) == ("CYX", np.uint16)
    np.testing.assert_array_equal(stack.pixels[0], red[data.pixel_array])


def test_equal_colours_are_gray_and_colours_are_apart_from_gray(tmp_path: Path):
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8)
    equal = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    equal |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 8, "Columns": 8}
    save(tmp_path, a=slice_at(0.0, 1, **equal, PixelData=np.dstack([gray] * 3).tobytes()))

    stack = open_stack(tmp_path / "a.dcm")

    assert (stack.axes, stack.metadata.get("colours")) == ("YX", None)
    np.testing.assert_array_equal(stack.pixels, gray)
    save(tmp_path, b=slice_at(1.0, 2))
    assert len(list_images(tmp_path)) == 2
