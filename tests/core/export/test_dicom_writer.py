"""What came from DICOM goes back as a derived series: same place and patient, new identifiers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import config, uid
from pydicom.dataset import Dataset, FileMetaDataset

from training_core.errors import OutputError
from training_core.export.writers import cannot_keep, write_stack
from training_core.io.readers import open_stack
from training_core.stack import Stack, as_float32

FILES_OF_PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
PATIENT, NUMBER = "Haze^Dolores", "4711"
STEP_MM = 2.5


def slice_of_series(folder: Path, number: int, pixels: np.ndarray, **more: Any) -> Path:
    """Write one slice of a CT, with all that tells whose it is and where it lies."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = uid.CTImageStorage, f"1.2.3.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.5", "1.6", "1.7"
    data.PatientName, data.PatientID, data.Modality = PATIENT, NUMBER, "CT"
    data.SeriesNumber, data.InstanceNumber, data.SeriesDescription = 3, number, "Thorax"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.ImagePositionPatient = [-10.5, -20.25, STEP_MM * number]
    data.ImageOrientationPatient, data.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.75, 0.5]
    data.SliceThickness, data.WindowCenter, data.WindowWidth = STEP_MM, 40, 400
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation, data.RescaleSlope, data.RescaleIntercept = 0, 1, -1024
    data.RescaleType = "HU"
    data.SmallestImagePixelValue = 0
    for name, value in more.items():
        setattr(data, name, value)
    data.PixelData = pixels.astype(np.uint16).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    folder.mkdir(exist_ok=True)
    path = folder / f"{number}.dcm"
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


