"""What came in is there again: twenty kinds of input, read after the export by other readers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from PIL import Image

from tests.core.export.test_dicom_writer import slice_of_series
from tests.support import vendor_files as vendor
from training_core.export.writers import cannot_keep, write_stack, writers_of
from training_core.io.readers import open_stack
from training_core.stack import PixelSize, Stack, as_float32

if TYPE_CHECKING:
    from pathlib import Path

ome_types = pytest.importorskip("ome_types", reason="needs ome-types, of the extra `dev`")
RNG = np.random.default_rng(19)


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(10, 120, shape).astype(dtype)


def exported(path: Path, out: Path, **options: Any) -> Path:
    """Open a file, change every pixel as denoising does, and write it as its own kind."""
    stack = open_stack(path)
    moved = stack.with_pixels(np.asarray(stack.pixels) - np.asarray(1, stack.dtype))
    target = out / f"result{writers_of(moved)[0].suffixes[0]}"
    assert cannot_keep(moved, target) == ""
    return write_stack(moved, target, description={"seed": 3}, **options)


def ome_of(path: Path) -> Any:
    """Read the OME-XML of a file, which has to be as the schema says."""
    with tifffile.TiffFile(path) as tif:
        return ome_types.from_xml(tif.ome_metadata, validate=True)


# Kinds 1 to 3: ImageJ.


def imagej(path: Path, pixels: np.ndarray, axes: str, **said: Any) -> Path:
    tags = {key: said.pop(key) for key in ("resolution", "colormap") if key in said}
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": axes, **said}, **tags)
    return path


def assert_same_imagej(given_path: Path, kept_path: Path) -> None:
    """Compare all that ImageJ notes; to the notes a line of ours is added."""
    with tifffile.TiffFile(given_path) as one, tifffile.TiffFile(kept_path) as two:
        given_said, kept_said = dict(one.imagej_metadata or {}), dict(two.imagej_metadata or {})
        assert kept_said.pop("Info").startswith(given_said.pop("Info", ""))
        assert kept_said.keys() == given_said.keys()
        for name, value in given_said.items():
            np.testing.assert_equal(kept_said[name], value, name)
        assert two.series[0].axes == one.series[0].axes
        np.testing.assert_array_equal(
            two.asarray(), one.asarray() - np.asarray(1, one.asarray().dtype)
        )
        for tag in ("XResolution", "YResolution"):
            if tag in one.pages[0].tags:
                ratios = [np.divide(*t.pages[0].tags[tag].value) for t in (one, two)]
                assert ratios[0] == pytest.approx(ratios[1], rel=1e-6)


def test_01_an_imagej_hyperstack(tmp_path: Path):
    ramp = np.arange(256, dtype=np.uint8)
    luts = [np.stack([ramp, ramp * 0, ramp]), np.stack([ramp * 0, ramp, ramp * 0])]
    path = imagej(
        tmp_path / "in.tif",
        noise(3, 2, 2, 20, 30),
        "TZCYX",
        resolution=(8.0, 4.0),
        unit="um",
        spacing=0.5,
        finterval=2.5,
        xorigin=3.0,
        yorigin=4.0,
        mode="composite",
        LUTs=luts,
        Ranges=(1.0, 90.0, 2.0, 80.0),
        Labels=[f"µ {i}" for i in range(12)],
        Info="microscope = A1\n",
        ROI=b"Iout" + bytes(124),
        Overlays=[b"Iout" + bytes(60), b"Iout" + bytes(124)],
        Properties={"owner": "Müller", "dish": "3"},
    )
    assert_same_imagej(path, exported(path, tmp_path))


def test_02_curves_of_imagej_and_a_lookup_table(tmp_path: Path):
    signed = imagej(
        tmp_path / "signed.tif",
        noise(2, 20, 30, dtype="int16"),
        "ZYX",
        **{"cf": 0, "c0": -32768.0, "c1": 1.0, "vunit": "Gray Value"},
    )
    density = imagej(
        tmp_path / "density.tif",
        noise(20, 30, dtype="uint8"),
        "YX",
        **{"cf": 8, "c0": 0.1, "c1": 2.5, "c2": -0.3, "c3": 1.1, "vunit": "OD"},
    )
    table = RNG.integers(0, 2**16, (3, 256)).astype(np.uint16)
    coloured = imagej(tmp_path / "lut.tif", noise(3, 20, 30, dtype="uint8"), "ZYX", colormap=table)

    for path in (signed, density, coloured):
        (tmp_path / path.stem).mkdir()
        assert_same_imagej(path, exported(path, tmp_path / path.stem))
    with tifffile.TiffFile(tmp_path / "lut" / "result.tif") as tif:
        np.testing.assert_array_equal(tif.pages[0].colormap, table)


@pytest.mark.parametrize("unit", ["nm", "mm", "inch", "pixel", "micron", "cm"])
@pytest.mark.parametrize("tunit", ["ms", "min", "hour", "day", "sec"])
def test_03_units_of_imagej(tmp_path: Path, unit: str, tunit: str):
    said = {"unit": unit, "spacing": 3.0, "finterval": 0.25, "tunit": tunit}
    path = imagej(tmp_path / "in.tif", noise(2, 3, 20, 30), "TZYX", resolution=(2.0, 4.0), **said)
    assert_same_imagej(path, exported(path, tmp_path))


# Kinds 4 to 7: OME.

OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" Creator="A microscope"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06
 http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">
<Experimenter ID="Experimenter:1" LastName="Haze"/>
<Instrument ID="Instrument:0"><Microscope Manufacturer="Zeiss" Model="LSM 980"/>
<Objective ID="Objective:0:0" LensNA="1.4" NominalMagnification="63.0" Immersion="Oil"/>
</Instrument>
<Image ID="Image:0" Name="cells µ &lt;7&gt;"><AcquisitionDate>2024-05-06T07:08:09</AcquisitionDate>
<ExperimenterRef ID="Experimenter:1"/><Description>Third dish</Description>
<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0:0" RefractiveIndex="1.518"/>
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SignificantBits="12"
 SizeX="30" SizeY="20" SizeZ="{z}" SizeC="{c}" SizeT="{t}" PhysicalSizeX="{x}"
 PhysicalSizeXUnit="nm" PhysicalSizeY="0.25" PhysicalSizeZ="1.5"
 TimeIncrement="0.5" TimeIncrementUnit="min">
{channels}<TiffData IFD="0" PlaneCount="{count}"/>{planes}</Pixels>
<AnnotationRef ID="Annotation:0"/></Image>
<Image ID="Image:1" Name="label"><Pixels ID="Pixels:1" DimensionOrder="XYZCT" Type="uint8"
 SizeX="8" SizeY="9" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="Channel:1:0"/>
<TiffData IFD="{count}" PlaneCount="1"/></Pixels></Image>
<StructuredAnnotations><CommentAnnotation ID="Annotation:0" Namespace="lab"><Value>kept</Value>
</CommentAnnotation></StructuredAnnotations></OME>"""


