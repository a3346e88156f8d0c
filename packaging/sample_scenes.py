"""The simulated scenes of the sample stacks: cells, an abdomen and a sintered surface.

Each function gives a noisy image and its clean reference, the mean that endless averaging would
give; the same seeds give the same pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special
from skimage.transform import iradon, radon

Image = NDArray[np.float64]
Pair = tuple[NDArray[Any], NDArray[Any]]

SIDE = 256
SLICES = 3

CAMERA_OFFSET = 100.0
COUNTS_PER_ELECTRON = 4.0
READ_NOISE_ELECTRONS = 1.8

PHOTONS_PER_RAY = 2.6e5
VIEWS = 360
PIXEL_CM = 0.14
BODY_SCALE = 1.1
WATER_PER_CM = 0.19

SEM_SIDE = 384


def fluorescence() -> Pair:
    """Cells with microtubules, nuclei and vesicles: noisy and clean (3, 256, 256) uint16."""
    rng = np.random.default_rng(1)
    electrons = np.full((SLICES, SIDE, SIDE), 3.0)
    for centre in ((92.0, 86.0), (196.0, 190.0), (40.0, 232.0), (238.0, 30.0)):
        electrons += _cell(np.array(centre), rng)
    haze = ndimage.gaussian_filter(electrons.mean(axis=0), 14.0)
    electrons = ndimage.gaussian_filter(electrons, (0.0, 1.15, 1.15)) + 0.3 * haze
    read = rng.normal(0.0, READ_NOISE_ELECTRONS, electrons.shape)
    noisy = COUNTS_PER_ELECTRON * (rng.poisson(electrons) + read) + CAMERA_OFFSET
    clean = COUNTS_PER_ELECTRON * electrons + CAMERA_OFFSET
    return _rounded(noisy, np.uint16), _rounded(clean, np.uint16)


def _cell(centre: Image, rng: np.random.Generator) -> Image:
    body = _blob(centre, 74.0, 0.16, rng)
    nucleus = _blob(centre, 27.0, 0.07, rng)
    inside = ndimage.gaussian_filter((body > 0).astype(float), 5.0)
    chromatin = 1.0 + 0.45 * _cloud((SIDE, SIDE), 2.6, rng)
    core = ndimage.gaussian_filter((nucleus > 0) * np.clip(chromatin, 0.35, None), 1.0)
    cell = np.empty((SLICES, SIDE, SIDE))
    for z, depth in enumerate((0.75, 1.0, 0.65)):
        cell[z] = depth * (4.0 * inside + 15.0 * core)
    cell += _microtubules(centre, body, nucleus, rng)
    return cell + _vesicles(body, nucleus, rng)


def _blob(centre: Image, radius: float, wobble: float, rng: np.random.Generator) -> Image:
    """Give a field that is positive inside an uneven disc around `centre`."""
    y, x = np.mgrid[:SIDE, :SIDE] - centre[:, None, None]
    angle = np.arctan2(y, x)
    edge = np.full(angle.shape, radius)
    for order in range(2, 6):
        height, phase = radius * wobble * rng.normal() / order**0.5, rng.uniform(0, 2 * np.pi)
        edge += height * np.cos(order * angle + phase)
    distance: Image = edge - np.hypot(1.12 * y, x)
    return distance


def _cloud(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Image:
    """Give a smooth random field of mean 0 and standard deviation 1."""
    field: Image = ndimage.gaussian_filter(rng.standard_normal(shape), scale, mode="wrap")
    return (field - field.mean()) / field.std()


def _microtubules(centre: Image, body: Image, nucleus: Image, rng: np.random.Generator) -> Image:
    drawn = np.zeros((SLICES, SIDE, SIDE))
    origin = centre + 24.0 * _direction(rng.uniform(0, 2 * np.pi))
    for _ in range(58):
        path = _bent_path(origin + rng.normal(0, 5.0, 2), body, rng)
        heights = rng.uniform(-0.4, SLICES - 0.6) + np.cumsum(rng.normal(0, 0.015, len(path)))
        _draw(drawn, path, heights, rng.uniform(9.0, 20.0))
    # The nucleus keeps most of the filaments out of the middle of the cell.
    drawn *= np.where(nucleus > 0, 0.2, 1.0)
    return drawn


def _direction(angle: float) -> Image:
    return np.array([np.sin(angle), np.cos(angle)])


def _bent_path(start: Image, body: Image, rng: np.random.Generator) -> Image:
    """Walk with a slowly turning direction until the edge of the cell, in half-pixel steps."""
    angle, bend, position, path = rng.uniform(0, 2 * np.pi), 0.0, start, []
    for _ in range(int(rng.uniform(90, 330))):
        bend = 0.97 * bend + rng.normal(0, 0.0035)
        angle += bend
        position = position + 0.5 * _direction(angle)
        row, column = np.rint(position).astype(int)
        if not (0 <= row < SIDE and 0 <= column < SIDE) or body[row, column] < 3.0:
            break
        path.append(position)
    return np.array(path).reshape(-1, 2)


def _draw(volume: Image, path: Image, heights: Image, brightness: float) -> None:
    """Add the points of a path to the planes that its height lies in or near."""
    rows, columns = np.floor(path).astype(int).T
    down, right = (path - np.floor(path)).T
    for z in range(SLICES):
        light = brightness * np.exp(-0.5 * ((heights - z) / 0.55) ** 2)
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = np.abs(1 - dy - down) * np.abs(1 - dx - right)
            inside = (rows + dy < SIDE) & (columns + dx < SIDE)
            where = (rows[inside] + dy, columns[inside] + dx)
            np.add.at(volume[z], where, (light * share)[inside])


def _vesicles(body: Image, nucleus: Image, rng: np.random.Generator) -> Image:
    drawn = np.zeros((SLICES, SIDE, SIDE))
    rows, columns = np.nonzero((body > 6.0) & (nucleus < -2.0))
    for index in rng.integers(0, len(rows), 46):
        point = np.array([[rows[index], columns[index]]]) + rng.uniform(0, 1, (1, 2))
        _draw(drawn, point, rng.uniform(-0.3, SLICES - 0.7, 1), rng.uniform(120.0, 420.0))
    return drawn


def ct() -> Pair:
    """Abdomen with organs, inserts and bone in HU: noisy and clean (3, 256, 256) int16."""
    rng = np.random.default_rng(2)
    clean = np.stack([_abdomen(z - 1.0) for z in range(SLICES)])
    noisy = clean + np.stack([_projection_noise(hu, rng) for hu in clean])
    return _rounded(noisy, np.int16), _rounded(clean, np.int16)


def _abdomen(z: float) -> Image:
    """One slice in HU; `z` in slices from the middle one changes the organs a little."""
    hu = np.full((4 * SIDE, 4 * SIDE), -1000.0)
    y, x = ((np.mgrid[: 4 * SIDE, : 4 * SIDE] + 0.5) / 4 - SIDE / 2) / BODY_SCALE
    for cy, cx, ry, rx, degrees, value in _organs(z):
        turn = np.deg2rad(degrees)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        hu[(u / rx) ** 2 + (v / ry) ** 2 < 1] = value
    # Averaging 4 x 4 finer points gives edges their partial volume; the blur is the scanner's.
    coarse = hu.reshape(SIDE, 4, SIDE, 4).mean(axis=(1, 3))
    # Organs are not even: a texture of a few HU that no denoiser should take for noise.
    tissue = (coarse > -150) & (coarse < 300)
    coarse += 5.0 * tissue * _cloud((SIDE, SIDE), 2.2, np.random.default_rng(int(20 + z)))
    blurred: Image = ndimage.gaussian_filter(coarse, 0.6)
    return blurred


def _organs(z: float) -> list[tuple[float, float, float, float, float, float]]:
    """Give ellipses as centre y, x, half axes y, x (pixels), turn (degrees), value (HU)."""
    body = [
        (0, 0, 84, 112, 0, -105),
        (1, 0, 75, 102, 0, 52),
        (-4, 0, 64, 91, 0, -95),
        (108, 0, 14, 96, 0, -1000),
        (105, 0, 1.6, 98, 0, -480),
    ]
    muscle = [(54, -26, 15, 21, 12, 56), (54, 26, 15, 21, -12, 56)]
    soft = [
        (-12, -46, 44, 40 - 2 * z, 14, 108),
        (-30, -18, 20 + z, 30, 24, 108),
        (-6, 62, 25, 17 + z, -18, 122),
        (-32, 36, 19, 27 - 2 * z, -24, 28),
        (-39, 38, 9, 17 - 2 * z, -14, -900),
        (26, -44, 17, 12, 18, 178),
        (26, 46, 17 + z, 12, -18, 178),
        (26, -40, 8, 4.5, 18, 20),
        (26, 42, 8, 4.5, -18, 20),
        (-2, 12, 7, 24, -12, 84),
        (16, -13, 7, 9, 0, 128),
        (20, 8, 8.5, 8.5, 0, 205),
        (14, 28, 6, 8, 0, 34),
        (2, 33, 6.5, 8, 0, 40),
        (3, 33, 3.2, 4, 0, -700),
        (-46, -50, 7, 7, 0, 12),
    ]
    lesions = [
        (-18, -58, 5.5, 5.5, 0, 66),
        (2, -38, 4, 4, 0, 72),
        (8, -60, 2.8, 2.8, 0, 62),
        (-26, -34, 2.4, 2.4, 0, 150),
        (-8, -46, 1.6, 6, 40, 160),
        (-18, -46, 1.4, 8, -30, 158),
        (-12, 64, 3.5, 3.5, 0, 86),
    ]
    spine = [
        (44, 0, 14, 17, 0, 620),
        (44, 0, 12, 15, 0, 190),
        (62, 0, 9, 10, 0, 560),
        (61, 0, 6.5, 7, 0, 32),
        (58, -18, 3, 11, -16, 480),
        (58, 18, 3, 11, 16, 480),
        (74, 0, 7, 3, 0, 520),
    ]
    return [*body, *muscle, *soft, *lesions, *spine, *_ribs(z)]


def _ribs(z: float) -> list[tuple[float, float, float, float, float, float]]:
    ribs = []
    for degrees in (-72, -38, -6, 26, 154, 186, 218, 252):
        turn = np.deg2rad(degrees + 3 * z)
        cy, cx = -4 + 69 * np.sin(turn), 96 * np.cos(turn)
        slope = float(np.rad2deg(np.arctan2(69 * np.cos(turn), -96 * np.sin(turn))))
        ribs += [(cy, cx, 3.4, 8.0, slope, 640.0), (cy, cx, 1.6, 5.6, slope, 250.0)]
    return ribs


def _projection_noise(hu: Image, rng: np.random.Generator) -> Image:
    """Count photons along every ray and reconstruct (filtered back projection) what that adds."""
    angles = np.linspace(0.0, 180.0, VIEWS, endpoint=False)
    attenuation = (hu / 1000 + 1) * WATER_PER_CM * PIXEL_CM
    rays = radon(attenuation, angles, circle=False)
    counts = np.maximum(rng.poisson(PHOTONS_PER_RAY * np.exp(-rays)), 1)
    error = -np.log(counts / PHOTONS_PER_RAY) - rays
    slice_noise = iradon(error, angles, output_size=SIDE, filter_name="shepp-logan", circle=False)
    noise: Image = 1000 * slice_noise / (WATER_PER_CM * PIXEL_CM)
    return noise


def sem() -> Pair:
    """Sintered surface: noisy and clean (384, 384) uint8."""
    rng = np.random.default_rng(3)
    clean = _grains(rng)
    white = rng.normal(0.0, 17.0, (SEM_SIDE, SEM_SIDE + 2)) * 1.06
    # The detector's bandwidth carries a little of each pixel over to the next on the same line.
    noise = white[:, 2:] + 0.22 * white[:, 1:-1]
    noise *= np.sqrt(0.55 + 0.45 * clean / 128)
    noise += rng.normal(0.0, 2.2, (SEM_SIDE, 1))
    return _rounded(clean + noise, np.uint8), _rounded(clean, np.uint8)


def _grains(rng: np.random.Generator) -> Image:
    owner, gap = _tessellation(46, rng)
    y, x = (np.mgrid[:SEM_SIDE, :SEM_SIDE] - SEM_SIDE / 2) / SEM_SIDE
    level = rng.uniform(82, 148, 46)[owner]
    tilt = rng.normal(0, 34, (2, 46))
    surface = level + tilt[0][owner] * y + tilt[1][owner] * x
    surface += 5.0 * _terraces(owner, rng)
    # Electrons leave more easily at an edge: a bright rim, and a dark groove between grains.
    surface += 62.0 * np.exp(-(((gap - 4.0) / 2.4) ** 2)) - 64.0 * np.exp(-((gap / 2.0) ** 2))
    surface = ndimage.gaussian_filter(_with_pores(surface, rng), 0.8)
    return np.clip(_with_particles(surface, rng), 18.0, 232.0)


def _tessellation(count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Image]:
    """Give each pixel's grain and its distance to the next grain, with gently bent borders."""
    seeds = rng.uniform(-10, SEM_SIDE + 10, (count, 2))
    grid = np.mgrid[:SEM_SIDE, :SEM_SIDE].astype(float)
    shape = (SEM_SIDE, SEM_SIDE)
    bent = grid + 5.0 * np.stack([_cloud(shape, 16.0, rng), _cloud(shape, 16.0, rng)])
    bent += 0.9 * np.stack([_cloud(shape, 4.0, rng), _cloud(shape, 4.0, rng)])
    distance = np.hypot(*(bent[:, None] - seeds.T[:, :, None, None]))
    first, second = np.argsort(distance, axis=0)[:2]
    near, far = np.sort(distance, axis=0)[:2]
    apart = np.hypot(*(seeds[first] - seeds[second]).transpose(2, 0, 1))
    return first, (far**2 - near**2) / (2 * apart)


