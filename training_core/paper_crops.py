"""The crops that the published method learns from: 20 500 windows, one 64 px crop an epoch each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .crops import Crops, Epochs, send
from .errors import InputError
from .networks import GENERATED_PX, LATENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from .checkpoint import State

    Image = NDArray[np.float32]

WINDOWS = 20_500
WINDOW_PX, CROP_PX = 120, 64  # as published: a window of 120 px for crops of 64
CPU = torch.device("cpu")


def published_windows(crops: Crops, size: int, seed: int) -> Tensor:
    """Draw the windows that the adversarial stage and all rounds take their crops from."""
    place = torch.Generator().manual_seed(seed)
    return crops.windows(WINDOWS, size * WINDOW_PX // CROP_PX, place)


class CropSource:
    """Gives batches of noise crops, noisy crops and latent vectors, the same for the same seed.

    Noisy crops lie in 20 500 windows that are gone through in random order; noise crops are cut
    from any smooth patch.

    Raises
    ------
    InputError
        If patches or frames are smaller than a crop.
    """

    def __init__(
        self,
        noise_patches: Image,
        frames: Sequence[Image],
        batch: int,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        _check_sizes(noise_patches, frames)
        self.batch, self.device = batch, device
        self.draw_from = torch.Generator().manual_seed(seed)
        self.patches = Crops(list(torch.from_numpy(noise_patches)), device)
        self.noisy = Crops([torch.from_numpy(frame) for frame in frames], device)
        self.windows = published_windows(self.noisy, GENERATED_PX, seed)
        self.epochs = Epochs(len(self.windows), self.draw_from)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give n and z, each (batch, 1, 64, 64), and r, (batch, 128), float32 on the device."""
        draw = self.draw_from
        which = torch.randint(len(self.patches.whole), (self.batch,), generator=draw)
        noise = self.patches.cut(self.patches.whole[which], GENERATED_PX, draw)
        noise -= noise.mean(dim=(2, 3), keepdim=True)
        noisy = self.noisy.cut(self.windows[self.epochs.next(self.batch)], GENERATED_PX, draw)
        latent = torch.randn(self.batch, LATENT, generator=draw)
        return noise, noisy, send(latent, self.device)

    def state(self) -> State:
        """Give everything that the next batch depends on."""
        return {"draw": self.draw_from.get_state(), "epochs": self.epochs.state()}

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        self.draw_from.set_state(state["draw"])
        self.epochs.restore(state["epochs"])


def _check_sizes(noise_patches: Image, frames: Sequence[Image]) -> None:
    if min(noise_patches.shape[1:]) < GENERATED_PX:
        raise InputError(
            f"The smooth patches are {noise_patches.shape[1]} px wide; the published noise model "
            f"needs {GENERATED_PX} px. Choose a larger patch or the convolutional generator."
        )
    smallest = min(min(frame.shape) for frame in frames)
    if smallest < GENERATED_PX:
        raise InputError(
            f"The frames are {smallest} px across; the published noise model needs "
            f"{GENERATED_PX} px. Choose the convolutional generator."
        )
