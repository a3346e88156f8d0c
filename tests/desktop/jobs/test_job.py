from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QThread

from g2g_desktop.jobs.job import NICENESS, Job
from training_core.errors import InputError
from training_core.run import Note, Run

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def wait_for_cancel(run: Run) -> None:
    while True:
        run.check()
        time.sleep(0.002)


def ended(job: Job, qtbot: QtBot) -> list[str]:
    """Run a job to its end and name the signals in their order."""
    heard: list[str] = []
    for name in ("happened", "succeeded", "cancelled", "failed", "finished"):
        getattr(job, name).connect(lambda *_, name=name: heard.append(name))
    with qtbot.waitSignal(job.finished):
        job.start()
    return heard


def test_success_gives_the_events_the_result_and_the_end(qtbot: QtBot) -> None:
    def work(run: Run) -> int:
        run.note("one")
        run.note("two")
        return 42

    job = Job(work)
    results: list[object] = []
    job.succeeded.connect(results.append)
    assert ended(job, qtbot) == ["happened", "happened", "succeeded", "finished"]
    assert results == [42]
    assert not job.is_running


def test_failure_gives_the_exception_itself(qtbot: QtBot) -> None:
    error = InputError("No.")

    def work(_run: Run) -> None:
        raise error

    job = Job(work)
    heard: list[object] = []
    job.failed.connect(heard.append)
    assert ended(job, qtbot) == ["failed", "finished"]
    assert heard == [error]


def test_cancel_ends_a_long_computation(qtbot: QtBot) -> None:
    job = Job(wait_for_cancel)
    with qtbot.waitSignals([job.cancelled, job.finished], order="strict"):
        job.start()
        job.cancel()


def test_events_and_result_after_cancel_are_dropped(qtbot: QtBot) -> None:
    asked = threading.Event()

    def work(run: Run) -> str:
        asked.wait(5)
        run.emit(Note("too late"))
        return "too late as well"

    job = Job(work)
    heard: list[str] = []
    for name in ("happened", "succeeded", "cancelled", "finished"):
        getattr(job, name).connect(lambda *_, name=name: heard.append(name))
    with qtbot.waitSignal(job.finished):
        job.start()
        job.cancel()
        asked.set()
    assert heard == ["cancelled", "finished"]


def test_a_result_on_disk_counts_though_cancel_came_first(qtbot: QtBot) -> None:
    asked = threading.Event()
    job = Job(lambda _run: asked.wait(5), keep_late_result=True)
    with qtbot.waitSignals([job.succeeded, job.finished], order="strict"):
        job.start()
        job.cancel()
        asked.set()


def test_failure_after_cancel_is_a_cancel(qtbot: QtBot) -> None:
    asked = threading.Event()

    def work(_run: Run) -> None:
        asked.wait(5)
        raise InputError("The file went away.")

    job = Job(work)
    with qtbot.waitSignals([job.cancelled, job.finished], order="strict"):
        job.start()
        job.cancel()
        asked.set()


def test_work_and_signals_are_each_in_their_own_thread(qtbot: QtBot) -> None:
    threads: dict[str, object] = {}

    def work(run: Run) -> None:
        threads["work"] = threading.get_ident()
        run.note("where am I?")

    job = Job(work)
    job.happened.connect(lambda _: threads.setdefault("event", QThread.currentThread()))
    ended(job, qtbot)
    assert threads["work"] != threading.get_ident()
    assert threads["event"] is job.thread()


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux")
def test_the_worker_yields_to_the_window(qtbot: QtBot) -> None:
    import os

    nice: list[int] = []
    job = Job(lambda _: nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    before = os.getpriority(os.PRIO_PROCESS, 0)
    ended(job, qtbot)
    assert nice == [max(before, NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_job_nobody_holds_still_ends(qtbot: QtBot) -> None:
    done = threading.Event()
    heard: list[object] = []

    def start() -> None:
        job = Job(lambda _: done.wait(5))
        job.succeeded.connect(heard.append)
        job.start()

    start()
    import gc

    gc.collect()
    done.set()
    qtbot.waitUntil(lambda: heard == [True])
    qtbot.waitUntil(lambda: not Job.any_running())


def test_end_all_waits_for_every_thread(qtbot: QtBot) -> None:
    jobs = [Job(wait_for_cancel).start() for _ in range(3)]
    Job.end_all()
    assert all(job.wait(0) for job in jobs)
    qtbot.waitUntil(lambda: not any(job.is_running for job in jobs))
