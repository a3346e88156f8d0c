"""Files of microscopes: pixels, axes, sizes, names, several images, and what is missing."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support import vendor_files as vendor
from training_core.errors import InputError
from training_core.export.writers import write_stack
from training_core.frames import PixelsOnRequest
from training_core.io.readers import list_images, open_stack

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(4)
STACK = RNG.integers(0, 4000, (2, 3, 4, 20, 24)).astype(np.uint16)  # TCZYX
COLOURED = RNG.integers(0, 255, (20, 24, 3)).astype(np.uint8)
XML = vendor.czi_xml({"X": 0.1, "Y": 0.2, "Z": 0.5}, ["A", "B", "C"], 1.5)


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [0, 5, 6])
@pytest.mark.parametrize("tiles", [1, 3])
def test_czi_of_every_compression_with_tiles_or_without(
    tmp_path: Path, compression: int, tiles: int
):
    content = vendor.czi(STACK, "TCZYX", xml=XML, compression=compression, tiles=tiles)

    stack = open_stack(saved(tmp_path / "a.czi", content))

    assert (stack.axes, stack.kind) == ("TCZYX", "czi")
    np.testing.assert_array_equal(stack.pixels, STACK)
    size = stack.pixel_size
    assert (size.x_um, size.y_um, size.z_um) == pytest.approx((0.1, 0.2, 0.5))
    assert (stack.time_step_s, stack.channels) == (1.5, ("A", "B", "C"))


def test_czi_gives_colours_as_red_green_blue(tmp_path: Path):
    stack = open_stack(saved(tmp_path / "a.czi", vendor.czi(COLOURED, "YXS")))

    assert (stack.axes, stack.channels) == ("CYX", ("Red", "Green", "Blue"))
    np.testing.assert_array_equal(stack.pixels, COLOURED.transpose(2, 0, 1))


@pytest.mark.parametrize("compression", [0, 5])
def test_czi_keeps_the_opacity_of_colours(tmp_path: Path, compression: int):
    opaque = np.dstack([COLOURED, RNG.integers(0, 255, (20, 24), dtype=np.uint8)])
    content = vendor.czi(opaque, "YXS", compression=compression, tiles=2)

    stack = open_stack(saved(tmp_path / "a.czi", content))
    again = open_stack(write_stack(stack, tmp_path / "a.png"))

    assert (stack.axes, stack.channels) == ("CYX", ("Red", "Green", "Blue"))
    for one in (stack, again):
        np.testing.assert_array_equal(one.pixels, COLOURED.transpose(2, 0, 1))
        np.testing.assert_array_equal(one.metadata["opacity"], opaque[..., 3])


def test_czi_gives_deep_colours(tmp_path: Path):
    deep = COLOURED.astype(np.uint16) * 257

    stack = open_stack(saved(tmp_path / "a.czi", vendor.czi(deep, "YXS")))

    np.testing.assert_array_equal(stack.pixels, deep.transpose(2, 0, 1))


def test_a_spoilt_number_of_a_czi_is_unknown(tmp_path: Path) -> None:
    scene = "<S><Scenes><Scene Index='0' Name='a'/></Scenes></S></Dimensions>"
    xml = vendor.czi_xml({"X": 0.1, "Y": 0.2}, ["A"], 1.0).replace("</Dimensions>", scene)
    for right, spoilt in (("2e-07", "2m-07"), ("Index='0'", "Index='?'")):
        assert right in xml
        xml = xml.replace(right, spoilt)
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    stack = open_stack(saved(tmp_path / "a.czi", vendor.czi(image, "YX", xml=xml)))
    np.testing.assert_array_equal(stack.pixels, image)
    size = stack.pixel_size
    assert (size.x_um, size.y_um) == (pytest.approx(0.1), None)


def test_czi_scenes_are_images_and_a_lost_plane_is_told(tmp_path: Path):
    path = saved(tmp_path / "a.czi", vendor.czi(STACK[:, 0], "SZYX"))

    images = list_images(path)
    assert [(i.name, i.shape) for i in images] == [
        ("Scene 1", (4, 20, 24)),
        ("Scene 2", (4, 20, 24)),
    ]
    for asked in (2, "2", "Scene 2"):
        np.testing.assert_array_equal(open_stack(path, series=asked).pixels, STACK[1, 0])
    assert open_stack(path, series=2).series == "Scene 2"
    assert "There are 1: Scene 1 (ZYX 4 x 20 x 24 uint16)" in open_stack(path).warnings[0]
    with pytest.raises(InputError, match=r"a\.czi holds no image 3; it has 1: Scene 1"):
        open_stack(path, series=3)

    lost = open_stack(saved(tmp_path / "b.czi", vendor.czi(STACK[0], "CZYX", left_out=5)))
    assert lost.warnings == ("1 of its 12 planes are not in the file and read as 0.",)
    assert not lost.pixels[1, 1].any()


def test_planes_are_read_when_they_are_asked_for_and_only_while_the_file_is_the_same(
    tmp_path: Path,
):
    path = saved(tmp_path / "a.czi", vendor.czi(STACK[0], "CZYX"))
    stack = open_stack(path)
    assert isinstance(stack.pixels, PixelsOnRequest)

    many = [
        open_stack(saved(tmp_path / f"{n}.czi", vendor.czi(STACK[0], "CZYX"))) for n in range(20)
    ]
    for other in many:  # more than stay open at a time
        np.testing.assert_array_equal(other.frame(3), STACK[0, 0, 3])
    np.testing.assert_array_equal(stack.raw_frame(11), STACK[0, 2, 3])

    path.write_bytes(vendor.czi(STACK[1], "CZYX"))
    with pytest.raises(InputError, match="was changed, replaced or cut off"):
        stack.raw_frame(1)


def test_lif_lists_its_images_and_takes_a_scan_in_depth_as_frames(tmp_path: Path):
    images = {"first": (STACK[0, 0], "ZYX"), "deep": (STACK[0, :2, 0].copy(), "CZX")}
    path = saved(tmp_path / "a.lif", vendor.lif(images))

    assert [i.name for i in list_images(path)] == ["first", "deep"]
    first, deep = open_stack(path, series=1), open_stack(path, series="deep")
    np.testing.assert_array_equal(first.pixels, STACK[0, 0])
    size = first.pixel_size
    assert (first.axes, size.x_um, size.z_um) == ("ZYX", pytest.approx(0.1), pytest.approx(0.1))
    assert (deep.axes, deep.channels) == ("CYX", ("Dye 0", "Dye 1"))
    np.testing.assert_array_equal(deep.pixels, STACK[0, :2, 0])
    assert deep.warnings == ("Its frames are the planes XZ of the scan.",)


def test_a_lif_that_is_cut_off_says_what_is_missing(tmp_path: Path):
    content = vendor.lif({"one": (STACK[0, 0], "ZYX")})
    path = saved(tmp_path / "a.lif", content[: -STACK[0, 0, 0].nbytes])

    stack = open_stack(path)

    assert "only 3 of them are whole; 1 are missing" in stack.warnings[0]
    np.testing.assert_array_equal(stack.pixels, STACK[0, 0, :3])


def test_oif_with_its_folder_and_oib_hold_the_same(tmp_path: Path):
    channels = ["DAPI", "GFP", "Cy5"]
    text = vendor.write_oif(tmp_path / "a.oif", STACK[0], channels)
    packed = saved(tmp_path / "a.oib", vendor.oib(STACK[0], channels))

    for path in (text, packed):
        stack = open_stack(path)
        assert (stack.axes, stack.channels) == ("CZYX", ("DAPI", "GFP", "Cy5"))
        np.testing.assert_array_equal(stack.pixels, STACK[0])
        size = stack.pixel_size
        assert (size.x_um, size.y_um, size.z_um) == pytest.approx((0.2, 0.2, 0.5))

    (tmp_path / "a.oif.files" / "s_C002Z001.tif").unlink()
    assert open_stack(text).warnings == ("1 of its 12 planes are missing and read as 0.",)
    (tmp_path / "a.oif.files").rename(tmp_path / "gone")
    with pytest.raises(InputError, match=r"The folder a\.oif\.files is not beside a\.oif"):
        open_stack(text)


def test_txrm_with_its_pixel_size_and_what_was_not_taken(tmp_path: Path):
    images = RNG.integers(0, 4000, (4, 64, 48)).astype(np.uint16)
    whole = open_stack(saved(tmp_path / "a.txrm", vendor.txrm(images, 0.25)))
    np.testing.assert_array_equal(whole.pixels, images)
    assert (whole.axes, whole.pixel_size.x_um, whole.pixel_size.z_um) == ("IYX", 0.25, None)

    short = open_stack(saved(tmp_path / "b.txm", vendor.txrm(images, 0.25, taken=6)))
    assert short.warnings == ("2 of its 6 images are missing or not whole.",)
    assert (short.axes, short.pixel_size.z_um) == ("ZYX", 0.25)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("sequence", "axes"), [(0, "CTZ"), (1, "TZC"), (2, "TCZ")])
def test_deltavision_in_every_order(tmp_path: Path, sequence: int, axes: str, order: str):
    counts = {"T": 2, "C": 3, "Z": 4}
    stored = np.moveaxis(STACK, (0, 1, 2), [axes.index(letter) for letter in "TCZ"])
    content = vendor.deltavision(stored.reshape(-1, 20, 24), sequence, counts, order=order)

    stack = open_stack(saved(tmp_path / "a.dv", content))

    letters = "".join(stack.axes[:3])
    got = np.moveaxis(np.asarray(stack.pixels), [letters.index(a) for a in "TCZ"], (0, 1, 2))
    np.testing.assert_array_equal(got, STACK)
    assert stack.channels == ("525 nm", "632 nm", "")
    assert stack.pixel_size.z_um == pytest.approx(0.3)


def test_a_deltavision_file_that_is_cut_off_counts_what_is_missing(tmp_path: Path):
    content = vendor.deltavision(STACK[0, 0], 0, {"T": 1, "C": 1})

    stack = open_stack(saved(tmp_path / "a.dv", content[:-100]))

    assert stack.warnings == (
        "It declares 4 planes but only 3 of them are whole; 1 are missing or left out.",
    )
    np.testing.assert_array_equal(stack.pixels, STACK[0, 0, :3])


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("order", "<>")
def test_gatan_volumes_films_and_pictures(tmp_path: Path, version: int, order: str):
    steps = [(0.5, "nm"), (0.4, "nm"), (2.0, "nm")]
    content = vendor.gatan(STACK[0, 0], 10, steps, version=version, order=order)

    stack = open_stack(saved(tmp_path / "a.dm3", content))

    assert (stack.axes, stack.kind, stack.warnings) == ("ZYX", "gatan", ())
    np.testing.assert_array_equal(stack.pixels, STACK[0, 0])
    size = stack.pixel_size
    assert (size.x_um, size.y_um, size.z_um) == pytest.approx((0.0005, 0.0004, 0.002))
    steps[2] = (0.1, "s")
    film = STACK[0, 0].astype(np.float32)
    stack = open_stack(saved(tmp_path / "a.dm4", vendor.gatan(film, 2, steps, version=version)))
    assert (stack.axes, stack.time_step_s) == ("TYX", pytest.approx(0.1))
    np.testing.assert_array_equal(stack.pixels, film)


def test_gatan_colours_energies_and_several_images(tmp_path: Path):
    stored = np.dstack([COLOURED[..., ::-1], np.full((20, 24), 255, np.uint8)])
    coloured = vendor.gatan(stored, 23, [(1.0, ""), (1.0, "")], thumbnail=False)

    stack = open_stack(saved(tmp_path / "a.dm3", coloured))

    assert (stack.axes, stack.channels) == ("CYX", ("Red", "Green", "Blue"))
    np.testing.assert_array_equal(stack.pixels, COLOURED.transpose(2, 0, 1))
    assert stack.pixel_size.x_um is None  # "1 pixel" is no length
    spectrum = vendor.gatan(STACK[0, 0], 10, [(1.0, "nm"), (1.0, "nm"), (0.3, "eV")])
    assert open_stack(saved(tmp_path / "b.dm3", spectrum)).axes == "IYX"
    assert [i.told for i in list_images(tmp_path / "b.dm3")] == ["field 7 (IYX 4 x 20 x 24 uint16)"]


@pytest.mark.parametrize(
    ("kind", "cut", "told"),
    [
        (5, None, "holds an image of 3 axes and type 5, which is not known"),
        (3, None, "is damaged: it declares more pixels than it holds"),
        (10, -3000, "is damaged or cut off"),
        (10, 60, "is damaged or cut off"),
    ],
)
def test_gatan_files_that_cannot_be_read(tmp_path: Path, kind: int, cut: int | None, told: str):
    content = vendor.gatan(STACK[0, 0], kind, [(1.0, "nm")] * 3)

    with pytest.raises(InputError, match=told):
        open_stack(saved(tmp_path / "a.dm3", content[:cut]))


def test_nd2_of_packed_frames(tmp_path: Path):
    pytest.importorskip("nd2", reason="needs the extra `formats`")
    frame = STACK[0, 0, 0]
    path = saved(tmp_path / "a.nd2", vendor.nd2([zlib.compress(frame.tobytes())], (20, 24)))

    stack = open_stack(path)

    assert (stack.axes, stack.pixel_size.x_um) == ("YX", 0.25)
    np.testing.assert_array_equal(stack.pixels, frame)


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "nd2", None)
    path = saved(tmp_path / "a.nd2", b"\xda\xce\xbe\x0a" + bytes(100))

    with pytest.raises(InputError, match=r'pip install "g2g-desktop\[formats\]"') as caught:
        open_stack(path)
    assert "the package nd2" in str(caught.value)


def test_what_a_file_is_counts_and_not_what_it_is_called(tmp_path: Path):
    tifffile.imwrite(tmp_path / "b.tif", STACK[0, 0, 0])
    (tmp_path / "b.tif").rename(tmp_path / "b.dv")

    np.testing.assert_array_equal(
        open_stack(saved(tmp_path / "a.tif", vendor.czi(STACK[0, 0], "ZYX"))).pixels, STACK[0, 0]
    )
    np.testing.assert_array_equal(open_stack(tmp_path / "b.dv").pixels, STACK[0, 0, 0])
