"""First estimates: the one asked for, or the best by the blind score, which is told."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, QUICKEST, blurred_noise, noise_model, scene
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.errors import ModelError
from training_core.run import Note, Run
from training_core.selection.sure import RiskEstimator
from training_core.training import first_estimate
from training_core.training.first_estimate import (
    METHODS,
    FirstResult,
    Method,
    best_choice,
    estimator_of,
    make_first_estimates,
)
from training_core.training.task import EstimateTask

CLEAN = scene(96, 96, 0.0, 15.0)


def made_scene(asked="automatic", blur=0.0, **more):
    channel = Channel(noise_model(blur))
    noisy = (CLEAN + blurred_noise(CLEAN.shape, blur, 2)).astype(np.float32)
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, first_estimate=asked))
    return EstimateTask(settings, [Region(torch.from_numpy(noisy), channel)], CPU, **more)


def judge_of(scene):
    return RiskEstimator(scene.noisy, 0, CPU)


def mixing(share):
    """Give a method that leaves a share of the noise."""

    def make(scene):
        clean = torch.from_numpy(CLEAN.astype(np.float32))
        return lambda noisy: clean + share * (noisy.image - clean)

    return Method(make)


@pytest.fixture
def methods(monkeypatch):
    chosen = {"some": mixing(0.15), "less": mixing(0.1), "other": mixing(0.2)}
    monkeypatch.setattr(first_estimate, "METHODS", chosen)
    return chosen


@pytest.mark.usefixtures("methods")
def test_the_best_by_the_blind_score_is_taken_and_told():
    events = []
    scene = made_scene(run=Run(events.append))
    (made,), choice = make_first_estimates(scene, judge_of(scene))
    assert choice.name == "less"
    noise = scene.noisy[0].image.numpy() - CLEAN
    np.testing.assert_allclose(made.image.numpy(), CLEAN + 0.1 * noise, atol=1e-4)
    assert [event.text for event in events if isinstance(event, Note)] == [choice.why]
    assert choice.why.startswith("First estimate: less, which leaves 1.")
    card = choice.to_dict()
    assert card["chosen"] == "less"
    errors = {told["name"]: told["error"] for told in card["candidates"]}
    expected = {"some": 0.0225, "less": 0.01, "other": 0.04}
    assert errors == {name: pytest.approx(e, abs=0.02) for name, e in expected.items()}
    assert errors["less"] < errors["some"] < errors["other"]


@pytest.mark.parametrize(
    "asked", ["shrinkage", pytest.param("noisier2noise", marks=pytest.mark.trains)]
)
def test_the_one_asked_for_is_taken_unjudged(asked):
    scene = made_scene(asked)
    (made,), choice = make_first_estimates(scene, None)
    assert choice.name == asked
    assert choice.to_dict()["candidates"] == []
    assert float(np.square(made.image.numpy() - CLEAN).mean()) < 0.1


def test_noise_that_turns_is_left_to_what_learns_from_it():
    scene = made_scene(turns=True)
    _, choice = make_first_estimates(scene, None)
    assert choice.name == "noisier2noise"
    assert choice.why.endswith("it learns from the noise as it is in each place.")
    assert choice.to_dict()["turning"]


def test_the_bundled_network_is_not_asked_about_correlated_noise(monkeypatch):
    scene = made_scene(blur=0.8)
    monkeypatch.setattr(
        first_estimate, "METHODS", {name: METHODS[name] for name in ("shrinkage", "dncnn-b")}
    )
    _, choice = make_first_estimates(scene, judge_of(scene))
    assert choice.name == "shrinkage"
    assert choice.why.endswith(
        "dncnn-b was not asked: it knows white noise only, and the noise of this stack is "
        "correlated."
    )
    assert choice.to_dict()["candidates"][1].keys() == {"name", "left_out"}


def test_asked_for_all_the_same_it_warns():
    events = []
    scene = made_scene("dncnn-b", blur=0.8, run=Run(events.append))
    make_first_estimates(scene, None)
    told = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert len(told) == 1
    assert "dncnn-b was asked for" in told[0]


def test_weights_that_are_missing_leave_the_others(methods):
    def missing(scene):
        raise ModelError("The weights are missing; install again.")

    methods["gone"] = Method(missing)
    scene = made_scene()
    _, choice = make_first_estimates(scene, judge_of(scene))
    assert choice.name == "less"
    assert choice.results[-1].left_out == "The weights are missing; install again"


def test_a_warning_rules_nothing_out_and_is_told():
    harm = ("it takes structure",)
    results = [FirstResult("some", 0.2, 0.01), FirstResult("best", 0.1, 0.01, harm)]
    choice = best_choice(results)
    assert choice.name == "best"
    assert [one["warnings"] for one in choice.to_dict()["candidates"]] == [[], [*harm]]
    choice = best_choice([replace(results[0], warnings=harm), results[1]])
    assert choice.name == "best"
    assert choice.why.endswith("some 20.0 %, but it takes structure.")


def test_without_any_noise_the_first_method_stands():
    assert best_choice([FirstResult("some"), FirstResult("less")]).name == "some"


def test_what_was_judged_is_not_judged_again(tmp_path, methods):
    scene = made_scene(checkpoint=Checkpoint(tmp_path / "kept"))
    scene.checkpoint.claim({})
    (made,), choice = make_first_estimates(scene, judge_of(scene))
    (again,), told = make_first_estimates(scene, None)
    assert told == choice
    assert torch.equal(again.image, made.image)


def test_other_regions_are_estimated_as_those_of_the_training():
    scene = made_scene()
    denoiser = SimpleNamespace(
        card={"first_estimate": {"chosen": "shrinkage"}}, settings=scene.settings, device=CPU
    )
    (made,), _ = make_first_estimates(made_scene("shrinkage"), None)
    estimate = estimator_of(denoiser, scene.noisy, Run())
    assert torch.equal(estimate(scene.noisy[0]), made.image)
