from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from g2g_desktop.jobs.job import Job
from g2g_desktop.jobs.latest_job import LatestJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from training_core.run import Run


class Asked:
    """Collects what a `LatestJob` answers, and holds the answers back until told."""

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.failures: list[Exception] = []
        self.may_answer = threading.Event()
        self.asked = 0
        self.latest = LatestJob(self.answers.append, self.failures.append)

    def question(self, answer: object) -> Callable[[Run], object]:
        def work(_run: Run) -> object:
            self.asked += 1
            self.may_answer.wait(5)
            return answer

        return work


@pytest.fixture
def asked(qtbot: QtBot) -> Asked:
    return Asked()


def finish(asked: Asked, qtbot: QtBot) -> None:
    asked.may_answer.set()
    qtbot.waitUntil(lambda: not Job.any_running())


def test_only_the_latest_answer_arrives(asked: Asked, qtbot: QtBot) -> None:
    for answer in (1, 2, 3):
        asked.latest.start(asked.question(answer), answer)
    finish(asked, qtbot)
    assert asked.answers == [3]


def test_the_same_question_is_asked_once(asked: Asked, qtbot: QtBot) -> None:
    asked.latest.start(asked.question(1), "same")
    asked.latest.start(asked.question(2), "same")
    finish(asked, qtbot)
    assert (asked.answers, asked.asked) == ([1], 1)


def test_after_a_cancel_the_same_may_be_asked_again(asked: Asked, qtbot: QtBot) -> None:
    asked.latest.start(asked.question(1), "same")
    asked.latest.cancel()
    asked.latest.start(asked.question(2), "same")
    finish(asked, qtbot)
    assert asked.answers == [2]


def test_a_failure_is_told(asked: Asked, qtbot: QtBot) -> None:
    error = ValueError("no")

    def work(_run: Run) -> None:
        raise error

    asked.latest.start(work)
    finish(asked, qtbot)
    assert asked.failures == [error]


def test_however_fast_one_asks_one_question_is_computed_at_a_time(
    asked: Asked, qtbot: QtBot
) -> None:
    for answer in range(40):
        asked.latest.start(asked.question(answer), answer)
    assert len(Job._alive) == 1
    finish(asked, qtbot)
    assert asked.answers == [39]
    assert asked.asked <= 2  # the first, and the last that waited for it


def test_at_the_end_nothing_that_waits_begins(
    asked: Asked, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("g2g_desktop.jobs.job.OTHERS_SECONDS", 0.1)
    for answer in (1, 2):
        asked.latest.start(asked.question(answer), answer)
    qtbot.waitUntil(lambda: asked.asked == 1)
    began = time.monotonic()
    Job.end_all()
    assert time.monotonic() - began < 1.0
    finish(asked, qtbot)
    assert (asked.answers, asked.asked) == ([], 1)
