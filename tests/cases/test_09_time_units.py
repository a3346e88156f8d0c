"""A frame interval is in seconds whatever its unit; one in no known unit is unknown, and kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from training_core.export.writers import write_stack
from training_core.io.readers import open_stack
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from pathlib import Path

MOVIE = np.random.default_rng(9).poisson(100, (3, 32, 32)).astype(np.uint16)
KNOWN = [
    ("msec", 50.0, 0.05),
    ("ms", 50.0, 0.05),
    ("µs", 50.0, 5e-5),
    ("sec", 2.0, 2.0),
    ("seconds", 2.0, 2.0),
    ("min", 5.0, 300.0),
    ("minutes", 5.0, 300.0),
    ("hour", 0.5, 1800.0),
    ("hr", 0.5, 1800.0),
    ("Hours", 0.5, 1800.0),
    ("day", 1.0, 86_400.0),
]


def write_imagej(path: Path, **said: Any) -> Path:
    metadata = {"axes": "TYX", "unit": "um", **said}
    ascii_only = {
        k: v.replace("µ", "\\u00B5") if isinstance(v, str) else v for k, v in metadata.items()
    }
    tifffile.imwrite(path, MOVIE, imagej=True, resolution=(5, 5), metadata=ascii_only)
    return path


def write_ome(path: Path, step: float, unit: str) -> Path:
    metadata = {"axes": "TYX", "TimeIncrement": step, "TimeIncrementUnit": "d "}
    tifffile.imwrite(path, MOVIE, ome=True, photometric="minisblack", metadata=metadata)
    xml = tifffile.tiffcomment(path).replace('Unit="d "', f'Unit="{unit}"')
    tifffile.tiffcomment(path, xml.encode())
    return path


@pytest.mark.parametrize(("unit", "step", "seconds"), KNOWN)
@pytest.mark.parametrize("imagej", [True, False])
def test_the_interval_is_in_seconds_and_comes_back(
    tmp_path: Path, unit: str, step: float, seconds: float, imagej: bool
):
    path = tmp_path / "a.tif"
    given = (
        write_imagej(path, finterval=step, tunit=unit) if imagej else write_ome(path, step, unit)
    )

    stack = open_stack(given)

    assert stack.time_step_s == pytest.approx(seconds)
    result = write_stack(stack, tmp_path / "b.tif")
    assert open_stack(result).time_step_s == pytest.approx(seconds)
    if imagej:
        with tifffile.TiffFile(result) as tif:  # what Fiji reads
            kept = tif.imagej_metadata or {}
        assert kept["finterval"] == step
        assert kept["tunit"].replace("\\u00B5", "µ").replace("\\xb5", "µ") == unit


@pytest.mark.parametrize("imagej", [True, False])
def test_an_interval_in_an_unknown_unit_is_written_as_it_was(tmp_path: Path, imagej: bool):
    path = tmp_path / "a.tif"
    unit = "fortnight"
    given = write_imagej(path, finterval=4.0, tunit=unit) if imagej else write_ome(path, 4.0, unit)

    stack = open_stack(given)

    assert stack.time_step_s is None
    with tifffile.TiffFile(write_stack(stack, tmp_path / "b.tif")) as tif:
        if imagej:
            kept = tif.imagej_metadata or {}
            assert (kept["finterval"], kept["tunit"]) == (4.0, unit)
        else:
            assert 'TimeIncrement="4.0"' in tif.ome_metadata
            assert f'TimeIncrementUnit="{unit}"' in tif.ome_metadata


def test_a_pixel_size_in_an_unknown_unit_is_written_as_it_was(tmp_path: Path):
    said = {"PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 0.5}
    metadata = {"axes": "TYX", **said}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, MOVIE, ome=True, photometric="minisblack", metadata=metadata)

    stack = open_stack(path)

    assert (stack.pixel_size.x_um, stack.pixel_size.y_um) == (None, 0.5)
    with tifffile.TiffFile(write_stack(stack, tmp_path / "b.tif")) as tif:
        assert 'PhysicalSizeX="2.0" PhysicalSizeXUnit="pixel"' in tif.ome_metadata


def test_the_speed_of_an_animation_is_no_interval(tmp_path: Path):
    stack = open_stack(write_imagej(tmp_path / "a.tif", fps=20.0))

    assert stack.time_step_s is None
    with tifffile.TiffFile(write_stack(stack, tmp_path / "b.tif")) as tif:
        assert (tif.imagej_metadata or {})["fps"] == 20.0


@pytest.mark.parametrize(
    ("said", "size_um"),
    [
        ({"unit": "nanometers", "spacing": 500.0}, (2e-4, 2e-4, 0.5)),
        ({"unit": "millimetres", "spacing": 2.0}, (200.0, 200.0, 2000.0)),
        ({"unit": "\\u03BCm", "spacing": 2.0}, (0.2, 0.2, 2.0)),
        ({"unit": "\\u00C5", "spacing": 2.0}, (2e-5, 2e-5, 2e-4)),
        ({"unit": "\\u00B5m", "yunit": "nm", "zunit": "mm", "spacing": 2.0}, (0.2, 2e-4, 2000.0)),
        ({"unit": "\\u00B5m", "zunit": "section", "spacing": 2.0}, (0.2, 0.2, None)),
        ({"unit": "parsec", "spacing": 2.0}, (None, None, None)),
    ],
)
def test_each_axis_has_its_unit_however_it_is_spelt(tmp_path: Path, said, size_um):
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX", **said}
    tifffile.imwrite(path, MOVIE, imagej=True, resolution=(5, 5), metadata=metadata)

    stack = open_stack(path)

    size = stack.pixel_size
    assert (size.x_um, size.y_um, size.z_um) == pytest.approx(size_um)
    again = open_stack(write_stack(stack, tmp_path / "b.tif")).pixel_size
    assert (again.x_um, again.y_um, again.z_um) == pytest.approx(size_um)
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        kept = tif.imagej_metadata or {}
    assert {name: kept[name] for name in said} == said


def test_a_corrected_size_leaves_no_other_unit_behind(tmp_path: Path):
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX", "unit": "um", "yunit": "nm", "zunit": "mm", "spacing": 2.0}
    tifffile.imwrite(path, MOVIE, imagej=True, resolution=(5, 5), metadata=metadata)
    corrected = replace(open_stack(path), pixel_size=PixelSize(0.1, 0.2, 0.3))

    assert open_stack(write_stack(corrected, tmp_path / "b.tif")).pixel_size == PixelSize(
        pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.3)
    )
