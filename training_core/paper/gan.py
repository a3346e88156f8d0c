"""The published adversarial stage: noise g1, first estimate g2 and cycle g3 against two critics.

Cha et al., GAN2GAN, ICLR 2021, with L1 = E c1(n) - E c1(g1(r)), L2 = E c2(z) - E c2(g2(z) + g1(r))
and L3 = mean |z - g3(g2(z))|. The critics ascend L1 and L2; the generators minimise
alpha (-E c1(n^)) + beta (-E c2(x^ + n^)) + gamma L3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam, RMSprop

from training_core.compute.checkpoint import NO_PART, Part, State
from training_core.compute.crops import Crops, Epochs, send
from training_core.compute.device import mixed
from training_core.compute.optimiser_step import Parts, restore_optimiser
from training_core.costs import GAME, of_network
from training_core.errors import InputError
from training_core.networks.published import (
    GENERATED_PX,
    LATENT,
    Critic,
    DnCNN,
    NoiseGenerator,
    UNet,
    init_adversarial,
    paper_network,
)
from training_core.noise.adversarial import SHOWN, game_mpx
from training_core.noise.likeness import RealNoise
from training_core.run import NOISE_SECONDS, SILENT, NoiseReady, Run, Stage
from training_core.settings import NoiseModelSettings, Settings
from training_core.stack import Image

EPOCHS, CONSTANT_EPOCHS = 30, 10  # the rate stays for ten epochs, then falls to 0
GENERATOR_RATE, CRITIC_RATE, CLIP = 4e-4, 5e-5, 0.02  # of Adam, of RMSprop, of every critic weight
NETWORKS = ("g1", "g2", "g3", "c1", "c2")
OPTIMISERS = ("generator_optimiser", "critic_optimiser")


def train_paper_gan(
    noise_patches: Image,
    frames: Sequence[Image],
    settings: Settings,
    *,
    device: torch.device,
    run: Run = SILENT,
    part: Part = NO_PART,
    real: RealNoise | None = None,
    channel: int = 0,
) -> AdversarialGame:
    """Train as published and give the game with g1 and g2 in eval mode.

    Smooth patches are (count, size, size), noisy frames (height, width), both float32 in unit
    intensity and 64 px or more across. `run.finish_early` keeps what was learned so far; an
    interrupted stage is kept in `part`. Who watches is shown what g1 of this `channel` makes beside
    `real` noise. Raises `InputError` if patches or frames are smaller than what g1 makes.
    """
    chosen = settings.noise_model
    crops = CropSource(noise_patches, frames, chosen.batch, settings.seed, device)
    game = paper_game(settings, device, run)
    kept = part.load()
    if kept is not None:
        game.restore(kept["game"])
        crops.restore(kept["crops"])
    told, game_kind = len(game.losses), of_network(GAME, game.g2)
    run.start(Stage.NOISE_MODEL, chosen.steps, "g1, g2, g3", done=told)
    for step in range(told + 1, chosen.steps + 1):
        part.check(run, lambda: {"game": game.state(), "crops": crops.state()})
        game.step(*crops.draw(), _rate(step - 1, chosen.steps))
        run.did(game_kind, game_mpx(chosen))
        if step == chosen.steps or run.finish_early or run.tick_due():
            run.progress(Stage.NOISE_MODEL, step, chosen.steps, game.mean_losses(told))
            run.show(partial(_look, game, real, channel), NOISE_SECONDS)
            told = step
        if run.finish_early:
            break
    run.finish(Stage.NOISE_MODEL)
    # As published: it learned with the statistics of batches and is used without (METHOD 4).
    game.g1.eval()
    game.g2.eval()
    return game


def _look(game: AdversarialGame, real: RealNoise | None, channel: int) -> NoiseReady | None:
    """Hold what g1 makes now to real noise."""
    if real is None:
        return None
    step, g1 = len(game.losses), deepcopy(game.g1).eval()
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        made = g1.sample(SHOWN, real.size, real.size, draw)
    return NoiseReady(channel, step, real.beside(made[:, 0].cpu().numpy()))


def paper_game(settings: Settings, device: torch.device, run: Run = SILENT) -> AdversarialGame:
    """Build the five networks and their optimisers, untrained."""
    chosen, fast = settings.noise_model, settings.precision == "auto"
    return AdversarialGame(chosen, _kind(settings), settings.seed, device, bfloat16=fast, run=run)


def first_network(settings: Settings) -> DnCNN | UNet:
    """Build g2, untrained."""
    return paper_network(_kind(settings), 15, sigmoid=True)


def _kind(settings: Settings) -> str:
    return "unet" if settings.denoiser.network == "unet" else "dncnn"


def _rate(step: int, steps: int) -> float:
    """Give the generators' share of the first rate: constant for 10 of 30 epochs, then to zero."""
    epoch = step * EPOCHS // steps
    return min(1.0, (EPOCHS - epoch) / (EPOCHS - CONSTANT_EPOCHS))


