"""The small networks: what they are before training, and the sizes they take."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.made_up import covariance
from training_core.networks.pretrained import CompactDenoiser
from training_core.noise.covariance import LAGS, autocovariance
from training_core.noise.generator import LocalCritic, StationaryGenerator


@pytest.mark.parametrize("blur", [0.0, 0.5, 0.8])
def test_generator_starts_at_the_measured_noise(blur):
    draw = torch.Generator().manual_seed(1)
    generator = StationaryGenerator(covariance(blur))
    generator.hold_scale(draw)
    with torch.no_grad():
        white = torch.randn(300, 1, 48 + 2 * LAGS, 48 + 2 * LAGS, generator=draw)
        made = generator(white)[:, 0].numpy()
    assert made.shape == (300, 48, 48)
    assert made.mean() == pytest.approx(0.0, abs=0.01)
    assert made.std() == pytest.approx(1.0, abs=0.01)
    near = slice(LAGS - 3, LAGS + 4)
    apart = autocovariance(made) - covariance(blur)
    assert np.abs(apart[near, near]).max() < 0.03


def test_generated_noise_is_the_same_everywhere():
    generator = StationaryGenerator(covariance(0.6))
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        white = torch.randn(4000, 1, 12 + 2 * LAGS, 12 + 2 * LAGS, generator=draw)
        per_pixel = generator(white)[:, 0].std(dim=0)
    assert per_pixel.min() > 0.95
    assert per_pixel.max() < 1.05


def test_scale_is_held_whatever_the_network_does():
    torch.manual_seed(3)
    generator = StationaryGenerator(covariance(0.6))
    with torch.no_grad():
        for values in generator.bend.parameters():
            values.normal_(0.0, 0.5)
        generator.hold_scale(torch.Generator().manual_seed(4))
        made = generator(torch.randn(8, 1, 256, 256))
    assert float(made.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(made.std()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("size", [16, 17, 32, 64])
def test_critic_scores_crops_of_any_size(size):
    scores = LocalCritic()(torch.randn(2, 1, size, size))
    assert scores.shape[:2] == (2, 1)
    assert scores.numel() >= 2
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (31, 8)])
def test_compact_denoiser_starts_by_passing_the_estimate_on(shape):
    images = torch.randn(2, 2, *shape)
    assert torch.equal(CompactDenoiser(8, 4)(images), images[:, 1:])


def test_compact_denoiser_sees_no_further_than_its_halo():
    torch.manual_seed(5)
    network = CompactDenoiser(8, 4)
    torch.nn.init.normal_(network.layers[-1].weight)
    images = torch.randn(1, 2, 64, 64, requires_grad=True)
    network(images)[0, 0, 32, 32].backward()
    assert images.grad is not None
    rows, columns = torch.nonzero(images.grad.abs().sum(dim=(0, 1)), as_tuple=True)
    reach = int(max((rows - 32).abs().max(), (columns - 32).abs().max()))
    assert 4 <= reach <= network.halo_px