@pytest.fixture
def series(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for number in range(4):
        slice_of_series(tmp_path / "series", number, rng.integers(0, 4096, (20, 30)))
    return tmp_path / "series"


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom refuse every value that is not as the standard says."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)


def denoised(stack: Stack) -> Stack:
    return stack.with_pixels(stack.pixels - np.asarray(100, stack.dtype))


@pytest.mark.usefixtures("strict")
def test_a_series_comes_back_where_it_was(series: Path, tmp_path: Path):
    stack = denoised(open_stack(series))

    out = write_stack(stack, tmp_path / "out.dcm", description={"seed": 3})

    files = sorted(out.iterdir())
    made = [pydicom.dcmread(path) for path in files]
    given = [pydicom.dcmread(path) for path in sorted(series.iterdir())]
    assert [p.name for p in files] == ["00001.dcm", "00002.dcm", "00003.dcm", "00004.dcm"]
    for one, other in zip(made, given, strict=True):
        for name in (
            "PatientName",
            "PatientID",
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "SliceThickness",
            "InstanceNumber",
            "WindowCenter",
            "RescaleType",
        ):
            assert one[name].value == other[name].value, name
        assert one.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert one.DerivationDescription.startswith("Denoised by g2g desktop")
        assert one.SeriesDescription == "Thorax denoised"
        source = one.SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == other.SOPInstanceUID
        assert one.private_block(0x99, "g2g desktop")[1].value.endswith('"value_unit": "HU"}')
        assert "SmallestImagePixelValue" not in one
        hu = one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
        np.testing.assert_array_equal(hu, other.pixel_array - 1024.0 - 100.0)
        list(one.iterall())  # each value is looked at
    assert len({one.SeriesInstanceUID for one in made} | {given[0].SeriesInstanceUID}) == 2
    assert len({one.SOPInstanceUID for one in (*made, *given)}) == 8
    assert all(one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID for one in made)

    again = open_stack(out)
    assert (again.axes, again.value_unit, again.pixel_size) == ("ZYX", "HU", stack.pixel_size)
    np.testing.assert_array_equal(again.pixels, stack.pixels)


def test_the_patient_is_in_no_other_file(series: Path, tmp_path: Path):
    stack = open_stack(series)
    path = write_stack(stack, tmp_path / "out.tif", description={"input": stack.name})

    content = path.read_bytes()
    assert cannot_keep(stack, path) == (
        "OME-TIFF cannot keep the patient, geometry and frame of reference."
    )
    for name in (PATIENT, "Dolores", NUMBER, "Thorax", "1.7"):
        assert name.encode() not in content
        assert name not in repr(stack)


def test_a_single_file_comes_back_as_one_with_its_padding(tmp_path: Path):
    pixels = np.full((20, 30), 1000)
    pixels[0] = 5
    path = slice_of_series(tmp_path / "in", 1, pixels, PixelPaddingValue=5)
    stack = open_stack(path)

    made = pydicom.dcmread(write_stack(stack, tmp_path / "out.dcm"))

    assert (made.PixelPaddingValue, made.RescaleIntercept, made.PixelRepresentation) == (
        5 - 1024,
        0,
        1,
    )
    np.testing.assert_array_equal(made.pixel_array, pixels - 1024)
    assert np.all(made.pixel_array[0] == made.PixelPaddingValue)


def test_values_between_the_steps_of_a_slope_are_rounded_to_them(tmp_path: Path):
    """As in PET, where each slice has a slope of its own."""
    rng, folder = np.random.default_rng(4), tmp_path / "pet"
    for number in range(3):
        slope = {"RescaleSlope": str(0.3 + 0.1 * number), "RescaleIntercept": 0, "Modality": "PT"}
        slice_of_series(folder, number, rng.integers(0, 4096, (20, 30)), **slope)
    stack = open_stack(folder)
    moved = stack.with_pixels((stack.pixels + np.float32(0.07)).astype(np.float32))

    again = open_stack(write_stack(moved, tmp_path / "out.dcm"))

    assert again.dtype == np.float32
    steps = np.array([0.3, 0.4, 0.5])[:, None, None]
    assert np.all(np.abs(again.pixels - moved.pixels) <= steps / 2 + 1e-3)
    np.testing.assert_allclose(again.pixels / steps, np.rint(again.pixels / steps), atol=1e-3)


def test_what_is_no_dicom_or_has_fractions_is_refused(series: Path, tmp_path: Path):
    stack = open_stack(series)
    with pytest.raises(OutputError, match="pixels as they came, which is int16"):
        write_stack(as_float32(stack), tmp_path / "out.dcm")
    with pytest.raises(OutputError, match="only what came from DICOM"):
        write_stack(Stack(np.zeros((20, 30), np.int16), "YX"), tmp_path / "out.dcm")
    (tmp_path / "out.dcm").mkdir()
    with pytest.raises(OutputError, match="folders are never replaced"):
        write_stack(stack, tmp_path / "out.dcm", overwrite=True)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "ct/CT_small.dcm",
        "ct/CT_8bit_abdomen.dcm",
        "ct/CT_enhanced_2frame.dcm",
        "ct/CT_jpeg2000_lossless.dcm",
        "ct/ge_head_series",
        "ct/ldct_mayo/L096/quarter",
        "formats/dicom_other/MR_small_bigendian.dcm",
        "formats/dicom_other/NM_multiframe.dcm",
    ],
)
def test_real_files_come_back(shared_data: Path, tmp_path: Path, name: str):
    stack = open_stack(shared_data / name)

    again = open_stack(write_stack(stack, tmp_path / "out.dcm"))

    assert (again.axes, again.dtype, again.value_unit) == (
        stack.axes,
        stack.dtype,
        stack.value_unit,
    )
    assert (again.pixel_size, again.time_step_s) == (stack.pixel_size, stack.time_step_s)
    np.testing.assert_array_equal(again.pixels, stack.pixels)


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("SC_rgb_small_odd_big_endian.dcm", None),
        ("examples_palette.dcm", None),
        ("SC_rgb_rle_2frame.dcm", 2),
        ("SC_rgb_jpeg_dcmtk.dcm", None),
    ],
)
def test_pictures_in_colour_go_back_as_red_green_and_blue(
    tmp_path: Path, name: str, frames: int | None
):
    source = FILES_OF_PYDICOM / name
    stack = open_stack(source)
    changed = stack.with_pixels(np.asarray(stack.pixels) // 2)
    assert "colours" not in cannot_keep(changed, tmp_path / "out.dcm")

    with warnings.catch_warnings(action="ignore"):
        made = pydicom.dcmread(write_stack(changed, tmp_path / "out.dcm"))

    assert (made.PhotometricInterpretation, made.SamplesPerPixel) == ("RGB", 3)
    assert made.PlanarConfiguration == 0
    assert made.get("NumberOfFrames") in (None, 1, frames)
    assert not any("Palette" in element.keyword for element in made)
    expected = np.moveaxis(np.asarray(changed.pixels), -3, -1)
    np.testing.assert_array_equal(made.pixel_array, expected)
    assert made.SOPInstanceUID != pydicom.dcmread(source).SOPInstanceUID
    picture = tmp_path / "out.tif"
    write_stack(changed, picture)
    np.testing.assert_array_equal(open_stack(picture).pixels, changed.pixels)
