"""What the rounds begin with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, noise_model
from training_core.denoise.channel import Channel
from training_core.networks.pretrained import PretrainedDenoiser, load_pretrained
from training_core.noise.strength_curve import NoiseCurve
from training_core.settings import DenoiserSettings, Settings
from training_core.training.start import bundled_start


def test_the_start_has_the_bundled_weights_and_no_last_pass():
    start = bundled_start(Settings(), [Channel(noise_model(), 200.0, 1.0)], CPU)
    bundled = PretrainedDenoiser()
    load_pretrained(bundled)
    known = start.network.state_dict()
    assert all(torch.equal(known[name], value) for name, value in bundled.state_dict().items())
    assert not start.collaborates


@pytest.mark.parametrize(("network", "spread"), [("pretrained", 7.0), ("compact", 0.9)])
def test_beside_another_network_it_takes_the_strongest_noise_for_1(network, spread):
    few = replace(noise_model(), curve=NoiseCurve(np.array([0.0, 4.0]), np.array([0.2, 0.9])))
    settings = Settings(denoiser=DenoiserSettings(network=network))
    start = bundled_start(settings, [Channel(few, 2.0, 7.0)], CPU)
    assert start.channels[0].spread == spread
