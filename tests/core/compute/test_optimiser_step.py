"""One update, whole or in parts when the memory runs out."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from training_core.compute.memory import out_of_memory
from training_core.compute.optimiser_step import TrainingStep
from training_core.errors import SettingsError
from training_core.run import Note, Run

MESSAGES = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError(),
)


class Limited(nn.Module):
    """Runs out of memory above so many images."""

    def __init__(self, most, error=MESSAGES[0]):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
        self.most, self.error, self.asked = most, error, []

    def forward(self, images):
        self.asked.append(len(images))
        if len(images) > self.most:
            raise self.error
        return images - torch.tanh(self.layer(images))


def step(network, notes=None, longest=1.0):
    run = Run(notes.append if notes is not None else lambda event: None)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    return TrainingStep(network, optimiser, longest=longest, run=run)


def batch(count, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shape = (count, 1, 12, 12)
    return tuple(torch.randn(shape, generator=draw, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize("error", MESSAGES, ids=str)
def test_out_of_memory_halves_the_batch_and_goes_on(error):
    torch.manual_seed(1)
    small, large = Limited(2, error), Limited(100)
    large.layer = deepcopy(small.layer)
    notes = []
    split, whole = step(small, notes), step(large)
    for seed in range(3):
        losses = [update(*batch(7, seed)) for update in (split, whole)]
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-6)
    assert torch.allclose(small.layer.weight, large.layer.weight, rtol=0, atol=1e-9)
    assert small.asked == [7, 4, 2, 2, 2, 1] + 2 * [2, 2, 2, 1]
    assert [(type(note), note.warning) for note in notes] == [(Note, False)]
    assert "worked on in parts" in notes[0].text


def test_a_crop_that_does_not_fit_is_one_sentence():
    network = Limited(0)
    with pytest.raises(SettingsError, match=r"^A single crop does not fit into the memory \(cpu\)"):
        step(network)(*batch(4))
    assert network.asked == [4, 2, 1]


def test_other_errors_pass():
    network = Limited(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        step(network)(*batch(2))
    assert network.asked == [2]
    assert not out_of_memory(ValueError("out of memory"))


def test_gradients_are_cut():
    network = Limited(9)
    before = network.layer.weight.detach().clone()
    update = TrainingStep(network, torch.optim.SGD(network.parameters(), 1.0), longest=1e-3)
    update(*batch(4))
    assert float((network.layer.weight.detach() - before).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_going_on_from_a_state_gives_the_same_weights():
    torch.manual_seed(2)
    first = step(Limited(2))
    first(*batch(4, 0))
    state = deepcopy(first.state())
    first(*batch(4, 1))
    second = step(Limited(2))
    second.restore(state)
    second(*batch(4, 1))
    assert torch.equal(first.network.layer.weight, second.network.layer.weight)
    assert second.network.asked == [2, 2]  # it knows that whole batches do not fit


def test_weights_and_loss_stay_in_single_precision():
    network = nn.Conv2d(1, 1, 3, padding=1)
    update = TrainingStep(network, torch.optim.Adam(network.parameters()), bfloat16=True)
    loss = update(*(part.float() for part in batch(3)))
    assert loss.dtype == torch.float32
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in network.parameters()} == {torch.float32}


def test_pixels_of_no_weight_teach_nothing():
    torch.manual_seed(0)
    start = nn.Conv2d(1, 1, 3, padding=1)
    source, target = torch.randn(4, 1, 12, 12), torch.randn(4, 1, 12, 12)
    weight = torch.ones(4, 1, 12, 12)
    weight[:, :, :, 6:] = 0.0

    def after(target, weight, parts=1):
        network = deepcopy(start)
        update = TrainingStep(network, torch.optim.SGD(network.parameters(), 0.1))
        update.parts.count = parts
        loss = float(update(source, target, weight))
        return network.weight.detach(), loss

    spoilt = target.clone()
    spoilt[:, :, :, 6:] = 1e6
    assert torch.equal(after(target, weight)[0], after(spoilt, weight)[0])
    whole, parts = after(target, weight), after(target, weight, 2)
    assert torch.allclose(whole[0], parts[0], rtol=0, atol=1e-6)
    assert torch.allclose(after(target, torch.ones_like(weight))[0], after(target, None)[0])
    assert not torch.allclose(whole[0], after(target, None)[0])