def ome(path: Path, shape: tuple[int, int, int], x_nm: float = 200.0) -> Path:
    """Write what a microscope writes: an image with all it knows, and the label of the slide."""
    t, c, z = shape
    names = ("DAPI", "GFP", "mCherry")
    channels = "".join(
        f'<Channel ID="Channel:0:{i}" Name="{names[i]}" Color="{(i + 1) * 65535}" '
        f'EmissionWavelength="{500 + i}" PinholeSize="1.2" SamplesPerPixel="1"/>'
        for i in range(c)
    )
    planes = "".join(
        f'<Plane TheZ="{k}" TheC="{j}" TheT="{i}" DeltaT="{i * 30 + k}.25" '
        f'ExposureTime="0.0{j + 1}" PositionX="{100 + i}.5" PositionY="-3.5" '
        f'PositionZ="{k * 1.5}"/>'
        for i in range(t)
        for j in range(c)
        for k in range(z)
    )
    count = t * c * z
    text = OME.format(t=t, c=c, z=z, x=x_nm, channels=channels, planes=planes, count=count)
    with tifffile.TiffWriter(path, ome=False) as file:
        options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
        file.write(noise(count, 20, 30), description=text.encode(), **options)
        file.write(noise(9, 8, dtype="uint8"), **options)
    return path


