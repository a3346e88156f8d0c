"""PNG, BMP, JPEG and NumPy files open with the values they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from training_core.errors import InputError
from training_core.formats.source_file import FilePixels
from training_core.io.pictures import read_array, read_picture

if TYPE_CHECKING:
    from pathlib import Path

GRAY8 = np.arange(240, dtype=np.uint8).reshape(12, 20)
GRAY16 = (GRAY8.astype(np.uint16) * 257) + 3


@pytest.mark.parametrize("gray", [GRAY8, GRAY16], ids=["8-bit", "16-bit"])
def test_gray_values_are_exact(tmp_path: Path, gray: np.ndarray):
    path = tmp_path / "a.png"
    Image.fromarray(gray).save(path)

    stack = read_picture(path)

    assert (stack.axes, stack.dtype, stack.kind) == ("YX", gray.dtype, "png")
    np.testing.assert_array_equal(stack.pixels, gray)


def test_a_lookup_table_that_grows_brighter_is_intensity(tmp_path: Path):
    path = tmp_path / "a.png"
    image = Image.frombytes("P", (20, 12), GRAY8.tobytes())
    image.putpalette([c for i in range(256) for c in (i, i // 2, 0)])
    image.save(path)

    stack = read_picture(path)

    np.testing.assert_array_equal(stack.pixels, GRAY8)
    assert "lookup table" in stack.warnings[0]


def test_a_palette_of_any_colours_is_read_as_colours(tmp_path: Path):
    path = tmp_path / "a.png"
    image = Image.frombytes("P", (20, 12), (GRAY8 % 3).tobytes())
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.save(path)

    stack = read_picture(path)

    assert (stack.axes, stack.channels) == ("CYX", ("Red", "Green", "Blue"))
    np.testing.assert_array_equal(stack.pixels[0], np.where(GRAY8 % 3 == 0, 255, 0))
    np.testing.assert_array_equal(stack.pixels[2], np.where(GRAY8 % 3 == 1, 255, 0))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_gray_saved_as_colours_is_gray(tmp_path: Path, mode: str):
    path = tmp_path / "a.png"
    Image.fromarray(GRAY8).convert(mode).save(path)

    stack = read_picture(path)

    assert stack.axes == "YX"
    np.testing.assert_array_equal(stack.pixels, GRAY8)


def test_sixteen_bit_colours_keep_their_bits(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(np.stack([GRAY16] * 3, axis=-1)))

    stack = read_picture(path)

    assert (stack.axes, stack.dtype) == ("YX", np.uint16)
    np.testing.assert_array_equal(stack.pixels, GRAY16)


def test_jpeg_is_read_with_a_warning(tmp_path: Path):
    path = tmp_path / "a.jpg"
    Image.fromarray(GRAY8).save(path, quality=95)

    stack = read_picture(path)

    assert np.abs(stack.pixels.astype(int) - GRAY8).max() <= 4
    assert "JPEG compression has changed its noise" in stack.warnings[0]


def test_a_picture_that_declares_too_much_is_refused(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.fromarray(GRAY8).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)

    with pytest.raises(InputError, match="179 megapixels"):
        read_picture(path)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 5), "YX"), ((3, 4, 5), "IYX"), ((2, 3, 4, 5), "TZYX"), ((2, 3, 2, 4, 5), "TZCYX")],
)
def test_arrays_stay_in_the_file_and_their_axes_guessed(tmp_path: Path, shape, axes: str):
    path = tmp_path / "a.npy"
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(path, values)

    stack = read_array(path)

    assert stack.axes == axes
    assert isinstance(stack.pixels, FilePixels)
    np.testing.assert_array_equal(stack.pixels, values)
    assert bool(stack.warnings) == (len(shape) > 3)


@pytest.mark.parametrize("values", [np.zeros(5), np.zeros((0, 4)), np.array([[None]])])
def test_arrays_that_are_no_image_are_refused(tmp_path: Path, values: np.ndarray):
    path = tmp_path / "a.npy"
    np.save(path, values, allow_pickle=True)

    with pytest.raises(InputError, match=r"a\.npy"):
        read_array(path)


def test_an_array_that_declares_more_than_it_holds_is_refused(tmp_path: Path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((40, 50)))
    path.write_bytes(path.read_bytes().replace(b"(40, 50)", b"(99999, 99999)")[:400])

    with pytest.raises(InputError, match="damaged"):
        read_array(path)


def damaged_png(pixels: np.ndarray, part: bytes, where: int) -> bytes:
    """Flip a bit of a PNG file: `where` counts from the name of its first part of that name."""
    good = bytearray(imagecodecs.png_encode(pixels))
    good[good.index(part) + where] ^= 1
    return bytes(good)


@pytest.mark.parametrize("pixels", [GRAY8, GRAY16, np.dstack([GRAY16, GRAY16 // 2, GRAY16])])
@pytest.mark.parametrize(
    ("part", "where"), [(b"IHDR", 17), (b"IDAT", -1), (b"IDAT", 20), (b"IEND", -5), (b"IEND", 5)]
)
def test_a_checksum_that_does_not_match_is_damage(
    tmp_path: Path, pixels: np.ndarray, part: bytes, where: int
):
    path = tmp_path / "a.png"
    path.write_bytes(damaged_png(pixels, part, where))

    with pytest.raises(InputError, match=r"^a\.png is damaged"):
        read_picture(path)


@pytest.mark.parametrize("lost", [1, 6, 12, 20])
def test_a_png_without_its_end_is_cut_off(tmp_path: Path, lost: int):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(GRAY16)[:-lost])

    with pytest.raises(InputError, match=r"^a\.png is damaged or cut off"):
        read_picture(path)


def test_of_several_pictures_the_first_is_read_and_that_is_told(tmp_path: Path):
    path = tmp_path / "a.png"
    first, *more = (Image.fromarray(GRAY8 + n) for n in range(3))
    first.save(path, save_all=True, append_images=more)

    stack = read_picture(path)

    np.testing.assert_array_equal(stack.pixels, GRAY8)
    assert stack.warnings == ("It holds 3 pictures; only the first is read.",)
