"""Images with flipped, lost and zeroed bytes: a stack or one sentence, soon, in little memory."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.core.io.test_size_limits import dicom
from tests.support import vendor_files as vendor
from training_core.errors import InputError
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Record = Callable[[str, object], None]

pytestmark = pytest.mark.faults

SHORT, FULL, BY_COMMAND = 15, 3000, 200  # of each format; by the command, of all
MOST_SECONDS, MOST_MB = 10, 2000
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SMALL_BYTES = 600_000
FAMILIES = {
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".mrc", ".map"), "MRC"),
    **dict.fromkeys((".dm3", ".dm4"), "Gatan"),
    **dict.fromkeys((".nii", ".gz"), "NIfTI"),
    **{".dcm": "DICOM", ".czi": "CZI", ".nd2": "ND2", ".nrrd": "NRRD"},
}
NOISY = np.random.default_rng(0).poisson(400.0, (4, 48, 40)).astype(np.uint16)
TIFFS = {
    "plain.tif": {},
    "zlib.tif": {"compression": "zlib"},
    "lzw.tif": {"compression": "lzw", "predictor": True},
    "zstd.tif": {"compression": "zstd", "rowsperstrip": 7},
    "lzma.tif": {"compression": "lzma"},
    "packbits.tif": {"compression": "packbits"},
    "jpeg2000.tif": {"compression": "jpeg2000"},
    "jpegxl.tif": {"compression": "jpegxl"},
    "tiles.tif": {"compression": "zlib", "tile": (16, 16)},
    "big.tif": {"bigtiff": True, "byteorder": ">"},
    "imagej.tif": {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 0.5, "unit": "um"}},
    "a.ome.tif": {"ome": True, "metadata": {"axes": "TYX", "TimeIncrement": 1.5}},
    "packed.ome.tif": {"ome": True, "compression": "zlib", "metadata": {"axes": "ZYX"}},
}

# Opens each file that is named on a line of stdin and looks at its pixels; a JSON line for each.
PROBE = """
import faulthandler, json, sys, time, warnings
from training_core.errors import CoreError
from training_core.io.readers import open_stack
warnings.simplefilter("error")
for line in sys.stdin:
    faulthandler.dump_traceback_later(60, exit=True)
    started, told, fault = time.process_time(), "", ""
    try:
        stack = open_stack(json.loads(line))
        for index in range(min(stack.frame_count, 4)):
            stack.frame(index)
    except CoreError as error:
        told = str(error)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - started
    with open("/proc/self/status") as lines:
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    print(json.dumps([told, fault, seconds, peak // 1024]), flush=True)
"""


def originals() -> Iterator[tuple[str, bytes]]:
    """Make a file of each format."""
    for name, options in TIFFS.items():
        file = io.BytesIO()
        tifffile.imwrite(file, NOISY, **({"photometric": "minisblack"} | options))
        yield name, file.getvalue()
    for name, pixels in (
        ("gray.png", NOISY[0]),
        ("gray8.png", NOISY[0].astype(np.uint8)),
        ("colour.png", NOISY[:3].transpose(1, 2, 0).copy()),
    ):
        yield name, imagecodecs.png_encode(pixels)
    for kind in ("jpeg", "bmp"):
        file = io.BytesIO()
        Image.fromarray((NOISY[0] // 3).astype(np.uint8)).save(file, kind)
        yield f"gray.{kind}", file.getvalue()
    file = io.BytesIO()
    np.save(file, NOISY)
    yield "stack.npy", file.getvalue()
    yield "uncompressed.dcm", small_dicom("1.2.840.10008.1.2.1", NOISY.tobytes())
    yield "implicit.dcm", small_dicom("1.2.840.10008.1.2", NOISY.tobytes())
    yield "deflated.dcm", small_dicom("1.2.840.10008.1.2.1.99", NOISY.tobytes())
    yield from of_microscopes()
    yield from of_libraries()


def of_microscopes() -> Iterator[tuple[str, bytes]]:
    planes = np.tile(NOISY, (2, 1, 1, 1))
    size_um, shown = {"X": 0.1, "Y": 0.1, "Z": 0.5}, ["#FF00FF00", "#FFFF00FF"]
    xml = vendor.czi_xml(size_um, ["A", "B"], 1.0, shown=shown)
    opaque = (NOISY.transpose(1, 2, 0) // 3).astype(np.uint8)
    yield "opaque.czi", vendor.czi(opaque, "YXS", compression=5)
    yield "plain.czi", vendor.czi(planes, "CZYX", xml=xml, tiles=2)
    yield "zstd.czi", vendor.czi(planes, "CZYX", xml=xml, compression=6)
    yield "two.lif", vendor.lif({"one": (NOISY, "ZYX"), "two": (planes, "TZYX")})
    yield "a.oib", vendor.oib(planes, ["A", "B"])
    yield "a.txrm", vendor.txrm(np.repeat(NOISY, 2, axis=2), 0.1)
    steps = [(0.5, "nm"), (0.5, "nm"), (0.1, "s")]
    yield "a.dm3", vendor.gatan(NOISY, 10, steps)
    yield "a.dm4", vendor.gatan(NOISY, 10, steps, version=4)
    yield "packed.nd2", vendor.nd2([zlib.compress(NOISY[0].tobytes())], (48, 40))
    yield "a.dv", vendor.deltavision(planes.reshape(-1, 48, 40), 0, {"T": 1, "C": 2})


def of_libraries() -> Iterator[tuple[str, bytes]]:
    """Make a file of each format that an installed library can write."""
    with tempfile.TemporaryDirectory() as folder:
        for write, suffix in LIBRARIES:
            path = Path(folder) / f"a{suffix}"
            with suppress(ImportError):
                write(path)
                yield path.name, path.read_bytes()


def write_mrc(path: Path) -> None:
    import mrcfile

    with mrcfile.new(path) as file:
        file.set_data(NOISY)


def write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=NOISY, chunks=(1, 48, 40), compression="gzip")


def write_nifti(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(NOISY.T.astype(np.int16), np.eye(4)), path)


def write_nrrd(path: Path) -> None:
    import nrrd

    packed = "gzip" if "packed" in path.name else "raw"
    nrrd.write(str(path), NOISY, {"encoding": packed}, index_order="C")


LIBRARIES = (
    (write_mrc, ".mrc"),
    (write_hdf5, ".h5"),
    (write_nifti, ".nii"),
    (write_nifti, ".nii.gz"),
    (write_nrrd, ".nrrd"),
    (write_nrrd, "_packed.nrrd"),
)


def small_dicom(syntax: str, content: bytes) -> bytes:
    return dicom(syntax, len(NOISY), content, NOISY.shape[1:])


def with_tag(whole: bytes, rng: np.random.Generator) -> bytes:
    """Let the type, the count or the value of a tag of a TIFF file be another one."""
    spoilt = bytearray(whole)
    with tifffile.TiffFile(io.BytesIO(whole)) as tif:
        page = tif.pages[int(rng.integers(len(tif.pages)))]
        tag = list(page.tags)[int(rng.integers(len(page.tags)))]
        wide, order = tif.is_bigtiff, "little" if tif.byteorder == "<" else "big"
    sizes = ((2, 2), (4, 8), (12, 8)) if wide else ((2, 2), (4, 4), (8, 4))
    start, size = sizes[rng.integers(3)]
    value = int(rng.choice([0, 1, 2, 3, 13, 255, 65535, 10**6, 2**31, 2**32 - 1]))
    spoilt[tag.offset + start : tag.offset + start + size] = (value % 256**size).to_bytes(
        size, order
    )
    return bytes(spoilt)


def with_digits(whole: bytes, rng: np.random.Generator) -> bytes:
    """Let a number in a text, such as OME metadata or a NumPy header, be another one."""
    text = list(re.finditer(rb'(?<=[="( ])\d+', whole[:6000]))
    if not text:
        return whole
    found = text[rng.integers(len(text))]
    other = rng.choice([b"0", b"-1", b"7", b"999999999", b"1e9", b"nan", b"4294967296", b"x"])
    length = found.end() - found.start()
    return whole[: found.start()] + bytes(other)[:length].ljust(length, b"0") + whole[found.end() :]


def of_makers(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give the small files of microscopes, scanners and other programs that are in a folder."""
    for path in sorted(path for part in ("formats", "odd") for path in (folder / part).rglob("*")):
        known = path.suffix.lower() in FAMILIES and not any(".zarr" in p.name for p in path.parents)
        if known and path.is_file() and path.stat().st_size < SMALL_BYTES:
            yield path.name, path.read_bytes()


def by_format(files: Iterable[tuple[str, bytes]]) -> dict[str, list[tuple[str, bytes]]]:
    """Sort files by their format."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for name, whole in files:
        suffix = Path(name).suffix
        found.setdefault(FAMILIES.get(suffix, suffix), []).append((name, whole))
    return found


def mutants(
    files: Sequence[tuple[str, bytes]], rng: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    """Spoil files in turn, mostly near the beginning or the end, where headers are."""
    while True:
        for name, whole in files:
            spoilt = bytearray(whole)
            for _ in range(int(rng.integers(1, 6))):
                size = len(spoilt)
                reach = min(size, int(rng.choice([400, 2000, size])))
                place = int(rng.integers(reach))
                place = place if rng.random() < 0.7 else size - 1 - place
                match rng.integers(5):
                    case 0 | 1:
                        spoilt[place] ^= 1 << int(rng.integers(8))
                    case 2:
                        spoilt[place] = int(rng.choice([0, 1, 127, 128, 255]))
                    case 3:
                        end = min(size, place + int(rng.choice([2, 4, 8, 300])))
                        spoilt[place:end] = bytes([int(rng.choice([0, 255]))]) * (end - place)
                    case 4 if size > 100 and rng.random() < 0.3:
                        del spoilt[max(place, 50) :]
            yield name, bytes(spoilt)
            if ".tif" in name:
                yield name, with_tag(whole, rng)
            yield name, with_digits(whole, rng)


def opened(spoilt: Iterable[tuple[str, bytes]], folder: Path) -> Iterator[tuple[bool, str]]:
    """Open files in a process of its own; tell of each whether it opened, and what is wrong.

    Those with which something is wrong stay in the folder.
    """
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert probe.stdin is not None
    assert probe.stdout is not None
    with probe:
        for number, (name, content) in enumerate(spoilt):
            path = folder / str(number) / name
            path.parent.mkdir()
            path.write_bytes(content)
            probe.stdin.write(f"{json.dumps(str(path))}\n")
            probe.stdin.flush()
            answer = probe.stdout.readline()
            if not answer:
                yield False, f"{path}: the process died"
                return
            told, fault, seconds, peak_mb = json.loads(answer)
            wrong = fault or (told and not is_sentence(told) and told)
            if wrong or seconds > MOST_SECONDS or peak_mb > MOST_MB:
                yield False, f"{path}: {wrong} after {seconds:.1f} s, {peak_mb} MB"
            else:
                shutil.rmtree(path.parent)
                yield not told, ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted so")
@pytest.mark.timeout(7200)
def test_what_is_spoilt_opens_or_is_refused_in_a_sentence(
    tmp_path: Path, full_faults: bool, record_property: Record
):
    every = by_format([*originals(), *(of_makers(SHARED_DATA) if full_faults else ())])
    each = FULL if full_faults else SHORT
    wrong, refused = [], 0
    for number, (kind, files) in enumerate(every.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        spoilt = islice(mutants(files, np.random.default_rng([2, number])), each)
        whole, faults = zip(*opened(spoilt, folder), strict=True)
        assert any(whole), kind
        refused += each - sum(whole)
        wrong += filter(None, faults)
    assert wrong == []
    assert refused > 0.1 * each * len(every)  # else nothing that matters was spoilt
    record_property("tried", each * len(every))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_what_is_cut_off_is_never_silently_shorter(tmp_path: Path, share: float) -> None:
    for name, whole in originals():
        path = tmp_path / name
        path.write_bytes(whole)
        pixels = np.array(open_stack(path).pixels)
        path.write_bytes(whole[: int(share * len(whole))])
        try:
            stack = open_stack(path)
            left = np.array(stack.pixels)
        except InputError:
            continue
        if not stack.warnings:  # then nothing that matters was cut off
            np.testing.assert_array_equal(left, pixels, err_msg=name)


def is_sentence(told: str) -> bool:
    return told.endswith(".") and told.isprintable() and len(told) < 400


@pytest.mark.timeout(3600)
def test_the_command_ends_with_0_or_2(
    tmp_path: Path,
    full_faults: bool,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
):
    from training_core.cli.main import main

    made = mutants(list(originals()), np.random.default_rng(3))
    tried = BY_COMMAND if full_faults else 10
    for number, (name, content) in zip(range(tried), made, strict=False):
        path = tmp_path / f"{number}_{name}"
        path.write_bytes(content)
        code = main(["info", str(path)])
        told = capsys.readouterr().err
        assert code in (0, 2), (path, told)
        assert "Traceback" not in told
    record_property("tried", tried)
