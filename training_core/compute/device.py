"""Where to compute, trusted only after a real convolution; how precisely, in how large pieces."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import isqrt
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.nn import functional

from training_core.errors import SettingsError
from training_core.place import PatchLocation, tiles
from training_core.run import SILENT, Run

from .memory import free_memory, give_memory_back, keep_memory, out_of_memory

Result = TypeVar("Result")
Layers = NDArray[np.float32]

GIB = 1 << 30
# The processor needs no trial.
TRIED = {"auto": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",), "cpu": ()}
SMALLEST_TILE_PX = 32  # smaller ones are nearly all halo
TURN_S = 0.05  # after so long, who waits for another thread asks whether it is still wanted
NAMES = {"cuda": "NVIDIA GPU (cuda)", "mps": "Apple GPU (mps)"}
NO_APPLE = "no Apple GPU was found"
NO_DRIVER = "no NVIDIA driver was found"
NO_CARD = "the NVIDIA driver shows no card"
NO_BUILD = "the CUDA build of PyTorch is not installed"
_ABSENT = (NO_APPLE, NO_DRIVER, NO_CARD, NO_BUILD)  # told only where that device was asked for


def choose_device(name: str = "auto", *, run: Run = SILENT) -> torch.device:
    """Give the first device that really computes of "auto", "cpu", "cuda" or "mps".

    The processor always does. The exact reason is noted when a device was asked for, or is there,
    but fails.
    """
    for candidate in TRIED[name]:
        reason = _reason(candidate)
        if not reason:
            return torch.device(candidate)
        if name != "auto" or reason not in _ABSENT:
            run.note(
                f"The {NAMES[candidate]} cannot be used: {reason}. Computing on the processor.",
                warning=True,
            )
    keep_memory()
    return torch.device("cpu")


def why_no_gpu() -> str:
    """Say as a clause why nothing but the processor computes here; empty if a GPU does."""
    return _reason("mps" if platform.system() == "Darwin" else "cuda")


def _reason(name: str) -> str:
    return _missing(name) or _failure(torch.device(name))


def _missing(name: str) -> str:
    """Say why PyTorch does not offer a device; empty if it does."""
    if name == "mps":
        return "" if torch.backends.mps.is_available() else NO_APPLE
    with warnings.catch_warnings(record=True) as caught:  # a driver too old is only a warning
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    if caught:
        return str(caught[0].message).split("\n")[0].rstrip(".")
    if not _has_driver():
        return NO_DRIVER
    return NO_CARD if torch.version.cuda else NO_BUILD


def _has_driver() -> bool:
    """Whether the library is there that PyTorch itself would load to reach the card."""
    try:
        ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _failure(device: torch.device) -> str:
    """Say why a convolution or its gradient fails or differs on a device; empty if they do not."""
    try:
        apart = float((_convolve(device) - _convolve(torch.device("cpu"))).abs().max())
    except (RuntimeError, AssertionError) as error:  # drivers, kernels and memory raise these
        return str(error).split("\n")[0].rstrip(".")
    return "" if apart < 0.01 else f"its convolution is wrong by {apart:.2g}"


def _convolve(device: torch.device) -> torch.Tensor:
    """Give the gradient of a small convolution, computed on `device`."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 16, 16, generator=draw).to(device).requires_grad_()
    kernels = torch.randn(4, 3, 3, 3, generator=draw).to(device).requires_grad_()
    energy = functional.conv2d(images, kernels, padding=1).square().mean()
    gradients = torch.autograd.grad(energy, (images, kernels))
    return torch.cat([values.flatten().cpu() for values in gradients])


def describe_device(device: torch.device) -> str:
    """Name a device for the user: "NVIDIA H100, 79 GB" or "processor, 2 threads"."""
    count = processes()
    beside = f", {count} processes" if count > 1 else ""
    if device.type == "cuda":
        seen = torch.cuda.get_device_properties(device)
        return f"{seen.name}, {seen.total_memory / GIB:.0f} GB{beside}"
    if device.type == "mps":
        return f"Apple GPU, {platform.machine()}"
    threads = torch.get_num_threads()
    return f"processor, {threads} thread{'' if threads == 1 else 's'}{beside}"


