"""The weights that come with the program: reading and writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from training_core.errors import ModelError
from training_core.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def fill_with_bundled(network: nn.Module, name: str) -> None:
    """Give a network the weights of a bundled file.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another network.
    """
    try:
        network.load_state_dict(load_file(resource(name)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"The bundled denoiser {name} is missing or damaged; install g2g desktop again."
        ) from error


def write_weights(network: nn.Module, path: Path) -> None:
    """Write the weights of a network, float32, to be bundled."""
    weights = {name: v.detach().cpu().contiguous() for name, v in network.state_dict().items()}
    path.write_bytes(save(weights))
