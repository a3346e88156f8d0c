"""Starts `g2g` commands as processes of their own, without loading torch for each of them.

Run as a script it reads orders from stdin, one JSON object a line: `argv` forks a process that runs
the command with tiny settings (with `here` it runs in this process, which warms it up for all that
come), `wait` gives its exit status. What was done goes into a log, unit by unit: a step, an
estimate or a tile.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from training_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
INTERVAL = 3  # units between two checkpoints: their clock counts units instead of seconds


class Nursery:
    """The process that forks the others, seen from a test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, log: Path, *argv: object, limits: Mapping[str, int] | None = None) -> int:
        """Start a command, with limits of the system such as RLIMIT_FSIZE; give its process id."""
        return self._ask(argv=[str(a) for a in argv], log=str(log), limits=dict(limits or {}))

    def run(self, log: Path, *argv: object) -> int:
        """Run a command in the nursery itself; give its exit code."""
        return self._ask(argv=[str(a) for a in argv], log=str(log), here=True)

    def wait(self, pid: int) -> int:
        """Wait for the end of a process; give its exit code, or minus the signal that ended it."""
        return self._ask(wait=pid)

    def _ask(self, **order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Task:
    """What a command is to make, however often it is killed."""

    def __init__(self, nursery: Nursery, name: str, *command: object) -> None:
        """Take a command that ends with the path of what it makes; `name` is for that path.

        A path without a suffix is a folder.
        """
        *rest, path = command
        assert isinstance(path, Path)
        self.nursery, self.path = nursery, path.with_stem(name)
        self.log = path.with_name(f"{self.path.name}.log")
        self.folder = path.with_name(f"{self.path.name}.checkpoint")
        self.command = (self.log, *rest, self.path, "--resume", "--device", "cpu")

    def start(self, **limits: int) -> int:
        return self.nursery.start(*self.command, limits=limits)

    def units(self) -> Counter[str]:
        """Count what was done over all attempts."""
        return Counter(self.log.read_text().split() if self.log.exists() else [])

    def left_over(self) -> list[str]:
        """Name what is in its folders and is neither a result nor an input."""
        folders = {self.path.parent, self.path} if self.path.is_dir() else {self.path.parent}
        names = [path.name for folder in folders for path in folder.iterdir()]
        mine = [n for n in names if n.startswith(".") or n == self.folder.name]
        return mine + [
            n for n in names if n.endswith(".checkpoint") and folders - {self.path.parent}
        ]

    def errors(self) -> str:
        return self.log.with_name(f"{self.log.name}.err").read_text()

    def made(self) -> dict[str, bytes]:
        """Give the weights of a model, or the pixels."""
        import tifffile
        from safetensors import safe_open

        if not self.path.suffix:
            return {p.name: tifffile.imread(p).tobytes() for p in sorted(self.path.iterdir())}
        if self.path.suffix == ".tif":
            return {"pixels": tifffile.imread(self.path).tobytes()}
        with safe_open(self.path, framework="np") as file:
            return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


class _Log:
    """Counts units, and writes their names down as they are finished."""

    def __init__(self) -> None:
        self.file = self.units = 0

    def watch(self, owner: Any, name: str) -> None:
        work = getattr(owner, name)

        def watched(*args: Any, **more: Any) -> Any:
            made = work(*args, **more)
            self.units += 1
            os.write(self.file, f"{owner.__name__}.{name}\n".encode())
            return made

        setattr(owner, name, watched)


def _make_tiny(log: _Log) -> None:
    from tests.support.made_up import QUICKEST
    from training_core.cli import commands
    from training_core.compute import checkpoint
    from training_core.denoise import tile, tiled
    from training_core.noise import adversarial
    from training_core.noise.adversarial import NoiseGame
    from training_core.noise.match import NoiseMatch
    from training_core.paper.gan import AdversarialGame
    from training_core.training import first_estimate, rounds
    from training_core.training import pairs as noisy_pairs
    from training_core.training.round import RoundTraining

    tiny = replace(
        QUICKEST,
        noise_model=replace(QUICKEST.noise_model, steps=9),
        denoiser=replace(QUICKEST.denoiser, rounds=2, steps=9, collaborate=False),
    )
    _make_paper_narrow()
    tiny_paper = _tiny_paper()
    commands.preset = lambda name, **more: replace(tiny_paper if name == "paper" else tiny, **more)
    tiled.tile_size = lambda *_: 32
    noisy_pairs.MOST_COPIES = 2
    # Whatever a job may have to do it does: the generator is trained, and every round.
    NoiseMatch.good = property(lambda _: False)
    rounds._Rounds.settled = lambda _: False
    adversarial.JUDGED = 2
    checkpoint.time = SimpleNamespace(monotonic=lambda: log.units)
    checkpoint.Checkpoint.__init__.__kwdefaults__["every_s"] = INTERVAL
    log.watch(NoiseGame, "step")
    log.watch(AdversarialGame, "step")
    log.watch(first_estimate, "first_estimate")
    log.watch(RoundTraining, "step")
    log.watch(tile, "denoise_tile")


def _tiny_paper() -> Settings:
    from training_core.settings import PatchSettings, preset

    paper = preset("paper")
    return replace(
        paper,
        patches=PatchSettings(strictness=0.6, patch_size_px=64, stride_px=4),
        noise_model=replace(paper.noise_model, steps=8, batch=2, critic_steps=1),
        denoiser=replace(paper.denoiser, rounds=2, steps=8, batch=2, averaging=0.5),
    )


def _make_paper_narrow() -> None:
    from training_core.networks import build as network_choice
    from training_core.networks.published import Critic, DnCNN
    from training_core.paper import gan as paper_gan

    wide = paper_gan.paper_network

    def narrow(kind: str, depth: int = 17, *, sigmoid: bool = False) -> Any:
        return DnCNN(depth, 8, sigmoid=sigmoid) if kind == "dncnn" else wide(kind, sigmoid=sigmoid)

    paper_gan.paper_network = network_choice.paper_network = narrow
    paper_gan.Critic = lambda: Critic(16)


def _run(argv: Sequence[str], path: str, log: _Log) -> int:
    """Run a command; what it says goes into files beside the log, not to who gave the order."""
    from training_core.cli.main import main

    log.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with (
        open(f"{path}.out", "a") as answers,
        open(f"{path}.err", "a", buffering=1) as errors,
        redirect_stdout(answers),
        redirect_stderr(errors),
    ):
        return main(argv)


def _serve() -> None:
    import resource

    import torch

    import training_core.cli.main  # noqa: F401 - before limits leave no memory to load it

    torch.set_num_threads(1)
    log = _Log()
    _make_tiny(log)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        elif "here" in order:
            answer = _run(order["argv"], order["log"], log)
        else:
            answer = os.fork()
            if answer == 0:
                code = 1
                signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may ignore it
                try:
                    for name, most in order["limits"].items():
                        resource.setrlimit(getattr(resource, name), (most, most))
                    code = _run(order["argv"], order["log"], log)
                finally:
                    os._exit(code)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
