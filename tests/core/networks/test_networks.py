"""The published networks: their shapes, sizes, reach and folded copies."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training_core.networks.published import (
    Critic,
    DnCNN,
    NoiseGenerator,
    UNet,
    fold_batch_norm,
    init_adversarial,
    paper_network,
)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts():
    # 3 x 3 convolutions without bias, two numbers per batch norm channel
    assert parameters(DnCNN(17)) == 2 * 64 * 9 + 15 * (64 * 64 * 9 + 128) == 556_032
    assert parameters(DnCNN(15)) == 2 * 64 * 9 + 13 * (64 * 64 * 9 + 128)
    kernels = 128 * 64 + 64 * 32 + 32 * 16 + 16 * 8 + 8 * 1
    assert parameters(NoiseGenerator()) == 16 * kernels + 2 * (64 + 32 + 16 + 8)
    kernels = 128 + 128 * 256 + 256 * 512 + 512
    assert parameters(Critic()) == 16 * kernels + 2 * (128 + 256 + 512)


def test_unet_has_the_published_blocks():
    def conv(before, after):
        return 9 * before * after + after

    blocks = [
        conv(1, 48) + conv(48, 48),
        conv(48, 48),  # shared by levels 2 to 5
        2 * conv(48, 48),
        3 * conv(96, 96),
        conv(144, 96) + 2 * conv(96, 96),  # shared by three levels
        conv(97, 64) + conv(64, 32) + conv(32, 1),
    ]
    assert parameters(UNet()) == sum(blocks)


def test_generator_and_critic_shapes():
    noise = NoiseGenerator()(torch.randn(3, 128))
    assert noise.shape == (3, 1, 64, 64)
    assert noise.abs().max() < 1
    critic = Critic(8).eval()
    assert critic(noise).shape == (3,)
    assert torch.allclose(critic(noise), critic.layers(noise).mean((1, 2, 3)))
    assert critic.layers(noise).shape == (3, 1, 5, 5)


@pytest.mark.parametrize("kind", ["dncnn", "unet"])
def test_silent_network_gives_the_input_back(kind):
    network = paper_network(kind).eval()
    last = network.layers[-1] if kind == "dncnn" else network.last[-1]
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
    image = torch.randn(1, 1, 45, 71)
    assert torch.equal(network(image), image)
    network.sigmoid = True
    assert torch.allclose(network(image), torch.sigmoid(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("network", "farthest"), [(DnCNN(17, 2), 17), (UNet(2), 189)])
def test_halo_is_how_far_an_output_pixel_sees(network, farthest):
    for values in network.parameters():
        nn.init.constant_(values, 0.05)  # nothing cancels, no unit dies
    for chain in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        for index, part in enumerate(chain):
            if isinstance(part, nn.MaxPool2d):
                chain[index] = nn.AvgPool2d(2)  # a maximum shows one of its four pixels only
    reach = 0
    for column in range(224, 224 + network.multiple_px):  # one period of the poolings
        image = torch.ones(1, 1, 32, 448, requires_grad=True)
        network.eval()(image)[0, 0, 16, column].backward()
        seen = torch.nonzero(image.grad[0, 0].abs().sum(0))
        reach = max(reach, int((seen - column).abs().max()))
    assert reach == farthest <= network.halo_px < farthest + network.multiple_px
    assert network.halo_px % network.multiple_px == 0


@pytest.mark.parametrize("network", [DnCNN(6, 8), NoiseGenerator(16, 16), Critic(4)])
def test_folded_copy_computes_the_same(network):
    torch.manual_seed(0)
    inputs = (
        torch.randn(4, 16) if isinstance(network, NoiseGenerator) else torch.randn(4, 1, 64, 64)
    )
    for _ in range(3):
        network.train()(inputs)  # running statistics that do something
    network.eval()
    folded = fold_batch_norm(network)
    assert (network(inputs) - folded(inputs)).abs().max() < 1e-5
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_initial_weights():
    network = DnCNN(17)
    init_adversarial(network, torch.Generator().manual_seed(1))
    weights = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    norms = torch.cat([m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert norms.mean().item() == pytest.approx(1, abs=0.01)
    assert norms.std().item() == pytest.approx(0.02, rel=0.1)
    again = DnCNN(17)
    init_adversarial(again, torch.Generator().manual_seed(1))
    assert all(map(torch.equal, network.parameters(), again.parameters()))


def test_unet_starts_he_normal_with_zero_bias():
    torch.manual_seed(2)
    network = paper_network("unet")
    block = network.up[2]
    assert block.weight.std().item() == pytest.approx((2 / (96 * 9)) ** 0.5, rel=0.02)
    assert block.bias.abs().max() == 0
