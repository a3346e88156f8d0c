"""Noise of few photons, of which each is seen: pulses of random strength on a background.

Where most pixels hold no photon or a few, no transform makes the noise Gaussian: its shape changes
with brightness. So its shape is told by what it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.special import gammaincinv

from training_core.stack import Image, Values

from .anscombe import Stabiliser
from .strength_curve import PURE, Windows

FEW = 8.0  # photons in a usual pixel: with more, stabilised noise is as good as Gaussian
MANY = 60.0  # from here on pulses are not counted
BELOW, MOST_BELOW = 0.25, 0.03  # photons under the background: of pixels there are that few
LEAST = 0.05  # photons: of darker windows nothing is learned
# Found is .13 to .16 for a true .41 on Confocal_FISH, and the score ranks alike with both.
SPREAD = (0.1, 0.5)  # variance of a pulse over its squared mean, of detectors there are
BARE = 1e-12  # the inverse of the gamma distribution is infinite at 1


@dataclass(frozen=True, slots=True)
class Photons:
    """A compound Poisson distribution: a pixel is the background and a pulse for each photon.

    The number of photons is Poisson distributed, the strength of a pulse gamma distributed, as that
    of a photomultiplier about is (Tan, Phys. Med. Biol. 27, 1982). All in stack units: `gain` is
    the variance over the mean above the background, a pulse's mean times (1 + `spread`), where
    `spread` is a pulse's variance over its squared mean; `read` is the std of what is added to
    every pixel.
    """

    background: float
    gain: float
    spread: float
    read: float = 0.0

    @property
    def pulse(self) -> float:
        """Mean strength of a pulse."""
        return self.gain / (1 + self.spread)

    def counts(self, mean: Values) -> Values:
        """Give the mean number of photons of pixels of this mean, any shape."""
        return np.maximum(mean - self.background, 0.0) / self.pulse

    def variance(self, mean: Values) -> Values:
        """Give the variance of pixels of this mean, any shape."""
        return np.maximum(mean - self.background, 0.0) * self.gain

    def values(self, mean: Values, chance: Values) -> Values:
        """Give noisy pixels of this mean, any shape, still without what `read` adds.

        They follow from as many random numbers, 0 to 1, and on the whole rise with them.
        """
        counts, chance = self.counts(mean).ravel(), np.clip(chance.ravel(), BARE, 1 - BARE)
        pulses: Values = np.zeros(counts.shape)
        many = counts > MANY
        pulses[many] = self._uncounted(counts[many], chance[many])
        number, left = _photons(np.where(many, 0.0, counts), chance)
        some = (number > 0) & ~many
        pulses[some] = self.spread * gammaincinv(number[some] / self.spread, left[some])
        return self.background + self.pulse * pulses.reshape(mean.shape)

    def _uncounted(self, counts: Values, chance: Values) -> Values:
        """Sum pulses by a gamma distribution with the same three cumulants, in units of `pulse`."""
        square, cube = 1 + self.spread, (1 + self.spread) * (1 + 2 * self.spread)
        shape, scale = counts * (4 * square**3 / cube**2), cube / (2 * square)
        return counts + scale * (gammaincinv(shape, chance) - shape)

    def one_more(self, chance: Values) -> Values:
        """Give pulses that are as likely as they are strong, any shape: again gamma distributed."""
        strong = self.pulse * self.spread * gammaincinv(1 / self.spread + 1, chance)
        return np.asarray(strong, np.float64)

    def to_dict(self) -> dict[str, float]:
        """Give plain values for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> Self | None:
        """Rebuild from `to_dict`; None stays None."""
        return cls(**{k: float(v) for k, v in values.items()}) if values else None


def _photons(counts: Values, chance: Values) -> tuple[Values, Values]:
    """Give Poisson numbers (n,) and, of what chance there was within each, how much was used."""
    number, below, share = np.zeros_like(counts), np.zeros_like(counts), np.exp(-counts)
    open_ = np.flatnonzero(chance > share)
    while open_.size:
        below[open_] += share[open_]
        number[open_] += 1
        share[open_] *= counts[open_] / number[open_]
        far = number[open_] > counts[open_] + 12 * np.sqrt(counts[open_]) + 12
        open_ = open_[(chance[open_] > below[open_] + share[open_]) & ~far]
    left = np.clip((chance - below) / np.maximum(share, 1e-300), BARE, 1 - BARE)
    return number, left


def fit_photons(
    frames: Sequence[Image], stabiliser: Stabiliser, windows: Windows | None = None
) -> Photons | None:
    """Tell whether photons are few and, if so, how far their pulses spread, blind.

    The third cumulant of compound Poisson noise is gain^2 (1 + 2 s) / (1 + s) (x - background) for
    pulses of the relative variance s; it is taken from the smoothest windows of noisy frames of one
    channel, (height, width) float32 in stack units, which the stabiliser was fitted to, or from
    these `windows` of them.

    None where photons are many, or where there is noise without any, also if it was cut off.
    """
    if not stabiliser.gain:
        return None
    gain, background = stabiliser.gain, -stabiliser.read_variance / stabiliser.gain
    windows = windows or Windows.of(frames)
    usual = (float(np.median(windows.mean)) - background) / gain
    under = np.concatenate([frame[frame < background] - background for frame in frames])
    near = under[under >= -BELOW * gain]
    most = MOST_BELOW * sum(frame.size for frame in frames)
    cut_off = background < min(float(frame.min()) for frame in frames) - BELOW * gain
    if not 0 < usual < FEW or under.size - near.size > most or cut_off:
        return None
    expected = gain * np.maximum(windows.mean - background, LEAST * gain)
    groups = windows.smoothest(expected)
    ratios = np.array([windows.third[g].mean() / (gain * expected[g].mean()) for g in groups])
    skew = float(np.median(ratios[windows.excess(groups) < PURE]))
    spread = np.clip((skew - 1) / max(2 - skew, 1e-3), *SPREAD)
    read = np.sqrt(np.square(near).mean()) if near.size else 0.0
    return Photons(background, gain, float(spread), float(read))


def chances(noise: Image) -> Values:
    """Give the rank of each value of learned noise among all, 0 to 1, the same shape."""
    order = np.empty(noise.size)
    order[np.argsort(noise, axis=None)] = np.arange(noise.size)
    return (order + 0.5).reshape(noise.shape) / noise.size
