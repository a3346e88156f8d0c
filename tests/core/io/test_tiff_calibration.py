"""Pixel sizes, intervals and names, as ImageJ, OME, tifffile and bare tags say them."""

from __future__ import annotations

import pytest

from training_core.io.tiff_calibration import (
    imagej_calibration,
    ome_calibration,
    plain_calibration,
    shaped_calibration,
)
from training_core.stack import PixelSize

OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" PhysicalSizeX="108" PhysicalSizeXUnit="nm" PhysicalSizeY="0.108"
 PhysicalSizeZ="0.0005" PhysicalSizeZUnit="mm" TimeIncrement="250" TimeIncrementUnit="ms">
<Channel ID="Channel:0:0" Name="DAPI" Color="255" EmissionWavelength="461"/>
<Channel ID="Channel:0:1" Name="GFP" Color="65280"/></Pixels></Image></OME>"""


@pytest.mark.parametrize("unit", ["micron", "um", "µm", "\\u00B5m", "μm", "Microns"])
def test_imagej_units_that_mean_micrometre(unit: str):
    metadata = {"unit": unit, "spacing": 0.5, "finterval": 2.0}

    calibration = imagej_calibration(metadata, (10.0, 5.0))

    assert calibration.pixel_size == PixelSize(0.1, 0.2, 0.5)
    assert calibration.time_step_s == 2.0


def test_imagej_nanometres_and_milliseconds():
    metadata = {"unit": "nm", "spacing": 300.0, "finterval": 40.0, "tunit": "ms"}

    calibration = imagej_calibration(metadata, (0.01, 0.01))

    assert calibration.pixel_size == PixelSize(pytest.approx(0.1), pytest.approx(0.1), 0.3)
    assert calibration.time_step_s == pytest.approx(0.04)


@pytest.mark.parametrize("metadata", [{}, {"unit": "pixel", "spacing": 2.0}, {"unit": "cm"}])
def test_an_uncalibrated_imagej_file_has_no_pixel_size(metadata: dict[str, object]):
    assert imagej_calibration(metadata, (1.0, 1.0)).pixel_size == PixelSize()


def test_all_of_an_imagej_header_is_kept():
    metadata = {"min": 1.0, "max": 9.0, "mode": "composite", "LUTs": [1, 2]}

    assert imagej_calibration(metadata, (1.0, 1.0)).extra == {"imagej": metadata}


def test_ome_sizes_have_their_own_units():
    calibration = ome_calibration(OME)

    size = calibration.pixel_size
    assert (size.x_um, size.y_um, size.z_um) == pytest.approx((0.108, 0.108, 0.5))
    assert calibration.time_step_s == pytest.approx(0.25)
    assert calibration.channels == ("DAPI", "GFP")


def test_ome_channel_attributes_are_kept_where_all_channels_have_them():
    kept = ome_calibration(OME).extra["ome_channels"]

    assert kept == {"Name": ["DAPI", "GFP"], "Color": ["255", "65280"]}


def test_ome_text_may_declare_another_encoding():
    calibration = ome_calibration(OME.replace("UTF-8", "UTF-16"))

    assert calibration.channels == ("DAPI", "GFP")


def test_tifffile_metadata_use_the_names_of_ome():
    calibration = shaped_calibration(
        {"axes": "CYX", "PhysicalSizeX": 2.0, "Channel": {"Name": ["a", "b"]}, "TimeIncrement": 3}
    )

    assert calibration.pixel_size == PixelSize(2.0, None, None)
    assert (calibration.channels, calibration.time_step_s) == (("a", "b"), 3.0)


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((10_000.0, 5_000.0), 3, PixelSize(1.0, 2.0)),  # per cm
        ((25_400.0, 25_400.0), 2, PixelSize(1.0, 1.0)),  # per inch
        ((300.0, 300.0), 2, PixelSize()),  # for print
        ((72.0, 72.0), 2, PixelSize()),
        ((10_000.0, 10_000.0), 1, PixelSize()),  # no unit
        ((0.0, 0.0), 3, PixelSize()),
    ],
)
def test_bare_resolution_tags_count_only_where_they_are_fine(resolution, unit, expected):
    assert plain_calibration(resolution, unit).pixel_size == expected
