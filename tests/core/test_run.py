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


def last_span(events):
    left = next(e for e in reversed(events) if isinstance(e, StepsDone)).time_left
    return left.least, left.most


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


def test_pictures_are_made_for_somebody_and_not_too_often(clock):
    events, made = [], []
    run = Run(events.append)

    def picture(takes=0.0, gives="picture"):
        def make():
            made.append(clock.now)
            clock.now += takes
            return gives

        return make

    run.show(picture(), 1.0)
    assert not made
    run.watch(ShownRegion(0, 0, 0, 8, 8))
    run.show(picture(), 1.0)
    run.show(picture(), 1.0)
    run.show(picture(gives="noise"), 0.5)  # of another kind
    assert events == ["picture", "noise"]
    clock.now += 1.01
    run.show(picture(takes=0.3), 1.0)
    clock.now += 2.5  # what took .3 s is shown every 3 s
    run.show(picture(), 1.0)
    assert len(events) == 3
    clock.now += 0.5
    run.show(picture(gives=None), 1.0)
    assert (len(events), len(made)) == (3, 4)
    run.watch(None)
    clock.now += 5
    run.show(picture(), 1.0)
    assert len(made) == 4


def test_a_pause_waits_in_the_next_check_and_is_not_counted_as_work():
    run = Run()
    run.costs.begin("here")
    run.pause()
    ended = []

    def work():
        run.check()
        run.did("pass", 1.0)
        ended.append(run.costs.measured["here"]["pass"][1])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.2)
    assert not ended
    run.go_on()
    thread.join(5)
    assert ended[0] < 0.1


@pytest.mark.parametrize("ask", ["cancel", "stop_and_keep"])
def test_what_is_paused_can_be_ended(ask):
    run = Run()
    run.pause()
    getattr(run, ask)()
    if ask == "cancel":
        with pytest.raises(Cancelled):
            run.check()
    else:
        run.check()
        assert run.finish_early


def test_a_new_stage_reports_at_once(clock):
    run = Run()
    assert run.tick_due()
    assert not run.tick_due()
    run.start(Stage.ROUNDS, 5)
    assert run.tick_due()


def known(run, **seconds):
    """Let a run know what a megapixel of each kind of work costs."""
    run.costs.known = {"here": {kind: (100.0, 100.0 * each) for kind, each in seconds.items()}}


def all_of(**amounts):
    return {kind: (amount, amount) for kind, amount in amounts.items()}


def test_time_left_adds_the_stages_to_come(clock, watched):
    run, events = watched
    known(run, game=1.0, pairs=2.0, last=4.0)
    run.plan("here", {Stage.NOISE_MODEL: all_of(game=10.0), Stage.ROUNDS: all_of(pairs=25.0)})
    run.start(Stage.NOISE_MODEL, 100)
    run.progress(Stage.NOISE_MODEL, 0, 100)
    assert last_span(events) == pytest.approx((60.0, 60.0))
    for _ in range(5):
        clock.now += 1.0
        run.did("game", 1.0)
    run.progress(Stage.NOISE_MODEL, 50, 100)
    assert last_span(events) == pytest.approx((55.0, 55.0))


def test_work_that_is_slower_than_it_was_slows_what_is_to_come(clock, watched):
    run, events = watched
    known(run, game=1.0, pairs=1.0)
    run.plan("here", {Stage.NOISE_MODEL: all_of(game=30.0), Stage.ROUNDS: all_of(pairs=50.0)})
    run.start(Stage.NOISE_MODEL, 1)
    clock.now += 60
    run.did("game", 30.0)
    run.finish(Stage.NOISE_MODEL)
    assert events[-1] == StageFinished(Stage.NOISE_MODEL, 60.0)
    run.start(Stage.ROUNDS, 100)
    run.progress(Stage.ROUNDS, 0, 100)
    assert last_span(events) == pytest.approx((100.0, 100.0), rel=0.05)


def test_a_slow_first_step_does_not_frighten(clock, watched):
    run, events = watched
    known(run, pairs=0.1)
    run.plan("here", {Stage.ROUNDS: all_of(pairs=1000.0)})
    run.start(Stage.ROUNDS, 1000)
    clock.now += 1.0  # by its own pace the stage would take 1 000 s
    run.did("pairs", 1.0)
    run.progress(Stage.ROUNDS, 1, 1000)
    assert 90 < last_span(events)[1] < 350


def test_what_may_be_left_out_is_a_range_until_it_is(clock, watched):
    run, events = watched
    known(run, pairs=1.0, last=1.0)
    plan = {Stage.ROUNDS: {"pairs": (10.0, 50.0)}, Stage.DENOISE: all_of(last=5.0)}
    run.plan("here", plan)
    run.start(Stage.ROUNDS, 50)
    run.progress(Stage.ROUNDS, 0, 50)
    assert last_span(events) == pytest.approx((15.0, 55.0))
    clock.now += 20.0
    run.did("pairs", 20.0)
    run.progress(Stage.ROUNDS, 20, 50)
    assert last_span(events) == pytest.approx((5.0, 35.0))
    run.expect("pairs", 25.0)
    run.progress(Stage.ROUNDS, 20, 50)
    assert last_span(events) == pytest.approx((30.0, 35.0))
    run.finish(Stage.ROUNDS)
    run.start(Stage.DENOISE, 1)
    run.progress(Stage.DENOISE, 0, 1)
    assert last_span(events) == pytest.approx((5.0, 5.0))


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
    known(run, game=1.0, pairs=1.0, last=1.0)
    run.plan(
        "here",
        {
            Stage.NOISE_MODEL: all_of(game=10.0),
            Stage.ROUNDS: all_of(pairs=50.0),
            Stage.DENOISE: all_of(last=5.0),
        },
    )
    run.start(Stage.ROUNDS, 100, done=60)
    run.progress(Stage.ROUNDS, 60, 100)
    assert last_span(events) == pytest.approx((25.0, 25.0))


def test_a_stage_that_never_began_took_no_time(watched):
    run, events = watched
    run.finish(Stage.ROUNDS)
    assert events[-1] == StageFinished(Stage.ROUNDS, 0.0)


def test_a_stage_that_needs_less_than_planned_leaves_less_time(watched):
    run, events = watched
    known(run, game=1.0, pairs=1.0)
    run.plan("here", {Stage.NOISE_MODEL: all_of(game=10.0), Stage.ROUNDS: all_of(pairs=50.0)})
    run.shorten(Stage.ROUNDS, 0.2)
    run.shorten(Stage.DENOISE, 0.2)  # nobody planned it
    run.start(Stage.NOISE_MODEL, 10)
    run.progress(Stage.NOISE_MODEL, 0, 10)
    assert last_span(events) == pytest.approx((20.0, 20.0))


@pytest.mark.parametrize("stage", [Stage.READ, Stage.EVALUATE, Stage.DENOISE])
def test_a_stage_that_nobody_planned_goes_by_its_own_steps(clock, watched, stage):
    run, events = watched
    for _ in range(2):  # what the steps of one took says nothing of those of the next
        run.start(stage, 4)
        run.progress(stage, 0, 4)
        assert events[-1].time_left is None
        clock.now += 3
        run.progress(stage, 1, 4)
        assert last_span(events) == pytest.approx((9.0, 9.0))
        run.finish(stage)


def test_a_note_says_whether_it_warns(watched):
    run, events = watched
    run.note("All is well.")
    run.note("Not as asked.", warning=True)
    assert events == [Note("All is well."), Note("Not as asked.", warning=True)]
