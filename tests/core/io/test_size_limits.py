"""What declares more than it can hold, or than the memory does, is refused before it is read."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from tests.support import vendor_files as vendor
from training_core.errors import InputError
from training_core.formats import source_file
from training_core.formats.source_file import check_size
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_MB = 1000  # of which a process with everything imported has a quarter
BLOCK = bytes(2**24)
# The beginning of a JPEG 2000 picture of 30000 x 30000 pixels.
JPEG2000 = b"\xff\x4f\xff\x51" + struct.pack(
    ">HH8IHBBB", 41, 0, 30_000, 30_000, 0, 0, 30_000, 30_000, 0, 0, 1, 7, 1, 1
)
MANY_COMPONENTS = b"\xff\x4f\xff\x51" + struct.pack(
    ">HH8IH", 38 + 3 * 16_000, 0, 600, 600, 0, 0, 600, 600, 0, 0, 16_000
)


def tiff(compression: int, packed: bytes, strips: int = 600, rows: int = 4096) -> bytes:
    """Give a TIFF file whose strips of 4096 x `rows` pixels are all the same few bytes."""
    offset = 8 + 2 + 12 * 9 + 4
    alone = strips == 1  # then place and count stand in the tags themselves
    tags = [
        (256, 4, 1, 4096),
        (257, 4, 1, strips * rows),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, strips, offset + 8 * strips if alone else offset),
        (277, 3, 1, 1),
        (278, 4, 1, rows),
        (279, 4, strips, len(packed) if alone else offset + 4 * strips),
    ]
    entries = b"".join(
        struct.pack("<HHI", tag, kind, count)
        + (struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value))
        for tag, kind, count, value in tags
    )
    places = struct.pack("<I", offset + 8 * strips) * strips
    counts = struct.pack("<I", len(packed)) * strips
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + struct.pack("<I", 0) + places + counts + packed


def png(side: int, colours: int = 6) -> bytes:
    """Give a PNG file that declares `side` x `side` pixels of 8 bits, 4 values each."""
    data = zlib.compress(bytes(2**20))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, colours, 0, 0, 0)), (b"IDAT", data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in (*parts, (b"IEND", b""))
    )


def dicom(syntax: str, frames: int, content: bytes, shape: tuple[int, int] = (4096, 4096)) -> bytes:
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = shape
    data.NumberOfFrames, data.SamplesPerPixel, data.PixelRepresentation = frames, 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = content
    data["PixelData"].VR = "OW"
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def boxed(picture: bytes) -> bytes:
    """Give a JP2 file."""
    kind = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
    return b"\0\0\0\x0cjP  \r\n\x87\n" + kind + struct.pack(">I4s", 0, b"jp2c") + picture


def jpeg(side: int, process: int) -> bytes:
    """Give the beginning of a JPEG picture of `side` x `side` pixels of 16 bits."""
    frame = struct.pack(">BHHBBBB", 16, side, side, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff" + struct.pack(">BH", process, len(frame) + 2) + frame + bytes(64)


def framed(picture: bytes) -> bytes:
    """Give the pixels of a compressed DICOM file."""
    return encapsulate([picture])


def inflating(megabytes: int) -> bytes:
    """Give a deflated DICOM file that becomes so large, all of it zero."""
    whole = dicom("1.2.840.10008.1.2.1.99", 1, b"", (1, 1))
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    piece = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return whole[: 144 + int.from_bytes(whole[140:144], "little")] + piece * megabytes


def npy(shape: str) -> bytes:
    head = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(1000)


PLANE = np.zeros((48, 40), np.uint16)
PLANES = np.zeros((2, 3, 48, 40), np.uint16)


def nrrd(side: int, packed: bytes) -> bytes:
    head = f"NRRD0004\ntype: uint16\ndimension: 2\nsizes: {side} {side}\n"
    return head.encode() + b"endian: little\nencoding: gzip\n\n" + packed


def deflated(megabytes: int, wbits: int = zlib.MAX_WBITS) -> bytes:
    """Give packed zeros that become so large."""
    packer = zlib.compressobj(wbits=wbits)
    head = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + piece * megabytes


def hdf5(chunks: tuple[int, ...], packed: bytes, filters: dict[str, object]) -> bytes:
    """Give an HDF5 file of one stored block."""
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        shape = tuple(max(n, m) for n, m in zip(chunks, (1, 48, 40), strict=True))
        part = opened.create_dataset("data", shape, np.uint16, chunks=chunks, **filters)
        part.id.write_direct_chunk((0, 0, 0), packed)
    return file.getvalue()


def nifti(offset: float) -> bytes:
    """Give a packed NIfTI file whose pixels begin at `offset`, after an extension."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 2, 40, 48, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<f", head, 108, offset)
    head[344:352] = b"n+1\0\1\0\0\0"
    extension = struct.pack("<2i", 2**31 - 16, 6)
    return gzip.compress(bytes(head) + extension) + deflated(2300, zlib.MAX_WBITS | 16)


