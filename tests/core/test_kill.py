"""Commands killed at any moment: nothing is spoilt, and what was done is not done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from made_up import block, blurred_noise
from nursery import INTERVAL, ROOT, Nursery, open_nursery
from safetensors import safe_open

from training_core.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")

KILLS = 20


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as opened:
        yield opened


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    pixels = block(2 * 64, 64, 200, 800).reshape(2, 64, 64) + 20 * blurred_noise((2, 64, 64), 0, 1)
    path = tmp_path / "noisy.tif"
    tifffile.imwrite(path, pixels.astype(np.float32), metadata={"axes": "ZYX"})
    return path


class Model:
    """A model that a command is to make, however often it is killed."""

    def __init__(self, nursery: Nursery, noisy: Path, name: str) -> None:
        self.nursery, self.noisy = nursery, noisy
        self.path, self.log = noisy.with_name(name), noisy.with_name(f"{name}.log")
        self.folder = noisy.with_name(f"{name}.checkpoint")

        self.command = (self.log, "train", noisy, "--model", self.path, "--resume")

    def start(self) -> int:
        return self.nursery.start(*self.command)

    def units(self) -> Counter[str]:
        """Count what was done over all attempts."""
        return Counter(self.log.read_text().split() if self.log.exists() else [])

    def errors(self) -> str:
        return self.log.with_name(f"{self.log.name}.err").read_text()

    def weights(self) -> dict[str, bytes]:
        with safe_open(self.path, framework="np") as file:
            return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@pytest.fixture
def whole(nursery: Nursery, noisy: Path) -> Model:
    """Give a model whose training nobody interrupted."""
    model = Model(nursery, noisy, "whole.g2g")
    assert nursery.run(*model.command) == 0, model.errors()
    return model


def test_killed_at_twenty_random_moments(nursery: Nursery, noisy: Path, whole: Model) -> None:
    started = time.monotonic()
    assert nursery.wait(Model(nursery, noisy, "timed.g2g").start()) == 0
    takes = time.monotonic() - started
    draw, kills, models = np.random.default_rng(3), 0, 0
    while kills < KILLS:
        models, lost = models + 1, 0
        model = Model(nursery, noisy, f"killed{models}.g2g")
        while not model.path.exists():
            pid = model.start()
            if kills < KILLS:
                time.sleep(draw.uniform(0.0, 0.5 * takes))
                os.kill(pid, signal.SIGKILL)  # which does nothing to one that has ended
            ended = nursery.wait(pid)
            assert ended in (0, -signal.SIGKILL), model.errors()
            kills, lost = kills + (ended != 0), lost + (ended != 0)
        assert model.weights() == whole.weights()
        again = (model.units() - whole.units()).total()
        assert whole.units() - model.units() == Counter()
        assert again <= lost * INTERVAL, (again, lost)
        assert "Warning" not in model.errors()  # no part was ever unreadable
        if ended == 0:
            assert not model.folder.exists()
    assert kills == KILLS


def test_terminated_it_loses_nothing(nursery: Nursery, noisy: Path, whole: Model) -> None:
    model = Model(nursery, noisy, "stopped.g2g")
    for units in (5, 20, 40):
        pid = model.start()
        while model.units().total() < units:
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        assert nursery.wait(pid) == 130
        assert "stopped.g2g.checkpoint keeps what was done so far; --resume goes on with it." in (
            model.errors()
        )
    assert nursery.wait(model.start()) == 0
    assert model.weights() == whole.weights()
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
