"""The whole published schedule on a benchmark set: train as published, score every round.

Run: python tests/benchmarks/paper_schedule.py [--set fmd-widefield-avg1] [--minutes 9] [--resume]

Made for a data-centre GPU; on a processor it takes weeks. `--minutes` cuts a run off, with exit
code 3, where machines are lent for a short time only; `--resume` goes on with it, to the same
weights. Prints a table and keeps it in docs/results.md, the trained model as SET.g2g;
1 if the published figure is missed. `--smoke` takes a few steps on made-up images.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, with_section, write_results

from training_core.batch.outputs import Existing
from training_core.cli.terminal import Terminal
from training_core.compute.device import describe_device
from training_core.denoise.model_file import save_denoiser
from training_core.denoise.tiled import denoise
from training_core.errors import CoreError
from training_core.evaluation.datasets import EvaluationSet, load_table
from training_core.evaluation.protocols import PUBLISHED
from training_core.evaluation.published_tables import TABLES
from training_core.evaluation.set_files import TestImage
from training_core.pipeline import train
from training_core.run import Cancelled, Run, Stage, StageFinished, StageStarted
from training_core.stack import Stack
from training_core.wording import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.run import Event
    from training_core.settings import Settings
    from training_core.training.report import Learned

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HEAD = "| | PSNR | SSIM |\n|---|---|---|"
MOST_S = 15 * 60  # on a data-centre GPU
CUT = 3  # exit code


class Stopwatch:
    """The wall time of each stage and the most memory, over all runs of a job; kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.terminal = path, Terminal(sys.stderr)
        self.seconds: dict[str, float] = {}
        self.gigabytes, self.device = 0.0, ""
        self.stage, self.since = "", time.monotonic()
        if path.exists():
            self.seconds, self.gigabytes = json.loads(path.read_text(encoding="utf-8"))

    def __call__(self, event: Event) -> None:
        """Count the time since the last event to the stage that it was spent in."""
        self.terminal(event)
        self.count()
        if isinstance(event, StageStarted):
            self.stage = f"{event.stage}, {event.detail}" if event.detail else str(event.stage)
        elif isinstance(event, StageFinished):
            self.stage = ""

    def count(self) -> None:
        """Count up to now."""
        now = time.monotonic()
        name = self.stage or "in between"
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.since
        self.since = now
        if torch.cuda.is_available():
            used = torch.cuda.max_memory_allocated() / 1e9
        else:
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        self.gigabytes = max(self.gigabytes, used)

    def keep(self) -> None:
        """Write the figures down for the run that goes on."""
        self.count()
        self.path.write_text(json.dumps([self.seconds, self.gigabytes]), encoding="utf-8")


@dataclass(frozen=True)
class Row:
    """One line of the table: means over the test images."""

    name: str
    psnr: float | None
    ssim: float | None

    def __str__(self) -> str:
        """Give the line as Markdown."""
        psnr = "-" if self.psnr is None else f"{self.psnr:.2f}"
        return f"| {self.name} | {psnr} | {'-' if self.ssim is None else f'{self.ssim:.4f}'} |"


def score_rounds(learned: Learned, chosen: EvaluationSet, run: Run) -> list[Row]:
    """Score the noisy images and what the network of each round makes of them."""
    rows = [_mean("noisy", [test.noisy for test in chosen.tests], chosen)]
    blind, last = learned.denoiser.card["chosen_round"], max(learned.history)
    for number, network in sorted(learned.history.items()):
        marks = ["chosen blind"] * (number == blind) + ["last"] * (number == last)
        of_round = replace(learned.denoiser, network=network)
        made = []
        for test in chosen.tests:
            run.check()
            made.append(denoise(test.noisy, of_round))
        rows.append(_mean(", ".join([f"round {number}", *marks]), made, chosen))
    return rows


def _mean(name: str, images: Sequence[Stack], chosen: EvaluationSet) -> Row:
    scores = [
        chosen.protocol.score(image.raw_frame(0), test.clean)
        for image, test in zip(images, chosen.tests, strict=True)
    ]
    psnr, ssim = np.mean([(score.psnr, score.ssim) for score in scores], axis=0)
    return Row(name, float(psnr), float(ssim))


def made_up_set() -> EvaluationSet:
    """Give flat images with one edge, and noise of standard deviation 25."""
    rng = np.random.default_rng(0)
    clean = np.full((2, 168, 168), 100.0)
    clean[:, :, 150:] = 180.0
    noisy = (clean + rng.normal(0, 25, clean.shape)).astype(np.float32)
    test = TestImage("edge", Stack(noisy[0, :64, -64:], "YX"), clean[0, :64, -64:])
    return EvaluationSet(lambda: [Stack(noisy, "IYX")], (test,), PUBLISHED, "Made-up images.")


