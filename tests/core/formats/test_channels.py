"""The colours and the light of channels: from the files of microscopes into what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support import vendor_files as vendor
from training_core.export.facts import channel_colours
from training_core.export.writers import write_stack
from training_core.formats.file_image import Channels, colour
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(2).integers(0, 4000, (2, 20, 24)).astype(np.uint16)
LIGHT = "<Color>#FFFF0000</Color><EmissionWavelength>525.5</EmissionWavelength>"


def czi(shown: list[str]) -> bytes:
    xml = vendor.czi_xml({"X": 0.1, "Y": 0.1}, ["A", "B"], 1.0, taken=LIGHT, shown=shown)
    return vendor.czi(PIXELS, "CYX", xml=xml)


def imaris(path: Path) -> Path:
    h5py = pytest.importorskip("h5py", reason="needs the extra `formats`")
    with h5py.File(path, "w") as file:
        for number, text in enumerate(["1.000 0.000 1.000", "0 0.5 0"]):
            place = f"DataSet/ResolutionLevel 0/TimePoint 0/Channel {number}/Data"
            file[place] = PIXELS[number, None]
            about = file.create_group(f"DataSetInfo/Channel {number}")
            noted = {"Name": f"Dye {number}", "Color": text, "LSMEmissionWavelength": "525"}
            for name, said in noted.items():
                about.attrs[name] = np.array(list(said), "S1")
    return path


WRITTEN = {
    "as shown.czi": (czi(["#FF00FF00", "#FFFF00FF"]), ("00FF00", "FF00FF")),
    "as taken.czi": (czi([]), ("FF0000", "FF0000")),
    "tables.lif": (
        vendor.lif({"one": (PIXELS, "CYX")}, tables=["Cyan", "Gray"]),
        ("00FFFF", "FFFFFF"),
    ),
    "tables.oib": (
        vendor.oib(PIXELS[:, None], ["A", "B"], tables=[b"\xff\x80\0\0", b"\0\0\xff\0"]),
        ("0080FF", "FF0000"),
    ),
    "numbers.ims": (imaris, ("FF00FF", "008000")),
}


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("name", WRITTEN)
def test_colours_of_channels_are_read_and_written(tmp_path: Path, name: str, ending: str):
    content, colours = WRITTEN[name]
    path = tmp_path / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    if ending == ".ome.zarr":
        pytest.importorskip("zarr", reason="needs the extra `formats`")

    stack = open_stack(path)
    again = open_stack(write_stack(stack, tmp_path / f"a{ending}"))

    assert channel_colours(stack) == channel_colours(again) == colours
    assert len(stack.channels) == 2


def test_wavelengths_are_read_and_written(tmp_path: Path):
    (tmp_path / "a.czi").write_bytes(czi([]))
    for path in (tmp_path / "a.czi", imaris(tmp_path / "a.ims")):
        stack = open_stack(path)
        again = open_stack(write_stack(stack, tmp_path / f"{path.suffix[1:]}.ome.tif"))

        noted = again.metadata["ome_channels"]
        assert stack.metadata["ome_channels"].items() <= noted.items()
        assert noted["EmissionWavelengthUnit"] == ["nm", "nm"]
    assert open_stack(tmp_path / "czi.ome.tif").metadata["ome_channels"]["EmissionWavelength"] == [
        "525.5",
        "525.5",
    ]


def test_what_is_not_known_of_every_channel_is_left_out():
    assert Channels(colours=["FF0000", ""]).noted(2) == {}
    assert Channels(colours=["FF0000"]).noted(2) == {}
    assert Channels(emission_nm=[525, 0]).noted(2) == {}
    assert Channels(excitation_nm=["488", 561.0]).noted(2) == {
        "ExcitationWavelength": ["488", "561"],
        "ExcitationWavelengthUnit": ["nm", "nm"],
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("#FF00ff00", "00FF00"),
        ("00FF00", "00FF00"),
        ("Green", "00FF00"),
        ("Glow (O&U)", ""),
        ("", ""),
        ((255, 0, 1), "FF0001"),
        ((1.0, 0.5, 0.0), "FF8000"),
        ((-1, 0, 0), ""),
        ((1, 2), ""),
    ],
)
def test_colours_as_files_have_them(said: object, meant: str):
    assert colour(said) == meant


def test_lookup_tables_of_imagej_become_colours_where_there_are_no_tables(tmp_path: Path):
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp, 0 * ramp, ramp]), np.stack([0 * ramp, ramp, 0 * ramp])]
    stack = open_stack(_hyperstack(tmp_path / "a.tif", tables))

    again = open_stack(write_stack(stack, tmp_path / "a.ome.tif"))

    assert channel_colours(stack) == channel_colours(again) == ("FF00FF", "00FF00")


def _hyperstack(path: Path, tables: list[np.ndarray]) -> Path:
    metadata = {"axes": "CYX", "mode": "composite", "LUTs": tables}
    tifffile.imwrite(path, PIXELS, imagej=True, metadata=metadata)
    return path
