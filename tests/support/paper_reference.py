"""GAN2GAN read plainly from the paper: one adversarial step, and one step of a round.

Cha et al., GAN2GAN, ICLR 2021: the networks as lists of layers, every term computed where a formula
names it, nothing reused, nothing detached, pairs made one at a time. It shares no code with
`training_core`, so what production changes for speed can be held against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    Losses = tuple[Tensor, Tensor, Tensor]

Plain = TypeVar("Plain", bound=nn.Module)

ALPHA, BETA, GAMMA = 5, 1, 10


def plain_generator(width: int = 64) -> nn.Sequential:
    """Build g1: (batch, 128) to (batch, 1, 64, 64)."""
    return nn.Sequential(
        nn.Unflatten(1, (128, 1, 1)),
        nn.ConvTranspose2d(128, width, 4, stride=1, padding=0, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width // 2),
        nn.ReLU(),
        nn.ConvTranspose2d(width // 2, width // 4, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width // 4),
        nn.ReLU(),
        nn.ConvTranspose2d(width // 4, width // 8, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width // 8),
        nn.ReLU(),
        nn.ConvTranspose2d(width // 8, 1, 4, stride=2, padding=1, bias=False),
        nn.Tanh(),
    )


def plain_critic(width: int = 128) -> nn.Sequential:
    """Build c1 or c2: (batch, 1, 64, 64) to scores (batch, 1, 5, 5), of which the mean counts."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 4, bias=False),
    )


class PlainDnCNN(nn.Module):
    """g2 (15 layers, sigmoid), g3 and the denoiser (17 layers, linear)."""

    def __init__(self, depth: int, width: int = 64, *, sigmoid: bool = False) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        layers = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.ReLU()]
        for _ in range(depth - 2):
            layers.append(nn.Conv2d(width, width, 3, padding=1, bias=False))
            layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
        layers.append(nn.Conv2d(width, 1, 3, padding=1, bias=False))
        self.residual = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, height, width) to the same shape."""
        clean = x - self.residual(x)
        return torch.sigmoid(clean) if self.sigmoid else clean


class PlainUNet(nn.Module):
    """The Noise2Noise U-Net; height and width must be multiples of 32."""

    def __init__(self, *, sigmoid: bool = False) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        self.block1 = nn.Sequential(
            nn.Conv2d(1, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.block2 = nn.Sequential(nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.block3 = nn.Sequential(
            nn.Conv2d(48, 48, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(48, 48, 3, stride=2, padding=1, output_padding=1),
        )
        self.block4 = nn.Sequential(
            nn.Conv2d(96, 96, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(96, 96, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(96, 96, 3, stride=2, padding=1, output_padding=1),
        )
        self.block5 = nn.Sequential(
            nn.Conv2d(144, 96, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(96, 96, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(96, 96, 3, stride=2, padding=1, output_padding=1),
        )
        self.block6 = nn.Sequential(
            nn.Conv2d(97, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, height, width) to the same shape."""
        pool1 = self.block1(x)
        pool2 = self.block2(pool1)
        pool3 = self.block2(pool2)
        pool4 = self.block2(pool3)
        pool5 = self.block2(pool4)
        up4 = self.block3(pool5)
        up3 = self.block4(torch.cat([up4, pool4], dim=1))
        up2 = self.block5(torch.cat([up3, pool3], dim=1))
        up1 = self.block5(torch.cat([up2, pool2], dim=1))
        up0 = self.block5(torch.cat([up1, pool1], dim=1))
        clean = x - self.block6(torch.cat([up0, x], dim=1))
        return torch.sigmoid(clean) if self.sigmoid else clean


def with_weights_of(other: nn.Module, plain: Plain) -> Plain:
    """Fill a plain network with another's weights, dtype and device, layer by layer in order."""
    first = next(other.parameters())
    plain.to(first.device, first.dtype)
    plain.load_state_dict(dict(zip(plain.state_dict(), other.state_dict().values(), strict=True)))
    return plain.train(other.training)


def adversarial_rate(epoch: int) -> float:
    """Give the generators' rate: constant for 10 epochs, then along a line to 0 after 30."""
    return 4e-4 if epoch < 10 else 4e-4 * (30 - epoch) / 20


