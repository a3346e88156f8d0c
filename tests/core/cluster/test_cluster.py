"""Work on a real scheduler: who is killed there, what is broken and what is called off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from tests.support.made_up import block, blurred_noise, denoiser, noise_model
from training_core.batch.outputs import Existing
from training_core.batch.stacks import AS_IT_CAME, Batch, Result
from training_core.batch.work import use_model
from training_core.denoise.model_file import save_denoiser
from training_core.errors import ClusterError, UsageError
from training_core.run import Cancelled, Event, Note, Run, StepsDone

pytest.importorskip("distributed")

from training_core.cluster import workers as cluster_workers
from training_core.cluster.stacks import denoise_elsewhere
from training_core.cluster.workers import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
STACKS, FRAMES = 20, 24
pytestmark = pytest.mark.slow


class RealScheduler:
    """A scheduler in a process of its own, and workers that are started and killed."""

    def __init__(self, folder: Path) -> None:
        self.file, self.env = (
            folder / "scheduler.json",
            os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
            },
        )
        self.workers: list[subprocess.Popen[bytes]] = []
        self.log = (folder / "log.txt").open("wb")
        self.process = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        while not self.file.exists():
            assert self.process.poll() is None
            time.sleep(0.1)
        self.address = json.loads(self.file.read_text())["address"]

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
        command += ["--scheduler-file", str(self.file), "--no-dashboard"]
        return subprocess.Popen(command, env=self.env, stdout=self.log, stderr=self.log)

    def start(self, count: int, *options: str) -> None:
        """Have so many workers."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        usual = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
        while len(self.workers) < count:
            self.workers.append(self._start("worker", *usual, *options))

    def kill_one(self) -> None:
        """Let one end as for want of power."""
        self.workers[0].kill()
        self.workers[0].wait()

    def end(self) -> None:
        """End all of them."""
        for process in (*self.workers, self.process):
            process.kill()
            process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScheduler]:
    scheduler = RealScheduler(tmp_path_factory.mktemp("scheduler"))
    yield scheduler
    scheduler.end()


@pytest.fixture
def two(real: RealScheduler) -> RealScheduler:
    """Give a scheduler with two workers that answer."""
    real.start(2)
    with connected(real.address, Run()) as workers:
        workers.client.wait_for_workers(2, timeout=120)
    return real


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_denoiser(denoiser(noise_model(), collaborate=False), tmp_path / "model.g2g")


def write(path: Path, frames: int, seed: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    clean = block(64, 96, 200.0, 800.0)
    pixels = (clean + 20 * blurred_noise((frames, 64, 96), 0.0, seed)).astype(np.float32)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "TYX"})
    return path


def same(one: Path, two: Path) -> bool:
    """Tell whether all pixels are the same to the last bit; each file has an identifier."""
    first, second = (tifffile.imread(path) for path in (one, two))
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()


def here(batch: Batch, output: Path, model: Path) -> list[Result]:
    work = use_model(model, "cpu", Run())
    return batch.denoise(output, work, run=Run(), existing=Existing())


def elsewhere(
    scheduler: str, batch: Batch, output: Path, model: Path, run: Run, **changes: Any
) -> list[Result]:
    how: dict[str, Any] = {"tiles_on": None, "existing": Existing(), "form": AS_IT_CAME}
    work_for = partial(use_model, model, "cpu")
    with connected(scheduler, run) as workers:
        return denoise_elsewhere(workers, batch, output, work_for, run=run, **(how | changes))


def at(done: int, action: Callable[[], None], notes: list[str] | None = None) -> Run:
    """Give a run that acts once, when so many steps are done."""
    left = [action]

    def watch(event: Event) -> None:
        if isinstance(event, StepsDone) and event.done >= done and left:
            left.pop()()
        if isinstance(event, Note) and notes is not None:
            notes.append(event.text)

    return Run(watch)


def test_a_worker_lost_over_the_tiles_of_a_stack_changes_no_bit(
    two: RealScheduler, tmp_path: Path, model: Path
) -> None:
    batch = Batch.of([write(tmp_path / "noisy.tif", FRAMES, 1)])
    here(batch, tmp_path / "here.tif", model)
    killed = at(6, two.kill_one)

    elsewhere(two.address, batch, tmp_path / "there.tif", model, killed, tiles_on="cpu")

    assert two.workers[0].poll() == -signal.SIGKILL
    assert same(tmp_path / "there.tif", tmp_path / "here.tif")


