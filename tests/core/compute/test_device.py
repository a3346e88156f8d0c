"""The device is chosen by a real calculation, and a failure is told, never hidden."""

from __future__ import annotations

import ctypes
import os

import numpy as np
import pytest
import torch

from training_core.cli import self_test as checks
from training_core.cli.self_test import self_test
from training_core.compute import device as devices
from training_core.compute.device import (
    choose_device,
    describe_device,
    free_bytes,
    limit_threads,
    tile_size,
    why_no_gpu,
)
from training_core.errors import OutputError
from training_core.run import Cancelled, Note, Run

CPU = torch.device("cpu")


def chosen_with_notes(name):
    notes = []
    run = Run(lambda event: notes.append(event) if isinstance(event, Note) else None)
    return choose_device(name, run=run), notes


def pretend_gpu(monkeypatch, convolve):
    """Let cuda look present and compute with `convolve`."""
    real = devices._convolve
    absent = {"cuda": "", "mps": devices.NO_APPLE}
    monkeypatch.setattr(devices, "_missing", absent.__getitem__)
    monkeypatch.setattr(
        devices, "_convolve", lambda where: convolve() if where.type == "cuda" else real(where)
    )
    return real


def test_processor_needs_no_trial():
    assert chosen_with_notes("cpu") == (CPU, [])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu_is_told_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_has_driver", lambda: False)
    assert chosen_with_notes("auto") == (CPU, [])
    why = "no NVIDIA driver was found"
    text = f"The NVIDIA GPU (cuda) cannot be used: {why}. Computing on the processor."
    assert chosen_with_notes("cuda") == (CPU, [Note(text, warning=True)])


@pytest.mark.parametrize(
    ("driver", "build", "why"),
    [
        (False, None, "no NVIDIA driver was found"),
        (False, "12.8", "no NVIDIA driver was found"),
        (True, None, "the CUDA build of PyTorch is not installed"),
        (True, "12.8", "the NVIDIA driver shows no card"),
    ],
)
def test_why_there_is_no_gpu_names_what_is_missing(driver, build, why, monkeypatch):
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", build)
    library = ctypes.CDLL

    def load(name, *args, **kwargs):
        if name == "libcuda.so.1" and not driver:
            raise OSError("cannot open shared object file")
        return library(None if name == "libcuda.so.1" else name, *args, **kwargs)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert why_no_gpu() == why
    assert chosen_with_notes("auto") == (CPU, [])


def test_a_gpu_that_computes_has_no_reason(monkeypatch):
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    real = pretend_gpu(monkeypatch, lambda: real(CPU))
    assert why_no_gpu() == ""


def test_working_gpu_is_taken(monkeypatch):
    real = pretend_gpu(monkeypatch, lambda: real(CPU))
    assert chosen_with_notes("auto") == (torch.device("cuda"), [])


def test_failing_gpu_gives_its_reason(monkeypatch):
    def fail():
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE...")

    pretend_gpu(monkeypatch, fail)
    text = (
        "The NVIDIA GPU (cuda) cannot be used: CUDA error: no kernel image is available. "
        "Computing on the processor."
    )
    assert chosen_with_notes("auto") == (CPU, [Note(text, warning=True)])


def test_gpu_that_computes_wrongly_is_refused(monkeypatch):
    real = pretend_gpu(monkeypatch, lambda: real(CPU) + 0.5)
    device, notes = chosen_with_notes("auto")
    assert device == CPU
    assert "its convolution is wrong by 0.5" in notes[0].text
    pretend_gpu(monkeypatch, lambda: real(CPU) * float("nan"))
    assert choose_device("auto") == CPU


def test_driver_warning_becomes_the_reason(monkeypatch):
    import warnings

    def unavailable():
        warnings.warn("The NVIDIA driver on your system is too old.\nUpdate it", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    device, notes = chosen_with_notes("auto")
    assert device == CPU
    assert "cannot be used: The NVIDIA driver on your system is too old. Comp" in notes[0].text


def test_trial_computes_the_true_gradient():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 16, 16, generator=draw)
    kernels = torch.randn(4, 3, 3, 3, generator=draw)
    shift = torch.zeros_like(kernels)
    shift[1, 2, 0, 1] = 1e-2

    def energy(weights):
        return torch.nn.functional.conv2d(images, weights, padding=1).square().mean()

    slope = float(energy(kernels + shift) - energy(kernels - shift)) / 2e-2
    place = images.numel() + int(shift.argmax())
    assert float(devices._convolve(CPU)[place]) == pytest.approx(slope, rel=1e-2)


@pytest.mark.parametrize(
    ("cores", "wanted", "threads"), [(1, "", 1), (2, "", 2), (8, "", 7), (8, "3", 3), (4, "0", 3)]
)
def test_one_core_is_left_to_the_window(monkeypatch, cores, wanted, threads):
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    try:
        assert limit_threads() == threads == torch.get_num_threads()
        plural = "" if threads == 1 else "s"
        assert describe_device(CPU) == f"processor, {threads} thread{plural}"
    finally:
        torch.set_num_threads(before)


def test_tiles_fit_the_memory(monkeypatch):
    assert free_bytes(CPU) > 1 << 26
    sizes = []
    for gibibytes in (0.05, 0.5, 64):
        monkeypatch.setattr(devices, "free_bytes", lambda _, g=gibibytes: int(g * 2**30))
        sizes.append(tile_size(CPU, 17))
    assert sizes == [96, 448, 1024]
    assert 9 * 64 * (96 + 34) ** 2 < 0.05 * 2**30 / 4
    assert tile_size(torch.device("cuda"), 17) == 2048


def test_self_test_finds_a_sound_installation(monkeypatch):
    monkeypatch.setattr(checks, "_denoising", lambda: "skipped here")
    results = self_test()
    assert [name for name, _, _ in results] == ["libraries", "device", "file", "denoising"]
    assert all(passed for _, passed, _ in results), results
    assert f"torch {torch.__version__}" in results[0][2]


def test_self_test_reports_what_is_broken_and_goes_on(monkeypatch):
    def broken():
        raise OutputError("The folder /nowhere cannot be written.")

    monkeypatch.setattr(checks, "_denoising", lambda: "skipped here")
    monkeypatch.setattr(checks, "_file", broken)
    monkeypatch.setattr(checks, "IMPORTED", ("numpy", "no_such_library"))
    results = {name: (passed, detail) for name, passed, detail in self_test()}
    assert results["file"] == (False, "OutputError: The folder /nowhere cannot be written.")
    assert results["libraries"] == (
        False,
        "ModuleNotFoundError: No module named 'no_such_library'",
    )
    assert results["device"][0]
    assert results["denoising"] == (True, "skipped here")


def test_self_test_can_be_cancelled():
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        self_test(run=run)


@pytest.mark.trains
def test_self_test_denoises_a_tiny_stack():
    pytest.importorskip("training_core.pipeline")
    detail = checks._denoising()
    before, after = (int(word) for word in detail.split() if word.isdigit())
    assert after < before == round(float(np.std(checks._noisy_stack().pixels)))
