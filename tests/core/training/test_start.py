"""Which bundled weights the rounds begin with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.made_up import CPU, noise_model, noise_of
from training_core.denoise.channel import Channel
from training_core.networks.pretrained import (
    HEAVY_TAILS,
    WEIGHTS,
    WHITE,
    PretrainedDenoiser,
    load_pretrained,
)
from training_core.noise.covariance import LAGS
from training_core.noise.synthetic import mixture
from training_core.settings import Settings
from training_core.training.start import bundled_start, weights_for


def with_lag(value, lag):
    """Give noise of which pixels this far apart share so much."""
    covariance = noise_model().covariance.copy()
    for sign in (1, -1):
        covariance[LAGS, LAGS + sign * lag] = value * covariance[LAGS, LAGS]
    return replace(noise_model(), covariance=covariance)


KNOWN = {
    HEAVY_TAILS: noise_of(mixture((300, 300), 25.0, 9).ravel(), 1.0),
    WHITE: noise_model(),
    WEIGHTS: noise_model(blur=0.6),
}


@pytest.mark.parametrize("weights", KNOWN)
def test_the_start_has_the_weights_that_know_the_noise(weights):
    known = Channel(KNOWN[weights], 200.0, 1.0)
    assert weights_for([known]) == weights
    network = PretrainedDenoiser()
    load_pretrained(network, weights)
    start = bundled_start(Settings(), [known], CPU).network.state_dict()
    assert all(torch.equal(start[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("several", "taken"),
    [
        ((HEAVY_TAILS, WEIGHTS), WEIGHTS),
        ((WHITE, WEIGHTS), WEIGHTS),
        ((HEAVY_TAILS, WHITE), WHITE),  # both are
    ],
)
def test_channels_that_differ_have_weights_that_know_all_of_their_noise(several, taken):
    assert weights_for([Channel(KNOWN[name]) for name in several]) == taken


@pytest.mark.parametrize(("value", "lag"), [(0.05, 1), (-0.05, 1), (0.03, 9)])
def test_a_little_correlation_at_any_lag_is_not_white(value, lag):
    assert not with_lag(value, lag).is_white
    assert with_lag(value / 5, lag).is_white
