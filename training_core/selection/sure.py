"""How good an estimate is, judged without a clean image; see METHOD 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser, first_look
from training_core.denoise.region import Estimator, Region
from training_core.noise.model import PhotonNoise
from training_core.patches.window_moments import block_means
from training_core.place import PatchLocation, tiles
from training_core.run import Run
from training_core.stack import Mask, Values

from .spikes import TailTrial

PROBE = 0.1  # strength of the probe, in std of the noise
JUDGED_PX, JUDGED_CROPS = 192, 8  # four crops of FISH chose wrong by .07 dB, eight right
HALF, NEARLY_WHOLE = 0.5, 0.9
BLOCK_PX = 32  # farther apart the errors of two places have little to do with each other


@dataclass(frozen=True, eq=False)
class Risk:
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

    def gain_over(self, other: Risk) -> tuple[float, float]:
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


# A photon is added to one pixel of each such cell. What one does to the pixel of another counts,
# too: at most 2 / 64 of the noise's power, and the more the wider a result is smoothed.
CELL_PX = 8
TRIES = 2
RARE = 1e-3  # photons: added to a pixel's chance of being the one


@dataclass(frozen=True, eq=False)
class PhotonTrial:
    """The photons that are added to a noisy crop, and what its noise should be.

    What one more photon changes stands for the derivative in Stein's estimate: for pulses G of a
    compound Poisson number, E[(y - x) f(y)] = c E[G (f(y + G) - f(y))] with c photons to be
    expected (Chen 1975; for images Luisier, Blu and Unser, IEEE TIP 20, 2011, where all pulses are
    alike).

    In stack units, all tensors (height, width): the `values` of the crop, the `variance` of its
    noise, and pairs of the crop with photons `added`, stabilised, and what a change of the estimate
    there counts, 0 elsewhere.
    """

    values: Tensor
    variance: Tensor
    added: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, crop: Region, guess: Tensor, draw: torch.Generator) -> Self | None:
        """Choose where photons are added; None where they are many or frames were averaged."""
        noise = crop.channel.noise
        if not isinstance(noise, PhotonNoise) or crop.is_averaged:
            return None
        photons = noise.photons
        values = noise.stabiliser.algebraic_inverse(crop.image.cpu().numpy())
        mean = noise.stabiliser.inverse(guess.cpu().numpy())
        above = np.maximum(mean - photons.background, 0.0)
        above *= max(values.mean() - photons.background, 0.0) / max(above.mean(), 1e-30)
        mean = photons.background + above
        added = []
        for _ in range(TRIES):
            weights = _picked(photons.counts(mean), draw) * photons.pulse
            chance = torch.rand(mean.shape, generator=draw, dtype=torch.float64).numpy()
            more = np.where(weights > 0, photons.one_more(chance), 0.0)
            jumped = noise.stabiliser.forward(values + more)
            added.append((_sent(jumped, crop), _sent(weights, crop)))
        return cls(_sent(values, crop), _sent(photons.variance(mean), crop), tuple(added))

    def loss(self, noisy: Region, made: Tensor, estimator: Estimator) -> Tensor:
        """Estimate the squared error of a stabilised estimate `made` of the crop per pixel."""
        clean = _restored(made, noisy)
        loss = (self.values - clean).square() - self.variance
        for image, weights in self.added:
            changed = _restored(estimator(replace(noisy, image=image)), noisy) - clean
            loss = loss + 2 / len(self.added) * weights * changed
        return loss


def _picked(counts: Values, draw: torch.Generator) -> Values:
    """Pick a pixel per cell, rather one with many photons; give its photons over its chance."""
    weights = np.zeros_like(counts)
    height, width = counts.shape
    for top in range(0, height, CELL_PX):
        for left in range(0, width, CELL_PX):
            cell = (slice(top, top + CELL_PX), slice(left, left + CELL_PX))
            chance = counts[cell].ravel() + RARE
            chance /= chance.sum()
            where = int(torch.multinomial(torch.from_numpy(chance), 1, generator=draw))
            y, x = divmod(where, counts[cell].shape[1])
            weights[top + y, left + x] = counts[cell][y, x] / chance[where]
    return weights


def _restored(stabilised: Tensor, crop: Region) -> Tensor:
    """Give the mean in stack units of a stabilised estimate."""
    return _sent(crop.channel.noise.stabiliser.inverse(stabilised.cpu().numpy()), crop)


def _sent(values: NDArray[np.floating], crop: Region) -> Tensor:
    return torch.from_numpy(values).to(crop.image.device, torch.float32)


@dataclass(frozen=True, eq=False)
class Trial:
    """A noisy crop that is judged on; all images are stabilised, (height, width).

    `sigma` is the std of its noise, `probe` a sample of that noise, `guess` a first look at what is
    below it, and `others` are further exposures of the same place. `photons` are what is tried
    where they are few, `tails` where noise has heavy tails. `counted` says which blocks of it
    count, (blocks,) bool; None: all.
    """

    noisy: Region
    sigma: Tensor
    probe: Tensor
    guess: Tensor
    others: tuple[Tensor, ...]
    photons: PhotonTrial | None = None
    tails: TailTrial | None = None
    counted: Mask | None = None

    @property
    def variance(self) -> Tensor:
        """That of the noise in each pixel, in the units of the score."""
        return self.sigma.square() if self.photons is None else self.photons.variance


class RiskEstimator:
    """Judges estimators on the same few crops, with the same probes.

    About `crops` crops of the stabilised noisy regions are used, of each channel some. The same
    seed gives the same probes, so that scores can be compared. `others` has the regions of each
    further exposure of the scene (one or two), `seen` says where each region counts, (height,
    width) bool; None: everywhere.
    """

    def __init__(
        self,
        noisy: Sequence[Region],
        seed: int,
        device: torch.device,
        *,
        others: Sequence[Sequence[Region]] = (),
        crops: int = JUDGED_CROPS,
        seen: Sequence[Mask] | None = None,
    ) -> None:
        draw = torch.Generator().manual_seed(seed)
        channels = {region.channel for region in noisy}
        tailed = {c for c in channels if not others and c.noise.is_heavy_tailed}
        self.trials: list[Trial] = []
        for number, place in _places(noisy, crops, seen):
            crop, *more = (cut_region(r[number], place.slices, device) for r in (noisy, *others))
            noise, (height, width) = crop.channel.noise, crop.image.shape
            guess = first_look(noise)(crop.image[None, None])[0, 0]
            sigma = torch.from_numpy(noise.curve(guess.cpu().numpy())).to(device)
            if crop.is_averaged and crop.strength is not None:
                sigma = sigma * crop.strength
            probe = noise.sample(1, height, width, draw)[0, 0].to(device) * sigma
            exposures = tuple(other.image for other in more)
            photons = None if more else PhotonTrial.of(crop, guess, draw)
            tails = TailTrial.of(crop, sigma, draw) if crop.channel in tailed else None
            counted = None if seen is None else _counted(seen[number][place.slices])
            self.trials.append(Trial(crop, sigma, probe, guess, exposures, photons, tails, counted))
        self.powers = {channel: self._power(channel) for channel in channels}

    def _power(self, channel: Channel) -> float:
        """Give the mean variance of the noise; channels may differ in unit."""
        mine = [t.variance.flatten() for t in self.trials if t.noisy.channel is channel]
        return float(torch.cat(mine).mean()) if mine else 1.0

    @torch.no_grad()
    def judge(self, estimator: Estimator, run: Run) -> tuple[Risk, list[Tensor]]:
        """Give the score of an estimator, and its estimates of the trials.

        Without further exposures this is Stein's unbiased risk estimate, mean (z - f(z))^2 - s^2 +
        (2 / e) mean b (f(z + e b) - f(z)), with a sample b of the learned noise as the probe, so
        that it holds for correlated noise too (Stein 1981; Ramani, Blu and Unser, IEEE TIP 17,
        2008). With one it is the loss of Noise2Noise, less the learned power of the noise (Lehtinen
        et al., ICML 2018); with two, nothing but the exposures is needed. Where photons are few or
        the noise has heavy tails, `PhotonTrial` and `TailTrial` say how.
        """
        parts, estimates = [], []
        for trial in self.trials:
            run.check()
            made = estimator(trial.noisy)
            loss = _loss(trial, made, estimator)
            share = (loss / self.powers[trial.noisy.channel]).cpu().double().numpy()
            means = block_means(share, BLOCK_PX).ravel()
            parts.append(means if trial.counted is None else means[trial.counted])
            estimates.append(made)
        return Risk(np.concatenate(parts)), estimates


def estimates_of(denoiser: Denoiser, run: Run) -> Estimator:
    """Give a denoiser as something to judge."""
    return lambda noisy: denoiser.estimate(noisy.image, noisy.channel, run, noisy.neighbours)


def cut_region(
    region: Region, place: tuple[slice, slice], device: torch.device | None = None
) -> Region:
    """Cut a crop out of a region, with all that belongs to it, and send it to a device."""
    cut = {
        name: values[(..., *place)].to(device or values.device)
        for name in ("image", "neighbours", "strength")
        if (values := getattr(region, name)) is not None
    }
    return replace(region, **cut)


def _loss(trial: Trial, made: Tensor, estimator: Estimator) -> Tensor:
    if trial.photons is not None:
        return trial.photons.loss(trial.noisy, made, estimator)
    if trial.tails is not None:
        return trial.tails.loss(trial.noisy, made, estimator)
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
    # Half of that is the variance of the noise, whatever is known of it.
    return losses - (first - second).square() / 2


def _counted(seen: Mask) -> Mask | None:
    """Tell which blocks of a crop are seen nearly whole; all, if none is."""
    counted: Mask = block_means(seen.astype(np.float64), BLOCK_PX).ravel() > NEARLY_WHOLE
    return counted if counted.any() else None


def _places(
    noisy: Sequence[Region], crops: int, seen: Sequence[Mask] | None = None
) -> list[tuple[int, PatchLocation]]:
    """Choose crops: as many of each channel, of each region another part before a second one.

    Regions may be exposures of one scene, and then the same part would be seen again and again.
    Parts of which less than half is seen are left out, unless there are no others.
    """
    per_channel: dict[Channel, list[list[tuple[int, PatchLocation]]]] = {}
    every = [[(n, place) for place in parts_of(*r.image.shape)] for n, r in enumerate(noisy)]
    if seen is not None:
        shown = [[p for p in parts if seen[p[0]][p[1].slices].mean() > HALF] for parts in every]
        every = shown if any(shown) else every
    for region, mine in zip(noisy, every, strict=True):
        per_channel.setdefault(region.channel, []).append(mine)
    chosen = []
    for regions in per_channel.values():
        in_turn = [
            parts[(turn + first) % len(parts)]
            for turn in range(max(map(len, regions)))
            for first, parts in enumerate(regions)
            if turn < len(parts)
        ]
        chosen += in_turn[: -(-crops // len(per_channel))]
    return chosen


def parts_of(height: int, width: int) -> list[PatchLocation]:
    """Cut a region into crops that do not overlap; the middle alone where it is not larger."""
    high, wide = min(height, JUDGED_PX), min(width, JUDGED_PX)
    middle = PatchLocation((height - high) // 2, (width - wide) // 2, high, wide)
    if height < 2 * high and width < 2 * wide:
        return [middle]
    return [p for p in tiles((height, width), JUDGED_PX) if (p.height, p.width) == (high, wide)]
