"""DnCNN-B as it is bundled: a row of the published tables."""

from __future__ import annotations

from functools import cache

import torch

from .pretrained import fill_with_bundled
from .published import DnCNN, fold_batch_norm

WEIGHTS = "dncnn_b.safetensors"
DEPTH = 20  # of the blind variant; the one for known noise has 17


@cache
def load_dncnn_b(device: torch.device) -> DnCNN:
    """Give the bundled network, for images (batch, 1, height, width) with black 0 and white 1.

    Raises `ModelError` if its weights are missing or damaged.
    """
    network = fold_batch_norm(DnCNN(DEPTH))
    fill_with_bundled(network, WEIGHTS)
    ready: DnCNN = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready
