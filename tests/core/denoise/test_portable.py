"""The network that is taken to other programs makes what it makes here."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import denoiser, noise_model, stack
from training_core.denoise.brightness import BrightnessCurve
from training_core.denoise.portable import PortableDenoiser
from training_core.denoise.tiled import denoise
from training_core.errors import ModelError
from training_core.noise.anscombe import Stabiliser
from training_core.noise.local_strength import EvenNoise
from training_core.noise.strength_curve import NoiseCurve

PLAIN = {"collaborate": False, "even_flat_areas": False, "repair_hot_pixels": False}


def counts(*shape: int) -> np.ndarray:
    draw = np.random.default_rng(3)
    return (2.0 * draw.poisson(np.linspace(5, 90, shape[-1]), shape)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("network", ["compact", "unet"])
@pytest.mark.parametrize("gain", [2.0, 0.0])
def test_it_makes_what_one_pass_of_the_denoiser_makes(network: str, gain: float) -> None:
    curve = NoiseCurve(np.array([5.0, 15.0, 25.0]), np.array([0.7, 1.1, 1.0]))
    stabiliser = Stabiliser(gain, 4.0) if gain else Stabiliser(offset=90.0, scale=12.0)
    made = denoiser(noise_model(stabiliser=stabiliser, curve=curve), network=network, **PLAIN)
    shifts = BrightnessCurve(np.array([20.0, 80.0]), np.array([1.0, -2.0]))
    channel = replace(made.channels[0], brightness=shifts, mean=10.0, spread=1.3)
    made = replace(made, channels=(channel,))
    portable = PortableDenoiser(made)
    side = portable.smallest_px
    pixels = counts(2, side + portable.grid_px, side + 2 * portable.grid_px)

    wanted = np.asarray(denoise(stack(pixels, "TYX"), made, tile_px=2048).pixels)
    script = torch.jit.load(io.BytesIO(portable.torchscript()))
    got = script(torch.from_numpy(pixels)[:, None])

    assert np.abs(wanted - pixels).max() > 1  # it does something
    np.testing.assert_allclose(got[:, 0].numpy(), wanted, atol=2e-3)


def test_each_channel_has_its_own_noise() -> None:
    noises = [noise_model(stabiliser=Stabiliser(scale=scale)) for scale in (1.0, 30.0)]
    made = denoiser(noises[0], **PLAIN)
    channels = tuple(replace(made.channels[0], noise=noise) for noise in noises)
    both = PortableDenoiser(replace(made, channels=channels))
    frame = torch.from_numpy(counts(1, 1, both.smallest_px, both.smallest_px))

    seen = both(frame.expand(1, 2, -1, -1))

    for number, channel in enumerate(channels):
        alone = PortableDenoiser(replace(made, channels=(channel,)))(frame)
        assert torch.equal(seen[:, number : number + 1], alone)
    assert not torch.equal(seen[:, 0], seen[:, 1])


def test_a_model_of_ct_needs_more_than_a_network() -> None:
    with pytest.raises(ModelError, match="use g2g denoise for CT"):
        PortableDenoiser(replace(denoiser(noise_model()), even_noise=EvenNoise(20.0)))
