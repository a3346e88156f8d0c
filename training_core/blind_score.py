"""How good an estimate is, judged without a clean image; see METHOD 6."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from .brightness import BrightnessCurve
from .denoiser import first_look
from .finished_frames import to_stack_units
from .patches import PatchLocation, tiles
from .photon_score import PhotonTrial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from .channel import Channel
    from .denoiser import Denoiser
    from .noise_statistics import Values
    from .noisy_pairs import Estimate
    from .run import Run
    from .training_regions import TrainingRegion

    Estimator = Callable[[Estimate], Tensor]  # makes a clean image of a noisy region

PROBE = 0.1  # strength of the probe, in std of the noise
JUDGED_PX, JUDGED_CROPS = 192, 8
BLOCK_PX = 32  # farther apart the errors of two places have little to do with each other
BLUR_PX = 12  # over this the noise has all but averaged out
BANDS = 16
FEWEST_PX = 1000  # in a band, for its mean to be trusted


@dataclass(frozen=True, eq=False)
class Score:
    """The estimated error that is left, as a fraction of the noise's variance.

    `parts` are those of small blocks, (blocks,) float64: how they scatter says how sure it is.
    """

    parts: Values

    @property
    def error(self) -> float:
        """The mean; may be negative, since it is an estimate."""
        return float(self.parts.mean())

    @property
    def range(self) -> float:
        """Two standard errors of `error`."""
        return _range(self.parts)

    def gain_over(self, other: Score) -> tuple[float, float]:
        """Give by how many dB this is better than a score of the same judge, and the range of that.

        Most of what is uncertain in two scores they have in common, so the range is much smaller.
        """
        if min(self.error, other.error) <= 0:  # better than the estimate can tell
            return (0.0, math.inf)
        decibel = 10 / math.log(10) / self.error
        range_db = decibel * _range(other.parts - self.parts)
        return 10 * math.log10(other.error / self.error), range_db


def _range(parts: Values) -> float:
    return float(2 * parts.std() / math.sqrt(parts.size))


@dataclass(frozen=True, eq=False)
class Trial:
    """A noisy crop that is judged on; all images are stabilised, (height, width).

    `sigma` is the std of its noise, `probe` a sample of that noise, and `others` are further
    exposures of the same place. `photons` are what is tried where they are few.
    """

    noisy: Estimate
    sigma: Tensor
    probe: Tensor
    others: tuple[Tensor, ...]
    photons: PhotonTrial | None = None

    @property
    def variance(self) -> Tensor:
        """That of the noise in each pixel, in the units of the score."""
        return self.sigma.square() if self.photons is None else self.photons.variance


class Judge:
    """Judges estimators on the same few crops, with the same probes.

    Parameters
    ----------
    noisy
        Stabilised noisy regions; a few crops of each channel are used.
    seed
        The same seed gives the same probes, so that scores can be compared.
    device
        Where the estimators work.
    others
        For each further exposure of the scene (one or two), its regions.
    crops
        About how many crops are judged.
    """

    def __init__(
        self,
        noisy: Sequence[Estimate],
        seed: int,
        device: torch.device,
        *,
        others: Sequence[Sequence[Estimate]] = (),
        crops: int = JUDGED_CROPS,
    ) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.trials: list[Trial] = []
        for number, place in _places(noisy, crops):
            crop, *more = (_cut(of[number], place, device) for of in (noisy, *others))
            noise, (height, width) = crop.channel.noise, crop.image.shape
            guess = first_look(noise)(crop.image[None, None])[0, 0]
            sigma = torch.from_numpy(noise.curve(guess.cpu().numpy())).to(device)
            if crop.neighbours is None and crop.strength is not None:  # averaged already
                sigma = sigma * crop.strength
            probe = noise.sample(1, height, width, draw)[0, 0].to(device) * sigma
            exposures = tuple(other.image for other in more)
            photons = None if more else PhotonTrial.of(crop, guess, draw)
            self.trials.append(Trial(crop, sigma, probe, exposures, photons))
        self.powers = {channel: self._power(channel) for channel in {n.channel for n in noisy}}

    def _power(self, channel: Channel) -> float:
        """Give the mean variance of the noise; channels may differ in unit."""
        mine = [t.variance.flatten() for t in self.trials if t.noisy.channel is channel]
        return float(torch.cat(mine).mean()) if mine else 1.0

    @torch.no_grad()
    def judge(self, estimator: Estimator, run: Run) -> tuple[Score, list[Tensor]]:
        """Give the score of an estimator, and its estimates of the trials.

        Without further exposures this is Stein's unbiased risk estimate, mean (z - f(z))^2 - s^2 +
        (2 / e) mean b (f(z + e b) - f(z)), with a sample b of the learned noise as the probe, so
        that it holds for correlated noise too (Stein 1981; Ramani, Blu and Unser, IEEE TIP 17,
        2008). With one it is the loss of Noise2Noise, less the learned power of the noise (Lehtinen
        et al., ICML 2018); with two, nothing but the exposures is needed. Where photons are few,
        `PhotonTrial` says how.
        """
        parts, estimates = [], []
        for trial in self.trials:
            run.check()
            made = estimator(trial.noisy)
            loss = _loss(trial, made, estimator)
            parts.append(_block_means(loss / self.powers[trial.noisy.channel]))
            estimates.append(made)
        return Score(np.concatenate(parts)), estimates


def error_estimate(denoiser: Denoiser, noisy: Sequence[Estimate], seed: int, run: Run) -> float:
    """Estimate the error that a denoiser leaves, as a fraction of the noise's variance."""
    return Judge(noisy, seed, denoiser.device).judge(estimates_of(denoiser, run), run)[0].error


