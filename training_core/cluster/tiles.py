"""The tiles of one stack on the workers of a scheduler: none of them needs to see its file."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Generator, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice
from typing import Any

import torch
from distributed import Future

from training_core.compute.device import TilePieces, choose_device, describe_device
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tile import Tile
from training_core.run import Note, Run
from training_core.stack import Image

from .workers import WorkerRun, Workers

AHEAD = 3  # tiles for each worker: one that it works on, and those that it is sent meanwhile
Tally = dict[str, float]


class TilesElsewhere:
    """Denoises tiles on workers, each with its halo; the order of the file is kept."""

    def __init__(self, workers: Workers, device: str) -> None:
        self.workers, self.device = workers, device

    def describe(self, device: torch.device) -> str:
        """Name the workers; each of them chooses its own device."""
        return f"{self.workers.count} workers beside {describe_device(device)}"

    def __call__(
        self, tiles: Iterator[Tile], denoiser: Denoiser, run: Run
    ) -> Generator[Image, None, None]:
        """Send tiles ahead, and give them when those before are there."""
        workers, numbers = self.workers, count()
        network = deepcopy(denoiser.network).to("cpu")
        model = pickle.dumps(replace(denoiser, network=network, device=torch.device("cpu")))
        sent: deque[Future[Any]] = deque()

        def heard(_: int, event: object) -> None:
            if isinstance(event, Note):
                run.note(event.text, warning=event.warning)

        try:
            # As a task, not scattered: what a lost worker held is made again.
            kept = workers.submit(next(numbers), _kept, model)
            while True:
                for tile in islice(tiles, max(AHEAD * workers.count - len(sent), 0)):
                    cut = tile.cut(denoiser.halo_px)
                    sent.append(workers.submit(next(numbers), _denoised, kept, self.device, cut))
                if not sent:
                    return
                for future in workers.finished([sent[0]], heard):
                    made, amounts = workers.result(future)
                    for kind, amount in amounts.items():
                        run.did(kind, amount)
                    sent.popleft()
                    yield made
        finally:
            workers.leave(sent)


def _kept(model: bytes, number: int, topic: str) -> bytes:
    return model


@lru_cache(1)
def _loaded(model: bytes, name: str) -> Denoiser:
    denoiser: Denoiser = pickle.loads(model)
    device = choose_device(name)
    return replace(denoiser, network=denoiser.network.to(device), device=device)


def _denoised(
    model: bytes, device: str, tile: Tile, number: int, topic: str
) -> tuple[Image, Tally]:
    """Denoise a tile on a worker; also give how much work of each kind it was."""
    run = _Counted(number, topic)
    denoiser = _loaded(model, device)
    pieces = TilePieces(denoiser.device, denoiser.grid_px, run)
    return tile.denoised(pieces, denoiser, run), run.amounts


class _Counted(WorkerRun):
    """A worker's run that adds up the work."""

    def __init__(self, number: int, topic: str) -> None:
        super().__init__(number, topic)
        self.amounts: Tally = {}

    def did(self, kind: str, amount: float) -> None:
        """Say that an amount of work was done since the last time."""
        self.amounts[kind] = self.amounts.get(kind, 0.0) + amount
