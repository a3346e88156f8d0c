"""The tiles of one stack on the workers of a scheduler: none of them needs to see its file."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice
from typing import Any

import torch
from distributed import Future

from training_core.compute.device import TilePieces, choose_device, describe_device
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.finished import MadeFrame
from training_core.denoise.tile import Tile
from training_core.run import Note, Run
from training_core.stack import Image, Values

from .workers import WorkerRun, Workers

AHEAD = 3  # tiles for each worker: one that it works on, and those that it is sent meanwhile
Tally = dict[str, float]


class TilesElsewhere:
    """Denoises tiles on workers, each with its halo; the order of the file is kept."""

    def __init__(self, workers: Workers, device: str) -> None:
        self.workers, self.device = workers, device
        self._numbers = count()
        self._kept: Future[Any] | None = None  # the model, for all tiles and frames
        self._ends: list[Future[Any]] = []  # of the last frames

    def describe(self, device: torch.device) -> str:
        """Name the workers; each of them chooses its own device."""
        return f"{self.workers.count} workers beside {describe_device(device)}"

    def __call__(
        self, tiles: Iterator[Tile], denoiser: Denoiser, run: Run
    ) -> Generator[Image, None, None]:
        """Send tiles ahead, and give them when those before are there."""
        workers, sent = self.workers, deque[Future[Any]]()
        try:
            model = self._model(denoiser)
            while True:
                for tile in islice(tiles, max(AHEAD * workers.count - len(sent), 0)):
                    cut, number = tile.cut(denoiser.halo_px), next(self._numbers)
                    sent.append(workers.submit(number, _denoised, model, self.device, cut))
                if not sent:
                    return
                made, amounts = self._result(sent[0], run)
                for kind, amount in amounts.items():
                    run.did(kind, amount)
                sent.popleft()
                yield made
        finally:
            workers.leave([*sent, *self._ends])

    def ending(self, frame: MadeFrame, denoiser: Denoiser, run: Run) -> Callable[[], Values]:
        """Let a worker do it, before the tiles that it was sent."""
        own = replace(frame, layers=frame.layers.copy())  # sent while the next frame is made
        given = self._model(denoiser), self.device, own
        sent = self.workers.submit(next(self._numbers), _finished, *given, first=True)
        self._ends = [*self._ends[-1:], sent]

        def ended() -> Values:
            run.check()
            made: Values = self._result(sent, run)
            return made

        return ended

    def _model(self, denoiser: Denoiser) -> Future[Any]:
        """Give what the workers know of the denoiser."""
        if self._kept is None:
            network = deepcopy(denoiser.network).to("cpu")
            model = pickle.dumps(replace(denoiser, network=network, device=torch.device("cpu")))
            # As a task, not scattered: what a lost worker held is made again.
            self._kept = self.workers.submit(next(self._numbers), _same, model)
        return self._kept

    def _result(self, future: Future[Any], run: Run) -> Any:
        """Wait for what a worker makes, and pass on what it has to say."""

        def heard(_: int, event: object) -> None:
            if isinstance(event, Note):
                run.note(event.text, warning=event.warning)

        (made,) = (self.workers.result(done) for done in self.workers.finished([future], heard))
        return made


def _same(model: bytes, number: int, topic: str) -> bytes:
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


def _finished(model: bytes, device: str, frame: MadeFrame, number: int, topic: str) -> Values:
    """Bring a frame to its end on a worker."""
    return frame.finished(_loaded(model, device))


class _Counted(WorkerRun):
    """A worker's run that adds up the work."""

    def __init__(self, number: int, topic: str) -> None:
        super().__init__(number, topic)
        self.amounts: Tally = {}

    def did(self, kind: str, amount: float) -> None:
        """Say that an amount of work was done since the last time."""
        self.amounts[kind] = self.amounts.get(kind, 0.0) + amount
