"""Arithmetic that a device has, and settings that last as long as a training."""

from __future__ import annotations

import pytest
import torch

from training_core.compute import device as precision
from training_core.compute.device import mixed, native_bfloat16, reproducible

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("known", "native"),
    [({}, False), ({"avx512_bf16": False}, False), ({"avx512_bf16": True}, True)],
)
def test_a_processor_without_the_instructions_never_emulates_them(monkeypatch, known, native):
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: known)
    assert native_bfloat16(CPU) is native
    network, images = torch.nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 8, 8)
    with mixed(CPU):
        assert network(images).dtype == (torch.bfloat16 if native else torch.float32)
    with mixed(CPU, wanted=False):
        assert network(images).dtype == torch.float32


def test_an_older_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(precision.torch.cpu, "get_capabilities", raising=False)
    assert native_bfloat16(CPU) is False
    with mixed(CPU):
        assert torch.nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 8, 8)).dtype == torch.float32


def test_a_gpu_is_asked_without_emulation(monkeypatch):
    asked = []
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda **how: asked.append(how) or not any(how.values())
    )
    assert native_bfloat16(CUDA) is True
    assert asked == [{"including_emulation": False}]
    assert native_bfloat16(torch.device("mps")) is False


def cudnn():
    now = torch.backends.cudnn
    return now.allow_tf32, now.deterministic, now.benchmark, now.enabled


@pytest.mark.parametrize("fast", [True, False])
def test_the_settings_of_a_gpu_hold_for_the_training_only(fast):
    before = cudnn()
    with reproducible(CUDA, fast=fast):
        assert cudnn() == (fast, True, False, True)
    assert cudnn() == before
    with reproducible(CPU, fast=fast):
        assert cudnn() == before