def round_rate(epoch: int) -> float:
    """Give the denoiser's rate: halved every 10 epochs."""
    return 1e-3 / 2 ** (epoch // 10)


def score(critic: nn.Module, crops: Tensor) -> Tensor:
    """Give E c(crops); a critic's score of a crop is the mean of its map."""
    return critic(crops).mean(dim=(1, 2, 3)).mean()


class PlainGan:
    """The adversarial step; `critic_gradients` are those of c1 and c2 in its last critic step."""

    def __init__(
        self, g1: nn.Module, g2: nn.Module, g3: nn.Module, c1: nn.Module, c2: nn.Module
    ) -> None:
        self.g1, self.g2, self.g3, self.c1, self.c2 = g1, g2, g3, c1, c2
        self.adams = [
            torch.optim.Adam(network.parameters(), lr=4e-4, betas=(0.5, 0.999))
            for network in (g1, g2, g3)
        ]
        self.rmsprops = [torch.optim.RMSprop(network.parameters(), lr=5e-5) for network in (c1, c2)]
        self.critic_gradients: list[Tensor] = []

    def step(
        self, n: Tensor, z: Tensor, r: Tensor, *, epoch: int = 0, critic_steps: int = 5
    ) -> Losses:
        """Take one step on noise n, noisy z, (batch, 1, 64, 64), and r, (batch, 128)."""
        for _ in range(critic_steps):
            loss1, loss2 = self._critic_step(n, z, r)
        loss3 = self._generator_step(z, r, epoch)
        return loss1.detach(), loss2.detach(), loss3.detach()

    def _critic_step(self, n: Tensor, z: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        generated = self.g1(r)
        loss1 = score(self.c1, n) - score(self.c1, generated)
        loss2 = score(self.c2, z) - score(self.c2, self.g2(z) + generated)
        for optimiser in self.rmsprops:
            optimiser.zero_grad()
        (-loss1 - loss2).backward()
        weights = [*self.c1.parameters(), *self.c2.parameters()]
        self.critic_gradients = [values.grad.clone() for values in weights]
        for optimiser in self.rmsprops:
            optimiser.step()
        for values in weights:
            values.data.clamp_(-0.02, 0.02)
        return loss1, loss2

    def _generator_step(self, z: Tensor, r: Tensor, epoch: int) -> Tensor:
        generated, estimate = self.g1(r), self.g2(z)
        remade = estimate + generated  # here, since gradients add up in the order of the terms
        loss3 = (z - self.g3(estimate)).abs().mean()
        loss = ALPHA * -score(self.c1, generated) + BETA * -score(self.c2, remade) + GAMMA * loss3
        for optimiser in self.adams:
            optimiser.zero_grad()
            optimiser.param_groups[0]["lr"] = adversarial_rate(epoch)
        loss.backward()
        for optimiser in self.adams:
            optimiser.step()
        return loss3


@torch.no_grad()
def plain_pairs(
    teacher: nn.Module, g1: nn.Module, crops: Tensor, latents: Tensor
) -> tuple[Tensor, Tensor]:
    """Make z^1 and z^2, (batch, 1, 64, 64), one sample at a time, the teacher run for each.

    Parameters
    ----------
    teacher, g1
        In eval mode; the teacher is g2 or the denoiser of the round before.
    crops
        Noisy crops, (batch, 1, 64, 64).
    latents
        r1 and r2 of every crop, (2, batch, 128).
    """
    sources, targets = [], []
    for crop, r1, r2 in zip(crops, *latents, strict=True):
        sources.append(teacher(crop[None]) + g1(r1[None]))
        targets.append(teacher(crop[None]) + g1(r2[None]))
    return torch.cat(sources), torch.cat(targets)


class PlainRound:
    """The step of a round, on pairs that were made before."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.adam = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(self, source: Tensor, target: Tensor, *, epoch: int = 0) -> Tensor:
        """Take one step on sources and targets, (batch, 1, 64, 64); give the loss."""
        loss = ((self.network(source) - target) ** 2).mean()
        self.adam.zero_grad()
        self.adam.param_groups[0]["lr"] = round_rate(epoch)
        loss.backward()
        self.adam.step()
        return loss.detach()
