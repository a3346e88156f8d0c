"""The score for noise whose power is in a few pixels, against the error that the truth gives."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter

from tests.support.made_up import CPU, noise_model, scene
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.networks.published import NoiseGenerator
from training_core.noise.compound_poisson import Photons
from training_core.noise.model import NoiseModel, PhotonNoise, PublishedNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import SILENT
from training_core.selection.spikes import CELLS_PX, TailTrial
from training_core.selection.sure import RiskEstimator

SIGMA = 8.0


class Spikes(torch.nn.Module):
    """Noise of std 1, of which `share` of the pixels have `power`, or are bright alone.

    The dark ones are `stretched`.
    """

    def __init__(self, share=0.05, power=0.97, *, bright=False, stretched=1.0):
        super().__init__()
        self.share, self.bright, self.stretched = share, bright, stretched
        self.few, self.most = (power / share) ** 0.5, ((1 - power) / (1 - share)) ** 0.5

    def sample(self, count, height, width, draw):
        normal = torch.randn(count, 1, height, width, generator=draw)
        few = torch.rand(count, 1, height, width, generator=draw) < self.share
        far = normal.abs() if self.bright else normal
        far = torch.where(far < 0, self.stretched * far, far)
        return torch.where(few, self.few * far, self.most * normal)


def spiky(blur=0.0, **spikes):
    curve = NoiseCurve(np.zeros(1), np.array([SIGMA]))
    return replace(noise_model(blur, curve=curve), generator=Spikes(**spikes))


def noisy_scenes(count=4, **spikes):
    """Give noisy scenes, whose noise together has the std that is known, and the clean one."""
    clean = torch.from_numpy(scene(192, 192).astype(np.float32))
    noise, draw = spiky(**spikes), torch.Generator().manual_seed(3)
    channel = Channel(noise, 200.0, SIGMA)
    noises = noise.sample(count, 192, 192, draw)[:, 0]
    noises *= SIGMA / noises.square().mean().sqrt()
    return [Region(clean + each, channel) for each in noises], clean


def despiked(noisy):
    """Take the median where a pixel is far from it, and leave all others as they are."""
    image = noisy.image.numpy()
    middle = median_filter(image, 3)
    return torch.from_numpy(np.where(np.abs(image - middle) > 6, middle, image))


def smoothed(noisy):
    return torch.from_numpy(gaussian_filter(noisy.image.numpy(), 0.6))


@pytest.mark.parametrize("estimator", [despiked, smoothed])
@pytest.mark.parametrize("share", [0.05, 0.003])
def test_the_score_is_the_error_that_the_truth_gives(estimator, share):
    noisy, clean = noisy_scenes(share=share)
    errors = [float((estimator(each) - clean).square().mean()) for each in noisy]
    score, _ = RiskEstimator(noisy, 0, CPU).judge(estimator, SILENT)
    assert score.error == pytest.approx(np.mean(errors) / SIGMA**2, abs=0.03, rel=0.05)


def test_a_little_more_noise_would_say_nothing_of_what_takes_spikes_away():
    noisy, clean = noisy_scenes()
    judge = RiskEstimator(noisy, 0, CPU)
    judge.trials = [replace(trial, tails=None) for trial in judge.trials]
    error = np.mean([float((despiked(each) - clean).square().mean()) for each in noisy])
    assert judge.judge(despiked, SILENT)[0].error > error / SIGMA**2 + 0.5


def test_heavy_tails_are_of_pixels_each_for_itself_and_go_both_ways():
    assert spiky().is_heavy_tailed
    assert spiky(share=0.001).is_heavy_tailed
    assert not spiky(bright=True).is_heavy_tailed  # spots, or hot pixels
    assert spiky(stretched=1.6).is_heavy_tailed  # as the transform does to impulses
    assert not spiky(blur=1.0).is_heavy_tailed
    assert not noise_model().is_heavy_tailed
    parts = [getattr(spiky(), field.name) for field in fields(NoiseModel)]
    assert not PhotonNoise(*parts, Photons(1.0, 0.0, 0.0, 0.0)).is_heavy_tailed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts[3] = NoiseGenerator().eval()
    assert not PublishedNoise(*parts).is_heavy_tailed


@pytest.mark.parametrize(("share", "cell"), [(0.05, 8), (0.02, 16), (0.001, 32)])
def test_one_pixel_of_each_cell_is_drawn_anew_and_mostly_spikes(share, cell):
    noisy, _ = noisy_scenes(1, share=share)
    sigma = torch.full((192, 192), SIGMA)
    trial = TailTrial.of(noisy[0], sigma, torch.Generator().manual_seed(0))
    assert trial.cell == cell
    assert len(trial.picked) == len(trial.noise) == CELLS_PX[cell]
    for picked, noise in zip(trial.picked, trial.noise, strict=True):
        cells = picked.reshape(192 // cell, cell, 192 // cell, cell)
        assert torch.all(cells.sum(dim=(1, 3)) == 1)
        assert torch.all(noise[~picked] == 1)
        assert (noise[picked].abs() > SIGMA).float().mean() > 0.9  # of all pixels few are
    assert not torch.equal(*trial.picked[:2])
    averaged = replace(noisy[0], strength=0.5 * sigma / SIGMA)
    assert TailTrial.of(averaged, sigma, torch.Generator()) is None


def test_of_what_changes_nothing_all_noise_is_left_also_where_cells_are_cut():
    noisy, _ = noisy_scenes(1)
    small = replace(noisy[0], image=noisy[0].image[:21, :13])
    sigma = torch.full((21, 13), SIGMA)
    trial = TailTrial.of(small, sigma, torch.Generator().manual_seed(0))
    picked = torch.stack(trial.picked).float().mean(dim=0)
    loss = trial.loss(small, small.image, lambda each: each.image)
    assert torch.allclose(loss, SIGMA**2 * (2 * trial.cell**2 * picked - 1), rtol=1e-4)
    assert 2 <= picked.sum() <= 6  # two cells are whole, four are cut
