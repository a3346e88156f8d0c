"""TIFF files open with their axes, values and calibration, and say what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from training_core.errors import InputError
from training_core.formats import source_file
from training_core.formats.source_file import FilePixels
from training_core.io import not_finite, tiff_file, tiff_reader
from training_core.io.readers import list_images, list_inputs, open_stack
from training_core.io.tiff_reader import read_tiff
from training_core.run import Cancelled, Run
from training_core.stack import NotFinite, PixelSize

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(3)
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
STACK = RNG.integers(0, 4000, (2, 3, 4, 20, 30)).astype(np.uint16)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
def test_ome_axes_sizes_and_names(tmp_path: Path, compression: str | None, bigtiff: bool):
    path = tmp_path / "a.ome.tif"
    metadata = {
        "axes": "TZCYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.2,
        "PhysicalSizeZ": 0.5,
        "TimeIncrement": 1.5,
        "Channel": {"Name": ["a", "b", "c", "d"]},
    }
    tifffile.imwrite(path, STACK, compression=compression, metadata=metadata, bigtiff=bigtiff)

    stack = read_tiff(path)

    assert (stack.axes, stack.kind, stack.warnings) == ("TZCYX", "ome", ())
    np.testing.assert_array_equal(stack.pixels, STACK)
    assert stack.pixel_size == PixelSize(0.1, 0.2, 0.5)
    assert (stack.time_step_s, stack.channels) == (1.5, ("a", "b", "c", "d"))


def test_uncompressed_pixels_stay_in_the_file_in_any_byte_order(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], byteorder=">", imagej=True, metadata={"axes": "ZCYX"})

    stack = read_tiff(path)

    assert isinstance(stack.pixels, FilePixels)
    assert stack.dtype == np.uint16
    np.testing.assert_array_equal(stack.raw_frame(5), STACK[0, 1, 1])


def test_pages_without_metadata_are_unnamed_images(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], metadata=None, photometric="minisblack")

    stack = read_tiff(path)

    assert (stack.axes, stack.kind) == ("IYX", "tiff")
    np.testing.assert_array_equal(stack.pixels, STACK[0, 0])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_page_of_another_kind_among_many_is_another_image(tmp_path: Path, options):
    path, pages = tmp_path / "a.tif", [np.full((16, 20), n, np.uint16) for n in range(12)]
    pages[5] = np.full((16, 20), 5, np.uint8)
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, contiguous=False, metadata=None, **options)

    stack = read_tiff(path)

    assert np.array(stack.pixels)[:, 0, 0].tolist() == [n for n in range(12) if n != 5]
    assert "Left out: 16 x 20 pixels of uint8." in stack.warnings[0]


def test_an_image_spread_over_several_ome_files_is_read_whole(tmp_path: Path):
    parts = [STACK[0, 0, i].reshape(2, 10, 30) for i in range(2)]
    blocks = "".join(
        f'<TiffData IFD="{p}" FirstZ="{2 * i + p}" FirstT="0" FirstC="0" PlaneCount="1">'
        f'<UUID FileName="part{i}.ome.tif">urn:uuid:0000000{i}-0000-0000-0000-000000000000</UUID>'
        "</TiffData>"
        for i in range(2)
        for p in range(2)
    )
    for i, part in enumerate(parts):
        xml = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0000000{i}-0000-0000-0000-000000000000"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="30" SizeY="10" '
            f'SizeZ="4" SizeC="1" SizeT="1"><Channel ID="Channel:0:0"/>{blocks}</Pixels>'
            "</Image></OME>"
        )
        path = tmp_path / f"part{i}.ome.tif"
        tifffile.imwrite(path, part, description=xml, metadata=None, photometric="minisblack")

    whole = read_tiff(tmp_path / "part0.ome.tif")
    assert (whole.axes, whole.warnings) == ("ZYX", ())
    np.testing.assert_array_equal(whole.pixels, np.concatenate(parts))

    (tmp_path / "part1.ome.tif").unlink()
    half = read_tiff(tmp_path / "part0.ome.tif")
    np.testing.assert_array_equal(half.pixels, parts[0])
    assert "declares 4 planes but only 2 of them are whole; 2 are missing" in half.warnings[0]


def test_ome_counts_where_a_file_describes_itself_twice(tmp_path: Path):
    path = tmp_path / "a.tif"
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="30" '
        'SizeY="20" SizeZ="4" SizeC="1" SizeT="1" PhysicalSizeX="0.2"><Channel ID="Channel:0:0"/>'
        "<TiffData/></Pixels></Image></OME>"
    )
    imagej = "ImageJ=1.11a\nimages=9\nslices=9\nunit=mm\n"
    tifffile.imwrite(
        path,
        STACK[0, 0],
        description=xml,
        metadata=None,
        photometric="minisblack",
        extratags=[(65000, 2, 0, imagej, True)],
    )
    # tifffile writes one description only: turn the private tag into a second one.
    path.write_bytes(path.read_bytes().replace(b"\xe8\xfd\x02\x00", b"\x0e\x01\x02\x00"))
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert tif.is_ome

    stack = read_tiff(path)

    assert (stack.kind, stack.axes, stack.warnings) == ("ome", "ZYX", ())
    assert stack.pixel_size.x_um == 0.2


def test_an_inverted_display_does_not_change_values(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0, 0], photometric="miniswhite")

    stack = read_tiff(path)

    np.testing.assert_array_equal(stack.pixels, STACK[0, 0, 0])
    assert stack.metadata["photometric"] == "miniswhite"


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"metadata": {"axes": "ZYX"}},
    ],
    ids=["imagej", "ome", "tifffile"],
)
def test_whole_planes_of_a_cut_file_are_read_and_the_others_counted(tmp_path: Path, options):
    path = tmp_path / "a.tif"
    planes = RNG.integers(0, 255, (6, 64, 64)).astype(np.uint8)
    tifffile.imwrite(path, planes, photometric="minisblack", **options)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    cut(path, start + 3 * 64 * 64 + 100)

    stack = read_tiff(path)

    np.testing.assert_array_equal(stack.pixels, planes[:3])
    # The OME text is at the end of the file and lost with it; the others are at the beginning.
    assert stack.axes == ("IYX" if "ome" in options else "ZYX")
    assert any("declares 6 planes" in note and "3 are missing" in note for note in stack.warnings)


def test_pages_after_a_cut_are_reported_even_if_nobody_counted_them(tmp_path: Path):
    path = tmp_path / "a.tif"
    planes = RNG.integers(0, 255, (5, 64, 64)).astype(np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for plane in planes:
            tif.write(plane, metadata=None, compression="zlib", contiguous=False)
    with tifffile.TiffFile(path) as tif:
        end = tif.pages[3].offset
    cut(path, end)

    stack = read_tiff(path)

    assert stack.axes == "IYX"
    np.testing.assert_array_equal(stack.pixels, planes[:3])
    assert "cut off" in " ".join(stack.warnings)


def test_one_damaged_page_is_left_out(tmp_path: Path):
    path = tmp_path / "a.tif"
    planes = RNG.integers(0, 255, (4, 64, 64)).astype(np.uint8)
    tifffile.imwrite(path, planes, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as tif:
        where = tif.pages[1].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(where)
        file.write(b"\xff" * 64)

    stack = read_tiff(path)

    assert stack.axes == "IYX"
    np.testing.assert_array_equal(stack.pixels, planes[[0, 2, 3]])
    assert "only 3 of them are whole; 1 are missing" in stack.warnings[0]


def test_a_compressed_bomb_is_refused_without_taking_memory(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        tags = {name: tif.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")}
        kinds = {name: tif.pages[0].tags[name].dtype for name in tags}
    with path.open("r+b") as file:
        for name, offset in tags.items():
            file.seek(offset)
            file.write((60_000).to_bytes(4 if int(kinds[name]) == 4 else 2, "little"))

    with pytest.raises(InputError, match="60000 x 60000 pixels"):
        read_tiff(path)


def test_reading_can_be_cancelled_between_pages(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], compression="zlib", photometric="minisblack")
    run = Run()
    run.cancel()

    with pytest.raises(Cancelled):
        read_tiff(path, run=run)


def test_what_does_not_fit_into_memory_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], compression="zlib", photometric="minisblack")
    monkeypatch.setattr(source_file, "SMALL_BYTES", 1000)
    monkeypatch.setattr(source_file, "free_memory", lambda: 2000)

    with pytest.raises(InputError, match="save it as an uncompressed ImageJ or OME-TIFF"):
        read_tiff(path)


MOVIE = STACK[0, 0]
GRAY = {"photometric": "minisblack"}


@pytest.mark.parametrize("named", ["../secret.tif", "/etc/hostname", "secret.txt"])
def test_ome_metadata_lead_to_no_file_that_is_no_tiff_beside(tmp_path: Path, named: str):
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", np.full((20, 30), 7, np.uint16))
    (folder / "secret.txt").write_text("password")
    path = folder / "a.ome.tif"
    tifffile.imwrite(path, MOVIE[:2], metadata={"axes": "ZYX"}, photometric="minisblack")
    xml = tifffile.tiffcomment(path)
    head, _, rest = xml.partition("<TiffData")
    tail = rest[rest.index("</Pixels>") :]
    uuid = f'<UUID FileName="{named}">urn:uuid:1</UUID>'
    planes = (
        '<TiffData IFD="0" PlaneCount="1"/>'
        f'<TiffData IFD="0" FirstZ="1" PlaneCount="1">{uuid}</TiffData>'
    )
    tifffile.tiffcomment(path, f"{head}{planes}{tail}")
    stack = read_tiff(path)
    np.testing.assert_array_equal(stack.pixels, MOVIE[:2])  # no plane of another file


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('SizeT="3"', 'SizeT="1000000000"'),
        ('SizeT="3"', "SizeT = '&#49;000000000'"),
        ('SizeT="3"', 'SizeT="40000" SizeW="1"'),
        ('PlaneCount="3"', 'PlaneCount="1000000000"'),
        ('SizeT="3"', 'SizeT="-3"'),
    ],
)
def test_no_memory_is_taken_for_planes_that_only_the_metadata_know(
    tmp_path: Path, old: str, new: str
):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, MOVIE[:3], ome=True, metadata={"axes": "TYX"}, **GRAY)
    text = tifffile.tiffcomment(path).replace(old, new).replace('SizeC="1"', 'SizeC="900"')
    tifffile.imwrite(path, MOVIE[:3], description=text, metadata=None, **GRAY)

    stack = read_tiff(path)

    np.testing.assert_array_equal(stack.pixels, MOVIE[:3])


def many_pages(path: Path, **options: Any) -> np.ndarray:
    """Write pages that are too many to be decoded when the file is opened."""
    pixels = np.random.default_rng(3).integers(0, 255, (2100, 16, 16)).astype(np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for page in pixels:
            tif.write(page, contiguous=False, metadata=None, photometric="minisblack", **options)
    return pixels


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_many_pages_are_decoded_when_they_are_asked_for(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    pixels = many_pages(tmp_path / "a.tif", **options)
    decoded = []
    original = tiff_file.pixels_of

    def counted(page: Any) -> Any:
        decoded.append(page.index)
        return original(page)

    monkeypatch.setattr(tiff_file, "pixels_of", counted)
    stack = open_stack(tmp_path / "a.tif")

    assert (stack.axes, stack.shape, decoded) == ("IYX", (2100, 16, 16), [])
    for index in (0, 2099, 1000):
        np.testing.assert_array_equal(stack.raw_frame(index), pixels[index])
    assert decoded == [0, 2099, 1000]


def test_many_pages_of_a_file_that_is_cut_off_are_counted(tmp_path: Path):
    pixels = many_pages(tmp_path / "a.tif")
    tif = tifffile.TiffFile(tmp_path / "a.tif")
    end = tif.pages[-1].dataoffsets[0] + 10
    with tif:
        pass
    with (tmp_path / "a.tif").open("r+b") as file:
        file.truncate(end)

    stack = open_stack(tmp_path / "a.tif")

    assert "only 2099 of them are whole; 1 are missing" in stack.warnings[0]
    np.testing.assert_array_equal(stack.raw_frame(2098), pixels[2098])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_many_colour_pages_are_channels(tmp_path: Path, planar: str, monkeypatch: Any):
    monkeypatch.setattr(tiff_reader, "DECODED_PAGES", 2)
    pixels = np.random.default_rng(4).integers(0, 255, (5, 20, 24, 3)).astype(np.uint8)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 1)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page in stored:
            tif.write(page, contiguous=False, metadata=None, photometric="rgb", planarconfig=planar)

    stack = open_stack(tmp_path / "a.tif")

    assert (stack.axes, stack.channels) == ("ICYX", ("Red", "Green", "Blue"))
    np.testing.assert_array_equal(stack.pixels, np.moveaxis(pixels, -1, 1))


def test_every_image_of_a_file_can_be_asked_for(tmp_path: Path):
    small, large = np.arange(400).reshape(20, 20), np.arange(1200).reshape(30, 40)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page in (small, large):
            tif.write(page.astype(np.uint16), metadata=None)

    assert [image.shape for image in list_images(tmp_path / "a.tif")] == [(20, 20), (30, 40)]
    np.testing.assert_array_equal(open_stack(tmp_path / "a.tif").pixels, large)
    np.testing.assert_array_equal(open_stack(tmp_path / "a.tif", series=1).pixels, small)


def test_any_file_of_a_set_its_companion_and_its_folder_open_the_whole(tmp_path: Path):
    pixels = np.random.default_rng(5).integers(0, 255, (3, 20, 24)).astype(np.uint8)
    parts = ""
    for z, plane in enumerate(pixels):
        only = f'<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:{z}"/>'
        tifffile.imwrite(
            tmp_path / f"z{z}.ome.tif",
            plane,
            description=f'<OME xmlns="{OME}" UUID="urn:uuid:{z}">{only}</OME>',
            metadata=None,
        )
        parts += f'<TiffData FirstZ="{z}" PlaneCount="1"><UUID FileName="z{z}.ome.tif">'
        parts += f"urn:uuid:{z}</UUID></TiffData>"
    (tmp_path / "a.companion.ome").write_text(
        f'<OME xmlns="{OME}"><Image ID="Image:0" Name="cells"><Pixels ID="Pixels:0" SizeX="24" '
        'SizeY="20" SizeZ="3" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8" '
        f'PhysicalSizeX="0.2" PhysicalSizeY="0.2"><Channel Name="GFP"/>{parts}</Pixels></Image>'
        "</OME>"
    )

    for name in ("z0.ome.tif", "z2.ome.tif", "a.companion.ome", "."):
        stack = open_stack(tmp_path / name)
        assert (stack.axes, stack.channels, stack.pixel_size.x_um) == ("ZYX", ("GFP",), 0.2)
        np.testing.assert_array_equal(stack.pixels, pixels)
    assert len(list_inputs(tmp_path)) == 1

    (tmp_path / "z1.ome.tif").unlink()
    assert "only 2 of them are whole" in open_stack(tmp_path / "z0.ome.tif").warnings[0]


def test_nan_in_a_large_stack_is_found_when_a_frame_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(not_finite, "HELD_BYTES", 1000)
    pixels = np.random.default_rng(6).normal(size=(30, 2, 16, 16)).astype(np.float32)
    pixels[0, 1, 3, 4], pixels[17, 0, 5] = np.inf, np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "TCYX"})

    stack = open_stack(tmp_path / "a.tif")

    assert isinstance(stack.not_finite, NotFinite)
    assert list(stack.not_finite) == [1, 34]
    assert np.isfinite(stack.frame(34)).all()
    np.testing.assert_array_equal(stack.file_frame(34), pixels[17, 0])
    second = stack.of_channels([1])
    assert list(second.not_finite) == [0]
    np.testing.assert_array_equal(second.file_frame(0), pixels[0, 1])


def test_a_calibration_curve_of_imagej_gives_hounsfield_units(tmp_path: Path):
    hu = np.random.default_rng(1).integers(-1024, 3000, (3, 16, 20))
    curve = {"cf": 0, "c0": -32768.0, "c1": 1.0, "vunit": "HU", "axes": "ZYX"}
    tifffile.imwrite(
        tmp_path / "a.tif", (hu + 32768).astype(np.uint16), imagej=True, metadata=curve
    )

    stack = open_stack(tmp_path / "a.tif")

    assert (stack.dtype, stack.value_unit, stack.warnings) == (np.int16, "HU", ())
    np.testing.assert_array_equal(stack.pixels, hu)


def test_another_calibration_curve_is_told_and_not_applied(tmp_path: Path):
    curve = {"cf": 0, "c0": 5.0, "c1": 0.5, "vunit": "OD", "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], imagej=True, metadata=curve)

    stack = open_stack(tmp_path / "a.tif")

    np.testing.assert_array_equal(stack.pixels, STACK[0, 0])
    assert stack.warnings == (
        "ImageJ shows its values by a calibration curve (5 + 0.5 x value); they are kept as they "
        "are stored.",
    )