@pytest.mark.parametrize("shape", [(1, 3, 4), (5, 1, 1), (2, 2, 2)], ids=["CZYX", "TYX", "all"])
def test_04_05_what_a_microscope_knows(tmp_path: Path, shape: tuple[int, int, int]):
    path = ome(tmp_path / "in.ome.tif", shape)

    made, told = ome_of(exported(path, tmp_path)), ome_of(path)

    one, other = made.images[0], told.images[0]
    assert len(made.images) == 1
    for part in ("name", "acquisition_date", "description", "objective_settings"):
        assert getattr(one, part) == getattr(other, part), part
    assert made.instruments == told.instruments
    assert made.experimenters == told.experimenters
    assert one.pixels.planes == other.pixels.planes
    assert len(one.pixels.planes) == np.prod(shape)
    assert one.pixels.channels == other.pixels.channels
    for part in ("significant_bits", "physical_size_x", "physical_size_x_unit", "physical_size_y"):
        assert getattr(one.pixels, part) == getattr(other.pixels, part), part
    for part in ("physical_size_z", "time_increment", "time_increment_unit"):
        assert getattr(one.pixels, part) == getattr(other.pixels, part), part
    notes = {each.namespace: each.value for each in made.structured_annotations}
    assert notes["lab"] == "kept"
    assert notes["g2g-desktop/provenance"].endswith('{"seed": 3}')


def test_04_a_corrected_pixel_size_replaces_that_of_the_text(tmp_path: Path):
    stack = open_stack(ome(tmp_path / "in.ome.tif", (1, 1, 2)))
    moved = Stack(
        stack.pixels, stack.axes, PixelSize(0.5, 0.5, 1.0), kind="ome", metadata=stack.metadata
    )

    pixels = ome_of(write_stack(moved, tmp_path / "out.ome.tif")).images[0].pixels

    sizes = (pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z)
    assert sizes == (0.5, 0.5, 1.0)
    assert pixels.physical_size_x_unit.value == "µm"
    assert pixels.time_increment is None  # it was taken away


def test_04_denoised_once_more_it_tells_of_both_times(tmp_path: Path):
    once = exported(ome(tmp_path / "in.ome.tif", (1, 2, 1)), tmp_path)
    (tmp_path / "again").mkdir()

    made = ome_of(exported(once, tmp_path / "again"))

    notes = [each.id for each in made.structured_annotations]
    assert sorted(notes) == ["Annotation:0", "Annotation:g2g-0", "Annotation:g2g-1"]


def test_names_of_files_stay_out_where_they_are_not_wanted(tmp_path: Path):
    stack = open_stack(ome(tmp_path / "in.ome.tif", (1, 2, 1)))
    made = ome_of(write_stack(stack, tmp_path / "out.ome.tif", names=False))
    assert made.images[0].name is None
    assert made.images[0].description == "Third dish"

    path = imagej(tmp_path / "in.tif", noise(2, 20, 30), "ZYX", Labels=["Haze 1", "2"], Info="x")
    with tifffile.TiffFile(write_stack(open_stack(path), tmp_path / "o.tif", names=False)) as tif:
        said = tif.imagej_metadata or {}
    assert "Labels" not in said
    assert said["Info"].startswith("x\n")


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_06_a_large_plane_is_a_pyramid(tmp_path: Path, compression: str, dtype: str):
    path, pixels = tmp_path / "in.ome.tif", noise(2, 4100, 150, dtype=dtype)
    with tifffile.TiffWriter(path, ome=True) as file:
        options: dict[str, Any] = {"tile": (128, 128), "compression": "zlib", "photometric": 1}
        sizes = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
        file.write(pixels, subifds=1, metadata=sizes, **options)
        file.write(pixels[:, ::2, ::2], subfiletype=1, **options)

    result = exported(path, tmp_path, compression=compression)

    with tifffile.TiffFile(result) as tif:
        series = tif.series[0]
        assert [level.shape for level in series.levels] == [
            (2, 4100, 150),
            (2, 2050, 75),
            (2, 1025, 38),
            (2, 513, 19),
        ]
        assert series.keyframe.is_tiled
        used = {"none": "NONE", "zlib": "ADOBE_DEFLATE", "zstd": "ZSTD"}[compression]
        assert series.keyframe.compression.name == used
        np.testing.assert_array_equal(series.asarray(), pixels - np.asarray(1, dtype))
        halves = (pixels[:, :, :150].astype(float) - 1).reshape(2, 2050, 2, 75, 2).mean((2, 4))
        halves = np.rint(halves) if dtype == "uint16" else halves.astype(dtype)
        np.testing.assert_array_equal(series.levels[1].asarray(), halves)
    assert ome_of(result).images[0].pixels.physical_size_z == 2.0