@dataclass
class _Fakes:
    """What the generators made of a batch; `graph` leads back to them while the batch is whole."""

    noise: Tensor
    noisy: Tensor
    graph: tuple[Tensor, Tensor] | None = None


class AdversarialGame:
    """The five networks, their optimisers, and one step of all of them.

    g1 maps (batch, 128) normal numbers to (batch, 1, 64, 64) noise, g2 noisy images to a first
    estimate in (0, 1); L1, L2 and L3 of each step are `losses`, (3,).

    When the memory runs out, batches are split and the gradients of the parts added up; batch norm
    then goes by the parts, and the generators' outputs are computed anew for their own update.

    g2 and g3 are of a `kind`, "dncnn" or "unet". All but g1, which costs next to nothing, may
    compute in `bfloat16` where it is native.
    """

    def __init__(
        self,
        settings: NoiseModelSettings,
        kind: str,
        seed: int,
        device: torch.device,
        *,
        bfloat16: bool = False,
        run: Run = SILENT,
    ) -> None:
        self.settings, self.device, self.bfloat16 = settings, device, bfloat16
        self.g1 = NoiseGenerator()
        self.g2 = paper_network(kind, 15, sigmoid=True)
        self.g3 = paper_network(kind, 17)
        self.c1, self.c2 = Critic(), Critic()
        self.losses: list[Tensor] = []
        self.parts = Parts(device, run)
        start = torch.Generator().manual_seed(seed)
        for network in (self.g1, self.g2, self.g3, self.c1, self.c2):
            init_adversarial(network, start)
            network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for part in (*self.g1.modules(), *self.g2.modules()):
            if isinstance(part, nn.BatchNorm2d):
                # Lets one pass move the running statistics as far as the original's many.
                part.momentum = 1 - 0.9 ** (settings.critic_steps + 1)
        self.generator_weights = [p for g in (self.g1, self.g2, self.g3) for p in g.parameters()]
        self.critic_weights = [*self.c1.parameters(), *self.c2.parameters()]
        self.generator_optimiser = Adam(self.generator_weights, GENERATOR_RATE, betas=(0.5, 0.999))
        self.critic_optimiser = RMSprop(self.critic_weights, CRITIC_RATE)

    def step(self, noise: Tensor, noisy: Tensor, latent: Tensor, rate: float = 1.0) -> None:
        """Update the critics several times and the generators once, on the same z and r.

        The generators stand still meanwhile, so their outputs are computed once; the losses and
        the weights are those of computing them anew for every critic step.

        Raises `SettingsError` if not even one crop fits into the memory.
        """
        count = len(noisy)
        fakes = self.parts.fit(partial(self._fake, noisy, latent), count)
        for _ in range(self.settings.critic_steps):
            against = self.parts.fit(partial(self._critics, noise, noisy, fakes), count)
            self.critic_optimiser.step()
            with torch.no_grad():
                for values in self.critic_weights:
                    # What keeps the critics Lipschitz (Arjovsky et al., 2017).
                    values.clamp_(-CLIP, CLIP)
        cycle = self.parts.fit(partial(self._generators, noisy, latent, fakes), count)
        for group in self.generator_optimiser.param_groups:
            group["lr"] = GENERATOR_RATE * rate
        self.generator_optimiser.step()
        self.losses.append(torch.cat([against, cycle]))

    def _generate(self, noisy: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Give n^ and x^."""
        with mixed(self.device, wanted=self.bfloat16):
            estimate = self.g2(noisy)
        return self.g1(latent), estimate.to(noisy.dtype)

    def _critic_arithmetic(self) -> torch.autocast:
        """Keep the critics in float32 on a processor: its strided bfloat16 kernels are slower."""
        return mixed(self.device, wanted=self.bfloat16 and self.device.type != "cpu")

    def _fake(self, noisy: Tensor, latent: Tensor, parts: int) -> _Fakes:
        if parts == 1:
            made, estimate = self._generate(noisy, latent)
            return _Fakes(made.detach(), (estimate + made).detach(), (made, estimate))
        with torch.no_grad():
            pairs = [self._generate(z, r) for z, r in _split(parts, noisy, latent)]
        made, estimate = (torch.cat(both) for both in zip(*pairs, strict=True))
        return _Fakes(made, estimate + made)

    def _critics(self, noise: Tensor, noisy: Tensor, fakes: _Fakes, parts: int) -> Tensor:
        """Leave the critics' gradients; give L1 and L2, (2,)."""
        if parts > 1:
            fakes.graph = None  # makes room
        self.critic_optimiser.zero_grad(set_to_none=True)
        told = torch.zeros(2, dtype=noisy.dtype, device=self.device)
        for n, z, made, fake in _split(parts, noise, noisy, fakes.noise, fakes.noisy):
            with self._critic_arithmetic():
                first = self.c1(n).mean() - self.c1(made).mean()
                second = self.c2(z).mean() - self.c2(fake).mean()
            share = len(z) / len(noisy)
            ((-first - second) * share).backward()
            told += share * torch.stack([first, second]).detach()
        return told

    def _generators(self, noisy: Tensor, latent: Tensor, fakes: _Fakes, parts: int) -> Tensor:
        """Leave the generators' gradients; give L3, (1,)."""
        self.generator_optimiser.zero_grad(set_to_none=True)
        told = torch.zeros(1, dtype=noisy.dtype, device=self.device)
        known = fakes.graph if parts == 1 else None
        fakes.graph = None  # a second try must not find what the first has used up
        for z, r in _split(parts, noisy, latent):
            made, estimate = known or self._generate(z, r)
            share = len(z) / len(noisy)
            told += share * self._backward(z, made, estimate, share)
        return told

    def _backward(self, noisy: Tensor, made: Tensor, estimate: Tensor, share: float) -> Tensor:
        """Add the gradients of a part, which is this `share` of the batch; give its L3."""
        weights = self.settings
        with self._critic_arithmetic():
            noise_score, image_score = self.c1(made).mean(), self.c2(estimate + made).mean()
        with mixed(self.device, wanted=self.bfloat16):
            again = self.g3(estimate)
        cycle: Tensor = (noisy - again).abs().mean()
        loss = (
            -weights.noise_weight * noise_score
            - weights.image_weight * image_score
            + weights.cycle_weight * cycle
        )
        (loss * share).backward(inputs=self.generator_weights)  # not into the critics
        return cycle.detach()

    def mean_losses(self, since: int) -> dict[str, float]:
        """Average the losses of the steps after `since`; waits for the device."""
        means = torch.stack(self.losses[since:]).mean(dim=0).tolist()
        return dict(zip(("noise critic", "image critic", "cycle"), means, strict=True))

    def state(self) -> State:
        """Give everything that the next step depends on, but the batch."""
        learning = {name: getattr(self, name).state_dict() for name in NETWORKS + OPTIMISERS}
        losses = torch.stack(self.losses) if self.losses else torch.empty(0, 3)
        return {**learning, "parts": self.parts.count, "losses": losses}

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        for name in NETWORKS:
            getattr(self, name).load_state_dict(state[name])
        for name in OPTIMISERS:
            restore_optimiser(getattr(self, name), state[name])
        self.parts.count = state["parts"]
        self.losses = list(state["losses"].to(self.device))


def _split(parts: int, *batches: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(batch.chunk(parts) for batch in batches), strict=True)


WINDOWS = 20_500  # as the authors drew once for all epochs
WINDOW_PX, CROP_PX = 120, 64  # as published: a window of 120 px for crops of 64
CPU = torch.device("cpu")


def published_windows(crops: Crops, size: int, seed: int) -> Tensor:
    """Draw the windows that the adversarial stage and all rounds take their crops from."""
    place = torch.Generator().manual_seed(seed)
    return crops.windows(WINDOWS, size * WINDOW_PX // CROP_PX, place)


class CropSource:
    """Gives batches of noise crops, noisy crops and latent vectors, the same for the same seed.

    Noisy crops lie in 20 500 windows that are gone through in random order; noise crops are cut
    from any smooth patch.

    Raises `InputError` if patches or frames are smaller than a crop.
    """

    def __init__(
        self,
        noise_patches: Image,
        frames: Sequence[Image],
        batch: int,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        _check_sizes(noise_patches, frames)
        self.batch, self.device = batch, device
        self.draw_from = torch.Generator().manual_seed(seed)
        self.patches = Crops(list(torch.from_numpy(noise_patches)), device)
        self.noisy = Crops([torch.from_numpy(frame) for frame in frames], device)
        self.windows = published_windows(self.noisy, GENERATED_PX, seed)
        self.epochs = Epochs(len(self.windows), self.draw_from)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give n and z, each (batch, 1, 64, 64), and r, (batch, 128), float32 on the device."""
        draw = self.draw_from
        which = torch.randint(len(self.patches.whole), (self.batch,), generator=draw)
        noise = self.patches.cut(self.patches.whole[which], GENERATED_PX, draw)
        noise -= noise.mean(dim=(2, 3), keepdim=True)
        noisy = self.noisy.cut(self.windows[self.epochs.next(self.batch)], GENERATED_PX, draw)
        latent = torch.randn(self.batch, LATENT, generator=draw)
        return noise, noisy, send(latent, self.device)

    def state(self) -> State:
        """Give everything that the next batch depends on."""
        return {"draw": self.draw_from.get_state(), "epochs": self.epochs.state()}

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        self.draw_from.set_state(state["draw"])
        self.epochs.restore(state["epochs"])


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
