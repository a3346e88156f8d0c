"""OME-Zarr 0.5: valid by its specification, and read by zarr with the same pixels and sizes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training_core.errors import OutputError
from training_core.export import pyramid, writers, zarr_writer
from training_core.export.writers import cannot_keep, write_stack
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from pathlib import Path

zarr = pytest.importorskip("zarr", reason="needs the extra `formats`")
RNG = np.random.default_rng(2)
CHANNELS = {"Color": ["65535", "-16776961"]}


def made(axes: str = "TZCYX", dtype: str = "uint16", side: int = 20) -> Stack:
    lengths = {"T": 2, "Z": 3, "C": 2, "I": 4, "Y": side, "X": side + 11}
    pixels = RNG.integers(0, 120, [lengths[axis] for axis in axes]).astype(dtype)
    coloured = "C" in axes
    return Stack(
        pixels,
        axes,
        PixelSize(0.2, 0.25, 1.5 if "Z" in axes else None),
        ("DAPI", "GFP") if coloured else (),
        0.5 if "T" in axes else None,
        metadata={"ome_channels": CHANNELS} if coloured else {},
    )


def image_of(path: Path) -> tuple[object, dict[str, object]]:
    """Read as the specification says, with models that somebody else wrote from it."""
    models = pytest.importorskip("ome_zarr_models.v05", reason="needs ome-zarr-models")
    group = zarr.open_group(path, mode="r")
    models.Image.from_zarr(group)
    return group, dict(group.attrs)


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
@pytest.mark.parametrize("axes", ["YX", "IYX", "CYX", "ZYX", "TCYX", "TZCYX"])
def test_it_is_valid_and_holds_the_same(tmp_path: Path, axes: str, compression: str):
    stack = made(axes)

    path = write_stack(
        stack, tmp_path / "a.ome.zarr", compression=compression, description={"seed": 3}
    )

    group, said = image_of(path)
    order = "".join(axis for axis in "TCIZYX" if axis in axes)
    moved = [axes.index(axis) for axis in order]
    np.testing.assert_array_equal(group["0"][...], np.asarray(stack.pixels).transpose(moved))
    image = said["ome"]["multiscales"][0]
    assert "".join(axis["name"] for axis in image["axes"]).upper() == order
    size = {"T": 0.5, "Z": 1.5, "Y": 0.25, "X": 0.2}
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == [size.get(axis, 1.0) for axis in order]
    units = {axis["name"]: axis.get("unit") for axis in image["axes"]}
    assert (units["x"], units.get("t", "second")) == ("micrometer", "second")
    note = said["g2g"]["made"]
    assert json.loads(note[note.index("{") :]) == {"seed": 3}
    if "C" in axes:
        shown = [(each["label"], each["color"]) for each in said["ome"]["omero"]["channels"]]
        assert shown == [("DAPI", "0000FF"), ("GFP", "FF0000")]


def test_large_planes_have_smaller_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pyramid, "LARGEST_PLANE_PX", 32)
    monkeypatch.setattr(pyramid, "SMALLEST_LEVEL_PX", 16)
    monkeypatch.setattr(zarr_writer, "TILE_PX", 16)
    stack = made("ZYX", "uint8", side=41)  # 41 x 52: both odd ends are met

    group, said = image_of(write_stack(stack, tmp_path / "a.ome.zarr"))

    assert [group[str(level)].shape[1:] for level in range(3)] == [(41, 52), (21, 26), (11, 13)]
    first = np.asarray(stack.pixels[0], float)
    expected = np.rint(first[:40].reshape(20, 2, 26, 2).mean((1, 3)))
    np.testing.assert_array_equal(group["1"][0, :20], expected)
    smaller = said["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    assert smaller[0]["scale"] == [1.5, 0.5, 0.4]
    assert smaller[1]["translation"] == [0.0, 0.125, 0.1]  # half of a pixel of the image


def test_what_a_zarr_said_comes_back(tmp_path: Path):
    window = {"min": 0, "max": 4095, "start": 10, "end": 900}
    channels = [
        {"label": name, "color": colour, "window": window, "active": True}
        for name, colour in (("DAPI", "0000FF"), ("GFP", "00FF00"))
    ]
    kept = {"omero": {"channels": channels, "rdefs": {"model": "color"}}}
    stack = Stack(
        RNG.integers(0, 9, (2, 20, 30)).astype(np.uint16),
        "CYX",
        PixelSize(0.2, 0.2),
        ("DAPI", "GFP"),
        metadata=kept | {"translation": {"Y": 12.5, "X": -3.0}},
    )

    _, said = image_of(write_stack(stack, tmp_path / "a.ome.zarr"))

    assert said["ome"]["omero"] == kept["omero"]
    moved = said["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][1]
    assert moved["translation"] == [0.0, 12.5, -3.0]


def test_folders_are_whole_or_not_there_and_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_stack(made("ZYX"), tmp_path / "a.ome.zarr")
    with pytest.raises(OutputError, match="folders are never replaced"):
        write_stack(made("ZYX"), path, overwrite=True)

    def fail(stack: Stack, index: int) -> tuple[int, ...]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr_writer, "_place", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_stack(made("ZYX"), tmp_path / "b.ome.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_without_the_package_it_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(zarr_writer, "find_spec", lambda name: None)
    assert "OME-Zarr" not in [writer.name for writer in writers.writers_of(made("ZYX"))]
    with pytest.raises(OutputError, match=r"pip install 'g2g-desktop\[formats\]'"):
        write_stack(made("ZYX"), tmp_path / "a.ome.zarr")


def test_what_it_cannot_hold_is_told(tmp_path: Path):
    stack = Stack(np.zeros((2, 9, 9), np.int16), "ZYX", value_unit="HU")
    assert cannot_keep(stack, tmp_path / "a.zarr") == (
        "OME-Zarr cannot keep the unit of the values."
    )
    with pytest.raises(OutputError, match="OME-Zarr cannot have the axes ICYX"):
        write_stack(Stack(np.zeros((2, 2, 9, 9)), "ICYX"), tmp_path / "a.zarr")