def _terraces(owner: NDArray[np.int64], rng: np.random.Generator) -> Image:
    """Give growth steps on a third of the grains, as fine parallel lines."""
    y, x = np.mgrid[:SEM_SIDE, :SEM_SIDE]
    angle = rng.uniform(0, np.pi, owner.max() + 1)[owner]
    along = x * np.cos(angle) + y * np.sin(angle)
    stepped = rng.uniform(size=owner.max() + 1)[owner] < 0.34
    return np.where(stepped, np.tanh(3.0 * np.sin(2 * np.pi * along / 9.0)), 0.0)


def _with_pores(surface: Image, rng: np.random.Generator) -> Image:
    y, x = np.mgrid[:SEM_SIDE, :SEM_SIDE]
    for cy, cx in rng.uniform(12, SEM_SIDE - 12, (9, 2)):
        reach = np.hypot((y - cy) * rng.uniform(0.8, 1.3), x - cx) / rng.uniform(4.5, 9.5)
        surface = surface + 40.0 * np.exp(-(((reach - 1.1) / 0.16) ** 2))
        surface = np.where(reach < 1, 24.0 + 26.0 * reach**2, surface)
    return surface


def _with_particles(surface: Image, rng: np.random.Generator) -> Image:
    y, x = np.mgrid[:SEM_SIDE, :SEM_SIDE]
    for cy, cx in rng.uniform(4, SEM_SIDE - 4, (70, 2)):
        reach = np.hypot(y - cy, x - cx) / rng.uniform(1.2, 3.4)
        glow = 178.0 + 44.0 * np.clip(reach, 0, 1) ** 2
        weight = special.expit(6.0 * (1 - reach))
        surface = surface * (1 - weight) + glow * weight
    return surface


def _rounded(values: Image, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
