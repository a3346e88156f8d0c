"""What is measured of the noise of one channel, and whether stacks are alike in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from training_core.errors import TooFewPatchesError
from training_core.place import ALL, FLIPS, TrainingRegion
from training_core.run import Run
from training_core.settings import NoiseModelSettings
from training_core.stack import Image, Stack, Values
from training_core.wording import figure

from .anscombe import Stabiliser, fit_stabiliser
from .compound_poisson import Photons, fit_photons
from .covariance import (
    LAGS,
    autocovariance,
    detrended,
    residual_sigmas,
    stabilised_well,
    uncorrelated,
)
from .strength_curve import NoiseCurve, Windows, fit_curve
from .white_covariance import (
    WaveSpectra,
    is_surely_noise,
    may_be_texture,
    reshaped,
    safe_sigma,
)

AUTOMATIC = "automatic"
LEAST_SIGMA = 1e-3  # of the units in which noise was thought to have a std of 1
# 11 of 433 patches of mixture 25 have 1.5 to 8.6; of other sets none is beyond 1.45.
STRUCTURE = 2.0  # times the strength of the usual patch, which noise of its brightness never has
# Smeared photon noise of wide-field images has 1.24 and more, texture under cells up to 1.10.
GROWS = 1.15  # times the variance of the dark in the bright
SAME_BOTH_WAYS = 0.1  # correlation along x and y may differ by this and still count as equal


class Measurement(NamedTuple):
    """What is known of the noise of one channel before anything is trained."""

    stabiliser: Stabiliser  # to the units in which the noise hardly depends on brightness, and back
    curve: NoiseCurve  # std of the noise against the local mean, in stabilised units
    covariance: Values  # autocovariance of unit noise over lags of -15 to 15 px, (31, 31) float64
    # The patches as unit noise, (count, size, size) float32, without those that hold structure; see
    # `detrended`
    noise: Image
    # Std of each of these patches, its trend gone, over what the curve gives there, (count,)
    strengths: Values
    # What the noise comes from where photons are few and it is nearly white; else None
    photons: Photons | None = None
    # Whether texture and noise could not be told apart, so that pixels were taken for independent
    doubted: bool = False
    # Whether, where that is so, their strength at least is sure; see `is_surely_noise`
    sure: bool = True


def measure_noise(
    frames: Sequence[Image], patches: Image, settings: NoiseModelSettings, *, linear: bool
) -> Measurement:
    """Measure the noise of one channel before anything is trained.

    Frames are (height, width), smooth patches (count, size, size), float32 in stack units. `linear`
    noise, as that of CT, cannot grow with the signal.

    Raises `TooFewPatchesError` if the patches hold no noise at all.
    """
    if not np.ptp(patches, axis=(1, 2)).any():
        raise TooFewPatchesError(
            "The smooth patches hold no noise at all: every pixel is equal. "
            "Use an image that was not smoothed or masked."
        )
    windows = None if linear or not settings.stabilise else Windows.of(frames)
    return _measured(frames, patches, settings, linear=linear, windows=windows, spectra={})


def _measured(
    frames: Sequence[Image],
    patches: Image,
    settings: NoiseModelSettings,
    *,
    linear: bool,
    windows: Windows | None,
    spectra: dict[Stabiliser, WaveSpectra | None],
) -> Measurement:
    """Measure, and again without patches that hold structure; of the frames what is known stays.

    These are their windows, and the spectra of what they are stabilised to.
    """
    if windows is None:
        spread = float(np.median(patches.std(axis=(1, 2), dtype=np.float64)))
        stabiliser = Stabiliser(offset=float(np.median(patches)), scale=spread or 1.0)
    else:
        stabiliser = fit_stabiliser(frames, windows=windows)
    noise, seen = _seen(stabiliser, frames, patches)
    covariance = autocovariance(noise, trendless=True)
    covariance /= covariance[LAGS, LAGS]
    if not linear and stabiliser not in spectra:
        spectra[stabiliser] = WaveSpectra.of(seen)
    found = spectra.get(stabiliser)
    white = found.without_structure(covariance) if found else None
    if white is not None and settings.stabilise:  # which tells noise from structure better
        stabiliser = fit_stabiliser(frames, white, windows)
        noise, seen = _seen(stabiliser, frames, patches)
    kept = np.ones(len(noise))
    if white is not None:
        covariance = white
        noise, kept = reshaped(noise, covariance)
    doubted = (
        settings.correlation == AUTOMATIC
        and not linear
        and may_be_texture(seen, covariance, grows=windows is None or windows.growth() > GROWS)
    )
    if doubted or (settings.correlation == "independent" and not linear):
        return _of_independent_pixels(frames, patches, windows, doubted=doubted)
    curve = fit_curve(seen, covariance)
    strengths = kept * strengths_of(stabiliser.forward(patches), curve)
    usual = strengths < STRUCTURE * np.median(strengths)
    if not linear and not usual.all():  # the strength of CT follows the place
        alive = stabilised_well(residual_sigmas(stabiliser.forward(patches)))
        fewer = patches[alive][usual]
        return _measured(frames, fewer, settings, linear=linear, windows=windows, spectra=spectra)
    photons = None if white is None else fit_photons(frames, stabiliser, windows)
    return Measurement(stabiliser, curve, covariance, noise, strengths, photons)


def _of_independent_pixels(
    frames: Sequence[Image], patches: Image, windows: Windows | None, *, doubted: bool
) -> Measurement:
    """Measure noise that each pixel has for itself, where there is least of the finest waves."""
    covariance = uncorrelated()
    stabiliser = fit_stabiliser(frames, covariance, windows)
    noise, seen = _seen(stabiliser, frames, patches)
    noise, kept = reshaped(noise, covariance)
    middle = np.median(np.concatenate([frame.ravel() for frame in seen]))
    curve = NoiseCurve(np.array([middle]), np.array([max(safe_sigma(seen), LEAST_SIGMA)]))
    strengths = kept * strengths_of(stabiliser.forward(patches), curve)
    sure = is_surely_noise(seen)
    return Measurement(stabiliser, curve, covariance, noise, strengths, None, doubted, sure)


def _seen(
    stabiliser: Stabiliser, frames: Sequence[Image], patches: Image
) -> tuple[Image, list[Image]]:
    """Give unit noise from the patches, and the frames, both stabilised."""
    noise = detrended(stabiliser.forward(patches))
    return noise, [stabiliser.forward(frame) for frame in frames]


def strengths_of(stabilised: Image, curve: NoiseCurve) -> Values:
    """Give the std of the patches that `detrended` keeps over that of the curve, (count,)."""
    sigmas = residual_sigmas(stabilised)
    expected = curve(stabilised.mean(axis=(1, 2), dtype=np.float64))
    ratio: Values = sigmas / np.maximum(expected, 1e-12)
    return ratio[stabilised_well(sigmas)]


def same_both_ways(covariance: Values) -> bool:
    """Tell whether noise with this autocovariance, (31, 31), may be turned by a quarter."""
    middle = slice(LAGS - 3, LAGS + 4)
    near = covariance[middle, middle] / covariance[LAGS, LAGS]
    return bool(np.abs(near - near.T).max() < SAME_BOTH_WAYS)


def orientations(covariance: Values) -> tuple[int, ...]:
    """Give the flips and rotations that leave noise with this autocovariance what it is."""
    return ALL if same_both_ways(covariance) else FLIPS


MOST = 16  # stacks; of more, each has too little to measure
FEWEST_PX = 128 * 128
APART = 1.5  # times: gains of one camera agree within a fifth


def note_unlike(stacks: Sequence[Stack], regions: Sequence[TrainingRegion], run: Run) -> None:
    """Tell where one model cannot suit all stacks, since photons count more in one of them.

    So it is where each file was stretched to the full range on its own.
    """
    if not 2 <= len(stacks) <= MOST:
        return
    for channel in sorted({region.channel for region in regions}):
        gains = []
        for number, stack in enumerate(stacks):
            run.check()
            mine = [r.values for r in regions if (r.stack, r.channel) == (number, channel)]
            if sum(values.size for values in mine) >= FEWEST_PX:
                gains.append((fit_stabiliser(mine).gain, stack.name))
        grown = sorted(one for one in gains if one[0] > 0)
        if grown and grown[-1][0] > APART * grown[0][0]:
            (least, calm), (most, loud) = grown[0], grown[-1]
            run.note(
                f"The noise of {loud} and {calm} differs: {figure(most)} and {figure(least)} grey "
                "levels per photon. One model cannot suit both; train one for each.",
                warning=True,
            )
            return
