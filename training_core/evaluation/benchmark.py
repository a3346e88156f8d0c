"""The published benchmarks, run again: every method on the same noisy images, in one go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint
from training_core.compute.device import choose_device, describe_device
from training_core.errors import CheckpointError, CoreError
from training_core.pipeline import train
from training_core.run import SILENT, Event, Run, Stage
from training_core.settings import Settings, preset
from training_core.stack import Values
from training_core.wording import duration

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
WATCH_SECONDS = 0.2


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
    job = _Job(run, sum(trial.values.size for trial in trials))
    contenders, card = _contenders(request, first, job, checkpoint)
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
    if "dncnn-b" in request.methods:
        contenders += bundled_contenders(kind, choose_device(request.settings.device))
    card: dict[str, Any] = {}
    if {"g2g", "first-estimate", "oracle"} & set(request.methods):
        try:
            job.learned_from = sum(stack.pixels.size for stack in learned_from.train)
            before = time.process_time()
            learned = train(learned_from.train, request.settings, run=job, checkpoint=checkpoint)
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


class PartOfRun(Run):
    """A part of another run, which alone is cancelled and finished early; silent by itself."""

    def __init__(self, whole: Run, on_event: Callable[[Event], None] = SILENT.emit) -> None:
        super().__init__(on_event)
        self._whole = whole

    @property
    def finish_early(self) -> bool:
        """Whether the whole run is to finish early."""
        return self._whole.finish_early

    def check(self) -> None:
        """Raise `Cancelled` if the whole run is cancelled."""
        self._whole.check()


class _Job(PartOfRun):
    """The whole evaluation: keeps the time after the training in the training's plan.

    `tested_on` and `learned_from` are how many pixels all methods are tried on and G2G learns from.
    """

    def __init__(self, whole: Run, tested_on: int) -> None:
        super().__init__(whole, whole.emit)
        self.tested_on = self.learned_from = tested_on

    def plan(self, seconds: Mapping[Stage, float]) -> None:
        """State how long the stages take, and say it: paper mode takes weeks on a processor."""
        training: dict[Stage, float] = dict(seconds)
        denoising = training.pop(Stage.DENOISE, 0.0)  # the training images, which nobody wants
        later = ALL_ROWS * denoising * self.tested_on / self.learned_from
        expected = f"about {duration(sum(training.values()))}"
        self.note(f"Training takes {expected} here, evaluating about {duration(later)}.")
        super().plan({**training, Stage.EVALUATE: later})


@dataclass(frozen=True, eq=False)
class _Tried:
    """What became of one trial: seconds and cells by the contender's number."""

    done: dict[int, tuple[float, list[Cell]]]
    example: Example | None


class Tryout:
    """The contenders on their way through the trials, and what came out of it.

    One that fails on an image has an empty row, since a mean over the others would not compare.

    Parameters
    ----------
    contenders, trials
        What to try on what.
    protocols
        By name; the trials of the first one are drawn as examples.
    """

    def __init__(
        self,
        contenders: Sequence[Contender],
        trials: Sequence[Contest],
        protocols: Mapping[str, Protocol],
    ) -> None:
        self.contenders, self.trials, self.protocols = contenders, trials, protocols
        drawn = [trial for trial in trials if next(iter(protocols)) in trial.references]
        places = np.unique(np.linspace(0, len(drawn) - 1, EXAMPLES).round().astype(int))
        self._drawn = [drawn[place] for place in places]
        self._tried: list[_Tried] = []
        self._failures: dict[int, str] = {}  # reasons by the contender's number
        self._steps: list[None] = []  # appended to by all threads, which a count would not survive

    def go_through(self, device: torch.device, run: Run) -> None:
        """Try all; on a processor several images at once, since most filters use one core.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        threads = torch.get_num_threads()
        workers = min(threads, MOST_AT_ONCE) if device.type == "cpu" else 1
        run.start(Stage.EVALUATE, len(self.contenders) * len(self.trials))
        torch.set_num_threads(max(1, threads // workers))
        pool = ThreadPoolExecutor(workers)
        try:
            futures = [pool.submit(self._try_all, trial, run) for trial in self.trials]
            self._watch(futures, run)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
        self._tried = [future.result() for future in futures]
        for number, reason in sorted(self._failures.items()):
            run.note(f"{self.contenders[number].label} has no row. {reason}", warning=True)
        run.finish(Stage.EVALUATE)

    def _watch(self, futures: Sequence[Future[_Tried]], run: Run) -> None:
        """Report from this thread, where events belong, until all is done or something fails."""
        working = True
        while working:
            done, waiting = wait(futures, WATCH_SECONDS, FIRST_EXCEPTION)
            run.check()
            for future in done:
                future.result()  # raises what was raised over there
            working = bool(waiting)
            total = len(self.contenders) * len(self.trials)
            run.progress(Stage.EVALUATE, len(self._steps), total)

    def _try_all(self, trial: Contest, run: Run) -> _Tried:
        made: dict[str, Values] = {}
        done: dict[int, tuple[float, list[Cell]]] = {}
        for number, contender in enumerate(self.contenders):
            run.check()
            started = time.monotonic()
            image = self._apply(number, trial, run)
            if image is not None:
                done[number] = time.monotonic() - started, self._cells(trial, image)
                if trial in self._drawn:
                    made[contender.label] = image
            self._steps.append(None)
        example = Example(trial.name, trial.references, made) if made else None
        return _Tried(done, example)

    def _apply(self, number: int, trial: Contest, run: Run) -> Values | None:
        """Give the denoised image; None where it cannot be made, or one before it could not be."""
        apply = self.contenders[number].apply
        if apply is None or number in self._failures:
            return None
        try:
            return apply(trial, PartOfRun(run))
        except (CoreError, ValueError) as error:
            self._failures[number] = f"It failed on {trial.name}: {error}"
            return None

    def _cells(self, trial: Contest, image: Values) -> list[Cell]:
        cells = []
        for name, clean in trial.references.items():
            score = self.protocols[name].score(image, clean)
            bias = measure_bias(trial.values, image, clean)
            cells.append(Cell(trial.name, name, score.psnr, score.ssim, bias))
        return cells

    def rows(self) -> list[Row]:
        """Give what was measured, a row for each contender."""
        rows = []
        for number, contender in enumerate(self.contenders):
            mine = [tried.done[number] for tried in self._tried if number in tried.done]
            if number in self._failures:
                contender, mine = replace(contender, how=self._failures[number]), []
            cells = [cell for _, cells in mine for cell in cells]
            seconds = sum(each for each, _ in mine) / max(len(mine), 1)
            rows.append(measured_row(contender, cells, seconds))
        return rows

    def examples(self) -> list[Example]:
        """Give a few images in full."""
        return [tried.example for tried in self._tried if tried.example is not None]


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
