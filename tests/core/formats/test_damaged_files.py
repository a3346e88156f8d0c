"""What libraries and files say fits into a sentence."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support import vendor_files as vendor
from training_core.errors import InputError, shown
from training_core.formats.source_file import DAMAGE, brief
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("<tifffile.TiffPage 0 @8> missing data.\nmore"), "missing data"),
        (ValueError("less than expected (1 vs 2) - the dataset may be corrupted"), "less than exp"),
        (IndexError(), "IndexError"),
    ],
)
def test_the_first_statement_of_an_error(error: Exception, text: str):
    assert brief(error).startswith(text)
    assert brief(error).count("\n") == 0


def test_what_a_file_says_is_printable_and_short():
    assert shown("CT\x00\x07\nhead") == "CThead"
    assert len(shown("x" * 5000)) == 120


@pytest.mark.parametrize("raised", [zlib.error, tifffile.TiffFileError, EOFError])
def test_errors_of_decoders_count_as_damage(raised: type[Exception]):
    assert issubclass(raised, DAMAGE)


def test_a_distance_of_czi_that_is_no_number_is_unknown(tmp_path: Path):
    planes = np.arange(48, dtype=np.uint16).reshape(2, 4, 6)
    xml = vendor.czi_xml({"X": 0.1, "Y": 0.2, "Z": 0.5}, ["A"], 1.0)
    assert ">1e-07<" in xml
    path = tmp_path / "a.czi"
    path.write_bytes(vendor.czi(planes, "ZYX", xml=xml.replace(">1e-07<", ">1m-07<")))

    stack = open_stack(path)

    assert np.array_equal(stack.pixels, planes)
    assert (stack.pixel_size.x_um, stack.pixel_size.y_um) == (None, pytest.approx(0.2))


def test_fields_of_nrrd_that_disagree_are_damage(tmp_path: Path):
    pytest.importorskip("nrrd")
    path = tmp_path / "a.nrrd"
    fields = "type: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspace dimension: 3\n"
    directions = "space directions: (1,0,0) (0,1,0)\n"
    path.write_bytes(f"NRRD0004\n{fields}{directions}\n".encode() + bytes(8))

    with pytest.raises(InputError, match=r"a\.nrrd is damaged or cut off"):
        open_stack(path)
