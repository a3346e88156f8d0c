"""Training the network that the rounds start from, on photographs with many kinds of noise.

With DnCNN-B's (`pretraining/dncnn_b.py`) the only training that sees something clean. Every scene
and every crop follows from the seed and its number, so that a checkpoint needs to keep none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from training_core.compute.checkpoint import Checkpoint
from training_core.compute.optimiser_step import TrainingStep
from training_core.compute.state_file import State
from training_core.denoise.dct_filter import ShrinkageFilter, local_sigma
from training_core.errors import InputError
from training_core.networks.pretrained import NAME, PretrainedDenoiser
from training_core.noise.adversarial import follow
from training_core.place import ALL, turn
from training_core.run import SILENT, Run, Stage
from training_core.stack import Image

from .scenes import SCALES, draw_scene

Network = TypeVar("Network", bound=nn.Module)


LEAST_RATE = 1e-3  # of the first rate: the end of the cosine


AVERAGING = 0.999


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """How long a network is trained, on how much at a time; `learning_rate` is the highest."""

    steps: int
    batch: int
    crop_px: int
    learning_rate: float
    seed: int


class AveragedTraining(ABC, Generic[Network]):
    """A network in training, the average of its weights, and one step.

    Parameters
    ----------
    make
        Gives the network; what it draws depends on the seed of the settings only.
    warm_up
        Steps until the highest rate; 1 starts with it.

    Attributes
    ----------
    trained, kept
        The network that learns, and the one with the averaged weights.
    """

    def __init__(
        self,
        make: Callable[[], Network],
        settings: TrainingSize,
        device: torch.device,
        run: Run = SILENT,
        *,
        warm_up: int = 1,
    ) -> None:
        self.settings, self.device, self.warm_up = settings, device, warm_up
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = make()
        self.trained: Network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kept = deepcopy(self.trained)
        optimiser = torch.optim.Adam(self.trained.parameters(), settings.learning_rate)
        self.update = TrainingStep(self.trained, optimiser, bfloat16=True, longest=1.0, run=run)
        self.steps_done = 0

    @abstractmethod
    def batch(self) -> tuple[Tensor, ...]:
        """Draw what the next step learns from: sources, targets and, if any, their weights."""

    def step(self) -> Tensor:
        """Take the next step; give the loss, still on the device."""
        done = self.steps_done / self.settings.steps
        for group in self.update.optimiser.param_groups:
            rising = min(1.0, (self.steps_done + 1) / self.warm_up)
            falling = (1 + math.cos(math.pi * done)) / 2
            group["lr"] = self.settings.learning_rate * rising * max(falling, LEAST_RATE)
        loss = self.update(*self.batch())
        self.steps_done += 1
        with torch.no_grad():
            follow(self.kept, self.trained, min(AVERAGING, 1 - 10 / (self.steps_done + 10)))
        return loss

    @abstractmethod
    def settled(self) -> Network:
        """Give the averaged network, ready to be used; training can go on the same."""

    def state(self) -> State:
        """Give all that the next step depends on, for a checkpoint."""
        return {
            "steps_done": self.steps_done,
            "update": self.update.state(),
            "kept": self.kept.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from where `state` was given."""
        self.steps_done = state["steps_done"]
        self.update.restore(state["update"])
        self.kept.load_state_dict(state["kept"])


def train_on(
    training: AveragedTraining[Network],
    name: str,
    images: Sequence[Image],
    checkpoint: Checkpoint | None = None,
    run: Run = SILENT,
) -> None:
    """Take the steps that are left; those of the checkpoint, if it has any, are not taken again.

    Parameters
    ----------
    name
        Of the checkpoint's part, which is written when due and at the end; with
        `run.stop_and_keep` the end comes early.
    images
        What is learned from: a checkpoint of other images is refused.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another training.
    SettingsError
        If not even one crop of a batch fits into the memory.
    Cancelled
        If the run was cancelled.
    """
    checkpoint, steps = checkpoint or Checkpoint(None), training.settings.steps
    checkpoint.claim({"photographs": _digest(images), "settings": asdict(training.settings)})
    part = checkpoint.part(name)
    before = part.load()
    if before is not None:
        training.restore(before)
    run.start(Stage.ROUNDS, steps)
    told, steps_told = torch.zeros((), device=training.device), 0
    while training.steps_done < steps and not run.finish_early:
        part.check(run, training.state)
        told, steps_told = told + training.step(), steps_told + 1
        if run.tick_due() or training.steps_done == steps:
            mean = float(told) / steps_told  # waits for the device
            run.progress(Stage.ROUNDS, training.steps_done, steps, {"denoiser": mean})
            told, steps_told = torch.zeros_like(told), 0
    part.save(training.state())
    run.finish(Stage.ROUNDS)