def few_steps(paper: Settings) -> Settings:
    """Shorten the schedule to two steps of everything; the networks stay as they are."""
    return replace(
        paper,
        patches=replace(paper.patches, strictness=0.42, stride_px=12),
        noise_model=replace(paper.noise_model, steps=2, batch=2, critic_steps=1),
        denoiser=replace(paper.denoiser, rounds=2, steps=2, batch=2),
    )


def run_schedule(given: argparse.Namespace, watch: Stopwatch, run: Run) -> list[Row]:
    """Train, or go on training, and score every round.

    Raises
    ------
    Cancelled
        If the time was over; a checkpoint beside the output keeps what was done.
    CoreError
        If the set cannot be made, or an interrupted job lies in the way.
    """
    table = TABLES[given.set]
    settings = replace(table.paper, device=given.device)
    if given.smoke:
        chosen, settings = made_up_set(), few_steps(settings)
    else:
        chosen = load_table(table, given.data, "published", seed=settings.seed)
    watch.terminal.say(chosen.note)
    existing = Existing(overwrite=given.overwrite, resume=given.resume)
    with existing.checkpoint(given.output, run) as checkpoint:
        learned = train(chosen.learn(), settings, run=run, checkpoint=checkpoint)
        watch(StageStarted(Stage.EVALUATE, 1))
        rows = score_rounds(learned, chosen, run)
        watch(StageFinished(Stage.EVALUATE, 0.0))
        save_denoiser(learned.denoiser, given.output, overwrite=given.overwrite)
    watch.device = describe_device(learned.denoiser.device)
    return rows


def report(rows: Sequence[Row], watch: Stopwatch, given: argparse.Namespace) -> str:
    """Give the table and what must be known to read it, as Markdown."""
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in watch.seconds.items())
    command = f"python tests/benchmarks/paper_schedule.py --set {given.set}"
    note = (
        f"`{command}`: {TABLES[given.set].title}, published protocol. "
        f"On {watch.device}; {machine()}, torch {torch.__version__}. Wall time "
        f"{duration(sum(watch.seconds.values()))}: {stages}. Most memory in use: "
        f"{watch.gigabytes:.1f} GB."
    )
    return "\n".join([note, "", HEAD, *map(str, rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the schedule, print and keep the table; 1 if the published figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="bsd68-gaussian25", choices=list(TABLES), metavar="SET")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the benchmark sets")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--output", type=Path, help="the trained model [SET.g2g]")
    parser.add_argument("--minutes", type=float, help="cut the run off after so long")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut off")
    parser.add_argument("--overwrite", action="store_true", help="start anew")
    parser.add_argument("--smoke", action="store_true", help="see that it runs")
    given = parser.parse_args(arguments)
    given.output = given.output or Path(f"{given.set}.g2g")
    times = given.output.with_name(f"{given.output.name}.times")
    if not given.resume:
        times.unlink(missing_ok=True)
    watch = Stopwatch(times)
    run = Run(watch)
    timer = threading.Timer(60 * (given.minutes or 0), run.cancel)
    if given.minutes is not None:
        timer.daemon = True
        timer.start()
    try:
        rows = run_schedule(given, watch, run)
    except Cancelled:
        watch.keep()
        watch.terminal.say("The time is over; --resume goes on.")
        return CUT
    except CoreError as error:
        parser.error(str(error))
    finally:
        timer.cancel()
    times.unlink(missing_ok=True)
    return finish(rows, watch, given)


def finish(rows: Sequence[Row], watch: Stopwatch, given: argparse.Namespace) -> int:
    """Print and keep the table; give the exit code."""
    published = Row("published", *TABLES[given.set].published.get("G2G", (None, None)))
    text = report([*rows, published], watch, given)
    sys.stdout.write(f"{text}\n")
    if given.smoke:
        return 0
    device = watch.device.split(",")[0]
    title = f"Paper schedule, {given.set}, {device}"
    write_results(with_section(read_results(), title, text))
    reached = published.psnr is None or rows[-1].psnr >= published.psnr
    in_time = not device.startswith("NVIDIA") or sum(watch.seconds.values()) <= MOST_S
    return 0 if reached and in_time else 1


if __name__ == "__main__":
    sys.exit(main())