BOMBS: dict[str, Callable[[], bytes]] = {
    "zstd.czi": lambda: vendor.czi(
        PLANE, "YX", compression=5, payload=imagecodecs.zstd_encode(BLOCK) * 200
    ),
    "zstd_with_header.czi": lambda: vendor.czi(
        PLANE, "YX", compression=6, payload=b"\1" + imagecodecs.zstd_encode(BLOCK) * 200
    ),
    "jpeg.czi": lambda: vendor.czi(PLANE, "YX", compression=1, payload=jpeg(65_000, 0xC2)),
    "jpeg_xr.czi": lambda: vendor.czi(
        PLANE, "YX", compression=4, payload=imagecodecs.jpegxr_encode(LARGE)
    ),
    "gzip.h5": lambda: hdf5((1, 48, 40), deflated(2300), {"compression": "gzip"}),
    "block.h5": lambda: hdf5((200, 2048, 2048), deflated(1), {"compression": "gzip"}),
    "frame.nd2": lambda: vendor.nd2([deflated(2300)], (48, 40)),
    "metadata.nd2": lambda: vendor.nd2([deflated(1)], (48, 40), padding=300 * 2**20),
    "declared.nrrd": lambda: nrrd(60_000, deflated(1, zlib.MAX_WBITS | 16)),
    "extension.nii.gz": lambda: nifti(2.0**31),
    "gzip.mrc": lambda: deflated(2300, zlib.MAX_WBITS | 16),
    "plane.oib": lambda: vendor.oib(PLANES, ["A", "B"], tiff(34712, JPEG2000, 1, 64)),
    "strip.oib": lambda: vendor.oib(PLANES, ["A", "B"], tiff(8, deflated(1), 1, 2**19)),
    "zstd.tif": lambda: tiff(50000, imagecodecs.zstd_encode(BLOCK)),
    "deflate.tif": lambda: tiff(8, imagecodecs.zlib_encode(BLOCK)),
    "lzma.tif": lambda: tiff(34925, imagecodecs.lzma_encode(BLOCK)),
    "lzw.tif": lambda: tiff(5, imagecodecs.lzw_encode(BLOCK)),
    "packbits.tif": lambda: tiff(32773, bytes((129, 0)) * 2**17),
    "uncompressed.tif": lambda: tiff(1, bytes(2**16)),
    "one_strip.tif": lambda: tiff(50000, imagecodecs.zstd_encode(BLOCK), 1, 2**19),
    "jpeg2000_inside.tif": lambda: tiff(34712, JPEG2000, 1, 64),
    "png_inside.tif": lambda: tiff(34933, png(13_000), 1, 64),
    "rgba.png": lambda: png(13_000),
    "more_pixels_than_pillow_takes.png": lambda: png(15_000),
    "frames.dcm": lambda: dicom("1.2.840.10008.1.2.1", 500, bytes(2**20)),
    "frames_without_end.dcm": lambda: dicom("1.2.840.10008.1.2.1", 10**9, bytes(9), (1, 1)),
    "jpeg2000_of_many_components.tif": lambda: tiff(34712, MANY_COMPONENTS, 1, 64),
    "jp2_inside.tif": lambda: tiff(34712, boxed(JPEG2000), 1, 64),
    "jpeg_inside.tif": lambda: tiff(7, jpeg(65_000, 0xC2), 1, 64),
    "lossless_jpeg_inside.tif": lambda: tiff(7, jpeg(65_000, 0xC3), 1, 64),
    "jpeg.dcm": lambda: dicom("1.2.840.10008.1.2.4.70", 1, framed(jpeg(65_000, 0xC3)), (64, 64)),
    "jpeg_ls.dcm": lambda: dicom("1.2.840.10008.1.2.4.80", 1, framed(jpeg(65_000, 0xF7)), (64, 64)),
    "jpeg2000.dcm": lambda: dicom("1.2.840.10008.1.2.4.90", 1, framed(JPEG2000), (64, 64)),
    "deflated.dcm": lambda: inflating(1500),
    "shape.npy": lambda: npy("(999, 99999, 99999)"),
    "overflow.npy": lambda: npy("(4294967296, 4294967296, 4)"),
}