def _digest(images: Sequence[Image]) -> str:
    digest = sha256()
    for image in images:
        digest.update(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


CROPS_PER_SCENE = 32  # that many crops are taken for each new scene
WARM_UP = 200
LEAST_ERROR = 0.02  # of the filter, in units of the noise's variance: below it scenes weigh alike
TO_LEARN, TO_CUT, TO_MEASURE = range(3)  # what random numbers are for
MEASURED = 60


@dataclass(frozen=True, slots=True)
class PretrainingSettings(TrainingSize):
    """How the network is trained; the defaults are the size for a GPU.

    Attributes
    ----------
    scenes
        How many are at hand at a time; the oldest makes way for a new one.
    """

    steps: int = 200_000
    batch: int = 32
    crop_px: int = 64
    learning_rate: float = 8e-4
    seed: int = 0
    scenes: int = 300


FULL = PretrainingSettings()
SMALL = PretrainingSettings(steps=100_000, batch=8)


class ScenePool:
    """Gives crops of made-up scenes; the same for the same seed and step.

    Raises
    ------
    InputError
        If no photograph is as large as a crop in the smallest scale.
    """

    def __init__(
        self,
        images: Sequence[Image],
        settings: PretrainingSettings,
        device: torch.device,
        run: Run = SILENT,
    ) -> None:
        self.settings, self.device, self.run = settings, device, run
        least = math.ceil(settings.crop_px / min(SCALES))
        self.images = [image for image in images if min(image.shape) >= least]
        if not self.images:
            raise InputError(
                f"None of the {len(images)} photographs is {least} x {least} pixels or larger; "
                "choose another folder."
            )
        self.at_hand: dict[int, tuple[Tensor, float]] = {}

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Give crops for a step, on the device.

        Returns
        -------
        tuple of torch.Tensor
            Noisy, estimate, std of the noise and estimate of large blocks (batch, 4, crop, crop),
            clean (batch, 1, crop, crop), all in units of the noise's std, and how much each counts,
            (batch, 1, 1, 1); float32.
        """
        rng = np.random.default_rng((self.settings.seed, TO_CUT, step))
        first = step * self.settings.batch // CROPS_PER_SCENE
        numbers = range(first, first + self.settings.scenes)
        self.at_hand = {n: self.at_hand.get(n) or self._scene(n) for n in numbers}
        chosen = [self.at_hand[int(n)] for n in rng.choice(numbers, self.settings.batch)]
        crops = torch.stack([self._crop(images, rng) for images, _ in chosen])
        counts = torch.tensor([count for _, count in chosen]).reshape(-1, 1, 1, 1)
        crops, counts = crops.to(self.device), counts.to(self.device)
        return crops[:, :-1], crops[:, -1:], counts

    def _scene(self, number: int) -> tuple[Tensor, float]:
        """Make a scene, and how much it counts: a dim one must not vanish beside a bright one."""
        self.run.check()
        seed = (self.settings.seed, TO_LEARN, number)
        images = make_images(self.images, seed, self.device)
        error = float((images[1] - images[-1]).square().mean())
        return images.cpu(), (error + LEAST_ERROR) ** -0.5

    def _crop(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        size = self.settings.crop_px
        top, left = (int(rng.integers(length - size + 1)) for length in images.shape[1:])
        return turn(images[:, top : top + size, left : left + size], int(rng.choice(ALL)))


@torch.no_grad()
def make_images(
    photographs: Sequence[Image], seed: tuple[int, ...], device: torch.device
) -> Tensor:
    """Draw a scene: what the network sees of it, and the clean image.

    Returns
    -------
    torch.Tensor
        Noisy, the filter's estimate, the std of the noise, the estimate of large blocks and clean,
        (5, height, width) float32; the mean of the noisy image is taken off all but the std.
    """
    scene = draw_scene(photographs, np.random.default_rng(seed))
    noisy, clean = (torch.from_numpy(image).to(device) for image in (scene.noisy, scene.clean))
    known = scene.covariance, scene.curve
    filters = ShrinkageFilter(*known), ShrinkageFilter.wide(*known)
    estimate, wide = (look(noisy[None, None])[0, 0] for look in filters)
    mean = noisy.mean()
    sigma = local_sigma(scene.curve, estimate)
    return torch.stack([noisy - mean, estimate - mean, sigma, wide - mean, clean - mean])


class Pretraining(AveragedTraining[PretrainedDenoiser]):
    """The network in training."""

    def __init__(self, pool: ScenePool, run: Run = SILENT) -> None:
        super().__init__(PretrainedDenoiser, pool.settings, pool.device, run, warm_up=WARM_UP)
        self.pool = pool

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cut crops from the scenes of the next step."""
        return self.pool.batch(self.steps_done)

    def settled(self) -> PretrainedDenoiser:
        """Give the averaged network."""
        return deepcopy(self.kept).eval()


def train_pretrained(
    images: Sequence[Image],
    settings: PretrainingSettings = FULL,
    *,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    run: Run = SILENT,
) -> Pretraining:
    """Train the network, or go on where the checkpoint ends; see `train_on` for what that raises.

    Parameters
    ----------
    images
        Clean photographs, (height, width) float32.

    Returns
    -------
    Pretraining
        `settled()` of it is the network; finished when `steps_done` is `settings.steps`.

    Raises
    ------
    InputError
        If no photograph is large enough.
    """
    training = Pretraining(ScenePool(images, settings, device, run), run)
    train_on(training, NAME, images, checkpoint, run)
    return training


@torch.no_grad()
def measure_gain(
    network: PretrainedDenoiser,
    photographs: Sequence[Image],
    *,
    device: torch.device,
    scenes: int = MEASURED,
) -> float:
    """Give by how many dB the network lowers the error of the filter's estimate, on the mean.

    Parameters
    ----------
    photographs
        Clean images that the network was not trained with, (height, width) float32; the scenes
        that are made of them are always the same.
    """
    gains = []
    for number in range(scenes):
        seed = (0, TO_MEASURE, number)
        images = make_images(photographs, seed, device)
        made = torch.cat([images[1:2], network(images[None, :-1])[0]])
        before, after = (made - images[-1]).square().mean(dim=(1, 2)).tolist()
        gains.append(10 * math.log10(before / after))
    return float(np.mean(gains))
