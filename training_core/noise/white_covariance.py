"""Nearly white noise told apart from structure: the spectrum of noise in images without calm areas.

Where structure is everywhere it leaks into the smooth patches as slow waves, and the noise seems
correlated. But hardly any structure reaches the finest waves, since optics blur it, and a detector
that smears noise over its neighbours shows that in the finest waves, too. So the finest waves tell
whether the noise is nearly white, and then what the middle ones are.

Noise is as strong in every calm place as its spectrum says; texture is stronger here than there.
Texture that is alike everywhere cannot be told from noise by any one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from scipy.ndimage import convolve1d, gaussian_filter, uniform_filter

from training_core.patches.window_moments import cut_windows
from training_core.stack import Image, Mask, Values

from .covariance import AROUND, LAGS, coloured, on_torus, residuals
from .strength_curve import CALMEST, CLASSES, FEWEST, calmest

AT_ONCE = 64
SIDE_PX, STRIDE_PX = 32, 8
MOST_WINDOWS, FEWEST_WINDOWS = 8_000, 200  # of fewer the calmest 3 % are too few
CALM = 0.03  # the share of the windows that has least power at a frequency holds noise alone there
DEAD = 0.1  # of the usual fine power: masked, or cut off at black
FINEST, MIDDLE = 0.3, (0.04, 0.08)  # cycles per pixel
VERY_FINE, TEXTURE = 0.36, (0.1, 0.22)  # .16 to .28 would touch the fitted band: .04 too low
BESIDE = (0.15, 0.2)  # where the fit holds and structure shows first
PURE, LEAKY = 1.4, 1.9  # times the fit: the patches' power there
NONE = 0.03  # correlation with the next pixel that texture may leave and noise seldom has
# Confocal, two-photon and white noise has .04 to .07, wide-field .74 and .78.
NEARLY_WHITE = 0.15  # rms deviation from what neighbours alone can explain, over the mean power


class WaveSpectra(NamedTuple):
    """Nearly white noise told by its finest waves, in frames without calm areas.

    `calm` is what the calmest windows have, `fitted` that of noise whose direct neighbours alone
    are correlated, fitted to waves under 2.8 px of windows without texture; both (32, 32) as of
    `fft2`.
    """

    calm: Values
    fitted: Values

    @classmethod
    def of(cls, frames: Sequence[Image]) -> Self | None:
        """Look at stabilised frames, (height, width) float32.

        None where the noise is not nearly white, or the frames are too small to tell.
        """
        windows = _windows(frames)
        if windows is None:
            return None
        calm = _calm(windows) / _calm_white()
        across, down = np.meshgrid(*2 * [np.fft.fftfreq(SIDE_PX)])
        distance = np.hypot(across, down)
        cosines = (2 * np.cos(2 * np.pi * f) for f in (across, down))
        terms = np.stack([np.ones_like(across), *cosines])
        fine = distance > FINEST
        weights = _fit(terms, calm, fine)
        explained = np.tensordot(weights, terms, 1)
        apart = np.sqrt(np.square(calm - explained)[fine].mean()) / explained.mean()
        if apart > NEARLY_WHITE:
            return None
        nearer = _nearer_none(weights / weights[0], _neighbours(windows, terms, distance))
        fitted: Values = np.tensordot(nearer, terms, 1)
        if fitted.min() <= 0:
            return None
        fitted *= float(calm[fine].mean() / fitted[fine].mean())
        return cls(calm, fitted)

    def without_structure(self, covariance: Values) -> Values:
        """Give the autocovariance of the noise, (31, 31) of variance 1, by that of smooth patches.

        In waves shorter than 12 px the power is what was fitted. In longer ones it is the lesser of
        what the calmest windows and what the smooth patches have, unless these hold structure in
        waves of 5 to 7 px: then their slow waves are structure, too.
        """
        calm, fitted = self
        distance = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(SIDE_PX)]))
        patches = _spectrum_like(fitted, covariance, distance > FINEST)
        beside = (distance >= BESIDE[0]) & (distance < BESIDE[1])
        leak = float((patches[beside] / fitted[beside]).mean())
        trusted = np.clip((LEAKY - leak) / (LEAKY - PURE), 0, 1)
        slow = np.clip((MIDDLE[1] - distance) / (MIDDLE[1] - MIDDLE[0]), 0, 1)
        more = np.maximum(np.minimum(calm, patches) - fitted, 0.0)
        return _covariance_of(fitted + trusted * slow * more)


def _neighbours(windows: _Windows, terms: Values, distance: Values) -> Values:
    """Give 1 and the correlation of nearly white noise with the next pixels, (3,).

    Taken from the finest waves of windows that are calm in waves of 5 to 10 px: texture has those,
    too, while those of the noise tell nothing of its finest.
    """
    texture = windows.power[:, (distance > TEXTURE[0]) & (distance < TEXTURE[1])].mean(axis=1)
    classes = int(np.clip(len(texture) * CALMEST / FEWEST, 1, CLASSES))  # that leave a choice
    groups = calmest(windows.mean, texture, classes)
    # Each brightness counts alike, however loud its noise.
    spectra = [windows.power[g].mean(axis=0) / windows.fine[g].mean() for g in groups]
    fitted = _fit(terms, np.mean(spectra, axis=0), distance > VERY_FINE)
    correlation: Values = fitted / fitted[0]
    return correlation


def _nearer_none(one: Values, other: Values) -> Values:
    """Give of two estimates of the same correlations those nearer to none, to which texture adds.

    The calmest windows of all are more than those without texture, so they are surer where no
    texture is.
    """
    least = np.minimum(np.abs(one), np.abs(other))
    return np.where((one * other > 0) & (least >= NONE), np.sign(one) * least, 0.0)


def _fit(terms: Values, power: Values, where: Mask) -> Values:
    return np.asarray(np.linalg.lstsq(terms[:, where].T, power[where], rcond=None)[0], np.float64)


def _calm(windows: _Windows) -> Values:
    """Give at each frequency, (32, 32) as of `fft2`, the power that few windows are below.

    As speech is cleaned by the minimum statistics of its spectrum (Martin, IEEE TSAP 9, 2001).
    Each window counts by its own finest detail.
    """
    smooth = uniform_filter(windows.power, (0, 3, 3), mode="wrap")
    half = smooth[:, :, : SIDE_PX // 2 + 1]
    flat = half.reshape(len(half), -1).T / windows.fine
    ratios = flat.astype(np.float32, order="C")  # what is sorted lies in a row
    found = np.quantile(ratios, CALM, axis=1, overwrite_input=True)
    return _whole(found.reshape(half.shape[1:]).astype(np.float64))


@cache
def _calm_white() -> Values:
    white = np.random.default_rng(0).standard_normal((512, 512), np.float32)
    return _calm(_Windows.of([white], STRIDE_PX))


class _Windows(NamedTuple):
    """Windows of frames, faded out towards their borders and without their slow trend.

    Masked ones and those cut off at black are left out. `mean` is their brightness, (count,),
    `power` of each frequency, (count, 32, 32), and `fine` its mean in the finest detail, (count,).
    """

    mean: Values
    power: Values
    fine: Values

    @classmethod
    def of(cls, frames: Sequence[Image], stride: int) -> _Windows:
        """Cut frames into windows, every `stride` pixels."""
        parts = [window_spectra(frame, stride) for frame in frames]
        alone = len(parts) == 1
        mean, power = parts[0] if alone else map(np.concatenate, zip(*parts, strict=True))
        fine: Values = power[:, _finest_waves(SIDE_PX)].mean(axis=1)
        alive = fine > DEAD * np.median(fine)
        return cls(mean[alive], power[alive], fine[alive])


def _windows(frames: Sequence[Image]) -> _Windows | None:
    """Cut as many windows as are enough; None where there are too few."""
    stride = max(STRIDE_PX, int(np.ceil(np.sqrt(sum(f.size for f in frames) / MOST_WINDOWS))))
    large = [frame for frame in frames if min(frame.shape) >= SIDE_PX]
    found = _Windows.of(large, stride) if large else None
    return found if found and len(found.fine) >= FEWEST_WINDOWS else None


def window_spectra(frame: Image, stride: int) -> tuple[Values, Values]:
    """Give mean and power spectrum of the windows of a frame, (count,) and (count, 32, 32).

    They lie every `stride` pixels, fade out towards their borders and have lost their slow trend.
    """
    windows = cut_windows(frame, SIDE_PX, stride)
    fade = np.sin(np.pi * (np.arange(SIDE_PX) + 0.5) / SIDE_PX) ** 2
    faded = np.outer(fade, fade)
    power = np.empty(windows.shape)
    for first in range(0, len(windows), AT_ONCE):  # so many stay in the cache
        few = slice(first, first + AT_ONCE)
        half = np.fft.rfft2(residuals(windows[few]) * faded)
        power[few] = _whole(half.real**2 + half.imag**2)
    return windows.reshape(len(windows), -1).mean(axis=1), power


def _whole(half: Values) -> Values:
    """Give what is equal at a frequency and its negative, as of `fft2`, from that of `rfft2`."""
    rest = half[..., -2:0:-1]
    return np.concatenate([half, np.roll(rest[..., ::-1, :], 1, axis=-2)], axis=-1)


def _finest_waves(size: int) -> Mask:
    """Tell which of the waves of `fft2` are the finest in both directions, (size, size)."""
    finest = np.abs(np.fft.fftfreq(size)) > FINEST
    return np.outer(finest, finest)


def _spectrum_like(known: Image, covariance: Values, where: Mask) -> Values:
    """Give the spectrum of an autocovariance, as of `fft2`, as strong as a known one somewhere."""
    power = np.maximum(np.fft.fft2(on_torus(covariance, known.shape)).real, 0.0)
    strong: Values = power * (known[where].mean() / max(float(power[where].mean()), 1e-30))
    return strong


def _covariance_of(power: Values) -> Values:
    covariance = np.fft.ifft2(power).real[AROUND]
    unit: Values = (covariance + covariance[::-1, ::-1]) / (2 * covariance[LAGS, LAGS])
    return unit


def reshaped(noise: Image, covariance: Values) -> tuple[Image, Values]:
    """Take from patches of unit noise the waves that are stronger than an autocovariance has them.

    Give the patches, (count, size, size) float32, each of unit std again, and what share of its std
    each kept, (count,).
    """
    waves = np.fft.fft2(noise)
    found = np.square(np.abs(waves)).mean(axis=0)
    wanted = _spectrum_like(found, covariance, _finest_waves(noise.shape[1]))
    gain = np.sqrt(np.minimum(wanted / np.maximum(found, 1e-30), 1.0))
    kept = np.fft.ifft2(waves * gain).real
    kept -= kept.mean(axis=(1, 2), keepdims=True)
    share: Values = kept.std(axis=(1, 2))
    unit: Image = (kept / np.maximum(share, 1e-30)[:, None, None]).astype(np.float32)
    return unit, share / np.maximum(noise.std(axis=(1, 2)), 1e-30)


SHORT = 0.12  # cycles per pixel and more: slower waves of texture hardly spoil what is learned
CORRELATED = 0.107  # of neighbours there: photographs in white noise have .105, 1/f texture .110
UNEVEN = 1.28  # micrographs have 1.0 to 1.2, electron micrographs and photographs 1.4 to 5
NOTHING_ELSE = 1.17  # texture alone has .90 to 1.10, real frames and their quarters 1.24 to 6
ABOVE, BESIDE_IT = 0.6, (0.4, 0.5)  # cycles per pixel: the very finest waves, and slower ones
# Of their power the finest have so much at least on a floor of white noise: texture of .8 px and
# more .72 to .98, 1/f texture .61 to .66; white noise that was turned or scaled .02 to .51.
LEVEL = 0.55
FLOOR = 0.01  # of the mean power: of noise of 3 steps and more rounding leaves less
WAVES_PX, SLOWER_PX = (1.0, 2.0), (2.0, 4.0)  # between these Gaussians
SMALL_PX = 16  # side of the windows that are compared
QUIET, STRONG = (0.03, 1 / 3), 0.99  # of the windows: the calmest, all that are calm; nearly all
MADE_PX = 512
CURVED = np.array([1.0, -2.0, 1.0]) / 6**0.5  # leaves white noise its std
SAFE = 0.05  # of the windows: those that hold least of the finest waves
FINE_PX = 8  # side of windows in which the finest waves are compared
EVEN = 1.1  # up to which the strength is learned within 7 %, beyond it up to three times too strong


def may_be_texture(stabilised: Sequence[Image], covariance: Values, *, grows: bool) -> bool:
    """Tell whether correlation that was learned may be that of texture, which noise never tells.

    Calm windows differ more in strength than noise with this spectrum does; or the frames hold
    nothing but such noise: then there is no scene that would be told from it; or it does not grow
    with brightness, as light that a detector smeared does, and lies on white noise, which nothing
    smeared.

    Frames of one channel, (height, width) float32, have noise of one std everywhere, whose
    autocovariance, (31, 31), was learned; `grows` says whether it grew before it was stabilised.
    """
    unit = covariance / covariance[LAGS, LAGS]
    correlations = _short_correlations(unit)
    if np.abs(correlations).max() < CORRELATED:
        return False
    made = [coloured(np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX)), unit)]
    if _unevenness(stabilised) > UNEVEN * _unevenness(made):
        return True
    if _outstanding(stabilised) < NOTHING_ELSE * _outstanding(made):
        return True
    smooth = bool(correlations.min() >= CORRELATED)  # stripes are so along themselves alone
    return not grows and smooth and _lie_on_white(stabilised)


def _short_correlations(unit: Values) -> Values:
    """Give how neighbours along x and y are correlated in short waves, beyond white noise, (2,)."""
    waves = np.meshgrid(*2 * [np.fft.fftfreq(SIDE_PX)])
    short = np.hypot(*waves) > SHORT
    power = np.maximum(np.fft.fft2(on_torus(unit, (SIDE_PX, SIDE_PX))).real, 0.0)[short]
    neighbours = np.cos(2 * np.pi * np.stack(waves)[:, short])
    correlations: Values = neighbours @ power / power.sum() - neighbours.mean(axis=1)
    return correlations


def _lie_on_white(stabilised: Sequence[Image]) -> bool:
    """Tell whether in calm windows the finest waves are level and hold some power.

    So they are where white noise was added; what the smooth patches hold of edges would be so, too.
    """
    windows = _windows(stabilised)
    if windows is None:
        return False
    whole = windows.power.mean(axis=(1, 2))
    power = windows.power[whole <= np.quantile(whole, CALMEST)].mean(axis=0)
    distance = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(SIDE_PX)]))
    finest = power[distance > ABOVE].mean()
    slower = power[(distance >= BESIDE_IT[0]) & (distance < BESIDE_IT[1])].mean()
    return bool(finest > max(LEVEL * slower, FLOOR * power.mean()))


def _unevenness(images: Sequence[Image]) -> float:
    """Give how much stronger waves are in a calm window than in the calmest ones."""
    power = _power_between(images, *WAVES_PX)
    calmest_of_all, calm = np.quantile(power, QUIET)
    return float(calm / calmest_of_all)


def _outstanding(images: Sequence[Image]) -> float:
    """Give how much stronger slower waves are in the strongest windows than in calm ones."""
    calm, strong = np.quantile(_power_between(images, *SLOWER_PX), (QUIET[1], STRONG))
    return float(strong / calm)


def _power_between(images: Sequence[Image], fine: float, slow: float) -> Values:
    """Give the power of the waves between two Gaussians in windows that hold any, (count,)."""
    bands = (gaussian_filter(i, fine) - gaussian_filter(i, slow) for i in images)
    windows = (cut_windows(band, SMALL_PX, STRIDE_PX) for band in bands)
    power = np.concatenate([each.var(axis=(1, 2)) for each in windows])
    some: Values = power[power > 0]
    return some


def is_surely_noise(frames: Sequence[Image]) -> bool:
    """Tell whether the finest waves are as even over calm places as those of noise.

    Texture that reaches so far is stronger here than there; then their strength is not the noise's.
    """
    return _fine_unevenness(frames) < EVEN * _fine_unevenness_of_noise()


def _fine_unevenness(frames: Sequence[Image]) -> float:
    power = _fine_power(frames, FINE_PX)
    if not power.size:
        return float("inf")
    calmest_of_all, calm = np.quantile(power, QUIET)
    return float(calm / calmest_of_all)


@cache
def _fine_unevenness_of_noise() -> float:
    return _fine_unevenness([np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))])


def safe_sigma(frames: Sequence[Image]) -> float:
    """Give the std of noise of independent pixels, from the finest waves where they are weakest.

    Little of what optics show is as fine. What chance makes of the weakest windows is taken out.
    """
    return float(np.sqrt(_weakest(frames) / _weakest_of_noise()))


def _weakest(images: Sequence[Image]) -> float:
    """Give the power of the finest waves in windows that hold least of them, if any."""
    power = _fine_power(images, SMALL_PX)
    return float(power[power <= np.quantile(power, SAFE)].mean()) if power.size else 0.0


def _fine_power(images: Sequence[Image], side: int) -> Values:
    """Give the power of the finest waves in the windows of a side that hold any, (count,)."""
    parts = []
    for image in images:
        waves = convolve1d(convolve1d(image.astype(np.float64), CURVED, axis=0), CURVED, axis=1)
        parts.append(np.square(cut_windows(waves, side, side)).mean(axis=(1, 2)))
    power = np.concatenate(parts)
    some: Values = power[power > 0]
    return some


@cache
def _weakest_of_noise() -> float:
    return _weakest([np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))])
