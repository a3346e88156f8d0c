"""Which network the settings ask for."""

from __future__ import annotations

from torch import nn

from training_core.networks.pretrained import CompactDenoiser
from training_core.settings import DenoiserSettings

from .pretrained import PretrainedDenoiser
from .published import paper_network


def build_network(settings: DenoiserSettings) -> nn.Module:
    """Build the network that the settings ask for, without any weights learned."""
    if settings.network == "compact":
        return CompactDenoiser(settings.width, settings.depth)
    if settings.network == "pretrained":
        return PretrainedDenoiser()
    return paper_network(settings.network)
