"""The judge: crops and probes, Stein's estimate against further exposures, and how sure it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import CPU, blurred_noise, noise_model, scene, squared_error
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import SILENT, Run
from training_core.selection.sure import JUDGED_PX, Risk, RiskEstimator

SIZE = 128


def exposure(seed, blur=0.0, sigma=1.0, size=SIZE):
    clean = scene(size, size, 0.0, 15.0)
    return clean, (clean + sigma * blurred_noise((size, size), blur, seed)).astype(np.float32)


def estimate(image, channel):
    return Region(torch.from_numpy(np.asarray(image, np.float32)), channel)


def blurring(width):
    def made(noisy):
        return torch.from_numpy(gaussian_filter(noisy.image.numpy(), width))

    return made


def judge_of(channel, images, repeats=()):
    others = [[estimate(image, channel)] for image in repeats]
    return RiskEstimator([estimate(images, channel)], 0, CPU, others=others)


@pytest.mark.parametrize("repeats", [0, 1, 2])
@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_the_score_is_the_true_error_within_its_range(repeats, blur):
    clean, noisy = exposure(1, blur)
    others = [exposure(2 + n, blur)[1] for n in range(repeats)]
    judge = judge_of(Channel(noise_model(blur)), noisy, others)
    for width in (0.5, 1.0):
        score, (made,) = judge.judge(blurring(width), Run())
        assert score.error == pytest.approx(squared_error(made, clean), abs=1.5 * score.range)
        assert 0.005 < score.range < 0.4


def test_two_further_exposures_need_no_noise_model():
    clean, noisy = exposure(1, sigma=3.0)
    wrong = Channel(noise_model())  # it says 1
    scores = [
        judge_of(wrong, noisy, [exposure(2 + n, sigma=3.0)[1] for n in range(count)])
        .judge(blurring(1.0), Run())[0]
        .error
        for count in (0, 1, 2)
    ]
    true = squared_error(gaussian_filter(noisy, 1.0), clean)
    assert scores[2] == pytest.approx(true, rel=0.15)
    assert abs(scores[1] - true) > 5
    assert abs(scores[0] - true) > 5


def test_a_difference_is_surer_than_a_score():
    _, noisy = exposure(1)
    judge = judge_of(Channel(noise_model()), noisy)
    better, worse = (judge.judge(blurring(width), Run())[0] for width in (1.0, 1.1))
    gain, give_or_take = better.gain_over(worse)
    assert gain == pytest.approx(10 * math.log10(worse.error / better.error))
    in_decibel = 10 * math.log10(1 + better.range / better.error)
    assert give_or_take < 0.5 * in_decibel
    assert gain > give_or_take


def test_an_error_of_nothing_gains_nothing():
    good, nothing = Risk(np.full(4, 0.1)), Risk(np.full(4, -0.1))
    assert nothing.gain_over(good) == (0.0, math.inf)


def test_the_same_judge_gives_the_same_score():
    _, noisy = exposure(1)
    channel = Channel(noise_model())
    first, second = (judge_of(channel, noisy).judge(blurring(1.0), Run())[0] for _ in range(2))
    assert np.array_equal(first.parts, second.parts)


def test_the_probe_is_as_strong_as_the_noise_there():
    rows = np.linspace(0.0, 20.0, 96)[:, None] * np.ones((1, 96))
    curve = NoiseCurve(np.array([0.0, 20.0]), np.array([0.5, 2.0]))
    channel = Channel(noise_model(curve=curve))
    (trial,) = judge_of(channel, rows).trials
    assert float(trial.sigma[2].mean()) == pytest.approx(0.53, abs=0.03)
    assert float(trial.sigma[-3].mean()) == pytest.approx(1.97, abs=0.03)
    unit = trial.probe / trial.sigma
    assert float(unit.std()) == pytest.approx(1.0, abs=0.05)


def test_crops_are_spread_over_regions_and_channels():
    one, other = Channel(noise_model()), Channel(noise_model())
    large, small = np.zeros((2 * JUDGED_PX + 9, 2 * JUDGED_PX)), np.zeros((250, 64))
    regions = [estimate(large, one), estimate(small, one), estimate(small, other)]
    trials = RiskEstimator(regions, 0, CPU, crops=6).trials
    shapes = [tuple(t.noisy.image.shape) for t in trials if t.noisy.channel is one]
    full = (JUDGED_PX, JUDGED_PX)
    assert shapes == [full, (JUDGED_PX, 64), full]
    assert [t.noisy.channel for t in trials].count(other) == 1


def test_neighbours_are_cut_as_the_region_and_are_not_probed():
    size = JUDGED_PX + 40
    image, near = torch.randn(size, size), torch.randn(2, size, size)
    seen = []

    def mean(noisy):
        seen.append(noisy)
        return (noisy.image + noisy.neighbours.sum(dim=0)) / 3

    RiskEstimator([Region(image, Channel(noise_model()), near)], 0, CPU).judge(mean, Run())
    middle = slice(20, 20 + JUDGED_PX)
    assert all(torch.equal(noisy.neighbours, near[:, middle, middle]) for noisy in seen)
    assert torch.equal(seen[0].image, image[middle, middle])
    assert not torch.equal(seen[1].image, seen[0].image)


def test_only_what_is_seen_is_judged():
    channel = Channel(noise_model())
    pixels = torch.zeros(192, 384)
    pixels[:, :192] = 30.0 * torch.randn(192, 192, generator=torch.Generator().manual_seed(1))
    region = Region(pixels, channel)
    right = np.broadcast_to(np.arange(384) >= 192, (192, 384))
    judge = RiskEstimator([region, region], 0, CPU, seen=[right, np.zeros_like(right)])
    (trial,) = judge.trials
    assert float(trial.noisy.image.abs().max()) == 0.0
    assert len(RiskEstimator([region], 0, CPU).trials) == 2
    nowhere = RiskEstimator([region], 0, CPU, seen=[np.zeros_like(right)])
    assert len(nowhere.trials) == 2
    half = np.broadcast_to(np.arange(384) % 192 >= 64, (192, 384))
    score, _ = RiskEstimator([region], 0, CPU, seen=[half]).judge(lambda noisy: noisy.image, SILENT)
    assert score.parts.size == 2 * 6 * 4  # of blocks of 32 px, a third less
