"""The published benchmarks, run again: every method on the same noisy images, in one go."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint
from training_core.compute.device import choose_device, describe_device
from training_core.errors import CheckpointError, CoreError
from training_core.evaluation.scores import flat_residual
from training_core.pipeline import train
from training_core.run import SILENT, Run, Stage
from training_core.settings import Settings, preset
from training_core.stack import Stack
from training_core.training.report import Learned
from training_core.wording import duration

from .contenders import (
    METHODS,
    Contender,
    Contest,
    bundled_contenders,
    classical_contenders,
    g2g_contenders,
)
from .dataset import EvaluationSet
from .datasets import load_table
from .published_tables import Kind, Table
from .runner import PartOfRun, Tryout
from .scores import Report, known_rows

ALL_ROWS = 4.0  # all methods together take about so many times as long as the final result alone


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be evaluated.

    Attributes
    ----------
    table
        The benchmark set and its known figures.
    data
        The folder of the benchmark sets.
    settings
        How G2G is trained.
    protocols
        "published", "sane" or both.
    methods
        Those of `METHODS` that are wanted.
    limit
        At most so many test images, spread evenly over the set; None for all.
    """

    table: Table
    data: Path
    settings: Settings
    protocols: tuple[str, ...] = ("published", "sane")
    methods: tuple[str, ...] = METHODS
    limit: int | None = None


def settings_for(table: Table, name: str, *, seed: int, device: str) -> Settings:
    """Give the settings of a preset for a table; paper mode differs between the tables."""
    if name == "paper":
        return replace(table.paper, seed=seed, device=device)
    return preset(name, seed=seed, device=device)


def usual_methods(kind: Kind) -> tuple[str, ...]:
    """Give what is compared when nobody chooses.

    Not what else could have been chosen, which takes some times as long as all other rows, and for
    photographs not the first estimate, which costs as much as the result: the 136 noisy ones of
    BSD68 in two protocols would take half as long again.
    """
    left_out = {"oracle", "first-estimate"} if kind == "natural" else {"oracle"}
    return tuple(method for method in METHODS if method not in left_out)


def evaluate(
    request: Request, *, run: Run = SILENT, checkpoint: Checkpoint = NO_CHECKPOINT
) -> Report:
    """Run every wanted method on the test images of a table and score it.

    G2G is trained once, on the noisy training images; the clean ones are only scored against.

    Parameters
    ----------
    checkpoint
        Where an interrupted training is kept and gone on with.

    Raises
    ------
    InputError
        If the set cannot be made from the files at hand.
    CheckpointError
        If the checkpoint keeps another training.
    Cancelled
        If the run was cancelled.
    """
    started = time.monotonic()
    sets = {
        name: load_table(request.table, request.data, name, seed=request.settings.seed)
        for name in request.protocols
    }
    first = next(iter(sets.values()))
    trials = choose_trials(sets, request)
    job = _Job(run, sum(trial.values.size for trial in trials), checkpoint)
    contenders, card = _contenders(request, first, job)
    device = choose_device(request.settings.device)
    tryout = Tryout(contenders, trials, {name: s.protocol for name, s in sets.items()})
    tryout.go_through(device, job)
    return Report(
        table=request.table,
        protocols=tuple(s.protocol for s in sets.values()),
        rows=(*tryout.rows(), *known_rows(request.table, request.protocols)),
        images=tuple(trial.name for trial in trials if first.protocol.name in trial.references),
        available=len(first.tests),
        notes=tuple(dict.fromkeys(s.note for s in sets.values())),
        settings=request.settings,
        card=card,
        device=describe_device(device),
        seconds=time.monotonic() - started,
        examples=tuple(tryout.examples()),
    )


def choose_trials(sets: Mapping[str, EvaluationSet], request: Request) -> list[Contest]:
    """Give the test images to run; one that is the same in two protocols is run once."""
    trials: list[Contest] = []
    # The pictures of BSD68 have other names in colour, but sorted by name they are in one order.
    tests = {p: sorted(found.tests, key=lambda test: test.name) for p, found in sets.items()}
    count = min(map(len, tests.values()))
    wanted = min(request.limit or count, count)
    for index in np.linspace(0, count - 1, wanted).round().astype(int):
        here: list[Contest] = []
        for protocol, found in tests.items():
            test = found[index]
            noisy = test.noisy.with_pixels(np.asarray(test.noisy.pixels, np.float32))
            same = [t for t in here if np.array_equal(t.noisy.pixels, noisy.pixels)]
            earlier = dict(same[0].references) if same else {}
            here = [t for t in here if t not in same]
            references = {**earlier, protocol: test.clean}
            here.append(Contest(test.name, noisy, references, request.table.kind))
        trials += here
    return trials


def _contenders(
    request: Request, learned_from: EvaluationSet, job: _Job
) -> tuple[list[Contender], dict[str, Any]]:
    """Give the methods to try, G2G trained, and the story of its training."""
    kind = request.table.kind
    contenders = classical_contenders(kind)
    if "dncnn-b" in request.methods:
        contenders += bundled_contenders(kind, choose_device(request.settings.device))
    card: dict[str, Any] = {}
    if {"g2g", "first-estimate", "oracle"} & set(request.methods):
        try:
            learned = job.train(learned_from.train, request.settings)
        except CheckpointError:  # says itself what can be done
            raise
        except CoreError as error:  # the other rows are worth having without it
            job.note(f"G2G could not be trained: {error}", warning=True)
            label = f"G2G {request.settings.preset}, result"
            contenders.append(Contender("g2g", label, str(error), None))
        else:
            left = flat_residual(learned.denoiser, request.settings.seed)
            told = {"flat_residual": left, "core_seconds": job.core_seconds}
            card = {**learned.denoiser.card, **told}
            contenders += g2g_contenders(learned)
    return [c for c in contenders if c.method in request.methods], card


class _Job(PartOfRun):
    """The whole evaluation: keeps the time after the training in the training's plan.

    `tested_on` is how many pixels all methods will be tried on.
    """

    def __init__(self, whole: Run, tested_on: int, checkpoint: Checkpoint = NO_CHECKPOINT) -> None:
        super().__init__(whole, whole.emit)
        self._checkpoint = checkpoint
        self._tested_on, self._learned_from = tested_on, tested_on
        self.core_seconds = 0.0  # of training, over all threads; of an earlier process not

    def train(self, stacks: Sequence[Stack], settings: Settings) -> Learned:
        """Train as part of this job."""
        self._learned_from = sum(s.frame_count * int(np.prod(s.frame_shape)) for s in stacks)
        before = time.process_time()
        learned = train(stacks, settings, run=self, checkpoint=self._checkpoint)
        self.core_seconds = time.process_time() - before
        return learned

    def plan(self, seconds: Mapping[Stage, float]) -> None:
        """State how long the stages take, and say it: paper mode takes weeks on a processor."""
        training: dict[Stage, float] = dict(seconds)
        denoising = training.pop(Stage.DENOISE, 0.0)  # the training images, which nobody wants
        later = ALL_ROWS * denoising * self._tested_on / self._learned_from
        expected = f"about {duration(sum(training.values()))}"
        self.note(f"Training takes {expected} here, evaluating about {duration(later)}.")
        super().plan({**training, Stage.EVALUATE: later})
