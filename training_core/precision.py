"""Which arithmetic a device does natively: bfloat16 and TF32 where they are real."""

from __future__ import annotations

import torch


def native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated, it is up to 19 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def mixed(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """Give the context in which convolutions run in bfloat16 where `wanted` and native.

    Weights, losses and optimisers stay float32.
    """
    usable = wanted and native_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=usable)
