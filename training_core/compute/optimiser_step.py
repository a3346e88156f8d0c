"""One update of a denoiser, in as many parts as the memory asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training_core.errors import SettingsError
from training_core.run import SILENT, Run

from .device import Result, fit, mixed


class Parts:
    """Into how many parts a batch is split; twice as many whenever the memory runs out."""

    def __init__(self, device: torch.device, run: Run = SILENT) -> None:
        self.device, self.run, self.count = device, run, 1

    def fit(self, work: Callable[[int], Result], batch: int) -> Result:
        """Call `work` with the number of parts, again with more of them when the memory runs out.

        Raises `SettingsError` if not even one crop of the batch fits.
        """
        return fit(lambda: work(self.count), lambda: self._double(batch), self.device)

    def _double(self, batch: int) -> None:
        if self.count >= batch:
            raise SettingsError(
                f"A single crop does not fit into the memory ({self.device.type}); close other "
                "programs, or choose a smaller crop or another device."
            )
        if self.count == 1:
            self.run.note(
                "The memory is too small for a whole batch; each is worked on in parts from now "
                "on, which takes a little longer."
            )
        self.count = min(2 * self.count, batch)


class TrainingStep:
    """Forward, mean squared error, backward, clipping and the optimiser's step.

    When the memory runs out, the batch is split and the gradients are added up with the weights
    that make them those of the whole batch. Networks with batch norm then normalise each part by
    its own mean and variance, and their running statistics count the tries that failed.

    The network is in training mode; its weights are float32 and stay so, though convolutions may
    run in `bfloat16` where the device does so natively. Gradients are cut to the length `longest`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        bfloat16: bool = False,
        longest: float = math.inf,
        run: Run = SILENT,
    ) -> None:
        self.network, self.optimiser = network, optimiser
        self.forward: nn.Module = network
        self.bfloat16, self.longest = bfloat16, longest
        self.device = next(network.parameters()).device
        self.parts = Parts(self.device, run)

    def __call__(self, source: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Learn from sources (batch, inputs, height, width) and targets (batch, 1, ...) float32.

        `weight`, of the targets' shape, says how much each pixel counts; None counts all alike. The
        loss is still on the device: reading it waits for the device. Raises `SettingsError` if not
        even one crop of the batch fits into the memory.
        """
        count = len(source)
        loss = self.parts.fit(partial(self._gradients, source, target, weight, count), count)
        self._follow_gradients()
        return loss

    def _follow_gradients(self) -> None:
        if math.isfinite(self.longest):
            nn.utils.clip_grad_norm_(self.network.parameters(), self.longest)
        self.optimiser.step()

    def _gradients(
        self, source: Tensor, target: Tensor, weight: Tensor | None, whole: float, parts: int
    ) -> Tensor:
        """Leave the gradients of crops that count as those of a batch of `whole`; give its loss."""
        self.optimiser.zero_grad(set_to_none=True)
        told = torch.zeros((), device=self.device)
        chunks = [None] * parts if weight is None else weight.chunk(parts)
        for some, wanted, counts in zip(
            source.chunk(parts), target.chunk(parts), chunks, strict=False
        ):
            with mixed(self.device, wanted=self.bfloat16):
                made = self.forward(some)
            if counts is None:
                loss = functional.mse_loss(made.to(wanted.dtype), wanted)
            else:
                loss = (counts * (made.to(wanted.dtype) - wanted).square()).mean()
            loss = loss * (len(some) / whole)
            loss.backward()  # type: ignore[no-untyped-call]
            told += loss.detach()
        return told

    def state(self) -> dict[str, Any]:
        """Give everything that the next step depends on, but the batch."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "parts": self.parts.count,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.load_state_dict(state["network"])
        restore_optimiser(self.optimiser, state["optimiser"])
        self.parts.count = state["parts"]


def restore_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load an optimiser's state and lay it out in memory as its weights are.

    A file keeps no layout; another one than before would be slower and could round differently.
    """
    optimiser.load_state_dict(dict(state))
    for weights, moments in optimiser.state.items():
        for name, values in moments.items():
            if isinstance(values, torch.Tensor) and values.shape == weights.shape:
                moments[name] = torch.empty_like(weights, requires_grad=False).copy_(values)
