"""The published method as its authors changed it for computed tomography."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from training_core.run import SILENT
from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.run import Run
    from training_core.settings import Settings
    from training_core.stack import Stack

STRICTNESS, BATCH, STEPS = 0.15, 4, 153_750  # 20 500 crops, 30 epochs


def for_stacks(settings: Settings, stacks: Sequence[Stack], run: Run = SILENT) -> Settings:
    """Give the variant for CT where the stacks are in HU and the paper preset is untouched.

    The U-Net takes the place of all denoising networks, in batches of 4, and the strictness is
    0.15. Who changed anything but seed, device and precision gets what was asked for.
    """
    chosen = {name: getattr(settings, name) for name in ("seed", "device", "precision")}
    untouched = settings == preset("paper", **chosen)
    if not untouched or any(stack.value_unit != "HU" for stack in stacks):
        return settings
    run.note("The stack is CT: the paper preset takes the U-Net and a strictness of 0.15 for it.")
    return replace(
        settings,
        patches=replace(settings.patches, strictness=STRICTNESS),
        denoiser=replace(settings.denoiser, network="unet", batch=BATCH, steps=STEPS),
    )
