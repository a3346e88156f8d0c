"""The values of noise of which a few pixels hold most of the power.

Smooth patches hold texture that is stronger than what most pixels of such noise have, so they tell
the far values well and the others not at all. A network that knows such noise tells both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter
from torch import Tensor

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region, on_channels
from training_core.errors import ModelError
from training_core.networks.pretrained import NAME
from training_core.noise.generator import ResampledNoise
from training_core.noise.model import NoiseModel, RecordedNoise, kurtosis
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Run
from training_core.settings import Settings
from training_core.stack import Image, Values
from training_core.wording import held_by_few

from .start import bundled_start
from .task import Task

AROUND_PX = 9  # side of what the contrast at a pixel is measured in
NEAR_PX = 3  # side of what is alike where there is no noise
CALM = 0.2  # of the pixels: those with the least contrast
LOOKED_AT_PX = 1_000_000  # of a channel
FEWEST = 100  # calm pixels over the kurtosis, so that far values are met often enough
HALF = 0.5
VALUES = 65_536  # that are kept of all
TURNS = 3
MOST_CHANGE = 2.0  # of the strength
SEED = 0x7A11


def with_tails(
    denoiser: Denoiser, noisy: Sequence[Region], task: Task
) -> tuple[Denoiser, list[Region], tuple[int, ...]]:
    """Give a denoiser and its noisy regions the tails of their noise, where a few pixels hold it.

    Returns
    -------
    tuple
        Both, with other channels where such noise was learned, and which these are, counted from 1.
    """
    channels, run = denoiser.channels, task.run
    tailed = [channel for channel in channels if channel.noise.is_heavy_tailed]
    few = [region for region in noisy if region.channel in tailed]
    changed = learn_tails(task.settings, few, task.device, run)
    if not changed:
        return denoiser, list(noisy), ()
    numbers = tuple(n for n, channel in enumerate(channels, start=1) if channel in changed)
    run.note(held_by_few(numbers, len(channels)))
    known = tuple(changed.get(channel, channel) for channel in channels)
    return replace(denoiser, channels=known), on_channels(noisy, changed), numbers


@torch.no_grad()
def learn_tails(
    settings: Settings, noisy: Sequence[Region], device: torch.device, run: Run
) -> dict[Channel, Channel]:
    """Give the channels of heavy-tailed regions the noise that the bundled network finds in them.

    Of the noisy image z the network f takes z - f(z), which where the image is calm is about the
    noise. It leaves what is little and may leave a far value, and so it does with noise that is
    made and added to f(z). By what the quantiles of the one differ from those of the other, those
    of the made noise are moved, until both are alike.

    Parameters
    ----------
    noisy
        The noisy regions, stabilised.

    Returns
    -------
    dict
        For each channel that changes the one that takes its place: with other `noise`, and another
        `spread` where that is the strength of the noise. One keeps its noise where calm pixels are
        too few, or what is found in them is twice or half as strong or not heavy-tailed, and all do
        without the weights.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    channels = dict.fromkeys(region.channel for region in noisy)
    if not channels:
        return {}
    try:
        start = bundled_start(settings, channels, device)
    except ModelError as error:
        run.note(f"{error} The noise stays as the smooth patches have it.", warning=True)
        return {}
    changed = {}
    for channel, known in zip(channels, start.channels, strict=True):
        images = [region.image for region in noisy if region.channel is channel]
        learned = _Search(start, known, images, run).learned()
        if learned is None:
            continue
        ratio = float(learned.curve.sigmas.mean() / channel.noise.curve.sigmas.mean())
        spread = channel.spread * (ratio if settings.denoiser.network == NAME else 1.0)
        changed[channel] = replace(channel, noise=learned, spread=spread)
    return changed


