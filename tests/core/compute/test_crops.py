"""Crops cut by index arithmetic are those that slices cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training_core.compute import crops as module
from training_core.compute.crops import Crops, Epochs

CPU = torch.device("cpu")


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(*shapes):
    """Give images in which every pixel says where it is: image, row, column."""
    return [
        1e4 * number + 100.0 * torch.arange(height)[:, None] + torch.arange(width)
        for number, (height, width) in enumerate(shapes)
    ]


def where(crop):
    """Say which image a crop is from, its rows and its columns."""
    number, rest = divmod(crop.numpy(), 1e4)
    rows, columns = divmod(rest, 100)
    assert np.unique(number).size == 1
    assert (rows == rows[:, :1]).all()
    assert (columns == columns[:1]).all()
    return int(number[0, 0]), rows[:, 0], columns[0]


def test_crops_are_parts_of_their_windows_flipped_both_ways():
    images = numbered((30, 40), (50, 20))
    source = Crops(images, CPU)
    windows = source.windows(400, 24, draw(1))
    cut = source.cut(windows, 8, draw(2))
    assert (cut.shape, cut.dtype) == ((400, 1, 8, 8), torch.float32)
    steps, starts, numbers = set(), set(), []
    for crop, (first, row_length, height, width) in zip(cut[:, 0], windows.tolist(), strict=True):
        number, rows, columns = where(crop)
        numbers.append(number)
        start = first - sum(image.numel() for image in images[:number])
        top, left = divmod(start, row_length)
        assert (height, width) == (24, min(24, images[number].shape[1]))
        assert top <= rows.min() <= rows.max() < top + height
        assert left <= columns.min() <= columns.max() < left + width
        steps.add((rows[1] - rows[0], columns[1] - columns[0]))
        starts.add((rows.min() - top, columns.min() - left))
    assert steps == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert {y for y, _ in starts} == set(range(17))  # every place, the last included
    # 7 x 17 places for windows in the first image, 27 x 1 in the second
    assert np.mean(numbers) == pytest.approx(27 / (27 + 119), abs=0.06)


def test_seeds_repeat_and_differ():
    source = Crops(numbered((30, 40)), CPU)
    one, same, other = (source.cut(source.windows(9, 20, draw(s)), 8, draw(s)) for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_images_that_would_fill_the_device_stay_in_main_memory(monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda device: 16 * 1200 - 1)
    images = numbered((30, 40))
    assert Crops(images, torch.device("meta")).values.device == CPU
    monkeypatch.setattr(module, "free_bytes", lambda device: 16 * 1200)
    assert Crops(images, torch.device("meta")).values.device.type == "meta"


def test_epochs_show_everything_once():
    epochs = Epochs(10, draw())
    rounds = [torch.cat([epochs.next(3) for _ in range(3)]).tolist() for _ in range(2)]
    for shown in rounds:
        assert len(set(shown)) == 9
        assert set(shown) < set(range(10))
    assert rounds[0] != rounds[1]


def test_epochs_go_on_where_they_were():
    first = Epochs(10, draw(5))
    first.next(4)
    second = Epochs(10, draw(6))
    second.restore(first.state())
    second.draw.set_state(first.draw.get_state())
    assert [first.next(4).tolist() for _ in range(3)] == [second.next(4).tolist() for _ in range(3)]
