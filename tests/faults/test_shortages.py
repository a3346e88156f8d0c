"""No room, rights or memory, a signal, another writer: one sentence, and the folder as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from tests.support.nursery import ROOT, Nursery, Task, open_nursery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork"),
]
KB = 1024


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as opened:
        yield opened


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).poisson(200, (4, 64, 64)).astype(np.uint16)
    path = tmp_path / "noisy.tif"
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model that takes a while for each tile."""
    made: Path = kept_model(tmp_path_factory.mktemp("model"), width=48, depth=16)
    return made


def denoising(nursery: Nursery, noisy: Path, model: Path, name: str = "clean") -> Task:
    output = noisy.with_name("clean.tif")
    return Task(nursery, name, "denoise", noisy, "--model", model, "--output", output)


def last_line(task: Task) -> str:
    return task.errors().splitlines()[-1]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if ".log" not in path.name}


@pytest.mark.parametrize(("most", "left"), [(0, ""), (4 * KB, ""), (30 * KB, ".checkpoint")])
def test_files_that_may_not_be_large_enough(
    most: int, left: str, nursery: Nursery, noisy: Path, model: Path
) -> None:
    task = denoising(nursery, noisy, model)
    assert nursery.wait(task.start(RLIMIT_FSIZE=most)) == 2
    kept = {f"clean.tif{left}"} if left else set()  # as far as it could be written
    assert names(noisy.parent) == {"noisy.tif"} | kept
    if most:
        assert "the disk is full, or files may not be as large here" in last_line(task)
    assert nursery.wait(task.start()) == 0
    assert names(noisy.parent) == {"noisy.tif", "clean.tif"}


def test_few_open_files_are_enough(nursery: Nursery, noisy: Path, model: Path) -> None:
    task = denoising(nursery, noisy, model)
    assert nursery.wait(task.start(RLIMIT_NOFILE=256)) == 0
    assert names(noisy.parent) == {"noisy.tif", "clean.tif"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing limits it so")
def test_little_memory_is_said_before_any_work(nursery: Nursery, noisy: Path, model: Path) -> None:
    task = denoising(nursery, noisy, model)
    assert nursery.wait(task.start(RLIMIT_AS=500 * KB * KB)) == 2
    assert "Only 0.5 GB of memory are allowed here" in last_line(task)
    assert names(noisy.parent) == {"noisy.tif"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_between_two_tiles_and_the_rest_can_follow(
    number: signal.Signals, nursery: Nursery, noisy: Path, model: Path
) -> None:
    whole = denoising(nursery, noisy, model, "whole")
    assert nursery.wait(whole.start()) == 0
    task = denoising(nursery, noisy, model)
    pid = task.start()
    deadline = time.monotonic() + 60
    while task.units().total() < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, number)
    assert nursery.wait(pid) == 130
    assert last_line(task) == "g2g: Cancelled."
    assert names(noisy.parent) == {"noisy.tif", "whole.tif", "clean.tif.checkpoint"}
    assert nursery.wait(task.start()) == 0
    assert task.made() == whole.made()
    assert names(noisy.parent) == {"noisy.tif", "whole.tif", "clean.tif"}


def test_of_two_writers_one_is_refused(nursery: Nursery, noisy: Path, model: Path) -> None:
    first, second = denoising(nursery, noisy, model), denoising(nursery, noisy, model)
    second.command = (noisy.with_name("second.log"), *second.command[1:])
    pid = first.start()
    deadline = time.monotonic() + 60
    while not first.units() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGSTOP)  # else it may have finished before the second begins
    assert nursery.wait(second.start()) == 2
    os.kill(pid, signal.SIGCONT)
    said = noisy.with_name("second.log.err").read_text()
    assert said.startswith(f"g2g: Process {pid}, started 2")
    assert "is making" in said
    assert nursery.wait(pid) == 0
    assert names(noisy.parent) == {"noisy.tif", "clean.tif"}


def spoil(path: Path, how: str) -> None:
    if how == "cut off":
        os.truncate(path, 1000)
    elif how == "rewritten":
        path.write_bytes(path.read_bytes()[::-1])
    elif how == "replaced":
        (other := path.with_name("other")).write_bytes(path.read_bytes())
        os.replace(other, path)
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut off", "rewritten", "replaced", "removed"])
def test_an_input_that_changes_meanwhile_is_noticed(
    how: str, nursery: Nursery, noisy: Path, model: Path
) -> None:
    task = denoising(nursery, noisy, model)
    pid = task.start()
    deadline = time.monotonic() + 60
    while not task.units() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGSTOP)
    spoil(noisy, how)
    os.kill(pid, signal.SIGCONT)
    assert nursery.wait(pid) == 2
    assert last_line(task).startswith("g2g: noisy.tif ")
    assert "while it was read" in last_line(task) or how == "removed"
    assert not task.path.exists()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Give an empty disk in memory; skip the test where nobody may add one."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "none", str(folder)], check=False)
    if done.returncode:
        pytest.skip("only root may add a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere disks are added otherwise")
@pytest.mark.parametrize(("size", "left"), [(16, []), (48, ["clean.tif.checkpoint"])])
def test_a_disk_that_is_full(
    size: int, left: list[str], nursery: Nursery, noisy: Path, model: Path
) -> None:
    with mounted(noisy.parent / "disk", "-o", f"size={size}k") as disk:
        task = on_disk(nursery, noisy, model, disk)
        assert nursery.wait(task.start()) == 2
        assert "No space left on device" in last_line(task) or "make room" in last_line(task)
        assert "Traceback" not in task.errors()
        assert [path.name for path in disk.iterdir()] in ([], left)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere disks are added otherwise")
def test_a_disk_that_is_read_only(nursery: Nursery, noisy: Path, model: Path) -> None:
    with mounted(noisy.parent / "disk", "-o", "ro") as disk:
        task = on_disk(nursery, noisy, model, disk)
        assert nursery.wait(task.start()) == 2
        assert "cannot be written (Read-only file system)" in last_line(task)
        assert task.units().total() == 0


def on_disk(nursery: Nursery, noisy: Path, model: Path, disk: Path) -> Task:
    """Give the task of writing onto a disk; what it says goes elsewhere."""
    task = Task(
        nursery, "clean", "denoise", noisy, "--model", model, "--output", disk / "clean.tif"
    )
    task.log = noisy.with_name("disk.log")
    task.command = (task.log, *task.command[1:])
    return task


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no file is a full disk")
@pytest.mark.parametrize("where", ["closed", "a pipe that nobody reads", "a full disk"])
def test_an_answer_that_nobody_takes(where: str, noisy: Path) -> None:
    there, here = os.pipe()
    os.close(there)
    command = [sys.executable, "-m", "training_core", "info", str(noisy), "--json"]
    if where == "closed":
        command = ["/bin/sh", "-c", '"$@" >&-', "sh", *command]
    with open("/dev/full", "w") as full:
        out = full if where == "a full disk" else here
        done = subprocess.run(
            command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    os.close(here)
    assert done.returncode == 2
    assert done.stderr.startswith("g2g: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(nursery: Nursery, noisy: Path, model: Path) -> None:
    closed = noisy.parent / "closed"
    closed.mkdir(mode=0o555)
    task = Task(nursery, "c", "denoise", noisy, "--model", model, "--output", closed / "clean.tif")
    task.log = noisy.with_name("c.log")
    task.command = (task.log, *task.command[1:])
    assert nursery.wait(task.start()) == 2
    assert "cannot be written (Permission denied)" in last_line(task)
    assert list(closed.iterdir()) == []
