"""Which arithmetic a device does natively: bfloat16 and TF32 where they are real."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated, it is up to 19 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # An older torch cannot tell.
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def mixed(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """Give the context in which convolutions run in bfloat16 where `wanted` and native.

    Weights, losses and optimisers stay float32.
    """
    usable = wanted and native_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=usable)


@contextmanager
def reproducible(device: torch.device, *, fast: bool) -> Iterator[None]:
    """Let training on a GPU give the same numbers every time; convolve in TF32 only if `fast`.

    TF32 rounds the factors of float32 convolutions to 10 bits and is several times as fast.
    cuDNN's settings hold for the process; they are as before afterwards.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=fast
    ):
        yield
