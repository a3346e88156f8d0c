"""The stronger backbone: what it sees, what it starts as, that it learns and comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.made_up import blurred_noise, denoiser, noise_model, scene, stack
from training_core.compute.optimiser_step import TrainingStep
from training_core.denoise.denoiser import Denoiser, denoise
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.networks.build import build_network
from training_core.networks.published import DnCNN, takes_estimate
from training_core.networks.residual_unet import ResidualUNet
from training_core.noise.anscombe import Stabiliser
from training_core.place import turn, turn_back
from training_core.settings import DenoiserSettings


def shaken(width=4, seed=0) -> ResidualUNet:
    """Give a network whose every layer does something."""
    torch.manual_seed(seed)
    network = ResidualUNet(width).eval()
    for values in network.parameters():
        if not values.any():
            nn.init.normal_(values, 0.0, 0.1)
    return network


def chosen(**changes) -> Denoiser:
    made = denoiser(
        noise_model(0.5, Stabiliser(scale=20.0)),
        mean=10.0,
        spread=5.0,
        **{"network": "residual-unet", "width": 4, "collaborate": False, **changes},
    )
    if made.settings.denoiser.network == "residual-unet":
        made.network = shaken()
    return made


def noisy_frame(shape):
    return stack(scene(*shape, 100.0, 600.0) + 20.0 * blurred_noise(shape, 0.5, 1))


def test_how_large_it_is():
    count = sum(
        values.numel()
        for values in build_network(DenoiserSettings(network="residual-unet")).parameters()
    )
    assert count == 4_252_512  # the 4.3 million of the setting's help
    assert takes_estimate(ResidualUNet(4))


@pytest.mark.parametrize("shape", [(1, 1), (9, 64), (45, 71), (64, 64)])
def test_it_starts_by_passing_the_estimate_on(shape):
    images = torch.randn(2, 2, *shape)
    assert torch.equal(ResidualUNet(4)(images), images[:, 1:])


def test_it_has_no_bias_so_contrast_scales():
    network, images = shaken(), torch.randn(1, 2, 24, 40)
    assert torch.allclose(network(3 * images), 3 * network(images), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(images), images[:, 1:], atol=0.1)


def test_halo_is_how_far_an_output_pixel_sees():
    network, reach = ResidualUNet(2), 0
    for values in network.parameters():
        nn.init.constant_(values, 0.05)
    for column in range(224, 224 + network.multiple_px):
        images = torch.ones(1, 2, 32, 448, requires_grad=True)
        network(images)[0, 0, 16, column].backward()
        seen = torch.nonzero(images.grad[0].abs().sum((0, 1)))
        reach = max(reach, int((seen - column).abs().max()))
    assert reach == 97 <= network.halo_px < 97 + network.multiple_px
    assert network.halo_px % network.multiple_px == 0


@pytest.mark.parametrize(
    ("shape", "changes"),
    [((75, 290), {}), ((33, 50), {"every_orientation": True}), ((19, 150), {"collaborate": True})],
)
def test_tiles_do_not_show(shape, changes):
    frame, made = noisy_frame(shape), chosen(**changes)
    whole = denoise(frame, made, tile_px=4096).pixels
    tiled = denoise(frame, made, tile_px=32).pixels
    assert np.abs(whole - frame.pixels).max() > made.noise_sigma / 10
    assert np.abs(whole - tiled).max() < 1e-4 * made.noise_sigma


@pytest.mark.parametrize(
    ("network", "shape"), [("residual-unet", (40, 56)), ("compact", (38, 54)), ("dncnn", (37, 53))]
)
@pytest.mark.parametrize("way", [1, 4, 6])
def test_every_orientation_of_a_frame_gives_the_same_result_turned(network, shape, way):
    made = chosen(network=network, every_orientation=True)
    if network == "dncnn":
        made.network = DnCNN(4, 8).eval()  # seventeen random layers leave little of anything
    image = torch.from_numpy(noisy_frame(shape).pixels.astype(np.float32) / 20)
    upright = made.network_pass(image, made.channels[0])
    turned = made.network_pass(turn(image, way).contiguous(), made.channels[0])
    assert upright.shape == image.shape
    assert torch.allclose(turn_back(turned, way), upright, rtol=0, atol=1e-3)
    once = replace(made, settings=chosen(network=network, every_orientation=False).settings)
    assert float((once.network_pass(image, made.channels[0]) - upright).abs().max()) > 0.01


def test_it_learns():
    torch.manual_seed(0)
    network = ResidualUNet(4).train().to(memory_format=torch.channels_last)
    update = TrainingStep(network, torch.optim.Adam(network.parameters(), 3e-3), bfloat16=True)
    clean = torch.from_numpy(scene(32, 32, -1.0, 1.0).astype(np.float32)).expand(4, 1, 32, 32)
    losses = []
    for _ in range(60):
        noisy = clean + 0.5 * torch.randn(clean.shape)
        estimate = torch.nn.functional.avg_pool2d(noisy, 5, 1, 2, count_include_pad=False)
        losses.append(float(update(torch.cat([noisy, estimate], dim=1), clean)))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])


def test_it_survives_a_model_file(tmp_path):
    made, frame = chosen(), noisy_frame((30, 43))
    save_denoiser(made, tmp_path / "a.g2g")
    back = load_denoiser(tmp_path / "a.g2g", device="cpu")
    assert np.array_equal(denoise(frame, back).pixels, denoise(frame, made).pixels)
