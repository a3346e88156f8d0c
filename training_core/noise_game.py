"""The adversarial game in which the generator learns the noise of the smooth patches."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from .checkpoint import NO_PART
from .compact_networks import LocalCritic, StationaryGenerator
from .noise_model import NoiseMatch
from .noise_statistics import LAGS, autocovariance, detrended
from .run import SILENT, Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .checkpoint import Part
    from .noise_measurement import Image
    from .noise_statistics import Values
    from .run import Run
    from .settings import NoiseModelSettings
    from .state_file import State

HELD_OUT = 5  # every fifth patch judges the generator and is never shown to it
CRITIC_RATE, AVERAGING = 1e-3, 0.99
SPECTRUM_RATE, SHAPE_RATE = 2e-5, 5e-3  # the spectrum starts as measured; the histogram does not
JUDGED = 256  # made crops that are compared with real ones
LEARNING = ("made", "kept", "critic", "forge", "judge")  # what changes with every step


def train_generator(
    noise: Image,
    covariance: Values,
    settings: NoiseModelSettings,
    *,
    seed: int,
    device: torch.device,
    run: Run = SILENT,
    part: Part = NO_PART,
) -> tuple[StationaryGenerator, NoiseMatch]:
    """Learn g1 adversarially from unit noise; fall back to the measured spectrum if it fails.

    Parameters
    ----------
    noise
        Unit noise, (count, size, size) float32.
    covariance
        Its autocovariance, (31, 31) float64: where the generator starts.
    part
        Where an interrupted game is kept and gone on with.

    Raises
    ------
    Cancelled
        If the run was cancelled; `finish_early` keeps what was learned so far.
    """
    held_out = np.zeros(len(noise), bool)
    held_out[::HELD_OUT] = len(noise) >= 2 * HELD_OUT
    game = NoiseGame(noise[~held_out], covariance, settings, seed, device)
    _play(game, settings.steps, run, part)
    generator, plain = game.kept, StationaryGenerator(covariance).to(device)
    judge = noise[held_out] if held_out.any() else noise
    learned, measured = (_judge(made, judge, game.draw) for made in (generator, plain))
    if learned.good or learned.distance <= measured.distance:
        return generator.eval(), learned
    run.note(
        f"The noise generator did not converge (correlation off by {learned.correlation:.2f}, "
        f"kurtosis by {learned.kurtosis:.2f}); noise with the measured spectrum is used instead.",
        warning=True,
    )
    return plain.eval(), measured


def _play(game: NoiseGame, steps: int, run: Run, part: Part) -> None:
    kept = part.load()
    if kept is not None:
        game.restore(kept)
    told = len(game.losses)
    run.start(Stage.NOISE_MODEL, steps, "noise generator", done=told)
    for step in range(told + 1, steps + 1):
        part.check(run, game.state)
        game.step()
        if step == steps or run.finish_early or run.tick_due():
            run.progress(Stage.NOISE_MODEL, step, steps, game.mean_losses(told))
            told = step
        if run.finish_early:
            break
    run.finish(Stage.NOISE_MODEL)


def _judge(generator: StationaryGenerator, real: Image, draw: torch.Generator) -> NoiseMatch:
    generator.hold_scale(draw)
    return compare_noise(generator, real, draw)


class NoiseGame:
    """Generator against critic with the hinge losses of Lim and Ye (2017).

    `kept` is the running average of the generator's weights, which is what is used in the end.
    """

    def __init__(
        self,
        noise: Image,
        covariance: Values,
        settings: NoiseModelSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.device = settings, device
        self.real = torch.from_numpy(noise)[:, None]
        self.size = min(settings.crop_px, noise.shape[1])
        self.draw = torch.Generator().manual_seed(seed)
        self.made = StationaryGenerator(covariance).to(device)
        self.kept, self.critic = deepcopy(self.made), LocalCritic().to(device)
        speeds = [
            {"params": self.made.linear.parameters(), "lr": SPECTRUM_RATE},
            {"params": self.made.bend.parameters(), "lr": SHAPE_RATE},
        ]
        self.forge = torch.optim.Adam(speeds, betas=(0.0, 0.9))
        self.judge = torch.optim.Adam(self.critic.parameters(), CRITIC_RATE, betas=(0.0, 0.9))
        self.losses: list[Tensor] = []

    def step(self) -> None:
        """Update the critic, as often as the settings say, then the generator."""
        for _ in range(self.settings.critic_steps):
            against = self._critic_loss()
            _update(self.judge, against)
        forged = -self.critic(self._forge()).mean()
        _update(self.forge, forged)
        follow(self.kept, self.made, AVERAGING)
        self.losses.append(torch.stack([against.detach(), forged.detach()]))

    def _critic_loss(self) -> Tensor:
        real, fake = self.critic(self._crops()), self.critic(self._forge().detach())
        return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()

    def _forge(self) -> Tensor:
        noise: Tensor = self.made(_white(self.settings.batch, self.size, self.draw).to(self.device))
        return noise

    def _crops(self) -> Tensor:
        """Cut random crops out of random patches, (batch, 1, size, size)."""
        count, spare = self.settings.batch, self.real.shape[-1] - self.size
        which = torch.randint(len(self.real), (count,), generator=self.draw).tolist()
        places = torch.randint(spare + 1, (count, 2), generator=self.draw).tolist()
        cut = [
            self.real[i, :, y : y + self.size, x : x + self.size]
            for i, (y, x) in zip(which, places, strict=True)
        ]
        return torch.stack(cut).to(self.device)

    def mean_losses(self, since: int) -> dict[str, float]:
        """Average the losses of the steps after `since`; waits for the device."""
        critic, generator = torch.stack(self.losses[since:]).mean(dim=0).tolist()
        return {"critic": critic, "generator": generator}

    def state(self) -> State:
        """Give everything that the next step depends on."""
        return {name: getattr(self, name).state_dict() for name in LEARNING} | {
            "draw": self.draw.get_state(),
            "losses": torch.stack(self.losses) if self.losses else torch.empty(0, 2),
        }

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        for name in LEARNING:
            getattr(self, name).load_state_dict(state[name])
        self.draw.set_state(state["draw"])
        self.losses = list(state["losses"].to(self.device))


def _white(count: int, size: int, draw: torch.Generator) -> Tensor:
    edge = size + 2 * LAGS
    return torch.randn(count, 1, edge, edge, generator=draw)


def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


@torch.no_grad()
def follow(kept: nn.Module, trained: nn.Module, slowness: float) -> None:
    """Move the kept weights towards the trained ones (exponential moving average)."""
    for mine, theirs in zip(kept.parameters(), trained.parameters(), strict=True):
        mine.lerp_(theirs, 1 - slowness)


@torch.no_grad()
def compare_noise(generator: StationaryGenerator, real: Image, draw: torch.Generator) -> NoiseMatch:
    """Compare made noise with real unit noise (count, size, size), both treated alike."""
    device = generator.linear.weight.device
    size = real.shape[1]
    white = _white(JUDGED, size, draw).to(device)
    made = detrended(generator(white)[:, 0].cpu().numpy())
    near = slice(LAGS - 3, LAGS + 4)
    apart = _unit(autocovariance(made))[near, near] - _unit(autocovariance(real))[near, near]
    kurtosis = abs(float(np.mean(made**4)) - float(np.mean(real**4)))
    return NoiseMatch(float(np.abs(apart).max()), kurtosis)


def _unit(covariance: Values) -> Values:
    unit: Values = covariance / covariance[LAGS, LAGS]
    return unit
