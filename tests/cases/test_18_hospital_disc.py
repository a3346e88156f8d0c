"""A disc from a hospital opens from its top, whatever else is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import BasicTextSRStorage, generate_uid

from tests.support.ct_slices import ct_slice, save_slices
from training_core.errors import InputError
from training_core.io.readers import list_inputs, open_stack

if TYPE_CHECKING:
    from pathlib import Path

SERIES = "DICOM/PA000001/ST000001/SE000001"


def burn(top: Path, folder: str = SERIES, count: int = 4, **said: object) -> np.ndarray:
    """Write a series without suffixes deep into a disc; give its HU."""
    stored = np.random.default_rng(count).normal(1064, 12, (count, 32, 40)).round()
    slices = [ct_slice(s, float(z), **said) for z, s in enumerate(stored.astype(np.uint16))]
    save_slices(top / folder, slices, suffix="")
    return stored.astype(int) - 1024


def finish(top: Path) -> None:
    """Add what else is on a disc: its list, a viewer with pictures, and a report."""
    (top / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (top / "AUTORUN.INF").write_text("[autorun]\n")
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(top / "LOGO.PNG")
    report = ct_slice(np.zeros((4, 4), np.uint16), Rows=None, Columns=None, Modality="SR")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    save_slices(top / "DICOM/PA000001/ST000001/SE000009", [report], suffix="")


@pytest.mark.parametrize("start", ["", "DICOMDIR"])
def test_the_top_of_a_disc_and_its_list_lead_to_the_series(tmp_path: Path, start: str):
    hu = burn(tmp_path)
    finish(tmp_path)

    stack = open_stack(tmp_path / start)

    assert (stack.axes, stack.dtype, stack.value_unit) == ("ZYX", np.int16, "HU")
    np.testing.assert_array_equal(stack.pixels, hu)
    assert stack.pixel_size.z_um == 1000
    assert "1 of its 5 files left out: IM0001 is a DICOM file (SR)" in stack.warnings[0]
    assert list_inputs(tmp_path) == [tmp_path]


def test_without_its_list_a_disc_is_searched_too(tmp_path: Path):
    hu = burn(tmp_path)

    np.testing.assert_array_equal(open_stack(tmp_path).pixels, hu)
    assert list_inputs(tmp_path) == [tmp_path / SERIES]


def test_of_several_series_the_largest_is_read_and_the_others_are_told(tmp_path: Path):
    burn(tmp_path, "DICOM/A/SE1", 2, SeriesInstanceUID=generate_uid())
    hu = burn(tmp_path, "DICOM/A/SE2", 5, SeriesInstanceUID=generate_uid(), SeriesNumber=2)
    finish(tmp_path)

    stack = open_stack(tmp_path)

    np.testing.assert_array_equal(stack.pixels, hu)
    assert stack.warnings[0] == (
        "It holds 2 images, and number 2 is read: Series 2 (IYX 5 x 32 x 40). There are "
        "1: IYX 2 x 32 x 40, 2: Series 2 (IYX 5 x 32 x 40); the option --series chooses."
    )


def test_a_series_spread_over_folders_is_one(tmp_path: Path):
    parts = np.random.default_rng(1).normal(1064, 12, (4, 32, 40)).round().astype(np.uint16)
    for z, part in enumerate(parts):
        save_slices(tmp_path / f"DICOM/S{z}", [ct_slice(part, float(z))], suffix="")

    np.testing.assert_array_equal(open_stack(tmp_path).pixels, parts.astype(int) - 1024)


def test_a_disc_with_nothing_on_it(tmp_path: Path):
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")

    for start in (tmp_path, tmp_path / "DICOMDIR"):
        with pytest.raises(InputError, match="holds no images that can be opened"):
            open_stack(start)
