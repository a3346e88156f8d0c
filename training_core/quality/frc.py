"""The smallest detail that a denoised stack still shows, in micrometres, without a reference.

Where the same scene was taken several times (axis T or I), the denoised frame is compared ring by
ring in Fourier space with the *raw* next frame, whose noise it has never seen: comparing two
denoised frames would praise whatever the denoiser invents in both. Elsewhere decorrelation analysis
(Descloux, Grussmayer, Radenovic, Nature Methods 16, 918, 2019) finds the frequency beyond which the
denoised image holds nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from training_core.stack import Image, Stack, Values, centre

SMALLEST_PX = 64
FADED = 0.125  # of the side, on each border
# The usual limit of a ring correlation between two noisy frames (Rosenthal, Henderson, J. Mol.
# Biol. 333, 721, 2003). One side here is nearly free of noise: that correlates as the square root.
CORRELATION_LIMIT = (1 / 7) ** 0.5
SAME_SCENE = 0.5  # of the slow waves: with less, what follows shows something else


def resolution_um(noisy: Stack, denoised: Stack) -> tuple[float | None, str | None]:
    """Measure the resolution and say how: "frc", "decorrelation" or None.

    None for a stack without a pixel size or with frames under 64 px, and where no limit is found.
    """
    pixel_um = noisy.pixel_size.x_um
    if pixel_um is None or min(noisy.frame_shape) < SMALLEST_PX:
        return None, None
    curve = _repeat_correlation(noisy, denoised)
    if curve is not None:
        return pixel_um / _last_above(curve, CORRELATION_LIMIT), "frc"
    found = decorrelation_frequency(centre(denoised.frame(denoised.frame_count // 2)))
    return (None, None) if found is None else (pixel_um / found, "decorrelation")


def ring_correlation(first: Image, second: Image) -> Values:
    """Correlate two frames on rings of Fourier space.

    Element r is for r / side cycles per pixel, from 0 to one half, of the middle square of
    the (height, width) frames.
    """
    one, two = (np.fft.fft2(_tapered(frame)) for frame in (first, second))
    shared = _ring_sums((one * two.conj()).real)
    power = np.sqrt(_ring_sums(np.abs(one) ** 2) * _ring_sums(np.abs(two) ** 2))
    return shared / np.maximum(power, np.finfo(float).tiny)


def decorrelation_frequency(frame: Image) -> float | None:
    """Find the highest frequency, in cycles per pixel, that a frame (height, width) holds.

    The correlation of the frame with itself stripped of amplitudes peaks where detail ends; it is
    repeated after ever stronger high-pass filters, and the highest peak frequency counts.
    """
    amplitude = np.abs(np.fft.fft2(_tapered(frame)))
    first, second, counts = (_ring_sums(a) for a in (amplitude, amplitude**2, amplitude**0))
    frequency = np.arange(len(first)) / (2 * (len(first) - 1))
    found = []
    for blur_px in (np.inf, *np.geomspace(frame.shape[0] / 8, 0.3, 16)):
        kept = 1 - np.exp(-2 * (np.pi * min(blur_px, 1e6) * frequency) ** 2)
        norm = np.sqrt((kept**2 * second).sum() * np.cumsum(counts))
        peak = _peak(np.cumsum(kept * first) / np.maximum(norm, np.finfo(float).tiny))
        if peak is not None:
            found.append(float(frequency[peak]))
    return max(found, default=None)


def _repeat_correlation(noisy: Stack, denoised: Stack) -> Values | None:
    """Average the ring correlation of denoised frames with the raw ones that follow, if any do."""
    axis = next((noisy.axes.index(a) for a in "TI" if a in noisy.axes), None)
    if axis is None or noisy.shape[axis] < 2:
        return None
    steps = int(np.prod(noisy.shape[axis + 1 : -2]))
    count = min(5, noisy.shape[axis])
    curves = [
        ring_correlation(centre(denoised.frame(a * steps)), centre(noisy.frame(b * steps)))
        for a, b in pairwise(range(count))
    ]
    curve: Values = ndimage.uniform_filter1d(np.mean(curves, axis=0), 5)
    return curve if curve[2 : len(curve) // 16 + 3].mean() > SAME_SCENE else None


def _tapered(frame: Image) -> Values:
    """Cut the middle square, remove its mean and fade its border, a cross in Fourier space else."""
    side = min(frame.shape)
    top, left = ((length - side) // 2 for length in frame.shape)
    square = frame[top : top + side, left : left + side].astype(np.float64)
    # Tukey's window; not of scipy.signal, which takes .4 s to import.
    edge = np.arange(side) / (side - 1)
    fade = (1 - np.cos(np.pi * np.clip(np.minimum(edge, 1 - edge) / FADED, 0, 1))) / 2
    tapered: Values = (square - square.mean()) * fade * fade[:, None]
    return tapered


def _ring_sums(values: Values) -> Values:
    side = len(values)
    frequency = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(frequency[:, None], frequency)).astype(np.intp).ravel()
    sums: Values = np.bincount(ring, values.ravel())[: side // 2 + 1].astype(np.float64)
    return sums


def _last_above(curve: Values, limit: float) -> float:
    """Give the frequency, in cycles per pixel, at which a curve first falls below `limit`."""
    below = np.flatnonzero(curve[1:] < limit)
    ring = below[0] + 1 if len(below) else len(curve) - 1
    return float(ring / (2 * (len(curve) - 1)))


def _peak(curve: Values) -> int | None:
    """Find the maximum after which the curve falls; a curve that rises to its end has none."""
    end = len(curve)
    while end > 2:
        peak = int(np.argmax(curve[:end]))
        if peak < end - 1:
            fall = curve[peak] - curve[peak:end].min()
            return peak if peak > 1 and fall > 1e-3 and curve[peak] > 0.05 else None
        end = peak
    return None
