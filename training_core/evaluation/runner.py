"""All contenders on all test images, several images at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from training_core.errors import CoreError
from training_core.evaluation.scores import measure_bias
from training_core.run import Event, Run, Stage

from .scores import Cell, Example, Row, measured_row

if TYPE_CHECKING:
    from training_core.stack import Values

    from .contenders import Contender, Contest
    from .protocols import Protocol

EXAMPLES = 3
MOST_AT_ONCE = 8  # images, for the memory they take
WATCH_SECONDS = 0.2


class PartOfRun(Run):
    """A part of another run, which alone is cancelled and finished early."""

    def __init__(self, whole: Run, on_event: Callable[[Event], None]) -> None:
        super().__init__(on_event)
        self._whole = whole

    @property
    def finish_early(self) -> bool:
        """Whether the whole run is to finish early."""
        return self._whole.finish_early

    def check(self) -> None:
        """Raise `Cancelled` if the whole run is cancelled."""
        self._whole.check()


def _unseen(event: Event) -> None:
    """Show nothing: the tryout says itself where it is."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """What became of one trial: cells and seconds by the contender's number, examples by label."""

    cells: dict[int, list[Cell]]
    seconds: dict[int, float]
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
        self.drawn = [drawn[place] for place in places]
        self.tried: list[_Tried] = []
        self._failures: dict[int, str] = {}  # reasons by the contender's number
        self._steps: list[str] = []  # appended to by all threads, which a count would not survive

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
        try:
            with ThreadPoolExecutor(workers) as pool:
                futures = [pool.submit(self._try_all, trial, run) for trial in self.trials]
                try:
                    self._watch(futures, run)
                finally:
                    pool.shutdown(wait=False, cancel_futures=True)
        finally:
            torch.set_num_threads(threads)
        self.tried = [future.result() for future in futures]
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
        cells: dict[int, list[Cell]] = {}
        seconds: dict[int, float] = {}
        for number, contender in enumerate(self.contenders):
            run.check()
            started = time.monotonic()
            image = self._apply(number, trial, run)
            if image is not None:
                seconds[number] = time.monotonic() - started
                cells[number] = self._cells(trial, image)
                if trial in self.drawn:
                    made[contender.label] = image
            self._steps.append(contender.label)
        example = Example(trial.name, dict(trial.references), made) if made else None
        return _Tried(cells, seconds, example)

    def _apply(self, number: int, trial: Contest, run: Run) -> Values | None:
        """Give the denoised image; None where it cannot be made, or one before it could not be."""
        apply = self.contenders[number].apply
        if apply is None or number in self._failures:
            return None
        try:
            return apply(trial, PartOfRun(run, _unseen))
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
            if number in self._failures:
                rows.append(measured_row(replace(contender, how=self._failures[number]), [], 0.0))
                continue
            cells = [cell for tried in self.tried for cell in tried.cells.get(number, [])]
            seconds = [tried.seconds.get(number, 0.0) for tried in self.tried]
            rows.append(measured_row(contender, cells, float(np.mean(seconds))))
        return rows

    def examples(self) -> list[Example]:
        """Give a few images in full."""
        return [tried.example for tried in self.tried if tried.example is not None]
