"""How good a denoised stack is: measured against a clean reference, and without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from training_core.errors import InputError
from training_core.run import SILENT, Run
from training_core.stack import Image, Stack, Values, centre, sampled_frames
from training_core.unmeasured import hot_pixels, unmeasured

from .frc import resolution_um
from .residual import Residual

Window = tuple[float, float]

SOFT_TISSUE_HU: Window = (-160.0, 240.0)
SSIM_WINDOW_PX = 7  # of the figures known for FMD: Wang's window gives .3326 for .3395 there


@dataclass(frozen=True, slots=True)
class ReferenceQuality:
    """Distance to a clean reference; PSNR and SSIM mean nothing without the range beside them.

    Attributes
    ----------
    psnr
        10 log10(data_range^2 / mean square error), dB, over all pixels; infinite for equal stacks.
    ssim
        Mean over frames and pixels, 7 x 7 uniform window with sample covariance (the default of
        scikit-image and of the published tables).
    nrmse
        Root mean square error over (greatest - least value) of the reference.
    rmse
        Root mean square error, in the units of the stack.
    range_invariant_psnr
        PSNR after the best straight line from image to reference, for images that were stretched.
    data_range, window
        The full range, and the values that both stacks were clipped to first (CT), None for none.
    """

    psnr: float
    ssim: float
    nrmse: float
    rmse: float
    range_invariant_psnr: float
    data_range: float
    window: Window | None


def compare_with_reference(
    image: Stack,
    reference: Stack,
    data_range: float | None = None,
    *,
    window: Window | None = None,
    run: Run = SILENT,
) -> ReferenceQuality:
    """Compare every frame of `image` with a clean `reference` of the same shape.

    Raises `InputError` if the shapes differ.

    Parameters
    ----------
    image, reference
        Stacks with equally many frames of one shape, in the same units; dtypes may differ.
    data_range
        Full range for PSNR and SSIM; None for the width of the window if there is one, else 255 for
        a uint8 reference and greatest - least value of any other.
    window
        Clip both to (low, high) first. None takes (-160, 240) where the reference is in HU, the
        window of the published CT results, and no clipping elsewhere.
    run
        Asked before each frame whether to go on.
    """
    _check_shapes(image, reference)
    if window is None and reference.value_unit == "HU":
        window = SOFT_TISSUE_HU
    low, high = _extremes(reference, window)
    if data_range is None:
        data_range = _full_range(reference, window, high - low)
    moments, ssims = np.zeros(6), []
    for index in range(reference.frame_count):
        run.check()
        one, two = (_clipped(stack.frame(index), window) for stack in (image, reference))
        moments += _moments(one - low, two - low)  # far from zero their squares would cancel out
        ssims.append(_ssim(one, two, data_range))
    mse, fitted_mse = _errors(moments)
    return ReferenceQuality(
        psnr=decibels(mse, data_range),
        ssim=float(np.mean(ssims)),
        nrmse=float(np.sqrt(mse) / (high - low)) if high > low else float(mse > 0),
        rmse=float(np.sqrt(mse)),
        range_invariant_psnr=decibels(fitted_mse, data_range),
        data_range=float(data_range),
        window=window,
    )


@dataclass(frozen=True, slots=True)
class BlindQuality:
    """What can be said of a denoised stack without a reference; the residual is noisy - denoised.

    Attributes
    ----------
    noise_sigma_before, noise_sigma_after
        Standard deviation of the noise in the same calm windows, in the units of the stack, from
        waves too fine for texture (see `Residual`). None where it cannot be told.
    residual_to_noise
        Standard deviation of the residual over that of the noise; well under 1: noise is left, well
        over 1: structure was taken. None where no noise was found.
    residual_unevenness
        Share of what was removed that noise cannot explain, since it is stronger in some places
        than in others of the same brightness: at least as much of it is structure. None where that
        cannot be told, as in CT, whose noise follows the place.
    residual_autocorrelation
        Correlation of neighbouring residual pixels along x and along y: that of the noise, if all
        is well, so not always 0.
    residual_signal_correlation
        Pearson correlation of residual and denoised stack; 0 is good.
    mean_shift_percent
        Change of the mean, in percent of it; of the intensity range where values may be negative.
    slope, intercept
        The straight line noisy = slope * denoised + intercept; 1 and 0 are good.
    frc_resolution_um
        Smallest detail in micrometres, None where it cannot be had; `resolution_method` says how
        it was found (see `resolution_um`).
    """

    noise_sigma_before: float | None
    noise_sigma_after: float | None
    residual_to_noise: float | None
    residual_unevenness: float | None
    residual_autocorrelation: tuple[float, float]
    residual_signal_correlation: float
    mean_shift_percent: float
    slope: float
    intercept: float
    frc_resolution_um: float | None
    resolution_method: str | None


def assess(noisy: Stack, denoised: Stack) -> BlindQuality:
    """Measure `denoised` by `noisy` alone, on up to 8 frames spread over the stacks.

    Raises `InputError` if the shapes differ.
    """
    _check_shapes(denoised, noisy)
    chosen = sampled_frames(noisy)
    after = np.stack([centre(denoised.frame(i)) for i in chosen])
    before = np.stack([centre(_known(noisy, denoised, i)) for i in chosen])
    residual = (before - after).astype(np.float64)
    along_y, along_x = (_neighbour_correlation(residual, axis) for axis in (0, 1))
    seen = Residual.of(before, after)
    sigma, left = seen.noise_sigma, seen.noise_left
    correlation, slope, intercept = _line(before, after, residual)
    resolution, method = resolution_um(noisy, denoised)
    whole = brightness(before)
    return BlindQuality(
        noise_sigma_before=None if left is None else sigma,
        noise_sigma_after=None if left is None else left * sigma,
        residual_to_noise=float(np.std(residual) / sigma) if sigma > 0 else None,
        residual_unevenness=None if noisy.value_unit == "HU" else seen.uneven,
        residual_autocorrelation=(along_x, along_y),
        residual_signal_correlation=correlation,
        mean_shift_percent=-100 * float(residual.mean()) / whole if whole else 0.0,
        slope=slope,
        intercept=intercept,
        frc_resolution_um=resolution,
        resolution_method=method,
    )


def _known(noisy: Stack, denoised: Stack, index: int) -> Image:
    """Give a noisy frame with what was made of its pixels that are no measurement: none changed."""
    frame: Image = noisy.frame(index)
    for mask in (unmeasured(noisy, index), hot_pixels(noisy, index)):
        if mask is not None:
            frame = np.where(mask, denoised.frame(index), frame)
    return frame


def _check_shapes(image: Stack, reference: Stack) -> None:
    one, two = ((s.frame_count, *s.frame_shape) for s in (image, reference))
    if one != two:
        sizes = [f"{n} frame{'s' * (n != 1)} of {w} × {h} px" for n, h, w in (one, two)]
        raise InputError(
            f"{image.name} has {sizes[0]}, but {reference.name} has {sizes[1]}; "
            "choose two stacks of the same scene and size."
        )


def _clipped(frame: Image, window: Window | None) -> Values:
    values = frame.astype(np.float64)
    return values if window is None else np.clip(values, *window)


def _extremes(stack: Stack, window: Window | None) -> Window:
    frames = (_clipped(stack.frame(i), window) for i in range(stack.frame_count))
    lows, highs = zip(*((frame.min(), frame.max()) for frame in frames), strict=True)
    return float(min(lows)), float(max(highs))


def _full_range(reference: Stack, window: Window | None, spread: float) -> float:
    if window is not None:
        return window[1] - window[0]
    if reference.dtype == np.uint8:
        return 255.0
    return spread if spread > 0 else 1.0


def _moments(image: Values, reference: Values) -> Any:
    """Sum 1, x, y, x^2, x y, y^2 over a frame; the values are counted from about 0."""
    x, y = image.ravel(), reference.ravel()
    return np.array([x.size, x.sum(), y.sum(), x @ x, x @ y, y @ y])


def _errors(moments: Values) -> tuple[float, float]:
    """Give the mean square error, and what is left of it after the best straight line."""
    x, y, xx, xy, yy = moments[1:] / moments[0]
    mse = max(xx - 2 * xy + yy, 0.0)
    variance, shared = xx - x * x, xy - x * y
    fitted = (yy - y * y) - (shared * shared / variance if variance > 0 else 0.0)
    return float(mse), float(max(fitted, 0.0))


def decibels(mse: float, data_range: float) -> float:
    """Give the PSNR in dB of a mean square error; infinite for none."""
    return float(10 * np.log10(data_range**2 / mse)) if mse > 0 else float("inf")


def _ssim(image: Values, reference: Values, data_range: float) -> float:
    # A frame smaller than the window is mirrored up to it.
    missing = [(0, max(0, SSIM_WINDOW_PX - length)) for length in image.shape]
    one, two = (np.pad(a, missing, mode="symmetric") for a in (image, reference))
    measure: Any = structural_similarity
    return float(measure(two, one, win_size=SSIM_WINDOW_PX, data_range=data_range))


def _neighbour_correlation(residual: Values, axis: int) -> float:
    centred = [np.moveaxis(r - r.mean(), axis, 0) for r in residual]
    power = sum(float(np.square(r).mean()) for r in centred)
    if power == 0 or len(centred[0]) < 2:
        return 0.0
    return sum(float((r[1:] * r[:-1]).mean()) for r in centred) / power


def _line(noisy: Image, denoised: Image, residual: Values) -> tuple[float, float, float]:
    """Give correlation of residual and denoised, slope and intercept of noisy on denoised."""
    signal, noise = denoised.astype(np.float64).ravel(), residual.ravel()
    level, shift = signal.mean(), noise.mean()
    signal -= level
    shared, power, left = signal @ (noise - shift), signal @ signal, np.square(noise - shift).sum()
    if power == 0 or left == 0:
        return 0.0, 1.0, float(shift)
    slope = 1 + shared / power  # noisy is denoised and residual, whose slope this adds to 1
    intercept = np.mean(noisy, dtype=np.float64) - slope * level
    return float(shared / np.sqrt(power * left)), float(slope), float(intercept)


def brightness(values: Image) -> float:
    """Give what a shift is a share of: the mean, or the range where values may be negative.

    For values of any shape, in their unit; 0 where there is neither.
    """
    least, greatest = (float(v) for v in np.percentile(values, (0.1, 99.9)))
    whole = float(values.mean(dtype=np.float64)) if least >= 0 else greatest - least
    return max(whole, 0.0)
