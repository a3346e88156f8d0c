"""What is taken from calm places tells whether the learned noise is too weak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, blurred_noise, noise_model
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.selection.sure import RiskEstimator
from training_core.selection.warnings import calm_residual

SIDE = 192


def judged(strength, blur=0.8, side=SIDE):
    """Give a judge of noise of this strength, which knows that of strength 1, and the truth."""
    rng = np.random.default_rng(1)
    clean = np.zeros((side, side))
    clean[:, side // 2 :] = 8 * (rng.random((side, side - side // 2)) < 0.2)  # busy on the right
    noisy = clean + strength * blurred_noise(clean.shape, blur, 2)
    region = Region(torch.from_numpy(noisy).float(), Channel(noise_model(blur)))
    judge = RiskEstimator([region], 0, CPU)
    return judge, [torch.from_numpy(clean).float()]


@pytest.mark.parametrize("strength", [0.9, 1.0, 1.15])
def test_all_noise_taken_is_measured_against_the_known(strength):
    judge, truth = judged(strength)
    assert calm_residual(judge.trials, truth) == pytest.approx(strength**2, rel=0.12)


def test_structure_that_is_taken_elsewhere_does_not_count():
    judge, (truth,) = judged(1.0)
    blurred = truth.clone()
    blurred[:, SIDE // 2 + 16 :] *= 0.5
    whole = calm_residual(judge.trials, [truth])
    assert calm_residual(judge.trials, [blurred]) == pytest.approx(whole, rel=0.02)


def test_who_takes_nothing_has_no_residual():
    judge, _ = judged(1.0)
    assert calm_residual(judge.trials, [judge.trials[0].noisy.image]) == 0.0


def test_structure_wiped_out_does_not_make_a_place_calm():
    judge, (truth,) = judged(1.0)
    wiped = truth.clone()
    wiped[:, SIDE // 2 :] = truth[:, SIDE // 2 :].mean()
    whole = calm_residual(judge.trials, [truth])
    assert calm_residual(judge.trials, [wiped]) == pytest.approx(whole, rel=0.05)


def test_of_two_channels_the_lesser_counts():
    regions, truths = [], []
    for strength, blur in ((1.3, 0.8), (0.9, 0.5)):
        judge, truth = judged(strength, blur)
        regions.append(judge.trials[0].noisy)
        truths += truth
    judge = RiskEstimator(regions, 0, CPU)
    assert calm_residual(judge.trials, truths) == pytest.approx(0.81, rel=0.12)


def test_blocks_that_do_not_count_are_left_out():
    judge, (truth,) = judged(1.0)
    (trial,) = judge.trials
    kept = truth.clone()
    kept[:, : SIDE // 2] = trial.noisy.image[:, : SIDE // 2]  # nothing taken on the left
    counted = np.zeros((6, 6), bool)
    counted[:, 3:] = True
    right = replace(trial, counted=counted.ravel())
    assert calm_residual([right], [kept]) == pytest.approx(1.0, rel=0.2)
    assert calm_residual([trial], [kept]) < 0.5


def test_crops_smaller_than_a_window_say_nothing():
    judge, truth = judged(1.0, side=24)
    assert calm_residual(judge.trials, truth) == 1.0
