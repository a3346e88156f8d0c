"""The published test for smooth patches: Eqn (4) on every window of a frame at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training_core.errors import SettingsError

from .window_moments import Frame, Map, slabs, window_count, window_moments


def homogeneity_map(frame: Frame, patch_size_px: int, stride_px: int) -> Map:
    """Score every window by Eqn (4) of the paper: how unequal its four Haar bands are.

    With s_k the standard deviation of band k of the one-level Haar transform of the window and m
    their mean, the score is (1/4) sum |s_k - m| / m; the paper accepts a window up to its lambda.

    Parameters
    ----------
    frame
        (height, width), any float dtype.
    patch_size_px
        Side of a window, even.
    stride_px
        Distance of neighbouring windows; odd offsets are exact as well.

    Returns
    -------
    numpy.ndarray
        (rows, cols) float64; infinite where a window is constant. Empty when no window fits.
    """
    if patch_size_px % 2:
        raise SettingsError(
            f"Patch size is {patch_size_px} px; the Haar transform needs an even number."
        )
    shape = tuple(window_count(n, patch_size_px, stride_px) for n in frame.shape)
    scores = np.full(shape, np.inf)
    for rows, slab in slabs(frame, patch_size_px, stride_px) if scores.size else ():
        _score_slab(slab, patch_size_px, stride_px, scores[rows])
    return scores


def _score_slab(slab: Frame, size: int, stride: int, scores: Map) -> None:
    """Fill `scores`; with an odd stride every second window begins in the middle of a Haar pair."""
    starts = (0,) if stride % 2 == 0 else (0, stride)
    step = stride * len(starts) // 2
    for top in starts:
        for left in starts:
            into = scores[top // stride :: len(starts), left // stride :: len(starts)]
            if into.size:
                into[...] = _inequality(slab[top:, left:], size // 2, step)


def _inequality(frame: Frame, size: int, step: int) -> Map:
    bands = haar_bands(frame)
    spread = np.stack([np.sqrt(window_moments(b, size, step, overwrite=True)[1]) for b in bands])
    mean = spread.mean(axis=0)
    apart = np.abs(spread - mean).mean(axis=0)
    scores: Map = np.divide(apart, mean, out=np.full_like(mean, np.inf), where=mean > 0)
    return scores


def haar_bands(frame: Frame) -> Iterator[Map]:
    """Give the bands A, H, V, D of the one-level Haar transform, up to one common factor.

    All four come in one array, which may be spoilt; each is gone when the next is asked for.
    """
    height, width = (n // 2 * 2 for n in frame.shape)
    a, b, c, d = (frame[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
    band = np.empty((height // 2, width // 2))
    plus, minus = np.add, np.subtract
    for join in (
        (plus, plus, plus),
        (plus, minus, minus),
        (minus, plus, minus),
        (minus, minus, plus),
    ):
        join[0](a, b, out=band, dtype=np.float64)
        join[1](band, c, out=band)
        join[2](band, d, out=band)
        yield band
