"""How much work a job will be: what is counted, and that a job really does it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import QUICKEST, block, blurred_noise, stack
from training_core import costs
from training_core.pipeline import denoise_stack
from training_core.run import Run, Stage
from training_core.settings import preset
from training_core.training.expected_work import expected_work

CPU = torch.device("cpu")
FRAME = stack(np.zeros((512, 512), np.float32))
STEP, PASS = "step PretrainedDenoiser", "pass PretrainedDenoiser"


def only(work, name):
    return next(amounts for kind, amounts in work.items() if kind.startswith(name))


def test_training_may_end_after_its_first_round():
    least, most = only(expected_work([FRAME], preset("quick"), CPU)[Stage.ROUNDS], STEP)
    assert (least, most) == pytest.approx((150 * 8 * 64**2 / 1e6, 750 * 8 * 64**2 / 1e6))


def test_instant_trains_nothing_but_calibrates():
    work = expected_work([FRAME], preset("instant"), CPU)
    assert work[Stage.FIRST_ESTIMATE] == {}
    assert work[Stage.NOISE_MODEL][costs.GAME] == (0.0, 0.0)
    assert only(work[Stage.ROUNDS], PASS)[0] > 0
    assert only(work[Stage.ROUNDS], STEP) == (0.0, 0.0)


def test_the_published_method_takes_all_its_steps():
    settings = preset("paper")
    work = expected_work([FRAME], settings, CPU)
    steps = 3 * 4_800 * 128 * 64**2 / 1e6
    assert only(work[Stage.ROUNDS], "published step DnCNN") == pytest.approx((steps, steps))
    game = 9_600 * 64 * 64**2 * 6 / 1e6
    assert only(work[Stage.NOISE_MODEL], "game DnCNN") == pytest.approx((game, game))
    ct = replace(FRAME, value_unit="HU")
    unet = replace(settings, denoiser=replace(settings.denoiser, network="unet"))
    assert only(expected_work([ct], unet, CPU)[Stage.ROUNDS], "published step UNet")


def test_in_ct_a_network_may_be_trained_for_the_first_estimate():
    ct = replace(FRAME, value_unit="HU")
    first = expected_work([ct], preset("quick"), CPU)[Stage.FIRST_ESTIMATE]
    assert only(first, "step CompactDenoiser") == pytest.approx((0.0, 150 * 8 * 64**2 / 1e6))


@pytest.mark.trains
@pytest.mark.parametrize("rounds", [0, 2])
def test_a_job_does_what_was_planned(rounds):
    noisy = stack(block(96, 96, 200.0, 800.0) + 20.0 * blurred_noise((96, 96), 0.0, 0))
    chosen = replace(QUICKEST.denoiser, rounds=rounds, collaborate=True)
    if not rounds:
        chosen = replace(chosen, network="pretrained")
    settings = replace(QUICKEST, denoiser=chosen)
    planned = costs.total(expected_work([noisy], settings, CPU).values())
    run = Run()
    denoise_stack(noisy, settings, run=run)
    (done,) = run.costs.measured.values()
    done = {kind: amount for kind, (amount, _) in done.items()}
    assert set(done) <= set(planned)
    for kind, (least, most) in planned.items():
        assert least * 0.99 <= done.get(kind, 0.0) <= most * 1.01, kind
