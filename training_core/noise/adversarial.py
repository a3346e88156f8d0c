"""The adversarial game in which the generator learns the noise of the smooth patches."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cached_property, partial

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn
from torch.nn import functional

from training_core.compute.checkpoint import NO_PART, Part
from training_core.compute.state_file import State
from training_core.costs import GAME, MATCH
from training_core.run import NOISE_SECONDS, SILENT, NoiseReady, Run, Stage
from training_core.settings import NoiseModelSettings
from training_core.stack import Image, Values
from training_core.wording import STAND_INS

from .covariance import LAGS, autocovariance, trend_basis, trend_share
from .generator import LocalCritic, MeasuredGenerator, ResampledNoise, StationaryGenerator
from .likeness import RealNoise
from .match import NoiseMatch, compare_noise
from .measurement import Measurement, orientations

Maker = StationaryGenerator | ResampledNoise

HELD_OUT = 5  # every fifth patch judges the generator and is never shown to it
CRITIC_RATE, AVERAGING = 1e-3, 0.99
# Both start as measured, the spectrum more exactly; at 5e-3 the kurtosis of the noise ran away.
SPECTRUM_RATE, SHAPE_RATE = 2e-5, 1e-3
# The start: kurtosis off by .02 instead of .50 on Confocal_FISH.
HISTOGRAM, NORMAL_REACH, RIDGE = 4096, 3.5, 0.1
STEPS_TO_A_LOOK = 100  # whether there is anything left to learn
SHOWN = 256  # patches to who watches
JUDGED, JUDGED_ACROSS = 16, 8  # made images, and patches across each, compared with real ones
LEARNING = ("made", "kept", "critic", "forge", "judge")  # what changes with every step


def train_generator(
    measured: Measurement,
    settings: NoiseModelSettings,
    *,
    seed: int,
    device: torch.device,
    run: Run = SILENT,
    part: Part = NO_PART,
    cut: Image | None = None,
    channel: int = 0,
) -> tuple[Maker, NoiseMatch]:
    """Learn g1 adversarially from unit noise; if it fails, something simpler stands in for it.

    What is learned, the starting spectrum included, is learned without the held-out patches. Where
    it does not match them, noise with the measured spectrum and histogram and re-sampled patches
    are judged in the same way, and the best of the three is taken. An interrupted game is kept in
    `part` and gone on with; `finish_early` keeps what was learned so far. Who watches is shown what
    the generator of this `channel` makes meanwhile, where the patches are given as they were `cut`
    from the stack, (count, size, size).
    """
    noise, strengths = measured.noise, measured.strengths
    held_out = np.zeros(len(noise), bool)
    held_out[::HELD_OUT] = len(noise) >= 2 * HELD_OUT
    shown, judge = noise[~held_out], held_out if held_out.any() else ~held_out
    covariance = autocovariance(shown, trendless=True)
    game = NoiseGame(shown, covariance, settings, seed, device)

    def judged(maker: Maker, draw: torch.Generator = game.draw) -> tuple[Maker, NoiseMatch]:
        made = made_patches(maker, noise.shape[1], draw)
        match = compare_noise(made, noise[judge], strengths[judge])
        run.did(MATCH, 1)
        return maker.eval(), match

    strength = measured.stabiliser, measured.curve
    watched = None if cut is None else RealNoise(noise[judge], cut, *strength)
    look = partial(_look, game, watched, channel)
    good = _play(game, settings.steps, run, part, lambda: judged(*_now(game.kept, seed)), look)
    if good is None:
        game.kept.hold_scale(game.draw)
    best, learned = good or judged(game.kept)
    if learned.good:
        _tell(learned, len(game.losses), settings.steps, run)
        return best, learned
    plain = start(covariance, shown, MeasuredGenerator).to(device)
    plain.hold_scale(game.draw)
    real = ResampledNoise.of(shown, orientations(measured.covariance)).to(device)
    tried = [(best, learned), judged(plain), judged(real)]
    maker, match = min(tried, key=lambda one: one[1].distance)
    stand_in = "it is still better than what could stand in for it"
    if maker is not best:
        stand_in = f"{STAND_INS[type(maker).__name__]} stands in for it"
    run.note(
        f"The noise generator does not match the patches ({learned.sentence}); {stand_in} "
        f"(match {match.score:.0f} %).",
        warning=True,
    )
    return maker, match


def _look(game: NoiseGame, real: RealNoise | None, channel: int) -> NoiseReady | None:
    """Hold what the generator makes now to real noise."""
    if real is None:
        return None
    step = len(game.losses)
    maker, draw = _now(game.kept, step)
    made = maker.sample(SHOWN, real.size, real.size, draw)[:, 0].cpu().numpy()
    return NoiseReady(channel, step, real.beside(made))


def _now(maker: StationaryGenerator, seed: int) -> tuple[StationaryGenerator, torch.Generator]:
    """Give a generator as it is now, ready to make noise, and what decides that noise."""
    look, draw = deepcopy(maker), torch.Generator().manual_seed(seed)
    look.hold_scale(draw)
    return look.eval(), draw


def made_patches(maker: Maker, size: int, draw: torch.Generator) -> Image:
    """Cut made noise into many patches, (1024, size, size) float32."""
    made = maker.sample(JUDGED, JUDGED_ACROSS * size, JUDGED_ACROSS * size, draw)
    parts = made.reshape(JUDGED, JUDGED_ACROSS, size, JUDGED_ACROSS, size).transpose(2, 3)
    return parts.reshape(-1, size, size).cpu().numpy()


def _tell(match: NoiseMatch, taken: int, planned: int, run: Run) -> None:
    if not taken:
        run.note(f"The noise as measured matches the patches ({match.score:.0f} %).")
    elif taken < planned:
        run.note(
            f"The noise generator matches the patches ({match.score:.0f} %) after {taken} of "
            f"{planned} steps."
        )


def _play(
    game: NoiseGame,
    steps: int,
    run: Run,
    part: Part,
    judged: Callable[[], tuple[Maker, NoiseMatch]],
    look: Callable[[], NoiseReady | None],
) -> tuple[Maker, NoiseMatch] | None:
    """Play until the generator matches what was held out; give it as it was `judged` then, if so.

    Who watches gets a `look` at what it makes meanwhile.
    """
    good = None
    kept = part.load()
    if kept is not None:
        game.restore(kept)
    told = len(game.losses)
    run.start(Stage.NOISE_MODEL, steps, "noise generator", done=told)
    run.show(look, NOISE_SECONDS)
    for step in range(told + 1, steps + 1):
        part.check(run, game.state)
        if (step - 1) % STEPS_TO_A_LOOK == 0:
            now = judged()
            if now[1].good:
                good = now
                run.progress(Stage.NOISE_MODEL, steps, steps)
                break
        game.step()
        run.did(GAME, game_mpx(game.settings))
        if step == steps or run.finish_early or run.tick_due():
            run.progress(Stage.NOISE_MODEL, step, steps, game.mean_losses(told))
            run.show(look, NOISE_SECONDS)
            told = step
        if run.finish_early:
            break
    run.finish(Stage.NOISE_MODEL)
    return good


def game_mpx(settings: NoiseModelSettings) -> float:
    """Give how many megapixels of noise a step of the game looks at."""
    return settings.batch * settings.crop_px**2 * (1 + settings.critic_steps) / 1e6


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
        self.real = torch.from_numpy(noise)
        self.size = min(settings.crop_px, noise.shape[1])
        self.draw = torch.Generator().manual_seed(seed)
        self.made = start(covariance, noise).to(device)
        self.trend = torch.from_numpy(trend_basis(self.size)).float().to(device)
        self.strength = (1 - trend_share(covariance, noise.shape[1])) ** -0.5
        self.kept, self.critic = deepcopy(self.made), LocalCritic().to(device)
        self.losses: list[Tensor] = []

    # An optimiser pulls in torch._dynamo, a second that a game without steps does not need.

    @cached_property
    def forge(self) -> torch.optim.Optimizer:
        """What trains the generator."""
        speeds = [
            {"params": self.made.linear.parameters(), "lr": SPECTRUM_RATE},
            {"params": self.made.bend.parameters(), "lr": SHAPE_RATE},
        ]
        return torch.optim.Adam(speeds, betas=(0.0, 0.9))

    @cached_property
    def judge(self) -> torch.optim.Optimizer:
        """What trains the critic."""
        return torch.optim.Adam(self.critic.parameters(), CRITIC_RATE, betas=(0.0, 0.9))

    def step(self) -> None:
        """Update the critic, as often as the settings say, then the generator."""
        for _ in range(self.settings.critic_steps):
            against = self._critic_loss()
            _update(self.judge, against)
        forged = -self._scores(self._forge()).mean()
        _update(self.forge, forged)
        follow(self.kept, self.made, AVERAGING)
        self.losses.append(torch.stack([against.detach(), forged.detach()]))

    def _critic_loss(self) -> Tensor:
        real, fake = self._scores(self._crops()), self._scores(self._forge().detach())
        return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()

    def _scores(self, crops: Tensor) -> Tensor:
        """Judge crops without their slow trend, which the real ones have lost."""
        flat = crops.flatten(1)
        left = flat - (flat @ self.trend) @ self.trend.T
        scores: Tensor = self.critic(left.reshape(crops.shape))
        return scores

    def _forge(self) -> Tensor:
        edge = self.size + 2 * LAGS
        white = torch.randn(self.settings.batch, 1, edge, edge, generator=self.draw)
        noise: Tensor = self.made(white.to(self.device)) * self.strength
        return noise  # real ones have unit std, trendless

    def _crops(self) -> Tensor:
        """Cut random crops out of random patches, (batch, 1, size, size)."""
        count, spare = self.settings.batch, self.real.shape[-1] - self.size
        which = torch.randint(len(self.real), (count,), generator=self.draw)
        top, left = torch.randint(spare + 1, (count, 2), generator=self.draw).T
        windows = self.real.unfold(1, self.size, 1).unfold(2, self.size, 1)
        return windows[which, top, left][:, None].to(self.device)

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


def start(
    covariance: Values, noise: Image, kind: type[StationaryGenerator] = StationaryGenerator
) -> StationaryGenerator:
    """Give a generator of a kind, of the measured spectrum and histogram.

    The bend's steps lie evenly over what normal numbers reach; their heights are those of the ridge
    regression that brings normal quantiles to the measured ones.
    """
    generator = kind(covariance)
    ranks = (np.arange(HISTOGRAM) + 0.5) / HISTOGRAM
    normal, places = ndtri(ranks), np.linspace(-NORMAL_REACH, NORMAL_REACH, generator.width)
    terms = np.hstack([np.tanh(normal[:, None] - places), np.ones((HISTOGRAM, 1))])
    wanted = terms.T @ (np.quantile(noise, ranks) - normal)
    heights = np.linalg.solve(terms.T @ terms + RIDGE * np.eye(len(wanted)), wanted)
    values = (np.ones_like(places), -places, heights[:-1], heights[-1:])
    with torch.no_grad():
        for parameter, value in zip(generator.bend.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))
    return generator


def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


@torch.no_grad()
def follow(kept: nn.Module, trained: nn.Module, slowness: float) -> None:
    """Move the kept weights towards the trained ones (exponential moving average)."""
    for mine, theirs in zip(kept.parameters(), trained.parameters(), strict=True):
        mine.lerp_(theirs, 1 - slowness)
