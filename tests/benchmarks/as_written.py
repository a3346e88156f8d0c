"""The plain reading of the paper at work, in a process of its own.

What production asks of the whole process, above all to keep freed memory, must not help it.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

# A script's own folder comes first on the path; the reference lies in another one.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from turns import clocked

from tests.support.paper_reference import (
    PlainDnCNN,
    PlainGan,
    PlainRound,
    plain_critic,
    plain_generator,
    plain_pairs,
)

if TYPE_CHECKING:
    from types import TracebackType

    from turns import Clocked, Work


def adversarial_step(batch: int, critic_steps: int, device: str) -> Work:
    """Give a call that takes one step of the adversarial stage."""
    generators = plain_generator(), PlainDnCNN(15, sigmoid=True), PlainDnCNN(17)
    networks = [n.to(device) for n in (*generators, plain_critic(), plain_critic())]
    gan = PlainGan(*networks)
    n, z = torch.rand(2, batch, 1, 64, 64, device=device)
    r = torch.randn(batch, 128, device=device)
    return lambda: gan.step(n - 0.5, z, r, critic_steps=critic_steps)


def round_step(batch: int, device: str) -> Work:
    """Give a call that makes pairs and takes one step of a round."""
    teacher, g1 = (n.to(device).eval() for n in (PlainDnCNN(17), plain_generator()))
    learner = PlainRound(PlainDnCNN(17).to(device))
    crops = torch.rand(batch, 1, 64, 64, device=device)

    def step() -> None:
        latents = torch.randn(2, batch, 128, device=device)
        learner.step(*plain_pairs(teacher, g1, crops, latents))

    return step


def frame(side: int, device: str) -> Work:
    """Give a call that denoises a square frame."""
    network = PlainDnCNN(17).to(device).eval()
    image = torch.rand(1, 1, side, side)

    @torch.no_grad()
    def denoise() -> None:
        network(image.to(device)).cpu()

    return denoise


WORKS = {work.__name__: work for work in (adversarial_step, round_step, frame)}


@cache
def _built(name: str, *arguments: int | str) -> Work:
    return WORKS[name](*arguments)


def _seconds(device: str, loops: int, name: str, *arguments: int | str) -> float:
    return clocked(_built(name, *arguments, device), torch.device(device), loops)()


class AsWritten:
    """The process; it ends with the `with` statement."""

    def __init__(self, device: torch.device, loops: int) -> None:
        self.device, self.loops = str(device), loops
        self.process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> AsWritten:
        """Start with the first work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.process.shutdown()

    def clocked(self, name: str, *arguments: int) -> Clocked:
        """Give a call that does a work there and gives its seconds."""
        told = self.device, self.loops, name, *arguments
        return lambda: self.process.submit(_seconds, *told).result()
