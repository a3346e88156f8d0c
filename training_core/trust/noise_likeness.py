"""Real noise of smooth patches and made noise of the model beside it, to look at and to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from training_core.denoise.denoiser import Denoiser
from training_core.errors import TooFewPatchesError
from training_core.noise.covariance import LAGS, autocovariance, detrended
from training_core.noise.match import BANDS, NoiseMatch, NoiseShape, compare_noise
from training_core.patches.smooth_patches import SmoothPatches
from training_core.quality.measuring import noise_sigmas
from training_core.run import SILENT, Run
from training_core.stack import Image, Stack, Values

MOST_PATCHES, FEWEST = 512, 8
ACROSS, DOWN = 4, 3  # patches in a picture
REACH, BINS = 5.0, 60  # std that a histogram shows
SHOWN_LAGS = 9
CURVE_POINTS = 64


@dataclass(frozen=True, eq=False)
class NoiseLikeness:
    """What is compared of real and made noise, both without their trend and of unit std.

    Attributes
    ----------
    real, made
        A few patches each, laid in a picture, (height, width) float32.
    values, counts
        Middles of the bins, in std, (bins,), and the shares of real and made values, (2, bins).
    along_x, along_y
        Autocorrelation over lags of 0 to 8 px, real and made, (2, 9).
    spectrum
        Power of rings of equal width up to .5 cycles per pixel, (2, 16); white noise is even.
    levels, sigmas
        Mean and std of real patches in stack units, (count,).
    curve
        What the model says: levels and std in stack units, (2, points).
    match
        The differences.
    """

    real: Image
    made: Image
    values: Values
    counts: Values
    along_x: Values
    along_y: Values
    spectrum: Values
    levels: Values
    sigmas: Values
    curve: Values
    match: NoiseMatch

    @property
    def sentence(self) -> str:
        """Say how like they are."""
        score = f"{self.match.score:.0f} % alike"
        if self.match.good:
            return f"The made noise looks like the real noise: {score}."
        return f"The made noise differs from the real noise: {score}; {self.match.sentence}."

    @classmethod
    def of(
        cls,
        stack: Stack,
        patches: SmoothPatches,
        denoiser: Denoiser,
        channel: int = 0,
        *,
        seed: int = 0,
        run: Run = SILENT,
    ) -> Self:
        """Compare the noise in smooth patches of a channel with that of its noise model.

        Raises
        ------
        TooFewPatchesError
            If the channel has fewer than 8 smooth patches.
        Cancelled
            If the run was cancelled.
        """
        run.check()
        learned = denoiser.channels[channel if len(denoiser.channels) > 1 else 0]
        even = denoiser.even_noise
        source = even.evened(stack) if even else stack
        seen = _cut(source, patches, channel)
        noise = learned.noise
        real = detrended(learned.stabilised(seen))
        draw = torch.Generator().manual_seed(seed)
        size = seen.shape[-1]
        made = noise.sample(len(seen), size, size, draw)[:, 0].cpu().numpy()
        run.check()
        unit = detrended(made)
        means = seen.mean(axis=(1, 2), dtype=np.float64)
        ends = np.linspace(means.min(), means.max(), CURVE_POINTS)
        both = [autocovariance(patch, trendless=True) for patch in (real, unit)]
        acf = np.stack([one / one[LAGS, LAGS] for one in both])
        histograms = [np.histogram(n, BINS, (-REACH, REACH))[0] / n.size for n in (real, unit)]
        shapes = [NoiseShape(n).table[:, -1 - BANDS : -1].mean(axis=0) for n in (real, unit)]
        edges = np.linspace(-REACH, REACH, BINS + 1)
        return cls(
            _picture(real),
            _picture(unit),
            (edges[:-1] + edges[1:]) / 2,
            np.stack(histograms),
            acf[:, LAGS, LAGS : LAGS + SHOWN_LAGS],
            acf[:, LAGS : LAGS + SHOWN_LAGS, LAGS],
            np.stack(shapes),
            means,
            seen.std(axis=(1, 2), dtype=np.float64),
            np.stack([ends, noise_sigmas(noise, ends)]),
            compare_noise(made, real),
        )


def _cut(stack: Stack, patches: SmoothPatches, channel: int) -> Image:
    """Cut the patches of a channel, evenly from the list, (count, size, size)."""
    places = [p for p in patches.locations.tolist() if stack.channel_of(p[0]) == channel]
    if len(places) < FEWEST:
        raise TooFewPatchesError(
            f"Only {len(places)} smooth patches show the noise of this channel; {FEWEST} are "
            "needed to compare it. Choose a smaller patch size."
        )
    step = max(1, -(-len(places) // MOST_PATCHES))
    size = patches.patch_size_px
    frames: dict[int, Image] = {}
    cut = []
    for frame, top, left in places[::step]:
        if frame not in frames:
            frames = {frame: stack.frame(frame)}  # they are ordered by frame
        cut.append(frames[frame][top : top + size, left : left + size])
    return np.stack(cut)


def _picture(patches: Image) -> Image:
    """Lay up to 12 patches in rows of four, with a line of zeros between them."""
    chosen = patches[np.linspace(0, len(patches) - 1, ACROSS * DOWN).astype(int)]
    size = chosen.shape[-1]
    framed = np.pad(chosen, ((0, 0), (0, 1), (0, 1)))
    rows = framed.reshape(DOWN, ACROSS, size + 1, size + 1).swapaxes(1, 2)
    return rows.reshape(DOWN * (size + 1), ACROSS * (size + 1))[:-1, :-1]
