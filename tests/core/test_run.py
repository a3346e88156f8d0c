"""The line between a computation and whoever watches it."""

from __future__ import annotations

import threading

import pytest

from training_core import run as module
from training_core.run import Cancelled, Note, Run, ShownRegion, Stage, StageFinished, StepsDone


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


@pytest.fixture
def watched():
    events = []
    return Run(events.append), events


def last_seconds(events):
    return next(e for e in reversed(events) if isinstance(e, StepsDone)).seconds_left


def test_a_cancel_from_another_thread_raises_at_the_next_check():
    run = Run()
    run.check()
    thread = threading.Thread(target=run.cancel)
    thread.start()
    thread.join()
    with pytest.raises(Cancelled):
        run.check()
    with pytest.raises(Cancelled):
        run.start(Stage.ROUNDS, 3)


def test_stop_and_keep_is_a_wish_and_no_cancel():
    run = Run()
    assert not run.finish_early
    run.stop_and_keep()
    run.check()
    assert run.finish_early


def test_ticks_come_at_most_ten_times_a_second(clock):
    run = Run()
    due = 0
    for _ in range(1000):
        clock.now += 0.001
        due += run.tick_due()
    assert 9 <= due <= 11


def test_previews_are_due_only_for_somebody_and_once_a_second(clock):
    run = Run()
    assert not run.preview_due()
    run.watch(ShownRegion(0, 0, 0, 8, 8))
    assert [run.preview_due(), run.preview_due()] == [True, False]
    clock.now += 1.01
    assert run.preview_due()
    run.watch(None)
    clock.now += 5
    assert not run.preview_due()


def test_a_new_stage_reports_at_once(clock):
    run = Run()
    assert run.tick_due()
    assert not run.tick_due()
    run.start(Stage.ROUNDS, 5)
    assert run.tick_due()


def test_time_left_adds_the_stages_to_come(clock, watched):
    run, events = watched
    run.plan({Stage.NOISE_MODEL: 10.0, Stage.ROUNDS: 50.0, Stage.DENOISE: 5.0})
    run.start(Stage.NOISE_MODEL, 100)
    clock.now += 10  # twice as slow as planned
    run.progress(Stage.NOISE_MODEL, 50, 100)
    assert last_seconds(events) == pytest.approx(10 + 2 * 55)


def test_the_pace_of_finished_stages_corrects_the_plan(clock, watched):
    run, events = watched
    run.plan({Stage.NOISE_MODEL: 10.0, Stage.ROUNDS: 50.0})
    run.start(Stage.NOISE_MODEL, 1)
    clock.now += 30
    run.finish(Stage.NOISE_MODEL)
    assert events[-1] == StageFinished(Stage.NOISE_MODEL, 30.0)
    run.start(Stage.ROUNDS, 100)
    clock.now += 15
    run.progress(Stage.ROUNDS, 10, 100)
    assert last_seconds(events) == pytest.approx(135)


def test_a_slow_first_step_does_not_frighten(clock, watched):
    run, events = watched
    run.plan({Stage.ROUNDS: 100.0})
    run.start(Stage.ROUNDS, 1000)
    clock.now += 10  # preparations: by its own pace the stage would take 10 000 s
    run.progress(Stage.ROUNDS, 1, 1000)
    assert 90 <= last_seconds(events) < 200


def test_a_stage_begun_again_goes_on_where_it_was(clock, watched):
    run, events = watched
    run.start(Stage.ROUNDS, 4, "round 1 of 2")
    clock.now += 20
    run.start(Stage.ROUNDS, 4, "round 2 of 2")
    clock.now += 20
    run.finish(Stage.ROUNDS)
    assert events[-1] == StageFinished(Stage.ROUNDS, 40.0)


def test_what_was_done_before_an_interruption_takes_no_time(clock, watched):
    run, events = watched
    run.plan({Stage.NOISE_MODEL: 10.0, Stage.ROUNDS: 50.0, Stage.DENOISE: 5.0})
    run.start(Stage.ROUNDS, 100, done=60)
    clock.now += 10
    run.progress(Stage.ROUNDS, 70, 100)
    assert last_seconds(events) == pytest.approx(30 + 5 * 40 / 20)
    clock.now += 30
    run.progress(Stage.ROUNDS, 100, 100)
    assert last_seconds(events) == pytest.approx(5 * 40 / 20)


def test_a_stage_that_never_began_is_not_counted(clock, watched):
    run, events = watched
    run.plan({Stage.ROUNDS: 50.0, Stage.DENOISE: 5.0})
    run.finish(Stage.ROUNDS)
    assert events[-1] == StageFinished(Stage.ROUNDS, 0.0)
    run.start(Stage.DENOISE, 10)
    clock.now += 2
    run.progress(Stage.DENOISE, 2, 10)
    assert last_seconds(events) == pytest.approx(8)


def test_a_stage_that_needs_less_than_planned_leaves_less_time(clock, watched):
    run, events = watched
    run.plan({Stage.NOISE_MODEL: 10.0, Stage.ROUNDS: 50.0})
    run.shorten(Stage.ROUNDS, 0.2)
    run.shorten(Stage.DENOISE, 0.2)  # nobody planned it
    run.start(Stage.NOISE_MODEL, 10)
    clock.now += 5.0
    run.progress(Stage.NOISE_MODEL, 5, 10)
    assert events[-1].seconds_left == pytest.approx(5.0 + 10.0)


def test_without_a_plan_the_time_left_is_that_of_the_stage(clock, watched):
    run, events = watched
    run.start(Stage.DENOISE, 4)
    run.progress(Stage.DENOISE, 0, 4)
    assert last_seconds(events) is None
    clock.now += 3
    run.progress(Stage.DENOISE, 1, 4)
    assert last_seconds(events) == pytest.approx(9)


def test_a_note_says_whether_it_warns(watched):
    run, events = watched
    run.note("All is well.")
    run.note("Not as asked.", warning=True)
    assert events == [Note("All is well."), Note("Not as asked.", warning=True)]
