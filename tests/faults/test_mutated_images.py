"""Images with flipped, lost and zeroed bytes: a stack or one sentence, soon, in little memory."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.core.io.test_size_limits import dicom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, object], None]

pytestmark = pytest.mark.faults

SHORT, FULL, BY_COMMAND = 300, 3000, 200
MOST_SECONDS, MOST_MB = 10, 2000
NOISY = np.random.default_rng(0).poisson(400.0, (4, 48, 40)).astype(np.uint16)
TIFFS = {
    "plain.tif": {},
    "zlib.tif": {"compression": "zlib"},
    "lzw.tif": {"compression": "lzw", "predictor": True},
    "zstd.tif": {"compression": "zstd", "rowsperstrip": 7},
    "lzma.tif": {"compression": "lzma"},
    "packbits.tif": {"compression": "packbits"},
    "jpeg2000.tif": {"compression": "jpeg2000"},
    "tiles.tif": {"compression": "zlib", "tile": (16, 16)},
    "big.tif": {"bigtiff": True, "byteorder": ">"},
    "imagej.tif": {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 0.5, "unit": "um"}},
    "a.ome.tif": {"ome": True, "metadata": {"axes": "TYX", "TimeIncrement": 1.5}},
    "packed.ome.tif": {"ome": True, "compression": "zlib", "metadata": {"axes": "ZYX"}},
}

# Opens every file named on stdin and looks at its pixels; a JSON line for each.
PROBE = """
import faulthandler, json, sys, time, warnings
from training_core.errors import CoreError
from training_core.io.readers import open_stack
warnings.simplefilter("error")
for path in json.load(sys.stdin):
    faulthandler.dump_traceback_later(60, exit=True)
    started, fault = time.monotonic(), ""
    try:
        stack = open_stack(path)
        for index in range(min(stack.frame_count, 4)):
            stack.frame(index)
        told = ""
    except CoreError as error:
        told = str(error)
    except Exception as error:
        told, fault = "", f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - started
    with open("/proc/self/status") as lines:
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    print(json.dumps([path, told, fault, seconds, peak // 1024]), flush=True)
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


def mutants(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Spoil the originals in turn, mostly near the beginning or the end, where headers are."""
    every = list(originals())
    while True:
        for name, whole in every:
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
            if "tif" in name:
                yield name, with_tag(whole, rng)
            yield name, with_digits(whole, rng)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted so")
@pytest.mark.timeout(3600)
def test_what_is_spoilt_opens_or_is_refused_in_a_sentence(
    tmp_path: Path, full_faults: bool, record_property: Record
):
    made = mutants(np.random.default_rng(2))
    paths = []
    for number, (name, content) in zip(range(FULL if full_faults else SHORT), made, strict=False):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(content)
        paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr == ""
    assert len(answers) == len(paths)
    wrong = [a for a in answers if a[2] or a[3] > MOST_SECONDS or a[4] > MOST_MB]
    wrong += [a for a in answers if a[1] and not is_sentence(a[1])]
    assert wrong == []
    opened = sum(not answer[1] for answer in answers)
    assert 0 < opened < len(answers)
    record_property("tried", len(answers))


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

    made = mutants(np.random.default_rng(3))
    tried = BY_COMMAND if full_faults else 10
    for number, (name, content) in zip(range(tried), made, strict=False):
        path = tmp_path / f"{number}_{name}"
        path.write_bytes(content)
        code = main(["info", str(path)])
        told = capsys.readouterr().err
        assert code in (0, 2), (path, told)
        assert "Traceback" not in told
    record_property("tried", tried)
