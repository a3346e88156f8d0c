"""Training in several processes, as torchrun starts them: the losses and weights of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from torch import distributed

from tests.support.made_up import block, blurred_noise
from training_core.cli.main import BAD_INPUT, main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
ALIKE = 1e-5  # of the largest: float32 sums in another order
SMALL = ("network=compact", "width=8", "depth=3", "batch=4", "crop_px=32", "rounds=1", "steps=3000")
TOLD = "Training the denoiser"
pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(not distributed.is_available(), reason="this torch has no processes"),
]


def torchrun(count: int, *command: str) -> list[str]:
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(count), *command),
    ]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def done(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Give what one process has learned, and what two have."""
    told = []
    for count in (1, 2):
        output = tmp_path_factory.mktemp("learned") / "told.json"
        ended = done(torchrun(count, str(ROOT / "tests/support/learning.py"), str(output)))
        assert ended.returncode == 0, ended.stderr
        told.append(json.loads(output.read_text()))
    return told


@pytest.mark.parametrize("what", ["compact", "pretrained", "step"])
def test_two_processes_learn_what_one_does(learned: list[dict[str, Any]], what: str) -> None:
    one, two = (told[what] for told in learned)
    assert len(one["losses"]) >= 3
    for name in ("losses", "weights"):
        alone, together = np.array(one[name]), np.array(two[name])
        np.testing.assert_allclose(together, alone, rtol=0, atol=ALIKE * np.abs(alone).max())


def test_a_batch_that_leaves_a_process_without_crops_is_refused(
    learned: list[dict[str, Any]],
) -> None:
    alone, together = (told["too few"] for told in learned)
    assert alone == ""
    assert together.startswith("A batch of 1 crops is too small for 2 processes;")


class Started:
    """The command in two processes, on a small stack."""

    def __init__(self, noisy: Path, output: Path, *more: str) -> None:
        options = ["--preset", "quick", "--device", "cpu"]
        options += ["--json"]
        for chosen in SMALL:
            options += ["--set", f"denoiser.{chosen}"]
        job = ["-m", "training_core", "run", str(noisy), "--output", str(output)]
        self.process = subprocess.Popen(
            torchrun(2, *job, *options, *more),
            **{"env": environment(), "text": True, "start_new_session": True},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
        )
        self.checkpoint = output.with_name(f"{output.name}.checkpoint")

    def helper(self) -> int:
        """Give the number of the process that helps, once the round has begun."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if TOLD in line:
                break
        mine = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        ranks = {n: Path(f"/proc/{n}/environ").read_bytes().split(b"\0") for n in mine.split()}
        return next(int(number) for number, values in ranks.items() if b"RANK=1" in values)

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; give the exit code and what was printed."""
        printed, said = self.process.communicate()
        return self.process.returncode, printed, said


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    clean = block(96, 96, 200.0, 800.0)
    pixels = (clean + 20 * blurred_noise((96, 96), 0.0, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "noisy.tif", pixels)
    return tmp_path / "noisy.tif"


@pytest.fixture
def beginning(noisy: Path) -> Iterator[Started]:
    """Give a job that is in the middle of its round; it is ended in any case."""
    started = Started(noisy, noisy.with_name("out.tif"))
    yield started
    if started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()


def is_there(number: int) -> bool:
    """Tell whether a process still runs; one that has ended may not be waited for yet."""
    try:
        return ") Z" not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_who_is_interrupted_goes_on_to_the_same_pixels(beginning: Started, noisy: Path) -> None:
    helper = beginning.helper()
    beginning.process.send_signal(signal.SIGINT)
    code, printed, said = beginning.ended()

    assert code != 0
    assert printed == ""
    assert "g2g: Cancelled." in said
    assert beginning.checkpoint.is_dir()
    assert not is_there(helper)

    code, printed, said = Started(noisy, noisy.with_name("out.tif"), "--resume").ended()
    assert code == 0, said
    assert json.loads(printed)["device"].endswith(", 2 processes")  # told once
    assert not beginning.checkpoint.exists()
    code, _, said = Started(noisy, noisy.with_name("whole.tif")).ended()
    assert code == 0, said
    resumed, whole = (tifffile.imread(noisy.with_name(n)) for n in ("out.tif", "whole.tif"))
    assert resumed.tobytes() == whole.tobytes()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_a_lost_process_ends_the_job_and_leaves_none_behind(beginning: Started) -> None:
    os.kill(beginning.helper(), signal.SIGKILL)
    began = time.monotonic()
    code, printed, said = beginning.ended()

    assert code != 0
    assert time.monotonic() - began < 60
    assert printed == ""
    # torchrun calls the first one off at the same moment.
    assert "A process of the training was lost" in said or "g2g: Cancelled." in said
    assert "--resume goes on with it" in said


def test_what_trains_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], noisy: Path
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    run = ["run", str(noisy), "--output", str(noisy.with_name("o.tif")), "--scheduler", "local:2"]
    for command in (["info", str(noisy)], run):
        assert main(command) == BAD_INPUT
        assert "torchrun shares the training of g2g run and g2g train" in capsys.readouterr().err
