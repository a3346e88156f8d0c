"""Paper mode against the plain reading of the paper: both training steps, and denoising.

Run: python tests/benchmarks/paper_speed.py [--device cuda] [--batch 16]

Prints a table and keeps it in docs/results.md; 1 if a target is missed. `--batch`
measures smaller batches, `--smoke` next to nothing; neither is kept.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from as_written import AsWritten
from results import machine, read_results, with_section, write_results
from turns import clocked, most_memory, peaks, precisions, products, take_turns, tera

from tests.support.made_up import denoiser, noise_model, with_published_noise
from training_core.compute.device import choose_device, describe_device
from training_core.compute.optimiser_step import TrainingStep
from training_core.denoise.region import Region
from training_core.denoise.tiled import denoise
from training_core.networks.published import paper_network
from training_core.paper.gan import AdversarialGame
from training_core.paper.pairs import PublishedPairs
from training_core.run import SILENT
from training_core.settings import preset
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turns import Clocked, Work

    from training_core.denoise.denoiser import Denoiser
    from training_core.settings import Settings

PLAIN = "as written"
GAN_TARGET, ROUND_TARGET, FRAME_TARGET, SHARE_TARGET = 2.2, 1.35, 2.0, 0.75
HEAD = "| what | as written | float32 | times faster | bfloat16 | times faster | target | met |"


@dataclass(frozen=True)
class Size:
    """How much is measured; times are means over `turns` there and back, `loops` calls a turn."""

    gan: int = 64
    round: int = 128
    frame_px: int = 512
    matmul: int = 2048
    critic_steps: int = 5
    turns: int = 1
    loops: int = 1


SMOKE = Size(gan=2, round=2, frame_px=64, matmul=256, critic_steps=1)
DATA_CENTRE = Size(matmul=8192, turns=3, loops=10)


@dataclass(frozen=True)
class Row:
    """One line of the table: seconds a call by the name of the work, TFLOP a call, and GB."""

    name: str
    seconds: dict[str, float]
    tera: float
    target: float
    gigabytes: dict[str, float] = field(default_factory=dict)

    def faster(self, precision: str) -> float:
        """Give how many times faster than as written."""
        return self.seconds[PLAIN] / self.seconds[precision]

    def speed(self, precision: str) -> float:
        """Give the achieved TFLOP/s."""
        return self.tera / self.seconds[precision]

    @property
    def met(self) -> bool:
        """Whether the target is met in float32, where it was set."""
        return self.faster("float32") >= self.target

    def __str__(self) -> str:
        """Give the line as Markdown."""
        cells = [self.name, self._cell(PLAIN)]
        for precision in ("float32", "bfloat16"):
            known = precision in self.seconds
            cells += [self._cell(precision), f"{self.faster(precision):.2f}" if known else "-"]
        cells += [f"{self.target}", "yes" if self.met else "NO"]
        return f"| {' | '.join(cells)} |"

    def _cell(self, name: str) -> str:
        if name not in self.seconds:
            return "-"
        parts = [f"{self.seconds[name]:.3g} s"]
        parts += [f"{self.speed(name):.3g} TFLOP/s"] if name != PLAIN else []
        parts += [f"{self.gigabytes[name]:.2g} GB"] if name in self.gigabytes else []
        return ", ".join(parts)


def paper(precision: str) -> Settings:
    """Give the paper preset in one precision."""
    return preset("paper", precision="auto" if precision == "bfloat16" else "float32")


def adversarial_step(size: Size, device: torch.device, plain: AsWritten) -> Row:
    """Compare one step of the adversarial stage."""
    noise, noisy = torch.rand(2, size.gan, 1, 64, 64, device=device)
    latent = torch.randn(size.gan, 128, device=device)
    games = {precision: _game(precision, size, device) for precision in precisions(device)}
    works: dict[str, Work] = {
        precision: lambda game=game: game.step(noise - 0.5, noisy, latent)
        for precision, game in games.items()
    }
    as_written = plain.clocked("adversarial_step", size.gan, size.critic_steps)
    return _row(f"adversarial step, batch {size.gan}", works, as_written, GAN_TARGET, size, device)


def _row(
    name: str,
    works: dict[str, Work],
    as_written: Clocked,
    target: float,
    size: Size,
    device: torch.device,
) -> Row:
    count = tera(works["float32"])
    taken = {key: clocked(work, device, size.loops) for key, work in works.items()}
    seconds = take_turns({**taken, PLAIN: as_written}, size.turns, warm=device.type == "cuda")
    return Row(name, seconds, count, target, most_memory(works, device))


def _game(precision: str, size: Size, device: torch.device) -> AdversarialGame:
    settings = paper(precision)
    chosen = replace(settings.noise_model, critic_steps=size.critic_steps)
    return AdversarialGame(chosen, "dncnn", 0, device, bfloat16=precision == "bfloat16")


def round_step(size: Size, device: torch.device, plain: AsWritten) -> Row:
    """Compare one step of a round, the making of its pairs included."""
    works = {p: _round(p, size.round, device) for p in precisions(device)}
    as_written = plain.clocked("round_step", size.round)
    name = f"step of a round, batch {size.round}, with its pairs"
    return _row(name, works, as_written, ROUND_TARGET, size, device)


def _round(precision: str, batch: int, device: torch.device) -> Work:
    teacher = _denoiser(precision, device)
    settings = replace(teacher.settings.denoiser, batch=batch)
    channel = teacher.channels[0]
    noisy = [Region(torch.rand(180, 180, device=device), channel) for _ in range(20)]
    draw = torch.Generator().manual_seed(0)
    pairs = PublishedPairs(teacher, noisy, [teacher.network], draw, SILENT)
    learner = paper_network("dncnn").to(device).train().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(learner.parameters(), settings.learning_rate)
    update = TrainingStep(learner, adam, bfloat16=precision == "bfloat16")
    return lambda: update(*pairs.batch(settings))


def _denoiser(precision: str, device: torch.device) -> Denoiser:
    """Give the published denoiser, untrained, with the noise of a g1."""
    made = with_published_noise(denoiser(noise_model(), network="dncnn"))
    made.network.to(device)
    made.channels[0].noise.generator.to(device)
    return replace(made, settings=paper(precision), device=device)


def frame(size: Size, device: torch.device, plain: AsWritten) -> tuple[Row, dict[str, float]]:
    """Compare denoising a frame; give the TFLOP/s of a matrix product in the same turns as well."""
    stack = Stack(np.random.default_rng(0).random((size.frame_px,) * 2, np.float32), "YX")
    known = _denoiser("float32", device)
    works: dict[str, Work] = {
        "float32": lambda: denoise(stack, known),
        **products(size.matmul, device),
    }
    taken = {key: clocked(work, device, size.loops) for key, work in works.items()}
    taken[PLAIN] = plain.clocked("frame", size.frame_px)
    seconds = take_turns(taken, 3 * size.turns, warm=True)
    peak = peaks(seconds, size.matmul)
    name = f"DnCNN-17 on {size.frame_px} x {size.frame_px}"
    return Row(name, seconds, tera(works["float32"]), FRAME_TARGET), peak


def report(rows: Sequence[Row], peak: dict[str, float], size: Size, device: torch.device) -> str:
    """Give the table and what must be known to read it, as Markdown."""
    unit = "wall time" if device.type == "cuda" else "core seconds, over all threads"
    speeds = ", ".join(f"{speed:.3g} TFLOP/s in {name}" for name, speed in peak.items())
    share = rows[-1].speed("float32") / peak["float32"]
    note = (
        "`python tests/benchmarks/paper_speed.py`: paper mode against the plain reading of the "
        "paper (`tests/core/paper_reference.py`), in the same run, but in a process of its own, "
        f"since production changes how its process keeps memory. Times are {unit}, TFLOP those of "
        f"the convolutions. On {describe_device(device)}; {machine()}, torch "
        f"{torch.__version__}. A matrix product of {size.matmul} in the same turns, the faster of "
        f"matmul and a 1 x 1 convolution: {speeds}. Denoising reaches {share:.0%} of the float32 "
        f"one (target {SHARE_TARGET:.0%})."
    )
    rule = "|" + "---|" * (HEAD.count("|") - 1)
    return "\n".join([note, "", HEAD, rule, *map(str, rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--batch", type=int, help="of both steps, for a shorter try")
    parser.add_argument("--smoke", action="store_true", help="see that it runs")
    given = parser.parse_args(arguments)
    device = choose_device(given.device)
    size = DATA_CENTRE if device.type == "cuda" else Size()
    if given.smoke:
        size = SMOKE
    elif given.batch:
        size = replace(size, gan=given.batch, round=given.batch)
    with AsWritten(device, size.loops) as plain:
        last, peak = frame(size, device, plain)
        rows = [adversarial_step(size, device, plain), round_step(size, device, plain), last]
    text = report(rows, peak, size, device)
    sys.stdout.write(f"{text}\n")
    if given.smoke:
        return 0
    if not given.batch:
        where = "processor" if device.type == "cpu" else describe_device(device).split(",")[0]
        write_results(with_section(read_results(), f"Speed of paper mode, {where}", text))
    reached = last.speed("float32") >= SHARE_TARGET * peak["float32"] or device.type == "cuda"
    return 0 if reached and all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
