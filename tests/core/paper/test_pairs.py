"""Pairs as published: two samples of g1 on the teacher's estimate of a noisy crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.made_up import denoiser, noise_model, with_published_noise
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.networks.published import DnCNN
from training_core.paper import gan as paper_crops
from training_core.paper.pairs import PublishedPairs
from training_core.run import Run
from training_core.settings import DenoiserSettings


class Halving(nn.Module):
    """A teacher whose estimate is known, and which counts what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.shown = []

    def forward(self, noisy):
        self.shown.append(noisy)
        return self.weight * noisy


@pytest.fixture(autouse=True)
def few_crops(monkeypatch):
    monkeypatch.setattr(paper_crops, "WINDOWS", 40)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def region(image, channel):
    return Region(torch.from_numpy(np.asarray(image, np.float32)), channel)


def made(shape=(130, 150), *, teacher=None, seed=0, targets="noisy", **changes):
    chosen = with_published_noise(
        denoiser(noise_model(), network="dncnn", targets=targets, collaborate=False, **changes)
    )
    image = np.random.default_rng(3).random(shape)
    noisy = [region(image, chosen.channels[0])]
    return PublishedPairs(chosen, noisy, [teacher or Halving()], draw(seed), Run()), chosen


@pytest.mark.parametrize("size", [48, 64, 80])
def test_noise_lies_twice_on_the_estimate_of_one_crop(size):
    settings = DenoiserSettings(batch=6, crop_px=size)
    pairs, chosen = made(crop_px=size)
    teacher = pairs.channels[0].teacher
    source, target = pairs.batch(settings)
    assert source.shape == target.shape == (6, 1, size, size)
    (noisy,) = teacher.shown  # once, all crops together
    parts = [(both - 0.5 * noisy)[..., :64, :64] for both in (source, target)]
    g1 = chosen.channels[0].noise.generator
    again = draw()
    pairs.channels[0].epochs.draw.manual_seed(0)  # the same numbers once more
    torch.randint(1, (), generator=again)
    tiles = (-(-size // 64)) ** 2
    torch.randperm(40, generator=again)
    torch.rand(6, 2, generator=again)
    torch.randint(2, (6, 2), generator=again)
    for part in parts:
        latent = torch.randn(6 * tiles, 128, generator=again)
        expected = g1(latent).detach()[::tiles, :, :size, :size]
        assert torch.allclose(part, expected, atol=1e-6)
    assert not torch.equal(*parts)


def test_without_noisy_targets_the_target_is_the_estimate():
    pairs, _ = made(targets="estimate")
    source, target = pairs.batch(DenoiserSettings(batch=3, crop_px=64))
    assert torch.equal(target, 0.5 * pairs.channels[0].teacher.shown[0])
    assert not torch.equal(source, target)


def test_an_epoch_shows_every_window_and_windows_stay_for_all_rounds():
    pairs, _ = made()
    settings = DenoiserSettings(batch=20, crop_px=64)
    for _ in range(2):
        pairs.batch(settings)
    assert sorted(pairs.channels[0].epochs.order.tolist()) == list(range(40))
    windows = pairs.channels[0].windows
    assert windows[:, 2:].tolist() == [[120, 120]] * 40
    later, _ = made(seed=9)  # as in the next round, whose random numbers go on
    assert torch.equal(later.channels[0].windows, windows)
    assert len({tuple(window) for window in windows.tolist()}) > 30


def test_frames_smaller_than_a_window_or_a_crop():
    settings = DenoiserSettings(batch=3, crop_px=64)
    pairs, _ = made((70, 150))
    assert pairs.channels[0].windows[:, 2:].tolist() == [[70, 120]] * 40
    assert pairs.batch(settings)[0].shape == (3, 1, 64, 64)
    assert made((20, 90))[0].batch(settings)[0].shape == (3, 1, 20, 20)


def test_every_channel_has_its_own_teacher_and_noise():
    base, chosen = made()
    first = chosen.channels[0]
    second = Channel(first.noise)
    chosen = replace(chosen, channels=(first, second))
    noisy = [region(np.full((90, 90), level), c) for level, c in ((1.0, first), (3.0, second))]
    pairs = PublishedPairs(chosen, noisy, [Halving(), Halving()], draw(), Run())
    for _ in range(8):
        pairs.batch(DenoiserSettings(batch=2, crop_px=64))
    shown = [{float(v) for x in c.teacher.shown for v in x.unique()} for c in pairs.channels]
    assert shown == [{1.0}, {3.0}]
    assert base.channels[0].teacher.shown == []


def test_the_teacher_is_the_network_as_it_was_in_inference():
    torch.manual_seed(4)
    teacher = DnCNN(4, 8)
    for _ in range(3):
        teacher(torch.rand(4, 1, 16, 16))  # running statistics of its own
    teacher.eval()
    pairs, _ = made(teacher=teacher, targets="estimate")
    noisy = torch.rand(2, 1, 64, 64)
    expected = teacher(noisy)
    with torch.no_grad():
        teacher.layers[0].weight.zero_()  # training goes on with the network itself
        assert torch.allclose(pairs.channels[0].teacher(noisy), expected, atol=1e-6)


def test_a_teacher_that_needs_too_much_memory_sees_parts():
    class Greedy(Halving):
        def forward(self, noisy):
            if len(noisy) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(noisy)

    settings = DenoiserSettings(batch=6, crop_px=64)
    parts, whole = (made(teacher=t)[0].batch(settings) for t in (Greedy(), Halving()))
    assert torch.equal(parts[0], whole[0])
    assert torch.equal(parts[1], whole[1])


def test_pairs_go_on_where_they_were():
    settings = DenoiserSettings(batch=15, crop_px=64)
    first, _ = made()
    first.batch(settings)
    state = first.state()
    second, _ = made(seed=77)
    second.restore(state)
    for _ in range(3):  # into the next epoch
        expected, found = first.batch(settings), second.batch(settings)
        assert torch.equal(expected[0], found[0])
        assert torch.equal(expected[1], found[1])
