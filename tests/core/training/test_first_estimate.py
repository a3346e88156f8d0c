"""First estimates: by the method asked for, or the bundled network before any training."""

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
from training_core.run import Note, Run
from training_core.training.first_estimate import estimator_of, make_first_estimates
from training_core.training.start import bundled_start
from training_core.training.task import EstimateTask

CLEAN = scene(96, 96, 0.0, 15.0)


def made_scene(asked="automatic", blur=0.0, **more):
    channel = Channel(noise_model(blur))
    noisy = (CLEAN + blurred_noise(CLEAN.shape, blur, 2)).astype(np.float32)
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, first_estimate=asked))
    return EstimateTask(settings, [Region(torch.from_numpy(noisy), channel)], CPU, **more)


@pytest.mark.parametrize(
    "asked", ["shrinkage", pytest.param("noisier2noise", marks=pytest.mark.trains)]
)
def test_the_one_asked_for_is_taken(asked):
    scene = made_scene(asked)
    (made,), method = make_first_estimates(scene)
    assert method.to_dict() == {"chosen": asked}
    assert float(np.square(made.image.numpy() - CLEAN).mean()) < 0.1


def test_noise_that_turns_is_left_to_what_learns_from_it():
    events = []
    scene = made_scene(turns=True, run=Run(events.append))
    _, method = make_first_estimates(scene)
    assert method.to_dict() == {"chosen": "noisier2noise", "turning": True}
    (told,) = [event.text for event in events if isinstance(event, Note)]
    assert told.endswith("it learns from the noise as it is in each place.")


def test_left_open_it_is_the_bundled_network_before_training():
    scene = made_scene()
    (made,), method = make_first_estimates(scene)
    start = bundled_start(scene.settings, scene.channels, CPU)
    assert method.to_dict() == {"chosen": "pretrained"}
    expected = start.estimate(scene.noisy[0].image, start.channels[0])
    assert torch.equal(made.image, expected)
    assert float(np.square(made.image.numpy() - CLEAN).mean()) < 0.1


def test_what_was_estimated_is_not_estimated_again(tmp_path):
    scene = made_scene(checkpoint=Checkpoint(tmp_path / "kept"))
    scene.checkpoint.claim({})
    (made,), _ = make_first_estimates(scene)
    other = made_scene("shrinkage", checkpoint=scene.checkpoint)
    (again,), _ = make_first_estimates(other)
    assert torch.equal(again.image, made.image)


def test_other_regions_are_estimated_as_those_of_the_training():
    scene = made_scene()
    denoiser = SimpleNamespace(
        card={"first_estimate": {"chosen": "shrinkage"}}, settings=scene.settings, device=CPU
    )
    (made,), _ = make_first_estimates(made_scene("shrinkage"))
    estimate = estimator_of(denoiser, scene.noisy, Run())
    assert torch.equal(estimate(scene.noisy[0]), made.image)
