"""The workers of a scheduler: reaching them, giving them work, hearing of it, ending it."""

from __future__ import annotations

import logging
import math
import os
import pickle
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, Future, Nanny, Scheduler, SpecCluster, as_completed, get_worker
from distributed.core import Status
from distributed.scheduler import KilledWorker

from training_core.errors import ClusterError, ShortageError, UsageError
from training_core.resources import program
from training_core.run import Cancelled, Event, Run, StepsDone

WAIT_S = 30.0  # for the first worker
LEAVE_S = 60.0  # for workers that save what they have done
LOOK_S = 0.01  # how often it is asked whether all is still wanted, and something is finished
ASK_S = 0.2  # how often workers are asked whether they have ended
TELL_S = 1.0  # how often a worker says how far it is
RETRIES = 2  # after what may pass, such as a disk that does not answer
LOST = "The scheduler was lost, and with it the workers; start the command again, with --resume"
QUIET: dict[str, Any] = {
    "distributed.admin.large-graph-warning-threshold": "1GB",  # tiles are large
    "distributed.comm.timeouts.connect": f"{WAIT_S:.0f}s",
    # What dask watches itself with takes a tenth of the time, for pages that nobody looks at.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.cycle": "10s",
}


class Workers:
    """Those that a scheduler has, for one command; they work on one thing at a time each."""

    def __init__(self, client: Client, run: Run) -> None:
        self.client, self.run = client, run
        self.topic = f"g2g-{uuid4().hex}"
        self._heard: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        client.subscribe_topic(self.topic, lambda event: self._heard.put(tuple(event[1])))

    @property
    def count(self) -> int:
        """How many there are now; they may come and go."""
        return len(self.client.scheduler_info()["workers"])

    def submit(
        self, number: int, work: Callable[..., Any], *given: Any, first: bool = False
    ) -> Future[Any]:
        """Let one of them call `work` with what is given and the number and topic of its news.

        What is to be done `first` waits for none that is not begun.
        """
        key = f"{self.topic}-{number}"
        options: dict[str, Any] = {"key": key, "pure": False, "retries": RETRIES}
        options["priority"] = int(first)
        return self.client.submit(work, *given, number, self.topic, **options)

    def finished(
        self, futures: Iterable[Future[Any]], heard: Callable[[int, Event], None]
    ) -> Iterator[Future[Any]]:
        """Give futures when they are finished; `heard` takes the news of all until then.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        left = as_completed(futures, loop=self.client.loop)
        look = time.monotonic() + WAIT_S
        while not left.is_empty():
            self.run.check()
            if time.monotonic() > look:
                look = math.inf if not self.count else time.monotonic() + WAIT_S
                if look == math.inf:
                    self.run.note("All workers are lost; new ones are waited for.", warning=True)
            while not self._heard.empty():
                number, event = self._heard.get_nowait()
                heard(number, pickle.loads(event))
            if left.has_ready():
                yield from left.next_batch(block=False)
            else:
                time.sleep(LOOK_S)

    def result(self, future: Future[Any]) -> Any:
        """Give what a finished one gave, or raise what it raised.

        Raises
        ------
        ShortageError
            If all workers that tried were lost.
        ClusterError
            If the scheduler was.
        """
        try:
            return future.result()
        except KilledWorker as error:
            raise ShortageError(
                f"{error.allowed_failures + 1} workers were lost while they worked on it, perhaps "
                "for want of memory; see their logs."
            ) from error
        except CancelledError as error:
            raise ClusterError(f"{LOST}.") from error

    def leave(self, futures: Iterable[Future[Any]]) -> None:
        """Call off what is not finished, and wait until the workers have saved what they did."""
        left = [future for future in futures if not future.done()]
        if not left:
            return
        self.client.cancel(left, force=True)
        end = time.monotonic() + LEAVE_S
        while time.monotonic() < end:
            busy = self.client.run(_busy, self.topic, on_error="ignore")
            if not any(busy.values()):
                break
            time.sleep(ASK_S)


def _busy(topic: str, dask_worker: Any = None) -> bool:
    return any(str(task.key).startswith(topic) for task in dask_worker.state.all_running_tasks)


class WorkerRun(Run):
    """A run on a worker: it is called off from afar, and tells there how far it is."""

    def __init__(self, number: int, topic: str) -> None:
        super().__init__(self._tell)
        self._worker, self._number, self._topic = get_worker(), number, topic
        self._key, self._told = self._worker.get_current_task(), 0.0

    def check(self) -> None:
        """Raise `Cancelled` if nobody waits for the task any more, or the worker is to end."""
        task = self._worker.state.tasks.get(self._key)
        ends = self._worker.status in (Status.closing, Status.closed, Status.failed)
        if ends or task is None or task.state == "cancelled":
            raise Cancelled

    def _tell(self, event: Event) -> None:
        if isinstance(event, StepsDone) and event.done < event.total:
            if time.monotonic() < self._told + TELL_S:
                return
            self._told = time.monotonic()
        self._worker.log_event(self._topic, (self._number, pickle.dumps(event)))


@contextmanager
def connected(scheduler: str, run: Run) -> Iterator[Workers]:
    """Reach the workers of a scheduler by its address, or start some here ("local:4").

    Raises
    ------
    UsageError
        If that is neither.
    ClusterError
        If nobody answers, or workers have another release of this program, or several threads.
    """
    here = re.fullmatch(r"local:(\d{1,3})", scheduler)
    if not (int(here[1]) if here else re.fullmatch(r"\w+://.+|[\w.-]+:\d+", scheduler)):
        raise UsageError(
            f"--scheduler is {scheduler!r}; give an address such as tcp://10.0.0.1:8786, or "
            "local:4 for four workers on this computer."
        )
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # our sentences tell it
    with dask.config.set(QUIET):
        cluster = _started(int(here[1])) if here else None
        try:
            with _client(cluster or scheduler) as client:
                _check(client, scheduler)
                yield Workers(client, run)
        finally:
            if cluster:
                cluster.close()


def _client(of: SpecCluster | str) -> Client:
    try:
        return Client(of)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"No scheduler answers at {of}; start one there with: dask scheduler."
        ) from error


def _started(count: int) -> SpecCluster:
    """Start workers on this computer, which share its cores, and its graphics cards in turn."""
    import torch

    cards, cores = torch.cuda.device_count(), os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // count))
    own = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, "dashboard": False}
    workers = {}
    for number in range(count):
        env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if cards > 1:
            env["CUDA_VISIBLE_DEVICES"] = str(number % cards)
        workers[number] = {"cls": Nanny, "options": own | {"env": env}}
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    return SpecCluster(
        workers=workers,
        scheduler={"cls": Scheduler, "options": scheduler},
        silence_logs=logging.CRITICAL,
    )


def _check(client: Client, scheduler: str) -> None:
    """Refuse workers with which the result would be another, or none."""
    try:
        client.wait_for_workers(1, timeout=WAIT_S)
    except TimeoutError as error:
        raise ClusterError(
            f"The scheduler {scheduler} has no workers; start them with: dask worker {scheduler} "
            "--nthreads 1 --memory-limit 0."
        ) from error
    for address, worker in client.scheduler_info()["workers"].items():
        if worker["nthreads"] > 1:
            raise ClusterError(
                f"The worker {address} takes {worker['nthreads']} tasks at once, which would share "
                "one device; start workers with --nthreads 1."
            )
    for address, found in client.run(_programs).items():
        if found != _programs():
            raise ClusterError(
                f"The worker {address} has {found} and this computer {_programs()}; install the "
                "same, so that the pixels are the same."
            )


def _programs() -> str:
    from importlib.metadata import version

    return f"{program()}, torch {version('torch')}"
