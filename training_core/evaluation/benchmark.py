"""The published benchmarks, run again: every method on the same noisy images, in one go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint
from training_core.compute.device import choose_device, describe_device
from training_core.costs import Amounts, total
from training_core.errors import CheckpointError, CoreError
from training_core.pipeline import train
from training_core.run import SILENT, PartOfRun, Run, Stage
from training_core.settings import Settings, preset
from training_core.stack import Values
from training_core.wording import MEASURING, between

from .contenders import (
    METHODS,
    Contender,
    Contest,
    bundled_contenders,
    classical_contenders,
    g2g_contenders,
)
from .datasets import EvaluationSet, load_table
from .protocols import Protocol
from .published_tables import Kind, Table
from .scores import Cell, Example, Mean, Report, Row, flat_residual, known_rows, measure_bias

ALL_ROWS = 4.0  # all methods together take about so many times as long as the final result alone
EXAMPLES = 3
MOST_AT_ONCE = 8  # images, for the memory they take


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be evaluated."""

    table: Table  # the benchmark set and its known figures
    data: Path  # the folder of the benchmark sets
    settings: Settings  # how G2G is trained
    protocols: tuple[str, ...] = ("published", "sane")  # "published", "sane" or both
    methods: tuple[str, ...] = METHODS  # those of `METHODS` that are wanted
    # At most so many test images, spread evenly over the set; None for all
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

    G2G is trained once, on the noisy training images; the clean ones are only scored against. An
    interrupted training is kept in `checkpoint` and gone on with.

    Raises
    ------
    InputError
        If the set cannot be made from the files at hand.
    CheckpointError
        If the checkpoint keeps another training.
    """
    started = time.monotonic()
    sets = {
        name: load_table(request.table, request.data, name, seed=request.settings.seed)
        for name in request.protocols
    }
    first = next(iter(sets.values()))
    trials = choose_trials(sets, request)
    job = _Job(run, sum(trial.values.size for trial in trials))
    contenders, card = _contenders(request, first, job, checkpoint)
    device = choose_device(request.settings.device)
    protocols = {name: found.protocol for name, found in sets.items()}
    rows, examples = try_out(contenders, trials, protocols, device, job)
    return Report(
        table=request.table,
        protocols=tuple(protocols.values()),
        rows=(*rows, *known_rows(request.table, request.protocols)),
        images=tuple(trial.name for trial in trials if first.protocol.name in trial.references),
        available=len(first.tests),
        notes=tuple(dict.fromkeys(s.note for s in sets.values())),
        settings=request.settings,
        card=card,
        device=describe_device(device),
        seconds=time.monotonic() - started,
        examples=tuple(examples),
    )


def choose_trials(sets: Mapping[str, EvaluationSet], request: Request) -> list[Contest]:
    """Give the test images to run; one that is the same in two protocols is run once."""
    trials: list[Contest] = []
    # The pictures of BSD68 have other names in colour, but sorted by name they are in one order.
    tests = {p: sorted(found.tests, key=lambda test: test.name) for p, found in sets.items()}
    count = min(map(len, tests.values()))
    wanted = min(request.limit or count, count)
    for index in np.linspace(0, count - 1, wanted).round().astype(int):
        here: dict[bytes, Contest] = {}
        for protocol, found in tests.items():
            test = found[index]
            noisy = test.noisy.with_pixels(np.asarray(test.noisy.pixels, np.float32))
            trial = Contest(test.name, noisy, {}, request.table.kind)
            here.setdefault(noisy.pixels.tobytes(), trial).references[protocol] = test.clean
        trials += here.values()
    return trials


def _contenders(
    request: Request, learned_from: EvaluationSet, job: _Job, checkpoint: Checkpoint
) -> tuple[list[Contender], dict[str, Any]]:
    """Give the methods to try, G2G trained, and the story of its training."""
    kind = request.table.kind
    contenders = classical_contenders(kind)
    if {"dncnn-b", "instant"} & set(request.methods):
        contenders += bundled_contenders(
            kind, choose_device(request.settings.device), request.settings
        )
    card: dict[str, Any] = {}
    if {"g2g", "first-estimate", "oracle"} & set(request.methods):
        try:
            stacks = learned_from.learn()
            job.learned_from = sum(stack.pixels.size for stack in stacks)
            before = time.process_time()
            learned = train(stacks, request.settings, run=job, checkpoint=checkpoint)
            core_seconds = time.process_time() - before  # over all threads
        except CheckpointError:  # says itself what can be done
            raise
        except CoreError as error:  # the other rows are worth having without it
            job.note(f"G2G could not be trained: {error}", warning=True)
            label = f"G2G {request.settings.preset}, result"
            contenders.append(Contender("g2g", label, str(error), None))
        else:
            left = flat_residual(learned.denoiser, request.settings.seed)
            told = {"flat_residual": left, "core_seconds": core_seconds}
            card = {**learned.denoiser.card, **told}
            contenders += g2g_contenders(learned)
    return [c for c in contenders if c.method in request.methods], card


class _Job(PartOfRun):
    """The whole evaluation: keeps the time after the training in the training's plan.

    `tested_on` and `learned_from` are how many pixels all methods are tried on and G2G learns from.
    """

    def __init__(self, whole: Run, tested_on: int) -> None:
        super().__init__(whole, whole.emit)
        self.costs = whole.costs
        self.tested_on = self.learned_from = tested_on

    def plan(self, machine: str, work: Mapping[Stage, Amounts]) -> None:
        """State how much work the stages are, and say it: paper mode takes weeks on a processor."""
        training = dict(work)
        denoising = training.pop(Stage.DENOISE, {})  # the training images, which nobody wants
        rows = ALL_ROWS * self.tested_on / self.learned_from
        later = {kind: (rows * least, rows * most) for kind, (least, most) in denoising.items()}
        super().plan(machine, {**training, Stage.EVALUATE: later})
        learning, trying = self.costs.span(total(training.values())), self.costs.span(later)
        if not (learning and trying):
            self.note(f"Time of training and evaluating: {MEASURING}.")
            return
        self.note(
            f"Training takes {between(learning.least, learning.most)} here, evaluating "
            f"{between(trying.least, trying.most)}."
        )


@dataclass(frozen=True, eq=False)
class _Tried:
    """What became of a contender on a trial; its image where that is drawn."""

    seconds: float
    cells: list[Cell]
    image: Values | None


def try_out(
    contenders: Sequence[Contender],
    trials: Sequence[Contest],
    protocols: Mapping[str, Protocol],
    device: torch.device,
    run: Run = SILENT,
) -> tuple[list[Row], list[Example]]:
    """Try all contenders on all trials; give a row for each, and a few images in full.

    A row is empty where the contender fails on an image, since a mean over the others would not
    compare. The images are trials of the first of the `protocols` (by name), spread over the set.
    """
    seen = [trial for trial in trials if next(iter(protocols)) in trial.references]
    places = np.unique(np.linspace(0, len(seen) - 1, EXAMPLES).round().astype(int))
    drawn = [seen[place] for place in places]
    failures: dict[int, str] = {}  # reasons by the contender's number

    def attempt(number: int, trial: Contest) -> _Tried | None:
        run.check()
        apply = contenders[number].apply
        if apply is None or number in failures:
            return None
        started = time.monotonic()
        try:
            image = apply(trial, PartOfRun(run))
        except (CoreError, ValueError) as error:
            failures[number] = f"It failed on {trial.name}: {error}"
            return None
        seconds = time.monotonic() - started
        cells = list(_scored(trial, image, protocols))
        return _Tried(seconds, cells, image if trial in drawn else None)

    pairs = [(number, trial) for trial in trials for number in range(len(contenders))]
    run.start(Stage.EVALUATE, len(pairs))
    tried = dict(zip(pairs, _all_of(attempt, pairs, device, run), strict=True))
    rows = []
    for number, contender in enumerate(contenders):
        made = [one for trial in trials if (one := tried[number, trial])]
        if number in failures:
            run.note(f"{contender.label} has no row. {failures[number]}", warning=True)
            contender, made = replace(contender, how=failures[number]), []
        seconds = sum(one.seconds for one in made) / max(len(made), 1)
        rows.append(measured_row(contender, [cell for one in made for cell in one.cells], seconds))
    run.finish(Stage.EVALUATE)
    examples = []
    for trial in drawn:
        found = ((contender.label, tried[n, trial]) for n, contender in enumerate(contenders))
        images = {label: one.image for label, one in found if one and one.image is not None}
        if images:
            examples.append(Example(trial.name, trial.references, images))
    return rows, examples


def _all_of(
    attempt: Callable[[int, Contest], _Tried | None],
    pairs: Sequence[tuple[int, Contest]],
    device: torch.device,
    run: Run,
) -> list[_Tried | None]:
    """Attempt all, on a processor several at once, since most filters use one core."""
    threads = torch.get_num_threads()
    workers = min(threads, MOST_AT_ONCE) if device.type == "cpu" else 1
    torch.set_num_threads(max(1, threads // workers))
    pool = ThreadPoolExecutor(workers)
    try:
        futures = [pool.submit(attempt, *pair) for pair in pairs]
        for done, future in enumerate(as_completed(futures), 1):
            run.check()
            future.result()  # raises what was raised over there
            run.progress(Stage.EVALUATE, done, len(pairs))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    return [future.result() for future in futures]


def _scored(trial: Contest, image: Values, protocols: Mapping[str, Protocol]) -> Iterator[Cell]:
    for name, clean in trial.references.items():
        score = protocols[name].score(image, clean)
        bias = measure_bias(trial.values, image, clean)
        yield Cell(trial.name, name, score.psnr, score.ssim, bias)


def measured_row(contender: Contender, cells: Sequence[Cell], seconds: float) -> Row:
    """Give the row of a contender that has been through all images, or could not be tried."""
    protocols = dict.fromkeys(cell.protocol for cell in cells)
    return Row(
        contender.method,
        contender.label,
        "measured",
        contender.how,
        {name: Mean.of([c for c in cells if c.protocol == name]) for name in protocols},
        tuple(cells),
        contender.sees_reference,
        seconds if cells else None,
        contender.competes,
    )
