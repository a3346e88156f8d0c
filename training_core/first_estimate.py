"""The first estimate: what a noisy region becomes before any network was trained on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .denoiser import first_look
from .dncnn_b import NAME, first_estimate_b, note_correlation
from .run import SILENT
from .shrinkage import CollaborativeFilter, ShrinkageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from .noise_model import NoiseModel
    from .run import Run
    from .settings import DenoiserSettings

    Estimator = Callable[[Tensor, NoiseModel], Tensor]


def choose_estimator(
    settings: DenoiserSettings, noises: Sequence[NoiseModel], run: Run
) -> Estimator:
    """Give what makes first estimates of stabilised regions, (height, width), from their noise."""
    if settings.first_estimate == NAME:
        note_correlation(noises, run)
        return partial(first_estimate_b, collaborate=settings.collaborate, run=run)
    return partial(first_estimate, run=run)


def first_estimate(noisy: Tensor, noise: NoiseModel, run: Run = SILENT) -> Tensor:
    """Estimate a stabilised region (height, width) with classical filters that know the noise.

    Small and large blocks err differently, so their mean guides the collaborative filter.
    """
    large = ShrinkageFilter(noise.covariance, noise.curve, size_px=16, step_px=4)
    images = noisy[None, None]
    pilot = ((first_look(noise)(images) + large(images)) / 2)[0, 0]
    return CollaborativeFilter(noise.covariance, noise.curve)(noisy, pilot, run)