@pytest.mark.shared_data
def test_07_an_image_in_several_files_comes_back_as_one(shared_data: Path, tmp_path: Path):
    folder = shared_data / "formats" / "ome_tiff" / "multifile"
    stack = open_stack(sorted(folder.glob("*.tif*"))[0])
    result = write_stack(stack, tmp_path / "out.ome.tif")

    made = ome_of(result)
    pixels = made.images[0].pixels
    lengths = {"T": pixels.size_t, "Z": pixels.size_z, "C": pixels.size_c}
    assert {a: n for a, n in lengths.items() if n > 1} == {
        a: n for a, n in zip(stack.axes, stack.shape, strict=True) if a in lengths
    }
    assert not any(each.uuid for each in pixels.tiff_data_blocks)
    with tifffile.TiffFile(result) as tif:
        np.testing.assert_array_equal(tif.asarray(), np.asarray(stack.pixels))


# Kinds 8 to 12: values and offsets.


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome"])
@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_08_what_is_no_number_comes_back(tmp_path: Path, kind: str, compression: str):
    pixels = noise(3, 20, 30, dtype="float32")
    pixels[0, 3, 4], pixels[1, :2], pixels[2, 5, 6] = np.nan, np.inf, -np.inf
    path = tmp_path / "in.tif"
    options: dict[str, Any] = {"plain": {"metadata": None}, "imagej": {"imagej": True}}.get(
        kind, {"ome": True, "metadata": {"axes": "ZYX"}}
    )
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)

    result = exported(path, tmp_path, compression=compression)

    with tifffile.TiffFile(result) as tif:
        np.testing.assert_array_equal(tif.asarray(), pixels - np.float32(1))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "uint32", "int8", "uint64", "float16", "int32"])
def test_09_to_12_types_byte_orders_and_large_offsets(
    tmp_path: Path, dtype: str, byteorder: str, bigtiff: bool
):
    path, pixels = tmp_path / "in.tif", noise(2, 20, 30, dtype=dtype)
    tifffile.imwrite(
        path, pixels, byteorder=byteorder, bigtiff=bigtiff, photometric="minisblack", metadata=None
    )
    with tifffile.TiffFile(exported(path, tmp_path)) as tif:
        assert tif.series[0].dtype == np.dtype(dtype)
        np.testing.assert_array_equal(tif.asarray(), pixels - np.asarray(1, dtype))


