"""Pixels stay in their file, are an array for whoever asks, and are never those of another file."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.cli.main import main
from training_core.errors import InputError
from training_core.formats.source_file import FilePixels
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.stack import Stack

VALUES = np.random.default_rng(0).integers(0, 200, (3, 4, 5, 6))


@pytest.fixture(params=["u1", ">u2", "<f4"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Give pixels in a file, behind three bytes of something else, and the same in memory."""
    array = VALUES.astype(request.param)
    path = tmp_path / "pixels.bin"
    path.write_bytes(b"abc" + array.tobytes())
    return FilePixels.of(path, array.dtype, 3, array.shape), array


VIEWS = {
    "all": lambda a: a,
    "a volume": lambda a: a[1],
    "places": lambda a: a[1, ..., 2],
    "backwards": lambda a: a[::-1, :, ::-2],
    "nothing": lambda a: a[:, :, 5:],
    "a new axis": lambda a: a[None, 0],
    "another order": lambda a: np.moveaxis(a, 1, 3),
    "one channel of that": lambda a: np.moveaxis(a, 1, 3)[..., 0],
    "frames": lambda a: a.reshape(12, 5, 6),
    "as many as there are": lambda a: a.reshape([-1, 30]),
    "frames of another order": lambda a: np.moveaxis(a, 1, 0).reshape(12, 5, 6),
    "without an axis of one": lambda a: a[:, :1].reshape(3, 5, 6),
    "chosen": lambda a: a[a > 100],
    "listed": lambda a: a[np.array([2, 0])],
    "calculated": lambda a: (a + 1) / 2,
    "a sum": lambda a: np.asarray(a.sum()),
    "one pixel": lambda a: np.asarray(a[2, 3, 4, 5]),
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_part_is_that_of_an_array(both: tuple[np.ndarray, np.ndarray], view: str):
    in_file, in_memory = (VIEWS[view](pixels) for pixels in both)

    assert in_file.shape == in_memory.shape
    assert in_file.dtype == in_memory.dtype
    assert in_file.nbytes == in_memory.nbytes
    np.testing.assert_array_equal(np.asarray(in_file), in_memory)


def test_what_is_outside_is_no_part(both: tuple[np.ndarray, np.ndarray]):
    with pytest.raises(IndexError):
        both[0][7]
    with pytest.raises(ValueError, match="reshape"):
        both[0].reshape(7, 7)


CHANGES = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "other values": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"),
    "replaced": lambda path: os.replace(_copy(path), path),
    "gone": lambda path: path.unlink(),
}


def _copy(path: Path) -> Path:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    return other


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, name: str, change: str):
    path = tmp_path / name
    in_numpy = name.endswith("npy")
    write, plain = (np.save, {}) if in_numpy else (tifffile.imwrite, {"photometric": "minisblack"})
    write(path, np.arange(3 * 32 * 32, dtype=np.uint16).reshape(3, 32, 32), **plain)
    os.utime(path, ns=(0, 0))
    stack = open_stack(path)
    stack.frame(0)

    CHANGES[change](path)

    with pytest.raises(InputError, match=rf"^{name} was changed, replaced or cut off while"):
        stack.frame(2)


def test_a_packed_file_that_is_cut_while_it_is_decoded_is_no_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES[0].astype("u1"), compression="zlib", photometric="minisblack")
    decode = tifffile.TiffPage.asarray

    def cut(page: tifffile.TiffPage, *args: object, **options: object) -> np.ndarray:
        os.truncate(path, path.stat().st_size - 10)
        return decode(page, *args, **options)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", cut)
    with pytest.raises(InputError, match=r"^a\.tif was changed, replaced or cut off while"):
        open_stack(path)


def test_the_command_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "a.tif"
    noisy = np.random.default_rng(0).poisson(90, (3, 64, 64)).astype(np.uint16)
    tifffile.imwrite(path, noisy, photometric="minisblack")

    def cut(stack: Stack, **_: object) -> list[object]:
        os.truncate(path, 5000)
        stack.frame(2)
        return []

    monkeypatch.setattr("training_core.reporting.noise_analysis.analyse_noise", cut)

    assert main(["info", str(path)]) == 2
    assert capsys.readouterr().err.strip().endswith("start again.")


MANY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from training_core.io.readers import open_stack
print(open_stack(sys.argv[1]).shape)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_more_files_than_may_be_open_are_one_whole_stack(tmp_path: Path):
    for number in range(60):
        tifffile.imwrite(tmp_path / f"z{number:04}.tif", np.full((16, 16), number, np.uint8))

    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "(60, 16, 16)", done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_shortage_of_handles_is_no_damage_and_drops_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for number in range(4):
        tifffile.imwrite(
            tmp_path / f"z{number}.tif", np.full((16, 16), number, np.uint8), compression="zlib"
        )
    opened = tifffile.TiffFile

    def short(path: Path) -> tifffile.TiffFile:
        if path.name == "z2.tif":
            raise OSError(24, "Too many open files")
        return opened(path)

    monkeypatch.setattr(tifffile, "TiffFile", short)

    assert main(["info", str(tmp_path)]) == 2
    assert "Too many files are open at once" in capsys.readouterr().err