def test_twenty_stacks_with_a_broken_one_and_a_worker_lost(
    two: RealScheduler, tmp_path: Path, model: Path
) -> None:
    for number in range(STACKS - 1):
        write(tmp_path / f"in/s{number:02}.tif", 2, number)
    (tmp_path / "in/s07_broken.tif").write_bytes(b"II*\0")
    batch = Batch.of([tmp_path / "in"])
    here(batch, tmp_path / "here", model)
    notes: list[str] = []

    results = elsewhere(two.address, batch, tmp_path / "there", model, at(300, two.kill_one, notes))

    assert two.workers[0].poll() == -signal.SIGKILL
    failed = [result for result in results if result.error]
    assert [Path(result.input).name for result in failed] == ["s07_broken.tif"]
    assert "damaged" in (failed[0].error or "")
    assert [note for note in notes if "left out" in note] == [
        f"s07_broken.tif is left out: {failed[0].error}"
    ]
    made = sorted((tmp_path / "there").iterdir())
    assert len(made) == STACKS - 1 == len(results) - 1
    for path in made:
        assert same(path, tmp_path / "here" / path.name)


def test_cancelling_reaches_the_workers(two: RealScheduler, tmp_path: Path, model: Path) -> None:
    for number in range(4):
        write(tmp_path / f"in/s{number}.tif", 80, number)
    run = at(1, lambda: run.cancel())

    with pytest.raises(Cancelled):
        elsewhere(two.address, Batch.of([tmp_path / "in"]), tmp_path / "out", model, run)

    with connected(two.address, Run()) as workers:
        assert not any(workers.client.run(cluster_workers._busy, "g2g-").values())
    assert not list((tmp_path / "out").glob("*.tif"))
    assert list((tmp_path / "out").glob("*.checkpoint"))  # what was done is kept

    again = elsewhere(
        *(two.address, Batch.of([tmp_path / "in/s0.tif"]), tmp_path / "out", model, Run()),
        existing=Existing(resume=True),
    )
    here(Batch.of([tmp_path / "in/s0.tif"]), tmp_path / "here.tif", model)
    assert same(Path(again[0].output or ""), tmp_path / "here.tif")


def test_a_lost_scheduler_ends_the_command_in_a_sentence(tmp_path: Path, model: Path) -> None:
    scheduler = RealScheduler(tmp_path)
    try:
        scheduler.start(1)
        run = at(1, scheduler.process.kill)
        paths = [write(tmp_path / f"in/s{number}.tif", 80, number) for number in range(2)]
        with pytest.raises(ClusterError, match="The scheduler was lost"):
            elsewhere(scheduler.address, Batch.of(paths), tmp_path / "out", model, run)
    finally:
        scheduler.end()


def test_the_command_starts_workers_of_its_own(tmp_path: Path, model: Path) -> None:
    noisy = write(tmp_path / "noisy.tif", 3, 1)
    command = [sys.executable, "-m", "training_core", "denoise", noisy, "--model", model]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for output, options in (("a.tif", ()), ("b.tif", ("--scheduler", "local:2"))):
        done = subprocess.run(
            [*map(str, command), "--output", str(tmp_path / output), *options],
            **{"env": env, "capture_output": True, "text": True, "check": False},
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert same(tmp_path / "a.tif", tmp_path / "b.tif")


def test_what_cannot_be_used_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("local:0", "local:x", "nowhere"):
        with pytest.raises(UsageError, match=name), connected(name, Run()):
            pass
    monkeypatch.setitem(cluster_workers.QUIET, "distributed.comm.timeouts.connect", "1s")
    with (
        pytest.raises(ClusterError, match="No scheduler answers at tcp:"),
        connected("tcp://127.0.0.1:9", Run()),
    ):
        pass


def test_workers_that_would_share_a_device_are_refused(tmp_path: Path) -> None:
    scheduler = RealScheduler(tmp_path)
    try:
        scheduler.start(1, "--nthreads", "2")
        with (
            pytest.raises(ClusterError, match=r"takes 2 tasks at once.*--nthreads 1"),
            connected(scheduler.address, Run()),
        ):
            pass
    finally:
        scheduler.end()
