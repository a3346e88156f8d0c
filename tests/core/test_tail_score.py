"""The score for noise whose power is in a few pixels, against the error that the truth gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import CPU, noise_model, scene
from scipy.ndimage import gaussian_filter, median_filter

from training_core.blind_score import Judge
from training_core.channel import Channel
from training_core.noise_statistics import NoiseCurve
from training_core.noisy_pairs import Estimate
from training_core.run import SILENT
from training_core.tail_score import CELL_PX, TRIES, TailTrial, is_heavy_tailed

SIGMA = 8.0


class Spikes(torch.nn.Module):
    """Noise of std 1 that 5 pixels in 100 have most of."""

    def sample(self, count, height, width, draw):
        normal = torch.randn(count, 1, height, width, generator=draw)
        few = torch.rand(count, 1, height, width, generator=draw) < 0.05
        return torch.where(few, 4.4 * normal, 0.18 * normal)


def spiky(blur=0.0):
    curve = NoiseCurve(np.zeros(1), np.array([SIGMA]))
    return replace(noise_model(blur, curve=curve), generator=Spikes())


def noisy_scenes(count=4):
    """Give noisy scenes and the clean one."""
    clean = torch.from_numpy(scene(192, 192).astype(np.float32))
    noise, draw = spiky(), torch.Generator().manual_seed(3)
    channel = Channel(noise, 200.0, SIGMA)
    noises = SIGMA * noise.sample(count, 192, 192, draw)[:, 0]
    return [Estimate(clean + each, channel) for each in noises], clean


def despiked(noisy):
    """Take the median where a pixel is far from it, and leave all others as they are."""
    image = noisy.image.numpy()
    middle = median_filter(image, 3)
    return torch.from_numpy(np.where(np.abs(image - middle) > 6, middle, image))


def smoothed(noisy):
    return torch.from_numpy(gaussian_filter(noisy.image.numpy(), 0.6))


@pytest.mark.parametrize("estimator", [lambda noisy: noisy.image, despiked, smoothed])
def test_the_score_is_the_error_that_the_truth_gives(estimator):
    noisy, clean = noisy_scenes()
    errors = [float((estimator(each) - clean).square().mean()) for each in noisy]
    score, _ = Judge(noisy, 0, CPU).judge(estimator, SILENT)
    assert score.error == pytest.approx(np.mean(errors) / SIGMA**2, abs=0.06)


def test_a_little_more_noise_would_say_nothing_of_what_takes_spikes_away():
    noisy, clean = noisy_scenes()
    judge = Judge(noisy, 0, CPU)
    judge.trials = [replace(trial, tails=None) for trial in judge.trials]
    error = np.mean([float((despiked(each) - clean).square().mean()) for each in noisy])
    assert judge.judge(despiked, SILENT)[0].error > error / SIGMA**2 + 0.5


def test_heavy_tails_are_of_pixels_each_for_itself():
    assert is_heavy_tailed(spiky())
    assert not is_heavy_tailed(spiky(blur=1.0))
    spots = spiky(blur=0.44)  # sharper than any optics
    assert 0.1 < spots.correlation < 0.2
    assert not is_heavy_tailed(spots)
    assert not is_heavy_tailed(noise_model())


def test_one_pixel_of_each_cell_is_drawn_anew_and_mostly_spikes():
    noisy, _ = noisy_scenes(1)
    sigma = torch.full((192, 192), SIGMA)
    trial = TailTrial.of(noisy[0], sigma, torch.Generator().manual_seed(0))
    assert len(trial.picked) == len(trial.noise) == TRIES
    for picked, noise in zip(trial.picked, trial.noise, strict=True):
        cells = picked.reshape(192 // CELL_PX, CELL_PX, 192 // CELL_PX, CELL_PX)
        assert torch.all(cells.sum(dim=(1, 3)) == 1)
        assert torch.all(noise[~picked] == 1)
        assert (noise[picked].abs() > SIGMA).float().mean() > 0.9  # .05 of all pixels are
    assert not torch.equal(*trial.picked)
    averaged = replace(noisy[0], strength=0.5 * sigma / SIGMA)
    assert TailTrial.of(averaged, sigma, torch.Generator()) is None


def test_cells_at_the_border_may_be_cut():
    noisy, _ = noisy_scenes(1)
    small = replace(noisy[0], image=noisy[0].image[:21, :13])
    sigma = torch.full((21, 13), SIGMA)
    trial = TailTrial.of(small, sigma, torch.Generator().manual_seed(0))
    assert trial.loss(small, small.image, lambda each: each.image).shape == (21, 13)