# Kinds 13 to 16: pictures, and what other makers note.


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_13_pictures_in_colour(tmp_path: Path, mode: str):
    path, pixels = tmp_path / "in.tif", noise(20, 30, len(mode), dtype="uint8")
    Image.fromarray(pixels, mode).save(path) if mode != "CMYK" else Image.frombytes(
        mode, (30, 20), pixels.tobytes()
    ).save(path)
    expected = pixels - 1
    if mode == "RGBA":
        expected[..., 3] = pixels[..., 3]

    with Image.open(exported(path, tmp_path)) as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("samples", [2, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_13_opacity_comes_back_unchanged(tmp_path: Path, suffix: str, samples: int, dtype: str):
    pixels = RNG.integers(0, 255, (40, 50, samples)).astype(dtype)
    path = tmp_path / f"in{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        kind = "rgb" if samples == 4 else "minisblack"
        options = {"photometric": kind, "extrasamples": ["assocalpha"], "planarconfig": "contig"}
        tifffile.imwrite(path, pixels, metadata=None, **options)
    stack = open_stack(path)
    assert stack.warnings[0] == "The opacity (alpha) of its pixels stays as it is."
    changed = stack.with_pixels(np.asarray(stack.pixels) // 2)

    result = write_stack(changed, tmp_path / f"out{suffix}")

    expected = np.dstack([pixels[..., :-1] // 2, pixels[..., -1]])
    if suffix == ".png":
        made = imagecodecs.png_decode(result.read_bytes())
    else:
        with tifffile.TiffFile(result) as tif:
            made = tif.asarray()
            assert [int(kind) for kind in tif.pages[0].extrasamples] == [1]
    np.testing.assert_array_equal(made, expected)
    assert cannot_keep(changed, tmp_path / f"out{suffix}") == ""
    assert "opacity of its pixels" in cannot_keep(changed, tmp_path / "out.ome.tif")
    assert "opacity of its pixels" in cannot_keep(changed, tmp_path / "out.ome.zarr")
    write_stack(changed, tmp_path / "out.ome.tif")  # which says so and writes the colours


def test_13_opacity_of_pages_stays_with_its_page(tmp_path: Path):
    pixels = RNG.integers(0, 255, (3, 40, 50, 4)).astype(np.uint8)
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"], "compression": "zlib"}
    tifffile.imwrite(tmp_path / "in.tif", pixels, metadata=None, **options)

    stack = open_stack(tmp_path / "in.tif")
    again = open_stack(write_stack(as_float32(stack), tmp_path / "out.tif"))

    np.testing.assert_array_equal(again.metadata["opacity"], pixels[..., 3])
    np.testing.assert_array_equal(again.pixels, np.moveaxis(pixels[..., :3], -1, 1))


def test_13_colours_of_imagej_and_of_a_stack(tmp_path: Path):
    pixels = noise(3, 20, 30, 3, dtype="uint8")
    path = imagej(
        tmp_path / "in.tif", pixels, "ZYXS", unit="um", spacing=2.0, resolution=(4.0, 4.0)
    )

    result = exported(path, tmp_path)

    with tifffile.TiffFile(result) as tif:
        assert (tif.series[0].axes, tif.pages[0].photometric.name) == ("ZYXS", "RGB")
        np.testing.assert_array_equal(tif.asarray(), pixels - 1)
        assert (tif.imagej_metadata or {})["spacing"] == 2.0
    stack = open_stack(path)
    other = write_stack(stack, tmp_path / "out.ome.tif")
    channel = ome_of(other).images[0].pixels.channels
    assert [each.samples_per_pixel for each in channel] == [3]
    with tifffile.TiffFile(other) as tif:
        np.testing.assert_array_equal(tif.asarray(), pixels)


def test_14_a_palette(tmp_path: Path):
    path, pixels = tmp_path / "in.tif", noise(20, 30, dtype="uint8")
    table = np.sort(RNG.integers(0, 2**16, (3, 256))).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="palette", colormap=table, metadata=None)

    with tifffile.TiffFile(exported(path, tmp_path)) as tif:
        assert tif.pages[0].photometric.name == "PALETTE"
        np.testing.assert_array_equal(tif.pages[0].colormap, table)
        np.testing.assert_array_equal(tif.asarray(), pixels - 1)


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
@pytest.mark.parametrize("density", [300.0, 40_000.0])
def test_15_tags_of_a_plain_file(tmp_path: Path, unit: str, density: float):
    path = tmp_path / "in.tif"
    said = {"Artist": "Humbert", "Copyright": "(c) me", "Make": "Leica", "Model": "DM6"}
    codes = {"Artist": 315, "Copyright": 33432, "Make": 271, "Model": 272}
    tifffile.imwrite(
        path,
        noise(20, 30),
        metadata=None,
        description="Dish 3, day 5",
        datetime="2024:05:06 07:08:09",
        resolution=(density, density),
        resolutionunit=unit,
        extratags=[(codes[name], 2, None, text, True) for name, text in said.items()],
    )

    with tifffile.TiffFile(exported(path, tmp_path)) as tif:
        page = tif.pages[0]
        assert page.description.startswith("Dish 3, day 5\n")
        assert page.tags["DateTime"].value == "2024:05:06 07:08:09"
        assert {name: page.tags[name].value for name in said} == said
        assert page.resolution == (density, density)
        assert page.resolutionunit.name == unit
        assert not tif.is_ome


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "size_um"),
    [
        ("formats/metamorph/MetamorphImage_stk.tif", 0.645),
        ("stacks/sem_fei_rbc.tif", 0.00770833),
        ("formats/dm/saved_with_DM_int32.tif", 0.16867),
    ],
)
def test_16_the_makers_pixel_size(shared_data: Path, tmp_path: Path, name: str, size_um: float):
    path = shared_data / name
    stack = open_stack(path)
    result = write_stack(stack, tmp_path / "out.ome.tif")

    pixels = ome_of(result).images[0].pixels
    assert pixels.physical_size_x == pytest.approx(size_um, rel=1e-4)
    assert pixels.physical_size_x_unit.value == "µm"
    with tifffile.TiffFile(result) as tif:
        np.testing.assert_array_equal(tif.asarray(), np.asarray(stack.pixels))


NOTED = {
    34682: "[User]\r\nUser=lab\r\n\r\n[Scan]\r\nPixelWidth=3.37e-009\r\nPixelHeight=3.37e-009\r\n",
    34118: "\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 3.37 nm\r\nAP_MAG\r\nMag = 5.00 K X\r\n",
}


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize("number", NOTED)
def test_16_what_an_electron_microscope_noted(tmp_path: Path, number: int, suffix: str):
    path = tmp_path / "in.tif"
    tags = [(number, 2, 0, NOTED[number], True)]
    tifffile.imwrite(path, noise(20, 30, dtype="uint8"), metadata=None, extratags=tags)
    stack = open_stack(path)
    assert stack.pixel_size.x_um == pytest.approx(0.00337)

    result = write_stack(stack, tmp_path / f"out{suffix}")

    assert cannot_keep(stack, result) == ""
    with tifffile.TiffFile(path) as given, tifffile.TiffFile(result) as made:
        told = "fei_metadata" if number == 34682 else "sem_metadata"
        assert getattr(made, told) == getattr(given, told)
        np.testing.assert_array_equal(made.asarray(), given.asarray())
    assert ome_of(result).images[0].pixels.physical_size_x == pytest.approx(0.00337)
    corrected = replace(stack, pixel_size=PixelSize(0.5, 0.5))
    again = open_stack(write_stack(corrected, tmp_path / f"corrected{suffix}"))
    assert again.pixel_size.x_um == pytest.approx(0.5)
    anonymous = write_stack(stack, tmp_path / f"anonymous{suffix}", names=False)
    assert b"User=lab" not in anonymous.read_bytes()


# Kinds 17 to 20: DICOM, and the formats of microscopes.


def test_17_a_ct_series_as_tiff(tmp_path: Path):
    for number in range(3):
        slice_of_series(tmp_path / "in", number, noise(20, 30))
    stack = open_stack(tmp_path / "in")

    result = write_stack(stack, tmp_path / "out.ome.tif")

    pixels = ome_of(result).images[0].pixels
    sizes = (pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z)
    assert sizes == pytest.approx((500.0, 750.0, 2500.0))
    assert open_stack(result).value_unit == "HU"
    with tifffile.TiffFile(result) as tif:
        np.testing.assert_array_equal(tif.asarray(), np.asarray(stack.pixels))


def test_18_a_cine_with_its_frame_time(tmp_path: Path):
    path = slice_of_series(tmp_path / "in", 1, noise(20, 30))
    data = pydicom.dcmread(path)
    frames = noise(4, 20, 30)
    data.SOPClassUID = pydicom.uid.UltrasoundMultiFrameImageStorage
    data.NumberOfFrames, data.FrameTime, data.Modality = 4, 40, "US"
    data.FrameIncrementPointer = 0x00181063
    for name in ("ImagePositionPatient", "ImageOrientationPatient"):
        delattr(data, name)
    data.PixelData = frames.tobytes()
    data.save_as(path)
    stack = open_stack(path)
    assert (stack.axes, stack.time_step_s) == ("TYX", 0.04)

    made = pydicom.dcmread(write_stack(stack, tmp_path / "out.dcm"))
    pixels = ome_of(write_stack(stack, tmp_path / "out.ome.tif")).images[0].pixels

    assert (int(made.NumberOfFrames), float(made.FrameTime)) == (4, 40.0)
    np.testing.assert_array_equal(made.pixel_array, frames.astype(int) - 1024)
    assert (pixels.time_increment, pixels.size_t) == (0.04, 4)


@pytest.mark.parametrize("kind", ["oib", "oif"])
def test_19_files_of_olympus(tmp_path: Path, kind: str):
    pixels = noise(2, 3, 20, 30)
    path = tmp_path / "in.oib"
    if kind == "oib":
        path.write_bytes(vendor.oib(pixels, ["Alexa Fluor 488", "DAPI"]))
    else:
        path = vendor.write_oif(tmp_path / "in.oif", pixels, ["Alexa Fluor 488", "DAPI"])
    stack = open_stack(path)

    result = write_stack(stack, tmp_path / "out.ome.tif")

    made, known = ome_of(result).images[0].pixels, stack.pixel_size
    assert [channel.name for channel in made.channels] == ["Alexa Fluor 488", "DAPI"]
    assert (made.size_c, made.size_z, made.size_y, made.size_x) == pixels.shape
    sizes = (made.physical_size_x, made.physical_size_y, made.physical_size_z)
    assert sizes == pytest.approx((known.x_um, known.y_um, known.z_um))
    assert known.z_um is not None
    with tifffile.TiffFile(result) as tif:
        np.testing.assert_array_equal(tif.asarray(), pixels)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "czi/DAPI_GFP.czi",
        "czi/LLS7_small.czi",
        "lif/testdata_2channel_xz.lif",
        "nd2/cluster.nd2",
        "deltavision/toxo.dv",
        "mrc/EMD-3001.map",
        "dm/test_STEM_image.dm3",
    ],
)
def test_19_formats_of_microscopes(shared_data: Path, tmp_path: Path, name: str):
    stack = open_stack(shared_data / "formats" / name)
    result = write_stack(stack, tmp_path / "out.ome.tif")

    pixels = ome_of(result).images[0].pixels
    names = tuple(channel.name or "" for channel in pixels.channels)
    assert names == (stack.channels or ("",) * len(names))
    sizes = (pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z)
    known = stack.pixel_size
    for made, given_um in zip(sizes, (known.x_um, known.y_um, known.z_um), strict=True):
        assert made == (None if given_um is None else pytest.approx(given_um))
    with tifffile.TiffFile(result) as tif:
        kept = tif.asarray()
    np.testing.assert_array_equal(kept.ravel(), np.asarray(stack.pixels).ravel())


