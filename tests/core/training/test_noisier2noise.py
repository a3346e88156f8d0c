"""Pairs of the noisy image itself, and the first estimate that rests on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import (
    CPU,
    QUICKEST,
    blurred_noise,
    denoiser,
    noise_model,
    scene,
    squared_error,
)
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.run import Cancelled, Run
from training_core.training.noisier2noise import NAME, louder, noisier2noise
from training_core.training.pairs import recorded_pairs
from training_core.training.task import EstimateTask

CLEAN = scene(96, 96, 0.0, 15.0).astype(np.float32)


def regions(blur=0.0, channel=None):
    """Give a noisy region and its estimate, here the truth."""
    noisy = (CLEAN + blurred_noise(CLEAN.shape, blur, 1)).astype(np.float32)
    channel = channel or Channel(noise_model(blur))
    return [
        [Region(torch.from_numpy(image), channel)]  # as a training has them
        for image in (noisy, CLEAN)
    ]


@pytest.mark.parametrize("neighbours", [0, 2])
def test_recorded_pairs_are_the_image_as_the_network_sees_it_and_its_estimate(neighbours):
    chosen = denoiser(noise_model(), network="compact")
    noisy, estimates = regions(0.0, chosen.channels[0])
    if neighbours:
        near = CLEAN + blurred_noise((neighbours, *CLEAN.shape), 0.0, 4)
        more = torch.from_numpy(near.astype(np.float32))
        noisy = [replace(noisy[0], neighbours=more)]
    (pair,) = recorded_pairs(chosen, noisy, estimates)
    channel, region = chosen.channels[0], noisy[0]
    seen, strength, _ = chosen.first_pass(region.image, channel, region.neighbours)
    assert torch.equal(pair.images[:-1], chosen.inputs(seen[None, None], channel, strength)[0])
    target = pair.images[-1] * channel.spread + channel.mean
    torch.testing.assert_close(target, torch.from_numpy(CLEAN))
    assert (float((seen - region.image).abs().max()) > 0.1) == bool(neighbours)


def test_a_louder_channel_has_more_noise_and_nothing_else():
    channel = Channel(noise_model(), 3.0, 2.0)
    more = louder(channel)
    assert more.noise.curve.sigmas == pytest.approx(2**0.5 * channel.noise.curve.sigmas)
    assert (more.mean, more.spread) == (3.0, 2.0)
    assert channel.noise.curve.sigmas.tolist() == [1.0]


def made_scene(blur=0.0, **more):
    settings = replace(
        QUICKEST,
        denoiser=replace(QUICKEST.denoiser, first_estimate=NAME, steps=80, collaborate=False),
    )
    image = regions(blur)[0][0].image
    noisy, _ = regions(
        channel=Channel(noise_model(blur), float(image.mean()), float(image.std())), blur=blur
    )
    return EstimateTask(settings, noisy, CPU, **more)


@pytest.mark.trains
@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_noisier2noise_takes_the_noise_off(blur):
    made = made_scene(blur)
    estimate = noisier2noise(made)
    image = estimate(made.noisy[0])
    noisy = squared_error(made.noisy[0].image, CLEAN)
    assert squared_error(image, CLEAN) < 0.35 * noisy
    assert torch.equal(estimate(made.noisy[0]), image)
    shared = replace(made.noisy[0], strength=torch.full(CLEAN.shape, 0.5))
    assert not torch.equal(estimate(shared), image)


class Stopped(Run):
    """Is cancelled at a check."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def check(self):
        self.left -= 1
        if self.left < 0:
            raise Cancelled


@pytest.mark.trains
def test_noisier2noise_goes_on_where_it_was(tmp_path):
    torch.manual_seed(5)
    whole = noisier2noise(made_scene())(made_scene().noisy[0])
    for left in (3, 25, 25):
        torch.manual_seed(left)
        kept = Checkpoint(tmp_path)
        kept.claim({"job": 1})
        with pytest.raises(Cancelled):
            noisier2noise(made_scene(run=Stopped(left), checkpoint=kept))
    kept = Checkpoint(tmp_path)
    kept.claim({"job": 1})
    assert kept.part(NAME).load()["steps"] > 15
    for _ in range(2):  # from the middle, and once it is finished
        made = made_scene(checkpoint=kept)
        assert torch.equal(noisier2noise(made)(made.noisy[0]), whole)