def processes() -> int:
    """Give how many processes train together, each on a device of its own; mostly one does."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def limit_threads() -> int:
    """Leave one core to the window where there are more than two; give the number of threads.

    An OMP_NUM_THREADS of the user stands.
    """
    mine = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))  # Linux has it
    cores = len(mine(0))
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(chosen) if chosen.isdecimal() and int(chosen) else max(cores - (cores > 2), 1)
    torch.set_num_threads(threads)
    return threads


def free_bytes(device: torch.device) -> int:
    """Measure the memory that is free for tiles, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()


def fit(attempt: Callable[[], Result], shrink: Callable[[], None], device: torch.device) -> Result:
    """Give what `attempt` gives; whenever the memory runs out, `shrink` it and attempt it again."""
    while True:
        try:
            return attempt()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Here, where the exception no longer holds the failed tensors.
        release_memory(device)
        shrink()


def release_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps for later, so that smaller pieces find room."""
    gc.collect()
    give_memory_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def tile_size(device: torch.device, halo_px: int, channels: int = 64) -> int:
    """Give the side of a tile without its halo, in pixels, a multiple of 32.

    A network holds about nine bytes per pixel and channel (2.4 GB for 64 channels on 2048 x 2048);
    tiles take a quarter of the free memory at most. On a processor 1024 px take a tenth longer than
    2048 px and half the memory; 512 px, with halos of 120 px, take half as long again.
    """
    fits = isqrt(free_bytes(device) // 4 // (9 * channels)) - 2 * halo_px
    largest = 1024 if device.type == "cpu" else 2048
    return max(64, min(largest, fits) // 32 * 32)


class TilePieces:
    """Works on places of a frame, in pieces of half the side each time the memory runs out.

    Within a place pieces begin on multiples of `grid_px`, so that they do not show in the result.
    """

    def __init__(self, device: torch.device, grid_px: int, run: Run) -> None:
        self.device, self.grid_px, self.run = device, grid_px, run
        self.side = 0  # of a piece; 0 while places are worked on whole

    def work(self, place: PatchLocation, make: Callable[[PatchLocation], Layers]) -> Layers:
        """Call `make` with the place or its pieces; give its (layers, height, width), joined.

        Raises `SettingsError` if not even the smallest pieces fit.
        """
        return fit(lambda: self._joined(place, make), lambda: self._halve(place), self.device)

    def _joined(self, place: PatchLocation, make: Callable[[PatchLocation], Layers]) -> Layers:
        largest = max(place.height, place.width)
        if not 0 < self.side < largest:
            return make(place)
        inner = tiles((place.height, place.width), self.side)
        made = [
            make(PatchLocation(place.top + p.top, place.left + p.left, p.height, p.width))
            for p in inner
        ]
        joined = np.empty((len(made[0]), place.height, place.width), np.float32)
        for piece, layers in zip(inner, made, strict=True):
            joined[:, *piece.slices] = layers
        return joined

    def _halve(self, place: PatchLocation) -> None:
        if not self.side:
            self.run.note("The memory ran out; smaller tiles are used from now on.")
        largest = max(place.height, place.width)
        now = min(self.side or largest, largest)
        self.side = now // 2 // self.grid_px * self.grid_px
        if self.side < SMALLEST_TILE_PX:
            raise SettingsError(
                f"The memory ({self.device.type}) is too small even for tiles of {now} px; close "
                "other programs or choose another device."
            )


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


_SEEDED = threading.Lock()  # all threads draw from one generator


@contextmanager
def seeded(seed: int, run: Run = SILENT) -> Iterator[None]:
    """Let torch draw from a seed and, after this, go on as before; one thread at a time."""
    while not _SEEDED.acquire(timeout=TURN_S):
        run.check()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        _SEEDED.release()


def reproducible(device: torch.device, *, fast: bool) -> AbstractContextManager[None]:
    """Let training on a GPU give the same numbers every time; convolve in TF32 only if `fast`.

    TF32 rounds the factors of float32 convolutions to 10 bits and is several times as fast.
    cuDNN's settings hold for the process; they are as before afterwards.
    """
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=fast
    )
