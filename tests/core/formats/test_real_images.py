"""Every real image against readers that are not the program's own; see tests/oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training_core.errors import InputError
from training_core.io.readers import list_images, open_stack

pytestmark = pytest.mark.shared_data

ORACLES = Path(__file__).resolve().parents[2] / "oracles"
EXPECTED: dict[str, Any] = json.loads((ORACLES / "expected_images.json").read_text("utf-8"))
PRINTED_UM = 25.4  # and above: resolutions meant for print, which Bio-Formats takes as sizes

REFUSED = {
    "formats/fits/simple.fits": "is in FITS format",
    "formats/spe/spestack_test.spe": "is in Princeton Instruments SPE format",
    "formats/tia/20_TEM_search_128.ser": "is in FEI TIA format",
}
# Where another answer than that of the other reader is meant, and why.
MEANT: dict[str, dict[str, Any]] = {
    # Of several pages of one size the largest image is the one of other size.
    "odd/pillow_multipage.tiff": {"images": "joined pages of one size"},
    # Opacity and inks that are none are left out, with a warning.
    "odd/imagetiff_cmyk-4c-8b.tiff": {"sizes": {"C": 4, "Y": 151, "X": 157}, "mean": None},
    "odd/imagetiff_minisblack-2c-8b-alpha.tiff": {"sizes": {"Y": 64, "X": 64}, "mean": None},
    "odd/twelvemonkeys_colormap-with-extrasamples.tif": {"sizes": {"Y": 10, "X": 10}, "mean": None},
    # Columns of this map are the Z axis of the crystal; Bio-Formats does not look.
    "formats/mrc/EMD-3001.map": {"um": [4.5875e-05, 4.4825e-05, 3.925e-05]},
    # A calibration of DigitalMicrograph, which Bio-Formats does not read in a TIFF.
    "formats/dm/saved_with_DM_int32.tif": {"um": [0.16866, 0.16866, None]},
    # White is 0 in these; values are kept, and only shown the other way round. Pillow has one page.
    "odd/imagetiff_miniswhite-1c-1b.tiff": {"mean": 1 - 0.49997890918294174},
    "odd/pillow_compression.tif": {"mean": 0.1, "count": 2},
    # Pages below its page; Bio-Formats shows the first.
    "odd/pillow_child_ifd.tiff": {"count": 3},
    # Its unit is nm for all axes; Bio-Formats takes the slices to be in micrometres.
    "stacks/cryoet_microtubule_13pf.tif": {"um": [0.001052] * 3},
    # The header gives millimetres by its space; Bio-Formats gives numbers with signs.
    "formats/nrrd/prostate_phantom_subvolume.nrrd": {"um": [500.0, 500.0, 3000.0]},
    # Made by ImageJ's scale of FEI's own metadata, which Bio-Formats reads as another kind of TIFF.
    "stacks/sem_fei_rbc.tif": {"um": [0.00770833, 0.00770833, None]},
    # It names three numbers for two axes.
    "ct/CT_8bit_abdomen.dcm": {"um": [None, None, None]},
    # The distance of its two slices is that of their positions.
    "ct/CT_enhanced_2frame.dcm": {"um": [388.672, 388.672, 10000.0]},
}


def told(name: str) -> list[Any]:
    return [pytest.param(name, number) for number in range(len(EXPECTED[name]["images"]))]


@pytest.mark.parametrize(
    ("name", "number"),
    [case for name in EXPECTED if name not in REFUSED for case in told(name)],
)
def test_it_is_what_another_reader_finds(shared_data: Path, name: str, number: int) -> None:
    images = EXPECTED[name]["images"]
    meant = MEANT.get(name, {})
    if "images" in meant:
        assert len(list_images(shared_data / name)) < len(images)
        return
    found = list_images(shared_data / name)
    assert len(found) == meant.get("count", len(images))
    stack = open_stack(shared_data / name, series=number + 1 if len(found) > 1 else None)
    expected = images[number] | meant
    sizes = dict(zip(stack.axes, stack.shape, strict=True))
    if "I" in sizes:  # an axis that the file does not name, which other readers guess
        assert [*sizes.values()] == [*expected["sizes"].values()]
    else:
        assert sizes == expected["sizes"]
    if expected["dtype"]:
        assert stack.dtype.name == expected["dtype"].replace("bool", "uint8")
    if expected["mean"] is not None:
        frames = [stack.file_frame(index) for index in range(stack.frame_count)]
        mean = float(np.mean(frames, dtype=np.float64))
        assert mean == pytest.approx(expected["mean"], rel=1e-6, abs=1e-9, nan_ok=True)
    assert_sizes(stack, expected["um"], name)
    if any(expected["channels"]):
        assert [*stack.channels] == expected["channels"]


def assert_sizes(stack: Any, expected: list[float | None], name: str) -> None:
    size = stack.pixel_size
    medical = name.endswith((".dcm", ".IMA", ".nii.gz", ".nrrd"))
    for axis, got, wanted in zip("XYZ", (size.x_um, size.y_um, size.z_um), expected, strict=True):
        if axis == "Z" and ("Z" not in stack.axes or wanted is None):
            continue
        uncalibrated = wanted == 1.0 and name.endswith((".tif", ".tiff"))
        if wanted is None or uncalibrated or (not medical and wanted >= PRINTED_UM):
            assert got is None
        else:
            assert got == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_with_what_to_do(shared_data: Path, name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]):
        open_stack(shared_data / name)


def test_no_file_is_without_an_expectation(shared_data: Path) -> None:
    every = {
        str(path.relative_to(shared_data))
        for folder in ("formats", "odd", "ct", "stacks", "lowhigh")
        for path in (shared_data / folder).rglob("*")
        if path.is_file() and ".zarr" not in str(path)
    }
    assert every <= EXPECTED.keys() | REFUSED.keys()


def test_one_field_of_the_fmd_set_has_the_same_pixels_in_three_formats(shared_data: Path) -> None:
    names = (
        "fmd/Confocal_BPAE_B/raw/7/HV110_P0500510000.png",
        "formats/czi/FOV7_HV110_P0500510000.czi",
        "formats/ome_tiff/FOV7_HV110_P0500510000.ome.tiff",
    )
    first, *others = (np.asarray(open_stack(shared_data / name).pixels) for name in names)
    for other in others:
        np.testing.assert_array_equal(first, other)
