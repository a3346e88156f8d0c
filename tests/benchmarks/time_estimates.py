"""How near the time that is told of a job is to the time it takes, in core seconds.

Runs jobs one after another, from a machine of which nothing is known on, with the clock of the
process in place of the one on the wall, so that others on the machine do not count:

    OMP_NUM_THREADS=1 python tests/benchmarks/time_estimates.py IMAGE instant quick quick
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

from training_core import costs, run
from training_core.costs import Costs, Span, typical
from training_core.io.readers import open_stack
from training_core.pipeline import denoise_stack, expected_time
from training_core.run import Run, StepsDone
from training_core.settings import preset
from training_core.wording import between

SHARES = (0.1, 0.25, 0.5, 0.75)  # of the time of the job, at which the time left is looked at


def main() -> None:
    """Run the jobs and print what was said of each, and what work costs."""
    path, *names = sys.argv[1:]
    clock = SimpleNamespace(monotonic=time.process_time, time=time.time)
    costs.time = run.time = clock
    kept: dict[str, dict[str, tuple[float, float]]] = {}
    for name in names:
        kept = _job(path, name, kept)
    for kind, (amount, seconds) in next(iter(kept.values())).items():
        if not amount:
            continue
        usual = typical(kind)
        each = seconds / amount
        say(f"{kind:32s} {seconds:8.2f} s of {amount:8.3f} Mpx: {each:8.3f}, table {usual}")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _job(path: str, name: str, kept: dict[str, dict[str, tuple[float, float]]]) -> dict:
    stack, settings, told = open_stack(path), preset(name), []
    before = Costs()
    before.known = kept
    first = expected_time(stack, settings, before)
    began = time.process_time()

    def watch(event: object) -> None:
        if isinstance(event, StepsDone):
            told.append((time.process_time() - began, event.time_left))

    job = Run(watch)
    job.costs.known = kept
    denoise_stack(stack, settings, run=job)
    took = time.process_time() - began
    say(f"{name} took {took:.1f} s; before: {_said(first, took)}")
    number = next((at for at, left in told if left is not None), None)
    say(f"  a first number after {number or 0:.1f} s")
    for share in SHARES:
        at, left = min(told, key=lambda one: abs(one[0] - share * took))
        say(f"  after {at:5.1f} s: {_said(left, took - at)}")
    return job.costs.measured


def _said(span: Span | None, took: float) -> str:
    if span is None:
        return "measuring"
    took, most = max(took, 0.1), max(span.most, 0.1)
    off = max(span.least / took, took / most, 1.0)
    return f"{between(span.least, span.most)} left, true {took:.1f} s, outside by {off:.2f}"


if __name__ == "__main__":
    main()
