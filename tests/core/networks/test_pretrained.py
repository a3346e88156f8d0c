"""The bundled start of the rounds: what it does at first, what it sees, and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, blurred_noise, noise_model, scene, squared_error, stack
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tiled import denoise
from training_core.errors import ModelError
from training_core.networks import pretrained as bundled_weights
from training_core.networks.build import build_network
from training_core.networks.pretrained import PretrainedDenoiser, load_pretrained
from training_core.networks.published import takes_estimate
from training_core.noise.anscombe import Stabiliser
from training_core.settings import DenoiserSettings, Settings
from training_core.training.round import GOING_ON, set_rate


def pretrained(sigma=20.0, blur=0.0, **changes) -> Denoiser:
    network = PretrainedDenoiser().eval()
    load_pretrained(network)
    noise = noise_model(blur, Stabiliser(offset=250.0, scale=sigma))
    settings = Settings(
        device="cpu", denoiser=DenoiserSettings(**{"keep_brightness": False, **changes})
    )
    return Denoiser(network, (Channel(noise),), settings, CPU)


@pytest.mark.parametrize("shape", [(2, 3), (9, 64), (45, 71)])
def test_without_weights_it_passes_the_estimate_on(shape):
    images = torch.randn(2, 4, *shape)
    network = build_network(DenoiserSettings(network="pretrained"))
    assert takes_estimate(network)
    assert torch.equal(network(images), images[:, 1:2])


def test_halo_is_how_far_an_output_pixel_sees():
    network = pretrained().network
    images = torch.randn(1, 4, 96, 96, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    network(images)[0, 0, 48, 48].backward()
    seen = images.grad.abs().sum(dim=(0, 1)).nonzero()
    farthest = int((seen - 48).abs().max())
    assert network.halo_px - 3 <= farthest <= network.halo_px


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_it_leaves_less_error_than_the_filter_alone(blur):
    clean = scene(96, 96)
    noisy = stack((clean + 20 * blurred_noise(clean.shape, blur, 0)).astype(np.float32))
    chosen = pretrained(blur=blur, collaborate=False)
    result = squared_error(denoise(noisy, chosen).pixels, clean)
    load = chosen.network.state_dict()
    chosen.network.load_state_dict({k: torch.zeros_like(v) for k, v in load.items()})
    assert result < 0.9 * squared_error(denoise(noisy, chosen).pixels, clean)


def test_tiles_do_not_show():
    noisy = stack((scene(70, 90) + 20 * blurred_noise((70, 90), 0, 1)).astype(np.float32))
    chosen = pretrained(collaborate=False)
    whole, tiled = (denoise(noisy, chosen, tile_px=tile).pixels for tile in (512, 24))
    np.testing.assert_allclose(tiled, whole, atol=1e-4 * 20)


def test_missing_weights_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(bundled_weights, "resource", lambda name: tmp_path / name)
    with pytest.raises(ModelError, match=r"pretrained\.safetensors is missing or damaged"):
        load_pretrained(PretrainedDenoiser())


def test_it_goes_on_with_small_updates():
    rates = []
    for network in ("compact", "pretrained"):
        optimiser = torch.optim.SGD([torch.zeros(1)], 1.0)
        set_rate(optimiser, DenoiserSettings(network=network, steps=100), 50)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates[1] == pytest.approx(GOING_ON * rates[0])
