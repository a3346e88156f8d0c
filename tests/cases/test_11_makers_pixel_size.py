"""The pixel size that a microscope's maker notes in a tag of its own is read and written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from tests.support.made_up import denoiser, noise_model, stack
from training_core.denoise.tiled import denoise
from training_core.export.writers import write_stack
from training_core.io.readers import open_stack
from training_core.io.tiff_calibration import Calibration, makers_note
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.settings import PatchSettings
from training_core.stack import PixelSize
from training_core.unmeasured import unmeasured

if TYPE_CHECKING:
    from pathlib import Path

BAR = 170  # the row from which on the data bar lies
FEI = (
    "[User]\r\nUser=supervisor\r\n\r\n[Beam]\r\nHV=5000\r\n\r\n[Scan]\r\nPixelWidth=3.37e-009\r\n"
    "PixelHeight=3.37e-009\r\nHorFieldsize=6.47e-007\r\n"
)
FEI_INFRARED = (
    "[IRBeam]\r\nHFW=6.47e-007\r\nVFW=6.47e-007\r\n"
    "[Image]\r\nResolutionX=192\r\nResolutionY=192\r\n"
)
ZEISS = "\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {}\r\nAP_MAG\r\nMag =    50.00 K X\r\n"
ZEISS_OLD = "0\r\n0\r\n0\r\n6.3e-10\r\n\r\nAP_MAG\r\nMag =    50.00 K X\r\n"
TESCAN = b"\0\1[MAIN]\r\nHV=5000\r\nPixelSizeX=3.37e-9\r\nPixelSizeY=3.4e-9\r\n"
METASERIES = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-state" type="bool" value="on"/>'
    '<prop id="spatial-calibration-x" type="float" value="0.645"/>'
    '<prop id="spatial-calibration-y" type="float" value="0.65"/>'
    '<prop id="spatial-calibration-units" type="string" value="um"/></PlaneInfo></MetaData>'
)
GATAN = [
    (65003, 2, 0, "nm", True),
    (65004, 2, 0, "nm", True),
    (65009, 12, 1, 3.37, True),
    (65010, 12, 1, 6.74, True),
]


def scan() -> np.ndarray:
    """Give 192 x 192 px of noise over a data bar."""
    image = np.random.default_rng(11).normal(110, 12, (192, 192)).clip(0, 255).round()
    image[BAR:] = 0
    image[176:186, 10:80:3] = 255
    return image.astype(np.uint8)


def write(path: Path, **said: Any) -> Path:
    tifffile.imwrite(path, scan(), metadata=None, **said)
    return path


@pytest.mark.parametrize(
    ("said", "x_um", "y_um"),
    [
        ({"extratags": [(34682, 2, 0, FEI, True)]}, 0.00337, 0.00337),
        ({"extratags": [(34680, 2, 0, FEI, True)]}, 0.00337, 0.00337),
        ({"extratags": [(34682, 2, 0, FEI_INFRARED, True)]}, 0.00337, 0.00337),
        ({"extratags": [(34118, 2, 0, ZEISS.format("3.37 nm"), True)]}, 0.00337, 0.00337),
        (
            {"extratags": [(34118, 2, 0, ZEISS.format("1.25 \xb5m").encode("latin-1"), True)]},
            1.25,
            1.25,
        ),
        ({"extratags": [(34118, 2, 0, ZEISS.format("850 pm"), True)]}, 0.00085, 0.00085),
        ({"extratags": [(34118, 2, 0, ZEISS_OLD, True)]}, 0.00336, 0.00336),
        ({"extratags": [(50431, 7, len(TESCAN), TESCAN, True)]}, 0.00337, 0.0034),
        ({"extratags": GATAN}, 0.00337, 0.00674),
        ({"description": METASERIES, "software": "MetaSeries"}, 0.645, 0.65),
    ],
)
def test_the_size_is_in_micrometres_and_goes_into_the_result(
    tmp_path: Path, said: dict[str, Any], x_um: float, y_um: float
):
    stack = open_stack(write(tmp_path / "scan.tif", **said))

    assert (stack.pixel_size.x_um, stack.pixel_size.y_um) == pytest.approx((x_um, y_um), rel=1e-4)
    np.testing.assert_array_equal(stack.pixels, scan())
    again = open_stack(write_stack(stack, tmp_path / "result.tif"))
    assert (again.pixel_size.x_um, again.pixel_size.y_um) == pytest.approx((x_um, y_um), rel=1e-4)


def test_the_makers_note_counts_more_than_a_resolution_for_print(tmp_path: Path):
    tag = (34682, 2, 0, FEI, True)
    path = write(tmp_path / "a.tif", extratags=[tag], resolution=(3000, 3000), resolutionunit=2)

    assert open_stack(path).pixel_size.x_um == pytest.approx(0.00337)


@pytest.mark.parametrize("note", ["", "[Scan]\r\nPixelWidth=\r\n", "PixelWidth=-1", "\xff\xfe"])
def test_a_damaged_note_leaves_the_size_unknown(tmp_path: Path, note: str):
    path = write(tmp_path / "a.tif", extratags=[(34682, 2, 0, note.encode("latin-1"), True)])

    assert open_stack(path).pixel_size == PixelSize()


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (
            {
                "lsm_metadata": {
                    "VoxelSizeX": 1e-7,
                    "VoxelSizeY": 2e-7,
                    "VoxelSizeZ": 5e-7,
                    "TimeIntervall": 2.5,
                    "ChannelColors": {"ColorNames": ["Ch1-T1", "Ch2-T2"]},
                }
            },
            Calibration(PixelSize(*map(pytest.approx, (0.1, 0.2, 0.5))), 2.5, ("Ch1-T1", "Ch2-T2")),
        ),
        (
            {
                "fluoview_metadata": {
                    "Dimensions": [
                        ("x", 64, 0.0, 0.207, "um"),
                        ("y", 64, 0.0, 0.207, "um"),
                        ("Time", 9, 0.0, 0.4, "s"),
                    ]
                }
            },
            Calibration(PixelSize(0.207, 0.207), 0.4),
        ),
        (
            {"sis_metadata": {"pixelsizex": 1e-8, "pixelsizey": 1e-8}},
            Calibration(PixelSize(1e-8 * 1e6, 1e-8 * 1e6)),
        ),
        (
            {"tvips_metadata": {"PixelSizeX": 0.5, "PixelSizeY": 0.5}},
            Calibration(PixelSize(0.0005, 0.0005)),
        ),
        (
            {
                "stk_metadata": {
                    "SpatialCalibration": 1,
                    "XCalibration": 0.645,
                    "YCalibration": 0.645,
                    "CalibrationUnits": "um",
                    "ZDistance": np.array([2.0, 2.0]),
                }
            },
            Calibration(PixelSize(0.645, 0.645, 2.0)),
        ),
        ({"stk_metadata": {"SpatialCalibration": 0, "XCalibration": 1.0}}, None),
    ],
)
def test_what_else_tifffile_understands(said: dict[str, Any], note: Calibration | None):
    assert makers_note(SimpleNamespace(**said)) == note


def test_a_data_bar_gives_no_patches(tmp_path: Path):
    stack = open_stack(write(tmp_path / "scan.tif"))

    patches = find_smooth_patches(stack, PatchSettings())

    assert len(patches.locations) > 60
    assert patches.locations[:, 1].max() + patches.patch_size_px <= BAR


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "x_um"),
    [
        ("stacks/sem_fei_rbc.tif", 0.00770833),
        ("formats/metamorph/MetamorphImage_stk.tif", 0.645),
        ("formats/dm/saved_with_DM_int32.tif", 0.168675),
    ],
)
def test_real_files(shared_data: Path, name: str, x_um: float):
    assert open_stack(shared_data / name).pixel_size.x_um == pytest.approx(x_um, rel=1e-5)


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (30, 255), (255, 0), (30, 200)])
def test_a_data_bar_comes_out_unchanged(ground: int, ink: int):
    image = scan()
    image[BAR:] = np.where(image[BAR:] == 0, ground, ink)
    given = stack(image)

    made = denoise(given, denoiser(noise_model())).pixels

    np.testing.assert_array_equal(made[BAR:], image[BAR:])
    assert (made[:BAR] != image[:BAR]).mean() > 0.9


def test_narrow_things_with_noise_of_their_own_are_no_writing():
    vessel = np.zeros((96, 96))
    vessel[:, 40:48] = np.random.default_rng(2).normal(100, 10, (96, 8)).round()

    found = unmeasured(stack(vessel), 0)

    np.testing.assert_array_equal(found, vessel == 0)


@pytest.mark.shared_data
def test_the_bar_of_a_real_scan(shared_data: Path):
    found = unmeasured(open_stack(shared_data / "stacks/sem_fei_rbc.tif"), 0)

    assert found is not None
    assert found[1028:].mean() > 0.95
    assert not found[:1020].any()