def estimates_of(denoiser: Denoiser, run: Run) -> Estimator:
    """Give a denoiser as something to judge."""
    return lambda noisy: denoiser.estimate(noisy.image, noisy.channel, run, noisy.neighbours)


def _cut(region: Estimate, place: PatchLocation, device: torch.device) -> Estimate:
    """Cut a crop out of a region, with all that belongs to it."""
    cut = {
        name: values[(..., *place.slices)].to(device)
        for name in ("image", "neighbours", "strength")
        if (values := getattr(region, name)) is not None
    }
    return replace(region, **cut)


def _loss(trial: Trial, made: Tensor, estimator: Estimator) -> Tensor:
    if trial.photons is not None:
        return trial.photons.loss(trial.noisy, made, estimator)
    return _against_others(trial, made) if trial.others else _stein(trial, made, estimator)


def _stein(trial: Trial, made: Tensor, estimator: Estimator) -> Tensor:
    image = trial.noisy.image
    moved = estimator(replace(trial.noisy, image=image + PROBE * trial.probe))
    freedom = trial.probe * (moved - made) / PROBE
    return (image - made).square() - trial.sigma.square() + 2 * freedom


def _against_others(trial: Trial, made: Tensor) -> Tensor:
    losses = torch.stack([(made - other).square() for other in trial.others]).mean(dim=0)
    if len(trial.others) == 1:
        return losses - trial.sigma.square()
    first, second = trial.others
    return losses - (first - second).square() / 2


def _block_means(loss: Tensor) -> Values:
    """Average a map over blocks, all of one size; what is left over at the border joins none."""
    height, width = loss.shape
    high, wide = min(BLOCK_PX, height), min(BLOCK_PX, width)
    inner = loss[: height // high * high, : width // wide * wide].cpu().double().numpy()
    blocks = inner.reshape(height // high, high, width // wide, wide)
    means: Values = blocks.mean(axis=(1, 3)).ravel()
    return means


def _places(noisy: Sequence[Estimate], crops: int) -> list[tuple[int, PatchLocation]]:
    """Choose crops: as many of each channel, of each region another part before a second one.

    Regions may be exposures of one scene, and then the same part would be seen again and again.
    """
    per_channel: dict[Channel, list[list[tuple[int, PatchLocation]]]] = {}
    for number, region in enumerate(noisy):
        mine = [(number, place) for place in _parts(*region.image.shape)]
        per_channel.setdefault(region.channel, []).append(mine)
    each = -(-crops // len(per_channel))
    chosen = []
    for regions in per_channel.values():
        turns = max(map(len, regions))
        in_turn = [
            parts[(turn + first) % len(parts)]
            for turn in range(turns)
            for first, parts in enumerate(regions)
            if turn < len(parts)
        ]
        chosen += in_turn[:each]
    return chosen


def _parts(height: int, width: int) -> list[PatchLocation]:
    """Cut a region into crops that do not overlap; the middle alone where it is not larger."""
    high, wide = min(height, JUDGED_PX), min(width, JUDGED_PX)
    middle = PatchLocation((height - high) // 2, (width - wide) // 2, high, wide)
    if height < 2 * high and width < 2 * wide:
        return [middle]
    return [p for p in tiles((height, width), JUDGED_PX) if (p.height, p.width) == (high, wide)]


def brightness_curve(
    regions: Sequence[TrainingRegion], estimates: Sequence[Tensor], channel: Channel
) -> BrightnessCurve:
    """Measure by how much areas of each brightness have moved, and give what undoes it.

    The noise has mean zero, so where the noisy and the denoised image differ on average, the
    denoiser is off: smoothing in stabilised units takes from bright detail, for one. Averaging is
    over areas of similar *blurred* brightness, which the noise of a single pixel cannot choose.

    Parameters
    ----------
    regions, estimates
        Noisy regions of one channel in stack units, and their stabilised estimates.
    """
    clean, change = [], []
    for region, estimate in zip(regions, estimates, strict=True):
        noisy = channel.noise.stabiliser.forward(region.values)
        values = to_stack_units(estimate.cpu().numpy(), noisy, region.values, channel)
        clean.append(values)
        change.append(region.values - values)
    return shift_by_brightness(clean, change)


def shift_by_brightness(clean: Sequence[Values], change: Sequence[Values]) -> BrightnessCurve:
    """Average changes over areas of similar brightness; both are images (height, width)."""
    blurred = np.concatenate([gaussian_filter(values, BLUR_PX).ravel() for values in clean])
    return _in_bands(blurred, *(np.concatenate([v.ravel() for v in of]) for of in (clean, change)))


def _in_bands(blurred: Values, clean: Values, change: Values) -> BrightnessCurve:
    bands = int(np.clip(blurred.size // FEWEST_PX, 1, BANDS))
    edges = np.unique(np.quantile(blurred, np.linspace(0, 1, bands + 1)))
    band = np.clip(np.searchsorted(edges, blurred, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(band)
    levels = np.bincount(band, clean) / np.maximum(count, 1)
    shifts = np.bincount(band, change) / np.maximum(count, 1)
    order = np.argsort(levels[count > 0])
    return BrightnessCurve(levels[count > 0][order], shifts[count > 0][order])
