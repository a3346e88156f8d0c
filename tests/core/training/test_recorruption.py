"""Pairs of the noisy image itself, the anchor, and the first estimate that rests on them."""

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
from training_core.run import Cancelled, Run
from training_core.settings import DenoiserSettings
from training_core.training.first_estimate import METHODS, Scene
from training_core.training.noisier2noise import NAME, noisier2noise
from training_core.training.pairs import Estimate, make_pairs, recorded_pairs
from training_core.training.recorruption import louder, recorrupted_pairs

CLEAN = scene(96, 96, 0.0, 15.0).astype(np.float32)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def regions(blur=0.0, channel=None):
    """Give a noisy region and its estimate, here the truth."""
    noisy = (CLEAN + blurred_noise(CLEAN.shape, blur, 1)).astype(np.float32)
    channel = channel or Channel(noise_model(blur))
    return [
        [Estimate(torch.from_numpy(image), channel)]  # as a training has them
        for image in (noisy, CLEAN)
    ]


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_noise_of_source_and_target_is_independent(strength, blur):
    chosen = denoiser(noise_model(blur), network="dncnn", collaborate=False)
    chosen.channels[0].noise.generator.hold_scale(draw())
    noisy, estimates = regions(blur, chosen.channels[0])
    pairs = recorrupted_pairs(
        chosen, noisy, estimates, 12, draw=draw(1), run=Run(), strength=strength
    )
    source, target = torch.stack([pair.images for pair in pairs]).unbind(dim=1)
    clean = torch.from_numpy(CLEAN)
    assert float((source - clean).var()) == pytest.approx(1 + strength**2, rel=0.1)
    assert float((target - clean).var()) == pytest.approx(1 + strength**-2, rel=0.1)
    together = float(((source - clean) * (target - clean)).mean())
    assert together == pytest.approx(0.0, abs=0.08)
    assert float(pairs[0].weight.unique()) == pytest.approx(1 / (1 + strength**-2))


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
    more = louder(channel, 1.0)
    assert more.noise.curve.sigmas == pytest.approx(2**0.5 * channel.noise.curve.sigmas)
    assert (more.mean, more.spread) == (3.0, 2.0)
    assert channel.noise.curve.sigmas.tolist() == [1.0]


def test_the_anchor_is_its_share_of_each_batch():
    chosen = denoiser(noise_model(), collaborate=False)
    noisy, estimates = regions(0.0, chosen.channels[0])
    settings = DenoiserSettings(batch=8, crop_px=32)
    pairs = make_pairs(chosen, noisy, estimates, draw(), Run(), anchor=0.25)
    _, _, weight = pairs.batch(settings)
    assert sorted(weight.mean(dim=(1, 2, 3)).tolist()) == [0.5] * 2 + [1.0] * 6
    plain = make_pairs(chosen, noisy, estimates, draw(), Run())
    assert len(plain.batch(settings)) == 2
    again = make_pairs(chosen, noisy, estimates, draw(), Run(), anchor=0.25)
    again.restore({"draw": draw(9).get_state()})
    pairs.restore({"draw": draw(9).get_state()})
    assert all(
        torch.equal(a, b) for a, b in zip(pairs.batch(settings), again.batch(settings), strict=True)
    )


def made_scene(blur=0.0, **more):
    settings = replace(
        QUICKEST,
        denoiser=replace(QUICKEST.denoiser, first_estimate=NAME, steps=80, collaborate=False),
    )
    noisy, _ = regions(blur)
    deviation = noisy[0].image.std()
    noisy[0].channel.mean, noisy[0].channel.spread = float(noisy[0].image.mean()), float(deviation)
    return Scene(settings, noisy, CPU, **more)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_noisier2noise_takes_the_noise_off(blur):
    made = made_scene(blur)
    estimate = METHODS[NAME].make(made)
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