class _Search:
    """The search for the noise of which the network takes what it takes of a channel's.

    Values are in units of the noise that is `known`, which the network is told all the time.
    """

    def __init__(self, start: Denoiser, known: Channel, images: list[Tensor], run: Run) -> None:
        self.start, self.known, self.run = start, known, run
        self.draw = torch.Generator().manual_seed(SEED)
        self.made: list[Tensor] = []
        found: list[Image] = []
        for image in _some(images):
            made, taken = self._taken(image.to(start.device))
            self.made.append(made)
            found.append(taken)
        self.taken = np.concatenate(found)

    def _taken(self, image: Tensor) -> tuple[Tensor, Image]:
        """Give the network's estimate, and what it takes in calm places, (count,)."""
        self.run.check()
        made = self.start.estimate(image, self.known, self.run)
        return made, _in_calm_places(image.cpu().numpy(), made.cpu().numpy(), self.known)

    def learned(self) -> NoiseModel | None:
        """Give the noise, None where it cannot be had."""
        noise, unit = self.known.noise, self.known.noise.noise_values(self.draw)
        if len(self.taken) < FEWEST * kurtosis(unit):
            return None
        wanted = _quantiles(self.taken)
        values = _quantiles(unit.numpy())
        for _ in range(TURNS):
            values = np.sort(values + wanted - _quantiles(self._of_made(values)))
        strength = float(values.std())
        if not 1 / MOST_CHANGE < strength < MOST_CHANGE:
            return None
        curve = NoiseCurve(noise.curve.levels, noise.curve.sigmas * strength)
        learned = replace(noise, generator=_drawn_from(values).to(self.start.device), curve=curve)
        return learned if learned.is_heavy_tailed else None

    def _of_made(self, values: Values) -> Image:
        """Give what the network takes of noise of these values in calm places."""
        found, noise = [], self.known.noise
        maker, strength = _drawn_from(values), float(values.std())
        for made in self.made:
            image = made.cpu().numpy()
            unit = maker.sample(1, image.shape[0], image.shape[1], self.draw)[0, 0].numpy()
            noisy = image + noise.curve(image) * strength * unit
            found.append(self._taken(torch.from_numpy(noisy).to(made))[1])
        return np.concatenate(found)


def _some(images: Sequence[Tensor]) -> Sequence[Tensor]:
    """Give the first images that together are large enough, or all."""
    areas = np.cumsum([image.numel() for image in images])
    return images[: int(np.searchsorted(areas, LOOKED_AT_PX)) + 1]


def _drawn_from(values: Values) -> ResampledNoise:
    """Give noise of std 1 of which every pixel is one of these values."""
    unit = torch.from_numpy(((values - values.mean()) / values.std()).astype(np.float32))
    return ResampledNoise(unit.reshape(-1, 1, 1), torch.zeros(1, dtype=torch.long)).eval()


def _quantiles(values: NDArray[np.floating]) -> Values:
    ordered = np.sort(values.astype(np.float64))  # `np.quantile` is slow for many of them
    ranks = (np.arange(VALUES) + 0.5) / VALUES * (len(ordered) - 1)
    found: Values = np.interp(ranks, np.arange(len(ordered)), ordered)
    return found


def _in_calm_places(image: Image, made: Image, channel: Channel) -> Image:
    """Give what was taken from an image where it changes least, in units of the noise, (count,).

    Where most pixels were cut off the noise was cut off as well, and what is exactly even has none.
    """
    ends = RecordedNoise(channel.noise, channel.recording)
    cut = ((image <= ends.low) | (image >= ends.high)).astype(np.float64)
    even = maximum_filter(image, NEAR_PX) == minimum_filter(image, NEAR_PX)
    wide = made.astype(np.float64)
    mean, square, cut = (uniform_filter(i, AROUND_PX) for i in (wide, wide**2, cut))
    usable = (cut < HALF) & ~even
    contrast = (square - mean**2)[usable]
    if not contrast.size:
        return np.zeros(0, np.float32)
    calm = contrast <= np.quantile(contrast, CALM)
    taken: Image = ((image - made) / channel.noise.curve(made))[usable][calm]
    return taken
