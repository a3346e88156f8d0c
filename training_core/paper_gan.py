"""The published adversarial stage: noise g1, first estimate g2 and cycle g3 against two critics.

Cha et al., GAN2GAN, ICLR 2021, with L1 = E c1(n) - E c1(g1(r)), L2 = E c2(z) - E c2(g2(z) + g1(r))
and L3 = mean |z - g3(g2(z))|. The critics ascend L1 and L2; the generators minimise
alpha (-E c1(n^)) + beta (-E c2(x^ + n^)) + gamma L3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from .errors import InputError
from .networks import GENERATED_PX, Critic, NoiseGenerator, init_adversarial, paper_network
from .run import SILENT, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from .run import Run
    from .settings import NoiseModelSettings, Settings

    Image = NDArray[np.float32]

EPOCHS, CONSTANT_EPOCHS = 30, 10
GENERATOR_RATE, CRITIC_RATE, CLIP = 4e-4, 5e-5, 0.02


@dataclass(frozen=True, eq=False)
class PaperGan:
    """What the adversarial stage leaves behind.

    Attributes
    ----------
    g1
        Maps (batch, 128) normal numbers to (batch, 1, 64, 64) noise in unit intensity; eval mode.
    g2
        Maps (batch, 1, height, width) noisy to a first estimate in (0, 1); eval mode.
    losses
        L1, L2 and L3 of every step, (steps, 3) float32.
    """

    g1: NoiseGenerator
    g2: nn.Module
    losses: Image


def train_paper_gan(
    noise_patches: Image,
    frames: Sequence[Image],
    settings: Settings,
    *,
    device: torch.device,
    run: Run = SILENT,
) -> PaperGan:
    """Train g1 and g2 as published; `run.finish_early` keeps what was learned so far.

    Parameters
    ----------
    noise_patches
        Smooth patches, (count, size, size) float32 in unit intensity; size 64 px or more.
    frames
        Noisy frames, each (height, width) float32 in unit intensity, 64 px or more both ways.
    settings
        `noise_model` for the schedule, `denoiser.network` for the kind of g2 and g3, and the seed.

    Raises
    ------
    InputError
        If patches or frames are smaller than what g1 makes.
    Cancelled
        If the run was cancelled.
    """
    _check_sizes(noise_patches, frames)
    chosen = settings.noise_model
    crops = CropSource(noise_patches, frames, chosen.batch, settings.seed)
    game = AdversarialGame(chosen, _unet_or_dncnn(settings), settings.seed, device)
    run.start(Stage.NOISE_MODEL, chosen.steps, "g1, g2, g3")
    told = 0
    for step in range(1, chosen.steps + 1):
        run.check()
        noise, noisy, latent = (part.to(device) for part in crops.draw())
        game.step(noise, noisy, latent, _rate(step - 1, chosen.steps))
        if step == chosen.steps or run.finish_early or run.tick_due():
            run.progress(Stage.NOISE_MODEL, step, chosen.steps, game.mean_losses(told))
            told = step
        if run.finish_early:
            break
    run.finish(Stage.NOISE_MODEL)
    return PaperGan(game.g1.eval(), game.g2.eval(), torch.stack(game.losses).cpu().numpy())


def _check_sizes(noise_patches: Image, frames: Sequence[Image]) -> None:
    if min(noise_patches.shape[1:]) < GENERATED_PX:
        raise InputError(
            f"The smooth patches are {noise_patches.shape[1]} px wide; the published noise model "
            f"needs {GENERATED_PX} px. Choose a larger patch or the convolutional generator."
        )
    smallest = min(min(frame.shape) for frame in frames)
    if smallest < GENERATED_PX:
        raise InputError(
            f"The frames are {smallest} px across; the published noise model needs "
            f"{GENERATED_PX} px. Choose the convolutional generator."
        )


def _unet_or_dncnn(settings: Settings) -> str:
    return "unet" if settings.denoiser.network == "unet" else "dncnn"


def _rate(step: int, steps: int) -> float:
    """Give the generators' share of the first rate: constant for 10 of 30 epochs, then to zero."""
    epoch = step * EPOCHS // steps
    return min(1.0, (EPOCHS - epoch) / (EPOCHS - CONSTANT_EPOCHS))


