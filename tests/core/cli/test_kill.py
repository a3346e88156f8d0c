"""Commands killed at any moment: nothing is spoilt, and what was done is not done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from safetensors import safe_open

from tests.support.made_up import block, blurred_noise
from tests.support.nursery import INTERVAL, ROOT, Nursery, open_nursery
from training_core.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork"),
    pytest.mark.trains,
]

KILLS = {"train": 8, "paper": 6, "denoise": 6}  # twenty in all


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


class Task:
    """What a command is to make, however often it is killed."""

    def __init__(self, nursery: Nursery, name: str, *command: object) -> None:
        """Take a command that ends with the path of what it makes; `name` is for that path."""
        *rest, path = command
        assert isinstance(path, Path)
        self.nursery, self.path = nursery, path.with_stem(name)
        self.log = path.with_name(f"{self.path.name}.log")
        self.folder = path.with_name(f"{self.path.name}.checkpoint")
        self.command = (self.log, *rest, self.path, "--resume")

    def start(self) -> int:
        return self.nursery.start(*self.command)

    def units(self) -> Counter[str]:
        """Count what was done over all attempts."""
        return Counter(self.log.read_text().split() if self.log.exists() else [])

    def errors(self) -> str:
        return self.log.with_name(f"{self.log.name}.err").read_text()

    def made(self) -> dict[str, bytes]:
        """Give the weights of a model, or the pixels."""
        if self.path.suffix == ".tif":
            return {"pixels": tifffile.imread(self.path).tobytes()}
        with safe_open(self.path, framework="np") as file:
            return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


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


def command_of(job: str, nursery: Nursery, noisy: Path) -> tuple[object, ...]:
    if job == "denoise":
        return denoising(nursery, noisy)
    return training(noisy) if job == "train" else learn_and_denoise_as_published(noisy)


def uninterrupted(nursery: Nursery, *command: object) -> Task:
    whole = Task(nursery, "whole", *command)
    assert nursery.run(*whole.command) == 0, whole.errors()
    return whole


@pytest.mark.parametrize("job", KILLS)
def test_killed_at_random_moments(job: str, nursery: Nursery, noisy: Path) -> None:
    command = command_of(job, nursery, noisy)
    whole = uninterrupted(nursery, *command)
    started = time.monotonic()
    assert nursery.wait(Task(nursery, "timed", *command).start()) == 0
    takes = time.monotonic() - started
    draw, kills, tasks = np.random.default_rng(3), 0, 0
    while kills < KILLS[job]:
        tasks, lost = tasks + 1, 0
        task = Task(nursery, f"killed{tasks}", *command)
        while not task.path.exists():
            pid = task.start()
            if kills < KILLS[job]:
                time.sleep(draw.uniform(0.0, 0.5 * takes))
                os.kill(pid, signal.SIGKILL)  # which does nothing to one that has ended
            ended = nursery.wait(pid)
            assert ended in (0, -signal.SIGKILL), task.errors()
            kills, lost = kills + (ended != 0), lost + (ended != 0)
        assert task.made() == whole.made()
        again = (task.units() - whole.units()).total()
        assert whole.units() - task.units() == Counter()
        assert again <= lost * INTERVAL, (again, lost)
        assert "Warning" not in task.errors()  # no part was ever unreadable
        if ended == 0:
            assert not task.folder.exists()
    assert kills == KILLS[job]


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
