"""Scenes whose noise is known: photographs and drawn specimens under noise of many kinds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from training_core.noise.anscombe import STABILISED_FLOOR, Stabiliser
from training_core.noise.covariance import LAGS
from training_core.noise.model import HEAVY
from training_core.noise.strength_curve import NoiseCurve
from training_core.noise.synthetic import poisson_gaussian
from training_core.stack import Image, Values

SCALES = (1.0, 1.0, 0.85, 0.7)
# Shares of the scenes. A microscope's optics pass less detail than a photograph has, so many are
# blurred far, and what stands out of a dark field is drawn: no photograph looks like that.
SPECIMENS, SECTIONS = 0.25, 0.15
INVERTED, DARKENED, BLURRED = 0.25, 0.4, 0.6
BLURS_PX, WIDE_BLURS_PX, WIDELY = (0.4, 2.5), (2.5, 6.0), 0.4
PHOTONS, FEW_HOLD_IT = 0.35, 0.45  # up to which share the noise is so; the rest is even
WHITE, SMOOTHED = 0.45, 0.9  # up to which share of the even noise is so; the rest lacks slow waves
SPANS = (1.5, 80.0)  # stds of the noise from black to white
PEAKS = (0.4, 300.0)  # photons in white: confocal frames come with fewer than one
BACKGROUNDS = (0.0, 0.005, 0.02, 0.1, 0.3)  # photons in black, of those in white
MOST_READ = 1.5  # photons: std of the read noise
UNCERTAIN = 0.1  # by how much the std is off that even noise is thought to have
KERNEL_PX = 15
TAILS = (0.003, 0.3)  # share of the pixels that hold most of the power, where tails are heavy
FAR = (4.0, 300.0)  # how many times as strong their noise is as that of the others
CALMER = (0.03, 1.0)  # how strong the noise of the calmer ones among the others is
TAIL_SPANS = (5.0, 150.0)  # stds of such noise from black to white
LEVELS, SAMPLES = 48, 3000  # of brightness, at which the std of stabilised photons is counted out
DRAWN_PX = 180  # side of drawn scenes, that of the photographs


@dataclass(frozen=True, eq=False)
class NoisyScene:
    """A scene and what is known of its noise, all in units in which the noise's std is about 1.

    Attributes
    ----------
    noisy, clean
        (height, width) float32.
    covariance
        Autocovariance of the noise, (31, 31) float64, 1 in the middle.
    curve
        Its std at each brightness.
    """

    noisy: Image
    clean: Image
    covariance: Values
    curve: NoiseCurve


def draw_scene(photographs: Sequence[Image], rng: np.random.Generator) -> NoisyScene:
    """Draw a scene: a photograph, a specimen that glows or a section, under one kind of noise.

    Parameters
    ----------
    photographs
        Clean images, (height, width) float32, any range of values.
    """
    shown = rng.random()
    if shown < SPECIMENS:
        view = draw_specimen(rng)
    elif shown < SPECIMENS + SECTIONS:
        view = draw_section(rng)
    else:
        view = draw_view(photographs[int(rng.integers(len(photographs)))], rng)
    kind = rng.random()
    if kind < PHOTONS:
        return with_photons(view, rng)
    return with_heavy_tails(view, rng) if kind < FEW_HOLD_IT else with_even_noise(view, rng)


def draw_view(image: Image, rng: np.random.Generator) -> Values:
    """Scale, invert, darken, blur and turn an image at random; gives float64 from 0 to 1."""
    scale = rng.choice(SCALES)
    view = image.astype(np.float64)
    if scale < 1:
        view = ndimage.zoom(ndimage.gaussian_filter(view, 0.35 / scale), scale, order=1)
    view = _stretched(view)
    if rng.random() < INVERTED:
        view = 1 - view
    if rng.random() < DARKENED:
        view = view ** rng.uniform(1, 4)
    if rng.random() < BLURRED:
        blurs = WIDE_BLURS_PX if rng.random() < WIDELY else BLURS_PX
        view = ndimage.gaussian_filter(view, rng.uniform(*blurs))
    return np.ascontiguousarray(np.rot90(_stretched(view), int(rng.integers(4))))


def draw_specimen(rng: np.random.Generator) -> Values:
    """Draw what glows on a dark field: bodies, filaments and spots, blurred by a microscope.

    (180, 180) float64 from 0 to 1.
    """
    shapes = _cloud(rng.uniform(8, 30), rng) > rng.uniform(0, 1.5)
    cells = ndimage.gaussian_filter(shapes.astype(np.float64), 1)
    bodies = cells * np.clip(1 + rng.uniform(0, 0.7) * _cloud(rng.uniform(1.5, 6), rng), 0.1, None)
    inside = cells if rng.random() < 0.5 else 1.0
    view = _log_uniform((0.02, 1), rng) * bodies if rng.random() < 0.7 else np.zeros_like(cells)
    for _ in range(int(rng.integers(4))):
        view += _log_uniform((0.1, 1), rng) * inside * _filaments(rng)
    if rng.random() < 0.6:
        view += inside * _spots(rng)
    view = ndimage.gaussian_filter(view, rng.uniform(0.7, 2.5))
    view += rng.uniform(0, 0.5) * ndimage.gaussian_filter(view, rng.uniform(6, 15))
    return _stretched(view)


def draw_section(rng: np.random.Generator) -> Values:
    """Draw a section: areas of even brightness with soft texture, some lined by membranes.

    (180, 180) float64 from 0 to 1; like a slice of a CT, or a thin section in an electron
    microscope.
    """
    view = np.zeros((DRAWN_PX, DRAWN_PX))
    for _ in range(int(rng.integers(2, 7))):
        area = _cloud(rng.uniform(5, 40), rng) > rng.uniform(-0.5, 1.5)
        view = np.where(area, rng.uniform(0, 1), view)
    view += rng.uniform(0, 0.1) * _cloud(rng.uniform(0.7, 3), rng)
    if rng.random() < 0.5:
        view -= rng.uniform(0.2, 0.8) * _filaments(rng)
    return _stretched(ndimage.gaussian_filter(view, rng.uniform(0.4, 1.5)))


def _cloud(scale_px: float, rng: np.random.Generator) -> Values:
    """Give a smooth random field of mean 0 and std 1."""
    drawn = rng.standard_normal((DRAWN_PX, DRAWN_PX))
    field = ndimage.gaussian_filter(drawn, scale_px, mode="wrap", truncate=3)
    unit: Values = (field - field.mean()) / field.std()
    return unit


def _filaments(rng: np.random.Generator) -> Values:
    """Give thin lines, 1 on them: where a smooth field crosses a level."""
    field = _cloud(rng.uniform(5, 25), rng) - rng.uniform(-1, 1)
    slope = np.hypot(*np.gradient(field))
    lines: Values = np.exp(-0.5 * (field / (slope * rng.uniform(0.4, 1.2) + 1e-6)) ** 2)
    return lines


def _spots(rng: np.random.Generator) -> Values:
    """Give points of unlike brightness in random places, brightest about 10."""
    points = np.zeros((DRAWN_PX, DRAWN_PX))
    count = int(_log_uniform((5, 400), rng))
    rows, columns = rng.integers(DRAWN_PX, size=(2, count))
    points[rows, columns] = 10 * rng.random(count) ** rng.uniform(0.5, 4)
    return points


def _stretched(view: Values) -> Values:
    stretched: Values = (view - view.min()) / max(np.ptp(view), 1e-6)
    return stretched


def with_even_noise(view: Values, rng: np.random.Generator) -> NoisyScene:
    """Add Gaussian noise, white or of a random spectrum; its std is known but to a tenth."""
    clean = view * _log_uniform(SPANS, rng)
    kernel = draw_kernel(rng)
    drawn = rng.standard_normal([n + KERNEL_PX - 1 for n in view.shape])
    noise = signal.oaconvolve(drawn, kernel, mode="valid")
    off = rng.uniform(1 - UNCERTAIN, 1 + UNCERTAIN)
    curve = NoiseCurve(np.zeros(1), np.ones(1))
    return _scene(clean + off * noise, clean, kernel_covariance(kernel), curve)


def with_heavy_tails(view: Values, rng: np.random.Generator) -> NoisyScene:
    """Add white noise whose power is in a few pixels; its std is known but to a tenth."""
    clean = view * _log_uniform(TAIL_SPANS, rng)
    off = rng.uniform(1 - UNCERTAIN, 1 + UNCERTAIN)
    noise = off * draw_tails(view.shape, rng)
    curve = NoiseCurve(np.zeros(1), np.ones(1))
    return _scene(clean + noise, clean, _impulse(2 * LAGS + 1), curve)


def draw_tails(shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    """Draw noise of std 1 and a kurtosis of 7 or more: a few pixels far off, among calm ones."""
    while True:
        noise = rng.standard_normal(shape)
        if rng.random() < 0.5:
            calm = rng.random(shape) < rng.uniform(0.1, 0.9)
            noise *= np.where(calm, _log_uniform(CALMER, rng), 1.0)
        even = rng.random() < 0.5
        tail = rng.uniform(-(3**0.5), 3**0.5, shape) if even else rng.standard_normal(shape)
        few = rng.random(shape) < _log_uniform(TAILS, rng)
        noise = np.where(few, _log_uniform(FAR, rng) * tail, noise)
        unit: Values = noise / noise.std()
        if np.mean(unit**4) >= HEAVY:
            return unit


def draw_kernel(rng: np.random.Generator) -> Values:
    """Draw what turns white noise into noise of std 1: white, blurred, or without slow waves.

    (15, 15) float64. The last is the spectrum of a reconstruction by filtered back-projection.
    """
    kernel, kind = _impulse(KERNEL_PX), rng.random()
    if kind >= SMOOTHED:
        slow = ndimage.gaussian_filter(kernel, rng.uniform(1, 3, 2))
        kernel = kernel - rng.uniform(0.4, 1) * slow
        kernel = ndimage.gaussian_filter(kernel, rng.uniform(0, 0.6, 2))
    elif kind >= WHITE:
        down = rng.uniform(0.3, 1.4)
        across = down * (rng.uniform(0.5, 1) if rng.random() < 0.3 else 1)
        kernel = ndimage.gaussian_filter(kernel, (down, across))
    unit: Values = kernel / np.sqrt(np.square(kernel).sum())
    return unit


def _impulse(size: int) -> Values:
    impulse = np.zeros((size, size))
    impulse[size // 2, size // 2] = 1
    return impulse


def kernel_covariance(kernel: Values) -> Values:
    """Give the autocovariance of white noise convolved with a kernel, (31, 31) float64."""
    covariance: Values = np.pad(signal.correlate2d(kernel, kernel), LAGS + 1 - KERNEL_PX)
    return covariance


def with_photons(view: Values, rng: np.random.Generator) -> NoisyScene:
    """Count photons, add read noise, and stabilise both by the generalised Anscombe transform."""
    peak, read = _log_uniform(PEAKS, rng), rng.uniform(0, MOST_READ)
    dark = rng.choice(BACKGROUNDS) * peak
    stabiliser = Stabiliser(1.0, read**2)

    def count(mean: Values) -> Image:
        return stabiliser.forward(poisson_gaussian(mean, 1.0, read, int(rng.integers(1 << 32))))

    mean = view * peak + dark
    noisy = count(mean)
    many = count(np.repeat(np.linspace(dark, dark + peak, LEVELS)[:, None], SAMPLES, axis=1))
    levels = np.maximum.accumulate(many.mean(axis=1, dtype=np.float64))
    curve = NoiseCurve(levels, np.maximum(many.std(axis=1, dtype=np.float64), 0.05))
    highest = 2 * math.sqrt(peak + dark + read**2 + 10) + 2
    stabilised = np.linspace(STABILISED_FLOOR, highest, 4000).astype(np.float32)
    clean = np.interp(mean, stabiliser.inverse(stabilised), stabilised)
    return _scene(noisy, clean, _impulse(2 * LAGS + 1), curve)


def _scene(
    noisy: NDArray[np.floating], clean: Values, covariance: Values, curve: NoiseCurve
) -> NoisyScene:
    return NoisyScene(noisy.astype(np.float32), clean.astype(np.float32), covariance, curve)


def _log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = limits
    return math.exp(rng.uniform(math.log(low), math.log(high)))
