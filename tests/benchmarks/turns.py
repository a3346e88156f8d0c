"""Times works in turns, in one run, and what the machine could do at most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from training_core.compute.device import native_bfloat16

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Work = Callable[[], object]
    Clocked = Callable[[], float]


def take_turns(
    works: Mapping[str, Clocked], turns: int = 1, *, warm: bool = False
) -> dict[str, float]:
    """Give the mean seconds of a call of each work.

    In each turn they go there and back (a b c c b a), so that a machine that slows down or is
    shared slows all of them. With `warm` each has a call before that does not count.
    """
    if warm:
        for work in works.values():
            work()
    spent = dict.fromkeys(works, 0.0)
    for _ in range(turns):
        for name in [*works, *reversed(works)]:
            spent[name] += works[name]()
    return {name: seconds / (2 * turns) for name, seconds in spent.items()}


def clocked(work: Work, device: torch.device, loops: int = 1) -> Clocked:
    """Give a call that does a work so many times and gives the seconds of one."""

    def seconds() -> float:
        begun = _clock(device)
        for _ in range(loops):
            work()
        return (_clock(device) - begun) / loops

    return seconds


def _clock(device: torch.device) -> float:
    """Give the time on a GPU; on a processor that of all threads, whatever else runs on it."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def most_memory(works: Mapping[str, Work], device: torch.device) -> dict[str, float]:
    """Give the GB of GPU memory in use at most during a call of each work; nothing elsewhere."""
    most: dict[str, float] = {}
    for name, work in works.items() if device.type == "cuda" else ():
        torch.cuda.reset_peak_memory_stats(device)
        work()
        most[name] = torch.cuda.max_memory_allocated(device) / 1e9
    return most


def tera(work: Work) -> float:
    """Count the TFLOP of the convolutions of a call, forward and backward; it warms up as well."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e12


def precisions(device: torch.device) -> list[str]:
    """Give what production can compute with; bfloat16 only where it is native."""
    return ["float32", "bfloat16"] if native_bfloat16(device) else ["float32"]


def products(side: int, device: torch.device) -> dict[str, Work]:
    """Give the same matrix product as such and as a 1 x 1 convolution: other libraries do it."""
    works: dict[str, Work] = {}
    for precision in precisions(device):
        matrices = torch.randn(2, side, side, device=device).to(getattr(torch, precision))
        one, two = matrices
        pixels, kernels = one.reshape(1, side, 1, side), two[:, :, None, None]
        works[f"{precision} product"] = lambda one=one, two=two: two @ one
        works[f"{precision} convolution"] = lambda x=pixels, k=kernels: functional.conv2d(x, k)
    return works


def peaks(seconds: dict[str, float], side: int) -> dict[str, float]:
    """Take the times of the products out; give the best TFLOP/s of each precision."""
    best: dict[str, float] = {}
    for name in [name for name in seconds if name.endswith((" product", " convolution"))]:
        precision = name.split()[0]
        best[precision] = max(2e-12 * side**3 / seconds.pop(name), best.get(precision, 0.0))
    return best
