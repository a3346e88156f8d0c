"""What work costs: measured, kept, told from other work, and never an error."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.made_up import stack
from training_core import costs as module
from training_core import run as run_module
from training_core.costs import (
    LAST_PASS,
    NOISE,
    PAIRS,
    TYPICAL,
    Costs,
    cost_file,
    read_costs,
    remembered,
    total,
    typical,
)
from training_core.run import Run, Stage
from training_core.settings import preset
from training_core.training.expected_work import expected_work

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    for each in (module, run_module):
        monkeypatch.setattr(each, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def measured(clock, costs, kind, amount, seconds):
    clock.now += seconds
    costs.did(kind, amount)


def job(clock, *done):
    costs = Costs()
    with remembered(costs):
        costs.begin("here")
        for one in done:
            measured(clock, costs, *one)
    return costs


def test_what_a_job_measures_the_next_one_knows(clock):
    job(clock, (PAIRS, 2.0, 20.0))
    assert read_costs() == {"here": {PAIRS: (2.0, 20.0)}}
    job(clock, (PAIRS, 4.0, 20.0), (NOISE, 1.0, 3.0))
    assert read_costs() == {"here": {PAIRS: (5.0, 30.0), NOISE: (1.0, 3.0)}}
    told = job(clock).span({PAIRS: (1.0, 2.0)})
    assert (told.least, told.most) == pytest.approx((6.0, 12.0))


def test_another_machine_or_thread_count_is_another_one(clock):
    job(clock, (PAIRS, 2.0, 20.0))
    costs = Costs()
    with remembered(costs):
        costs.begin("elsewhere")
    assert costs.span({PAIRS: (1.0, 1.0)}) is None
    assert list(json.loads(cost_file().read_text())) == ["here"]


def test_one_known_cost_gives_the_others_by_their_typical_ratio(clock):
    costs = Costs()
    costs.begin("here")
    assert costs.span({LAST_PASS: (1.0, 1.0)}) is None
    measured(clock, costs, NOISE, 1.0, 3 * typical(NOISE))
    told = costs.span({LAST_PASS: (1.0, 1.0)})
    likely = 3 * typical(LAST_PASS)
    assert (told.least, told.most) == pytest.approx((likely / 1.5, likely * 1.5))


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "[1]",
        "null",
        '{"here": 3}',
        '{"here": {"pairs": [1]}}',
        '{"here": {"pairs": [1, -1]}}',
        '{"here": {"pairs": [0, 1]}}',
        '{"here": {"pairs": [1, "a"]}}',
        '{"here": {"pairs": [NaN, 1]}}',
        '{"here": {"pairs": [1, 1%s]}}' % ("0" * 400),
        '{"here": {"pairs": [1e-300, 1e300]}}',
        '{"here": {"pass DnCNN x": [1, 1]}}',
        '{"here": {"pass DnCNN nank": [1, 1]}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_as_if_there_were_none(clock, damage):
    cost_file().parent.mkdir(parents=True)
    cost_file().write_text(damage)
    assert not any(read_costs().values())
    job(clock, (PAIRS, 2.0, 20.0))
    assert read_costs() == {"here": {PAIRS: (2.0, 20.0)}}


def test_a_folder_that_cannot_be_written_is_no_error(clock, monkeypatch):
    cost_file().parent.parent.write_text("a file where the folder should be")
    job(clock, (PAIRS, 2.0, 20.0))
    assert read_costs() == {}
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    job(clock, (PAIRS, 2.0, 20.0))
    assert read_costs() == {}


def test_jobs_that_end_at_once_all_keep_what_they_measured():
    def keep(kind):
        costs = Costs()
        costs.measured = {"here": {kind: (1.0, 2.0)}}
        with remembered(costs):
            pass

    threads = [threading.Thread(target=keep, args=(kind,)) for kind in TYPICAL]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k: v[1] / v[0] for k, v in read_costs()["here"].items()} == dict.fromkeys(TYPICAL, 2.0)
    assert [path.name for path in cost_file().parent.iterdir()] == [cost_file().name]


def test_what_was_measured_is_kept_of_a_job_that_ends_with_an_error(clock):
    costs = Costs()
    costs.begin("here")
    measured(clock, costs, PAIRS, 1.0, 1.0)
    with pytest.raises(RuntimeError), remembered(costs):
        raise RuntimeError
    assert read_costs() == {"here": {PAIRS: (1.0, 1.0)}}


def spans(shape, costs):
    """Give what is told of each preset that learns from a stack of this shape."""
    image = stack(np.broadcast_to(np.float32(0), shape), "TYX"[-len(shape) :])
    return [
        costs.span(total(expected_work([image], preset(name), CPU).values()))
        for name in ("instant", "quick", "balanced")
    ]


@pytest.mark.parametrize("known", ["one kind", "a job"])
@pytest.mark.parametrize(
    "shape", [(64, 64), (512, 512), (1024, 700), (4000, 4000), (40, 512, 512), (3, 96, 96)]
)
def test_a_longer_preset_is_never_said_to_be_shorter(clock, shape, known):
    costs = Costs()
    costs.begin("here")
    measured(clock, costs, NOISE, 0.3, 5.0)
    if known == "a job":
        image = stack(np.zeros((512, 512), np.float32))
        for kind, (_, most) in total(
            expected_work([image], preset("instant"), CPU).values()
        ).items():
            if most:
                measured(clock, costs, kind, most, 3 * typical(kind) * most)
    told = spans(shape, costs)
    assert [span.least for span in told] == sorted(span.least for span in told)
    assert [span.most for span in told] == sorted(span.most for span in told)
    assert told[0].most < told[1].most < told[2].most


@pytest.mark.parametrize("name", ["instant", "quick", "balanced", "paper"])
@pytest.mark.parametrize("unit", ["", "HU"])
def test_every_kind_of_work_has_a_typical_cost(name, unit):
    image = replace(stack(np.zeros((3, 96, 96), np.float32), "TYX"), value_unit=unit)
    kinds = total(expected_work([image], preset(name), CPU).values())
    assert kinds
    assert [kind for kind in kinds if not typical(kind)] == []


def work_through(clock, run, heard, plan, cost, share):
    """Do what lies at `share` between least and most of each stage, at other costs than typical.

    Give what was told at each step and what was true, (time left, seconds).
    """
    began, told = clock.now, []
    run.plan("here", plan)
    for stage, amounts in plan.items():
        run.start(stage, 20)
        for step in range(20):
            for kind, (least, most) in amounts.items():
                amount = (least + share * (most - least)) / 20
                clock.now += amount * cost(kind)
                run.did(kind, amount)
            run.progress(stage, step + 1, 20)
            told.append((heard[-1].time_left, clock.now))
        run.finish(stage)
    return [(left, clock.now - at) for left, at in told], clock.now - began


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("first", "then"), [(512, 512), (512, 1500), (1500, 256)])
@pytest.mark.parametrize("name", ["instant", "quick", "balanced"])
def test_after_one_job_of_a_kind_no_time_is_off_by_half(clock, name, first, then, share):
    def plan(side):
        image = stack(np.broadcast_to(np.float32(0), (side, side)))
        return expected_work([image], preset(name), CPU)

    def cost(kind):  # of a machine unlike that of the table
        return 3.0 * typical(kind) * (0.4 + 1.8 * (sum(kind.encode()) % 7) / 6)

    heard = []
    run = Run(heard.append)
    with remembered(run.costs):
        work_through(clock, run, heard, plan(first), cost, share=1.0)
    later = Run(heard.append)
    with remembered(later.costs):
        later.costs.begin("here")
        before = later.costs.span(total(plan(then).values()))
        told, took = work_through(clock, later, heard, plan(then), cost, share)
    for left, true in [(before, took), *told]:
        near = (
            [left.most] if share == 1 else [left.least] if share == 0 else [left.least, left.most]
        )
        assert min(near) / 1.5 <= true + 0.2, (left, true)
        assert true <= max(near) * 1.5 + 0.2, (left, true)


def test_a_first_job_has_a_number_once_it_has_measured_anything(clock):
    heard = []
    run = Run(heard.append)
    run.plan("here", expected_work([stack(np.zeros((512, 512), np.float32))], preset("quick"), CPU))
    run.start(Stage.PATCHES, 1)
    run.progress(Stage.PATCHES, 1, 1)
    assert heard[-1].time_left is None
    run.start(Stage.NOISE_MODEL, 1)
    clock.now += 2.0
    run.did(NOISE, 0.26)
    run.progress(Stage.NOISE_MODEL, 0, 1)
    assert 5 < heard[-1].time_left.least < 95 * 2 < heard[-1].time_left.most < 1000