# Opens every file named on stdin; a JSON line for each with the largest memory so far.
PROBE = """
import json, sys
from training_core.errors import CoreError
from training_core.io.readers import open_stack
for path in json.load(sys.stdin):
    try:
        stack = open_stack(path)
        stack.frame(0)
        told = str(stack.shape)
    except CoreError as error:
        told = str(error)
    lines = open("/proc/self/status").read().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    print(json.dumps((told, peak // 1024)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted so")
def test_bombs_are_refused_in_a_sentence_and_without_memory(tmp_path: Path):
    for name, made in BOMBS.items():
        (tmp_path / name).write_bytes(made())

    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([str(tmp_path / name) for name in BOMBS]),
        capture_output=True,
        text=True,
        check=True,
    )

    answers = dict(zip(BOMBS, map(json.loads, done.stdout.splitlines()), strict=True))
    wrong = {
        name: (told, memory)
        for name, (told, memory) in answers.items()
        if memory > MOST_MB or name not in told or not told.endswith(".")
    }
    assert wrong == {}


def test_what_follows_the_pixels_of_a_packed_file_is_not_unpacked(tmp_path: Path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(nrrd(48, deflated(5, zlib.MAX_WBITS | 16)))

    np.testing.assert_array_equal(open_stack(path).pixels, np.zeros((48, 48)))


@pytest.mark.parametrize("packing", ["gzip", "zstd", "blosc"])
@pytest.mark.parametrize("shards", [None, (2, 64, 64)])
def test_a_block_of_a_zarr_that_becomes_too_large(
    tmp_path: Path, packing: str, shards: tuple[int, ...] | None
):
    zarr = pytest.importorskip("zarr", reason="needs the extra `formats`")
    codec = {"gzip": "GzipCodec", "zstd": "ZstdCodec", "blosc": "BloscCodec"}[packing]
    path, pixels = tmp_path / "a.zarr", np.arange(2 * 64 * 64, dtype="u2").reshape(2, 64, 64)
    options = {"shape": pixels.shape, "chunks": (1, 64, 64), "shards": shards, "dtype": "u2"}
    array = zarr.create_array(path, compressors=[getattr(zarr.codecs, codec)()], **options)
    array[:] = pixels
    np.testing.assert_array_equal(open_stack(path).pixels, pixels)
    block = path / "c" / "0" / "0" / "0"
    bomb = {
        "gzip": deflated(100, zlib.MAX_WBITS | 16),
        "zstd": b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 2**31) + bytes(64),
        "blosc": b"\2\1\1\2" + struct.pack("<3I", 2**31 - 2**20, 2**16, 80) + bytes(64),
    }[packing]
    index = np.array([[0, len(bomb)], [2**64 - 1] * 2], "<u8").tobytes()
    block.write_bytes(bomb + (index + bytes(4) if shards else b""))

    with pytest.raises(InputError, match="holds far more pixels than it declares"):
        open_stack(path).frame(0)
    if not shards:
        block.unlink()
        assert not open_stack(path).frame(0).any()


LARGE = np.zeros((3000, 3000), np.uint8)
PICTURES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "jpeg": (7, lambda: imagecodecs.jpeg_encode(LARGE)),
    "jpeg2000": (34712, lambda: imagecodecs.jpeg2k_encode(LARGE)),
    "jpegxl": (50002, lambda: imagecodecs.jpegxl_encode(LARGE, effort=1)),
    "jpegxl_of_frames": (50002, lambda: imagecodecs.jpegxl_encode(FRAMES, effort=1)),
    "jpegxr": (34934, lambda: imagecodecs.jpegxr_encode(LARGE)),
    "lerc": (34887, lambda: imagecodecs.lerc_encode(LARGE)),
    "lerc_of_floats": (34887, lambda: imagecodecs.lerc_encode(LARGE.astype(np.float32))),
    "png": (34933, lambda: imagecodecs.png_encode(LARGE)),
    "webp": (50001, lambda: imagecodecs.webp_encode(np.stack([LARGE] * 3, -1))),
}
FRAMES = np.zeros((600, 100, 100, 3), np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_inside_is_asked_for_its_size_and_not_decoded(name: str, tmp_path: Path):
    compression, made = PICTURES[name]
    path = tmp_path / f"{name}.tif"
    path.write_bytes(tiff(compression, made(), 1, 64))

    told = "holds far more pixels than it declares|no plain picture of one frame"
    with pytest.raises(InputError, match=told):
        open_stack(path)


@pytest.mark.parametrize("codec", ["jpegxl", "jpegxr", "lerc", "jpeg2000", "webp", "png", "jpeg"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_pictures_inside_that_are_as_large_as_they_say_open(
    codec: str, tile: tuple[int, int] | None, tmp_path: Path
):
    pixels = np.random.default_rng(0).integers(0, 255, (200, 130, 3), np.uint8)
    path = tmp_path / f"{codec}.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=tile, compression=codec)

    found = np.moveaxis(np.asarray(open_stack(path).pixels), 0, -1)

    assert np.array_equal(found, tifffile.imread(path))


def test_small_images_are_never_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source_file, "free_memory", lambda: 0)
    check_size("a.tif", (1000, 1000), np.uint16, 1)


@pytest.mark.parametrize(("dtype", "needs"), [(np.uint8, 5), (np.uint16, 6), (np.float64, 12)])
def test_half_of_the_free_memory_holds_the_pixels_and_their_copy(
    monkeypatch: pytest.MonkeyPatch, dtype: type, needs: int
):
    shape = (2, 2**14, 2**14)
    bytes_needed = needs * 2**29
    monkeypatch.setattr(source_file, "free_memory", lambda: 2 * bytes_needed)
    check_size("a.tif", shape, dtype, 2**29)
    monkeypatch.setattr(source_file, "free_memory", lambda: 2 * bytes_needed - 2)
    with pytest.raises(InputError, match=rf"needs {needs / 2:.1f} GB of memory"):
        check_size("a.tif", shape, dtype, 2**29)
