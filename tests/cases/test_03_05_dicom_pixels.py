"""Stored values are the same however an archive compressed them, and without foreign bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from tests.support.ct_slices import ct_slice, save_slices
from training_core.errors import InputError
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path


def lossless_jpeg(predictor: int) -> Any:
    return lambda pixels: imagecodecs.jpeg8_encode(
        pixels, lossless=True, bitspersample=16, predictor=predictor
    )


def jpeg2000(pixels: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k")


LOSSLESS = {
    "plain": (uid.ExplicitVRLittleEndian, None),
    "deflated": (uid.DeflatedExplicitVRLittleEndian, None),
    "jpeg_lossless": (uid.JPEGLossless, lossless_jpeg(6)),
    "jpeg_lossless_sv1": (uid.JPEGLosslessSV1, lossless_jpeg(1)),
    "jpeg_ls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
    "jpeg_2000": (uid.JPEG2000Lossless, jpeg2000),
    "jpeg_2000_ht": (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
}


def tissue(*shape: int) -> np.ndarray:
    """Give stored values of 40 HU with noise, in 12 bits."""
    return np.rint(np.random.default_rng(3).normal(1064, 12, shape)).astype(np.uint16)


@pytest.mark.parametrize("name", LOSSLESS)
def test_an_annotation_in_high_bits_is_no_part_of_the_image(tmp_path: Path, name: str):
    syntax, encode = LOSSLESS[name]
    clean = tissue(3, 40, 48)
    drawn = clean.copy()
    drawn[:, 4:10, 4:40] |= 1 << 12
    slices = [ct_slice(d, z, syntax=syntax, encode=encode) for z, d in enumerate(drawn)]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.dtype, stack.value_unit) == ("ZYX", np.int16, "HU")
    np.testing.assert_array_equal(stack.pixels, clean.astype(int) - 1024)
    assert abs(stack.pixels[:, 4:10, 4:40].mean() - 40) < 2
    assert stack.pixels.min() >= -40
    assert stack.pixels.max() <= 160


@pytest.mark.parametrize("name", ["plain", "jpeg_lossless_sv1", "jpeg_ls", "jpeg_2000"])
@pytest.mark.parametrize(("stored", "high"), [(12, 11), (10, 9), (12, 15), (16, 15)])
def test_the_sign_is_the_highest_of_the_stored_bits(
    tmp_path: Path, name: str, stored: int, high: int
):
    syntax, encode = LOSSLESS[name]
    values = np.arange(-300, 300, dtype=np.int16).reshape(20, 30)
    bits = (values.astype(np.uint16) & (2**stored - 1)) << (high + 1 - stored)
    changes = {"BitsStored": stored, "HighBit": high, "PixelRepresentation": 1}

    folder = save_slices(
        tmp_path, [ct_slice(bits, syntax=syntax, encode=encode, RescaleIntercept=0, **changes)]
    )

    np.testing.assert_array_equal(open_stack(folder).pixels, values)


def test_run_length_coding(tmp_path: Path):
    clean = tissue(24, 32)
    data = ct_slice(clean | (1 << 13))
    data.compress(uid.RLELossless)

    stack = open_stack(save_slices(tmp_path, [data]))

    np.testing.assert_array_equal(stack.pixels, clean.astype(int) - 1024)


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_forms_of_an_archive_open_as_what_was_stored(tmp_path: Path, name: str):
    syntax, encode = LOSSLESS[name]
    sixteen = {"BitsStored": 16, "HighBit": 15}
    stored = tissue(3, 96, 96)
    stored[:, 30:60, 30:60] += 60
    slices = [ct_slice(s, z, syntax=syntax, encode=encode, **sixteen) for z, s in enumerate(stored)]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.shape, stack.dtype, stack.warnings) == ((3, 96, 96), np.int16, ())
    np.testing.assert_array_equal(stack.pixels, stored.astype(int) - 1024)


def test_the_frames_of_one_compressed_file(tmp_path: Path):
    stored = tissue(4, 24, 32)
    film = ct_slice(
        stored, syntax=uid.JPEGLosslessSV1, encode=lossless_jpeg(1), ImagePositionPatient=None
    )

    stack = open_stack(save_slices(tmp_path, [film]) / "IM0001.dcm")

    np.testing.assert_array_equal(stack.pixels, stored.astype(int) - 1024)


@pytest.mark.parametrize(
    ("syntax", "bits"), [(uid.JPEGBaseline8Bit, 8), (uid.JPEGExtended12Bit, 12)]
)
def test_lossy_jpeg_keeps_its_bits(tmp_path: Path, syntax: str, bits: int):
    ramp = np.linspace(10, 2**bits - 10, 48).round() * np.ones((40, 1))
    ramp = ramp.astype(np.uint8 if bits == 8 else np.uint16)
    stored = {"BitsAllocated": max(8, 16 * (bits > 8)), "BitsStored": bits, "HighBit": bits - 1}

    def encode(pixels: np.ndarray) -> bytes:
        return imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=bits)

    data = ct_slice(ramp, syntax=syntax, encode=encode, RescaleIntercept=0, **stored)
    stack = open_stack(save_slices(tmp_path, [data]))

    assert np.abs(stack.pixels.astype(int) - ramp).max() <= 2 ** (bits - 7)


@pytest.mark.parametrize("newer", [False, True])
def test_a_compression_that_is_not_known_is_named_and_not_called_damage(
    tmp_path: Path, newer: bool
):
    data = ct_slice(tissue(24, 32), syntax=uid.MPEG2MPML, encode=lambda _: b"\0\0\1\xb3" * 200)
    file = save_slices(tmp_path, [data]) / "IM0001.dcm"
    named = "MPEG2 Main Profile"
    if newer:  # than pydicom, which cannot write it therefore
        named = "1.2.840.10008.1.2.4.190"
        file.write_bytes(file.read_bytes().replace(uid.MPEG2MPML.encode(), named.encode()))

    with pytest.raises(InputError, match="compressed in a way that cannot be read") as refused:
        open_stack(tmp_path)

    assert named in str(refused.value)
    assert "export it uncompressed" in str(refused.value)
    assert "damaged" not in str(refused.value)


def test_a_cut_frame_is_damage(tmp_path: Path):
    data = ct_slice(
        tissue(24, 32),
        syntax=uid.JPEGLSLossless,
        encode=lambda pixels: imagecodecs.jpegls_encode(pixels)[:100],
    )

    with pytest.raises(InputError, match=r"IM0001\.dcm is damaged or cut off"):
        open_stack(save_slices(tmp_path, [data]))


@pytest.mark.parametrize(
    ("stored", "slope", "dtype"),
    [(2**31 + 7, 1, np.int32), (2**20, 4, np.int32), (2**31 - 9, 4, np.float32)],
)
def test_wide_values_do_not_wrap_around(tmp_path: Path, stored: int, slope: int, dtype: type):
    bits = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "RescaleSlope": slope}
    data = ct_slice(np.full((24, 32), stored, np.uint32), **bits)

    stack = open_stack(save_slices(tmp_path, [data]))

    assert stack.dtype == dtype
    np.testing.assert_allclose(stack.pixels, float(stored * slope - 1024), rtol=1e-6)


def test_samples_with_fractions_keep_them(tmp_path: Path):
    values = np.linspace(0.25, 9, 24 * 32, dtype=np.float32).reshape(24, 32)
    data = ct_slice(tissue(24, 32), RescaleSlope=2, BitsAllocated=32)
    del data.PixelData
    data.FloatPixelData = values.tobytes()

    stack = open_stack(save_slices(tmp_path, [data]))

    np.testing.assert_array_equal(stack.pixels, values * 2 - 1024)


def test_one_frame_with_its_time_alone_opens(tmp_path: Path):
    data = ct_slice(tissue(24, 32), FrameTimeVector=[40], ImagePositionPatient=None)

    assert open_stack(save_slices(tmp_path, [data])).axes == "YX"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"RescaleSlope": None}, ""),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "there is no rescale"),
        (
            {"RescaleSlope": None, "RescaleIntercept": None, "ModalityLUTSequence": [Dataset()]},
            "Modality LUT",
        ),
    ],
)
def test_values_are_hounsfield_units_only_where_the_header_says_how(tmp_path, changes, told):
    stored = np.random.default_rng(3).normal(1064, 10, (40, 48)).round().astype(np.uint16)

    stack = open_stack(save_slices(tmp_path, [ct_slice(stored, **changes)]))

    assert stack.value_unit == ("" if told else "HU")
    np.testing.assert_array_equal(stack.pixels, stored if told else stored.astype(int) - 1024)
    assert len(stack.warnings) == bool(told)
    assert all(told in warning for warning in stack.warnings)