def test_20_an_ome_zarr(tmp_path: Path):
    zarr = pytest.importorskip("zarr", reason="needs the extra `formats`")
    channels = [{"label": n, "color": c} for n, c in (("DAPI", "0000FF"), ("GFP", "00FF00"))]
    window = {"min": 0, "max": 4095, "start": 10, "end": 900}
    group = zarr.create_group(tmp_path / "in.ome.zarr", zarr_format=3)
    pixels = noise(2, 3, 20, 30)
    group.create_array("0", data=pixels)
    kinds = {"c": "channel", "z": "space", "y": "space", "x": "space"}
    axes = [{"name": name, "type": kind} for name, kind in kinds.items()]
    for axis in axes[1:]:
        axis["unit"] = "micrometer"
    scale: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0, 1.5, 0.25, 0.2]}]
    scale.append({"type": "translation", "translation": [0.0, -3.0, 12.5, 100.25]})
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": datasets}],
        "omero": {"channels": [each | {"window": window, "active": True} for each in channels]},
    }
    stack = open_stack(tmp_path / "in.ome.zarr")

    made = zarr.open_group(write_stack(stack, tmp_path / "out.ome.zarr"), mode="r")
    ome_pixels = ome_of(write_stack(stack, tmp_path / "out.ome.tif")).images[0].pixels

    assert made.attrs["ome"]["omero"] == group.attrs["ome"]["omero"]
    image = made.attrs["ome"]["multiscales"][0]
    assert image["datasets"][0]["coordinateTransformations"] == scale
    assert image["axes"] == axes
    np.testing.assert_array_equal(made["0"][...], pixels)
    told = [(each.name, each.color.as_hex(format="long")) for each in ome_pixels.channels]
    assert told == [("DAPI", "#0000ff"), ("GFP", "#00ff00")]


