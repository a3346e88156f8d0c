"""One training in several processes, as torchrun starts them; each learns from a share of a batch.

The first process does the whole job. The others wait for its word and do nothing but its steps, so
there is one that reads, draws, chooses, keeps checkpoints, is cancelled and writes.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training_core.errors import ClusterError, SettingsError

from .device import choose_device, processes, reproducible
from .memory import out_of_memory
from .optimiser_step import TrainingStep

FIRST = 0
PATIENCE = timedelta(days=30)  # the others wait while the first one does all else
Shapes = Sequence[torch.Size]


@contextmanager
def joined() -> Iterator[bool]:
    """Join the processes that torchrun has started; tell whether this is the first one.

    Those that are not have to call `help_first`. Steps of a `training_step` inside are shared.
    """
    distributed.init_process_group(timeout=PATIENCE)
    try:
        yield distributed.get_rank() == FIRST
    finally:
        if distributed.is_initialized():  # else a step failed, and with it the others
            with suppress(RuntimeError):  # one was lost, which is nothing any more
                if distributed.get_rank() == FIRST:
                    _tell(None)
            distributed.destroy_process_group()
        # Threads of what lies in circles would ask for Python while that ends, and abort it.
        gc.collect()


def help_first() -> None:
    """Do what the first process says, until it says no more.

    It alone is interrupted, since without the others it could not end its step.

    Raises
    ------
    ClusterError
        If another process was lost.
    """
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)
    step: SharedStep | None = None
    with _loss_told():
        while (told := _heard()) is not None:
            if isinstance(told, _Beginning):
                step = told.step()
            elif step and isinstance(told, _Batch):
                step.help(told)
            elif step:
                step.restore(told)


def training_step(network: nn.Module, optimiser: torch.optim.Optimizer, **how: Any) -> TrainingStep:
    """Give what takes the steps of a training (see `TrainingStep`): here, or in all processes."""
    kind = SharedStep if processes() > 1 else TrainingStep
    return kind(network, optimiser, **how)


@dataclass(frozen=True, eq=False)
class _Beginning:
    """All that another process needs for the steps of a training, in main memory."""

    network: nn.Module
    optimiser: type[torch.optim.Optimizer]
    state: Mapping[str, Any]
    device: str
    how: Mapping[str, Any]

    def step(self) -> SharedStep:
        """Begin the training here as well."""
        if self.device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        device = choose_device(self.device)
        network = self.network.to(device)
        optimiser = self.optimiser(network.parameters())  # type: ignore[call-arg]
        optimiser.load_state_dict(dict(self.state))
        return SharedStep(network, optimiser, **self.how)


@dataclass(frozen=True, eq=False)
class _Batch:
    """What comes next: tensors of these shapes, learned from at these rates."""

    shapes: Shapes
    rates: Sequence[float]


class SharedStep(TrainingStep):
    """A step of which each process takes its share of the batch; DDP averages the gradients.

    All processes make it together, and have the same weights after each step. The first one is
    called with whole batches and may `restore` a state. The losses and gradients are those of the
    whole batch but for rounding, and for batch norm, which goes by shares. Memory that runs out
    ends the training, since a second try would be out of step with the other processes.
    """

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer, **how: Any) -> None:
        super().__init__(network, optimiser, **how)
        if self.device.type == "mps":
            raise SettingsError(
                "An Apple GPU cannot train together with other processes; add --device cpu, or "
                "start one process."
            )
        how = {"bfloat16": self.bfloat16, "longest": self.longest}
        with _loss_told():
            if distributed.get_rank() == FIRST:
                moved, state = deepcopy(network).cpu(), optimiser.state_dict()
                _tell(_Beginning(moved, type(optimiser), state, self.device.type, how))
            self.forward = DistributedDataParallel(network)

    def __call__(self, source: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Share a batch out and learn from it; see `TrainingStep`.

        Raises
        ------
        SettingsError
            If there are fewer crops than processes, or the memory runs out here.
        ClusterError
            If another process was lost.
        """
        if len(source) < processes():
            raise SettingsError(
                f"A batch of {len(source)} crops is too small for {processes()} processes; start "
                f"at most {len(source)}, or choose a larger batch."
            )
        given = [source, target] if weight is None else [source, target, weight]
        batch = [values.contiguous() for values in given]
        rates = [group["lr"] for group in self.optimiser.param_groups]
        with _loss_told():
            _tell(_Batch([values.shape for values in batch], rates))
            return self._learn(batch)

    def help(self, coming: _Batch) -> None:
        """Take part in a step of the first process."""
        for group, rate in zip(self.optimiser.param_groups, coming.rates, strict=True):
            group["lr"] = rate
        with reproducible(self.device, fast=self.bfloat16):
            self._learn([torch.empty(shape, device=self.device) for shape in coming.shapes])

    def _learn(self, batch: Sequence[Tensor]) -> Tensor:
        """Learn from a batch, which the first process has; give its loss."""
        for values in batch:
            distributed.broadcast(values, FIRST)
        count, number = processes(), distributed.get_rank()
        source, target, *weight = (values.tensor_split(count)[number] for values in batch)
        share = len(batch[0]) / count
        loss = self._gradients(source, target, weight[0] if weight else None, share, 1)
        distributed.all_reduce(loss)
        self._follow_gradients()
        return loss / count

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, in all processes."""
        super().restore(state)
        with _loss_told():
            if distributed.get_rank() == FIRST:
                _tell(state)


def _tell(what: object) -> None:
    distributed.broadcast_object_list([what], FIRST)


def _heard() -> Any:
    heard: list[Any] = [None]
    distributed.broadcast_object_list(heard, FIRST)
    return heard[0]


@contextmanager
def _loss_told() -> Iterator[None]:
    """Leave the other processes where something fails halfway, and say why in a sentence."""
    try:
        yield
    except BaseException as error:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        if isinstance(error, RuntimeError | MemoryError) and out_of_memory(error):
            raise SettingsError(
                "The memory of a process is too small for its share of a batch; start more "
                "processes, or choose a smaller batch or crop."
            ) from error
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise ClusterError(
                "A process of the training was lost, perhaps for want of memory; start the "
                "command again, with --resume."
            ) from error
        raise
