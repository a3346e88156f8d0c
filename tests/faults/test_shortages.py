"""No room, rights or memory, a signal, another writer: one sentence, and the folder as it was."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from tests.support.nursery import Nursery, Task, open_nursery

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