# Whatever the shape.

DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64", "uint64", "float16")


@some.composite
def stacks(draw: some.DrawFn) -> Stack:
    """Make a stack of any axes, type and calibration, with NaN where it has fractions."""
    lead = draw(some.sampled_from(["", "T", "Z", "C", "I", "TZ", "ZC", "CZ", "TC", "TZC", "TI"]))
    shape = [draw(some.integers(1 if a != "I" else 2, 3)) for a in lead]
    shape += [draw(some.integers(2, 33)), draw(some.integers(2, 33))]
    dtype = np.dtype(draw(some.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(some.integers(0, 2**16)))
    pixels = rng.integers(0, 100, shape).astype(dtype)
    lost = {}
    if dtype.kind == "f" and draw(some.booleans()):
        for index in range(int(np.prod(shape[:-2], dtype=int))):
            places = np.flatnonzero(rng.random(shape[-2] * shape[-1]) < 0.2)
            lost[index] = (places, rng.choice([np.nan, np.inf, -np.inf], places.size).astype(dtype))
    known = some.none() | some.floats(1e-4, 1e4)
    size = PixelSize(draw(known), draw(known), draw(known) if "Z" in lead else None)
    text = some.text(max_size=8)
    count = shape[lead.index("C")] if "C" in lead else 0
    return Stack(
        pixels,
        f"{lead}YX",
        size,
        tuple(draw(some.lists(text, min_size=count, max_size=count))) if count > 1 else (),
        draw(known) if "T" in lead else None,
        kind=draw(some.sampled_from(["tiff", "imagej", "ome", "array"])),
        not_finite=lost,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stack=stacks(), suffix=some.sampled_from([".tif", ".ome.tif", ".ome.zarr"]), data=some.data()
)
def test_any_stack_comes_back(stack: Stack, suffix: str, data: Any, tmp_path_factory: Any):
    """`write_stack` compares itself; here another reader looks at the pixels."""
    folder = tmp_path_factory.mktemp("any")
    if not any(suffix in writer.suffixes for writer in writers_of(stack)):
        suffix = ".tif"
    compression = data.draw(some.sampled_from(["none", "zlib", "zstd"]))

    path = write_stack(stack, folder / f"a{suffix}", compression=compression)

    frames = np.stack([stack.file_frame(index) for index in range(stack.frame_count)])
    if suffix == ".ome.zarr":
        zarr = pytest.importorskip("zarr", reason="needs the extra `formats`")
        order = [stack.axes.index(a) for a in "TCIZYX" if a in stack.axes]
        kept = zarr.open_group(path, mode="r")["0"][...]
        np.testing.assert_array_equal(kept, frames.reshape(stack.shape).transpose(order))
        return
    with tifffile.TiffFile(path) as tif:
        kept = tif.series[0].asarray().reshape(frames.shape)
        assert kept.dtype == stack.dtype
        np.testing.assert_array_equal(kept, frames)
        if tif.is_ome:
            ome_types.from_xml(tif.ome_metadata, validate=True)
