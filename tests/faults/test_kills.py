"""Commands killed at any moment: nothing is spoilt, and what was done is not done again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from multiprocessing import get_context
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile

from tests.core.io.test_size_limits import dicom
from tests.support.made_up import block, blurred_noise, kept_model
from tests.support.nursery import INTERVAL, ROOT, Nursery, Task, open_nursery
from training_core.cli.main import main
from training_core.export.writers import write_stack
from training_core.io.readers import open_stack
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, object], None]

OVER = {"overwrite": True}

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork"),
    pytest.mark.trains,
    pytest.mark.faults,
]

KILLS = {"train": 5, "run": 5, "paper": 4, "denoise": 5, "batch": 4}
ALL_KILLS = 100  # of each, where every fault is tried


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as opened:
        yield opened


def write(path: Path, pixels: np.ndarray) -> Path:
    values, axes = pixels.astype(np.float32), {"axes": "ZYX"}
    tifffile.imwrite(path, values, photometric="minisblack", metadata=axes)
    return path


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    pixels = block(2 * 64, 64, 200, 800).reshape(2, 64, 64) + 20 * blurred_noise((2, 64, 64), 0, 1)
    return write(tmp_path / "noisy.tif", pixels)


def training(noisy: Path) -> tuple[object, ...]:
    return "train", noisy, "--model", noisy.with_name("model.g2g")


def learn_and_denoise_as_published(noisy: Path) -> tuple[object, ...]:
    clean = np.full((4, 88, 72), 500.0)
    clean[:, :, 40:] = 515.0
    larger = write(noisy.with_name("larger.tif"), clean + 30 * blurred_noise(clean.shape, 0, 8))
    return "run", larger, "--preset", "paper", "--output", noisy.with_name("clean.tif")


def denoising(nursery: Nursery, noisy: Path) -> tuple[object, ...]:
    model = Task(nursery, "trained", *training(noisy))
    assert nursery.run(*model.command) == 0, model.errors()
    frames = write(noisy.with_name("frames.tif"), np.tile(tifffile.imread(noisy), (4, 1, 1)))
    return "denoise", frames, "--model", model.path, "--output", noisy.with_name("clean.tif")


def batch(nursery: Nursery, noisy: Path) -> tuple[object, ...]:
    denoised = denoising(nursery, noisy)
    other = write(noisy.with_name("other.tif"), tifffile.imread(noisy.with_name("frames.tif"))[:4])
    return "denoise", denoised[1], other, "--model", denoised[3], "--output", noisy.parent / "out"


def command_of(job: str, nursery: Nursery, noisy: Path) -> tuple[object, ...]:
    if job in ("denoise", "batch"):
        return (denoising if job == "denoise" else batch)(nursery, noisy)
    if job == "run":
        return "run", noisy, "--output", noisy.with_name("clean.tif")
    return training(noisy) if job == "train" else learn_and_denoise_as_published(noisy)


def uninterrupted(nursery: Nursery, *command: object) -> Task:
    whole = Task(nursery, "whole", *command)
    assert nursery.run(*whole.command) == 0, whole.errors()
    return whole


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("job", KILLS)
def test_killed_at_random_moments(
    job: str, nursery: Nursery, noisy: Path, full_faults: bool, record_property: Record
) -> None:
    command = command_of(job, nursery, noisy)
    whole = uninterrupted(nursery, *command)
    started = time.monotonic()
    assert nursery.wait(Task(nursery, "timed", *command).start()) == 0
    takes = time.monotonic() - started
    wanted = ALL_KILLS if full_faults else KILLS[job]
    draw, kills, tasks = np.random.default_rng(3), 0, 0
    while kills < wanted:
        tasks, lost, ended = tasks + 1, 0, -1
        task = Task(nursery, f"killed{tasks}", *command)
        while ended != 0:
            pid = task.start()
            if kills < wanted:
                time.sleep(draw.uniform(0.0, 0.5 * takes))
                os.kill(pid, signal.SIGKILL)  # which does nothing to one that has ended
            ended = nursery.wait(pid)
            assert ended in (0, -signal.SIGKILL), task.errors()
            kills, lost = kills + (ended != 0), lost + (ended != 0)
        assert task.made() == whole.made()
        again = (task.units() - whole.units()).total()
        assert whole.units() - task.units() == Counter()
        assert again <= lost * INTERVAL, (again, lost)
        assert "damaged" not in task.errors()  # no part was ever unreadable
        assert task.left_over() == []
    record_property("tried", kills)


def two_stacks(name: str, folder: Path) -> tuple[Stack, Stack]:
    """Give what is there before a file of that name is written, and what is written into it."""
    shape = (512, 1024) if name.endswith(".png") else (64, 128, 128)
    old, new = (np.full(shape, value, np.uint16) for value in (1, 2))
    if not name.endswith(".dcm"):
        axes = "ZYX"[-len(shape) :]
        return Stack(old, axes), Stack(new, axes)
    path = folder / "in.dcm"
    path.write_bytes(dicom("1.2.840.10008.1.2.1", len(old), old.tobytes(), shape[1:]))
    read = open_stack(path)
    return read, read.with_pixels(new)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png", "a.dcm", "a.ome.zarr"])
def test_killed_while_it_writes_the_old_file_or_the_new_one_is_there(
    name: str, tmp_path: Path, full_faults: bool, record_property: Record
) -> None:
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["training_core.export.writers"])
    (folder := tmp_path / "out").mkdir()
    (old, new), target = two_stacks(name, tmp_path), folder / name

    def killed_after(seconds: float | None) -> bool:
        if target.is_dir():  # folders are never replaced
            shutil.rmtree(target)
        elif not name.endswith(".zarr"):
            write_stack(old, target, overwrite=True)
        writer = forks.Process(target=write_stack, args=(new, target), kwargs=OVER)
        writer.start()
        writer.join(seconds)
        writer.kill()
        writer.join()
        code = writer.exitcode
        writer.close()
        assert code in (0, -signal.SIGKILL)
        return code != 0

    assert not killed_after(None)
    started = time.monotonic()
    assert not killed_after(None)
    takes, draw, killed = time.monotonic() - started, np.random.default_rng(5), 0
    while killed < (ALL_KILLS if full_faults else 10):
        killed += killed_after(draw.uniform(0.0, takes))
        found = np.array(open_stack(target).pixels) if target.exists() else old.pixels
        assert np.array_equal(found, old.pixels) or np.array_equal(found, new.pixels)
    assert not killed_after(None)
    assert [path.name for path in folder.iterdir()] == [name]
    record_property("tried", killed)


@pytest.mark.timeout(3600)
def test_killed_while_a_model_is_exported_the_old_file_or_the_new_one_is_there(
    nursery: Nursery, noisy: Path, full_faults: bool, record_property: Record
) -> None:
    folders = [noisy.with_name(name) for name in ("one", "two", "out")]
    for folder in folders:
        folder.mkdir()
    models = [kept_model(folder, seed=seed) for seed, folder in enumerate(folders[:2])]
    target, log = folders[2] / "m.zip", noisy.with_name("log")
    larger = write(noisy.with_name("larger.tif"), np.tile(tifffile.imread(noisy), (1, 2, 2)))

    def exporting(model: Path) -> tuple[object, ...]:
        return log, "export-model", model, larger, "--bioimageio", target, "--overwrite"

    assert nursery.run(*exporting(models[1])) == 0  # which loads what exporting needs
    started = time.monotonic()
    assert nursery.wait(nursery.start(*exporting(models[1]))) == 0
    takes = time.monotonic() - started
    new = made_by(target)
    assert nursery.wait(nursery.start(*exporting(models[0]))) == 0
    old, draw, killed = made_by(target), np.random.default_rng(6), 0
    assert old != new
    kept = target.read_bytes()
    while killed < (ALL_KILLS if full_faults else 4):
        target.write_bytes(kept)
        pid = nursery.start(*exporting(models[1]))
        time.sleep(draw.uniform(0.0, takes))
        os.kill(pid, signal.SIGKILL)
        killed += nursery.wait(pid) != 0
        assert made_by(target) in (old, new)
    assert nursery.wait(nursery.start(*exporting(models[1]))) == 0
    assert [path.name for path in target.parent.iterdir()] == ["m.zip"]
    record_property("tried", killed)


def made_by(package: Path) -> bytes:
    """Give what the network of a package makes, from a package that is whole."""
    with ZipFile(package) as file:
        assert file.testzip() is None
        return file.read("test_output.npy")


def test_terminated_it_loses_nothing(nursery: Nursery, noisy: Path) -> None:
    whole = uninterrupted(nursery, *training(noisy))
    model = Task(nursery, "stopped", *training(noisy))
    for share in (0.1, 0.4, 0.7):  # how many units there are depends on when rounds end
        pid = model.start()
        while model.units().total() < share * whole.units().total():
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        assert nursery.wait(pid) == 130
        assert "stopped.g2g.checkpoint keeps what was done so far; --resume goes on with it." in (
            model.errors()
        )
    assert nursery.wait(model.start()) == 0
    assert model.made() == whole.made()
    assert model.units() == whole.units()


def test_a_real_command_that_was_killed_is_not_lost_silently(
    noisy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Wide enough for many of the usual patches of 32 px.
    tifffile.imwrite(noisy, np.tile(tifffile.imread(noisy), (1, 3, 3)), metadata={"axes": "ZYX"})
    output = noisy.with_name("clean.tif")
    folder = noisy.with_name("clean.tif.checkpoint")
    command = ["run", str(noisy), "--output", str(output), "--preset", "quick", "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "training_core", *command], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        while not (folder / "patches-0.part").exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        assert process.stderr is not None
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert not output.exists()

    assert main(command) == 2
    assert "add --resume to go on with it or --overwrite to start anew" in capsys.readouterr().err
    assert main([*command, "--resume", "--seed", "5"]) == 2
    assert "cannot be resumed so: seed was 0, not 5." in capsys.readouterr().err
    assert (folder / "patches-0.part").exists()