class CropSource:
    """Draws batches of noise crops, noisy crops and latent vectors, the same for the same seed."""

    def __init__(
        self, noise_patches: Image, frames: Sequence[Image], batch: int, seed: int
    ) -> None:
        self.noise_patches, self.frames, self.batch = noise_patches, frames, batch
        self.rng = np.random.default_rng(seed)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give n and z, each (batch, 1, 64, 64), and r, (batch, 128), float32 on the processor."""
        noise = np.stack([self._crop(self.noise_patches) for _ in range(self.batch)])
        noise -= noise.mean(axis=(1, 2), keepdims=True)
        noisy = np.stack([self._crop(self.frames) for _ in range(self.batch)])
        latent = self.rng.standard_normal((self.batch, 128), dtype=np.float32)
        return (
            torch.from_numpy(noise[:, None]),
            torch.from_numpy(noisy[:, None]),
            torch.from_numpy(latent),
        )

    def _crop(self, images: Image | Sequence[Image]) -> Image:
        """Cut a random, randomly flipped crop."""
        image = images[int(self.rng.integers(len(images)))]
        top, left = (int(self.rng.integers(n - GENERATED_PX + 1)) for n in image.shape)
        flips = [1 - 2 * int(flip) for flip in self.rng.integers(0, 2, 2)]
        crop: Image = image[top : top + GENERATED_PX, left : left + GENERATED_PX]
        return crop[:: flips[0], :: flips[1]]


class AdversarialGame:
    """The five networks, their optimisers, and one step of all of them."""

    def __init__(
        self, settings: NoiseModelSettings, kind: str, seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        self.g1 = NoiseGenerator()
        self.g2 = paper_network(kind, 15, sigmoid=True)
        self.g3 = paper_network(kind, 17)
        self.c1, self.c2 = Critic(), Critic()
        self.generators = (self.g1, self.g2, self.g3)
        self.losses: list[Tensor] = []
        start = torch.Generator().manual_seed(seed)
        for network in (*self.generators, self.c1, self.c2):
            init_adversarial(network, start)
            network.to(device).train()
        self._repeat_statistics(settings.critic_steps + 1)
        self.forged = [p for network in self.generators for p in network.parameters()]
        self.forge = torch.optim.Adam(self.forged, GENERATOR_RATE, betas=(0.5, 0.999))
        self.judge = torch.optim.RMSprop(self._critic_parameters(), CRITIC_RATE)

    def _repeat_statistics(self, passes: int) -> None:
        """Let one pass of g1 and g2 move the running statistics as far as the original's many."""
        for network in (self.g1, self.g2):
            for part in network.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.momentum = 1 - 0.9**passes

    def _critic_parameters(self) -> list[nn.Parameter]:
        return [*self.c1.parameters(), *self.c2.parameters()]

    def step(self, noise: Tensor, noisy: Tensor, latent: Tensor, rate: float = 1.0) -> None:
        """Update the critics several times and the generators once, on the same z and r.

        The generators stand still meanwhile, so their outputs are computed once; the losses and
        the weights are those of computing them anew for every critic step.
        """
        made, estimate = self.g1(latent), self.g2(noisy)
        forged = estimate + made
        fixed = made.detach(), forged.detach()
        for _ in range(self.settings.critic_steps):
            against = self._update_critics(noise, noisy, *fixed)
        cycle = (noisy - self.g3(estimate)).abs().mean()
        self._update_generators(made, forged, cycle, rate)
        self.losses.append(torch.stack([*against, cycle.detach()]))

    def _update_critics(
        self, noise: Tensor, noisy: Tensor, made: Tensor, forged: Tensor
    ) -> tuple[Tensor, Tensor]:
        first = self.c1(noise).mean() - self.c1(made).mean()
        second = self.c2(noisy).mean() - self.c2(forged).mean()
        self.judge.zero_grad(set_to_none=True)
        (-first - second).backward()
        self.judge.step()
        with torch.no_grad():
            for values in self._critic_parameters():
                values.clamp_(-CLIP, CLIP)
        return first.detach(), second.detach()

    def _update_generators(self, made: Tensor, forged: Tensor, cycle: Tensor, rate: float) -> None:
        weights = self.settings
        loss = (
            -weights.noise_weight * self.c1(made).mean()
            - weights.image_weight * self.c2(forged).mean()
            + weights.cycle_weight * cycle
        )
        self.forge.zero_grad(set_to_none=True)
        loss.backward(inputs=self.forged)  # not into the critics
        for group in self.forge.param_groups:
            group["lr"] = GENERATOR_RATE * rate
        self.forge.step()

    def mean_losses(self, since: int) -> dict[str, float]:
        """Average the losses of the steps after `since`; waits for the device."""
        means = torch.stack(self.losses[since:]).mean(dim=0).tolist()
        return dict(zip(("noise critic", "image critic", "cycle"), means, strict=True))
