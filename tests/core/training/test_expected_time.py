"""The plan of a job: what is counted, and small batches that stand for large ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import stack
from training_core.run import Stage
from training_core.selection.sure import JUDGED_CROPS, JUDGED_PX
from training_core.settings import preset
from training_core.training import expected_time as timing
from training_core.training.noisier2noise import SHARE

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "estimated"), [("balanced", 512 * 512), ("paper", 0)])
def test_published_rounds_estimate_no_whole_regions(monkeypatch, name, estimated):
    monkeypatch.setattr(timing, "_seconds_per_pixel", lambda *_: 1e-3)
    monkeypatch.setattr(timing, "_seconds_per_step", lambda *_: 2.0)
    monkeypatch.setattr(timing, "_seconds_per_game_step", lambda *_: 3.0)
    settings = preset(name)
    plan = timing.expected_plan([stack(np.zeros((512, 512), np.float32))], settings, CPU)
    chosen = settings.denoiser
    assert plan[Stage.NOISE_MODEL] == settings.noise_model.steps * 3.0
    judged = 2 * min(512 * 512, JUDGED_CROPS * JUDGED_PX**2)  # with a probe and without
    assert plan[Stage.FIRST_ESTIMATE] == pytest.approx(1e-3 * estimated)
    ct = replace(stack(np.zeros((512, 512), np.float32)), value_unit="HU")
    learning = timing.expected_plan([ct], settings, CPU)[Stage.FIRST_ESTIMATE]
    more = SHARE * chosen.steps * 2.0 if name == "balanced" else 0.0  # noisier2noise
    assert learning - plan[Stage.FIRST_ESTIMATE] == pytest.approx(more)
    assert plan[Stage.ROUNDS] == pytest.approx(
        chosen.rounds * (chosen.steps * 2.0 + 1e-3 * (estimated + judged))
    )
    assert plan[Stage.DENOISE] >= 1e-3 * 512 * 512


@pytest.mark.parametrize(("batch", "seconds"), [(6, 11.0), (64, 69.0)])
def test_large_batches_are_extrapolated(monkeypatch, batch, seconds):
    asked = []

    def clocked(work, device):
        work()
        return 5.0 + asked[-1]  # 5 s for any batch and 1 s for each crop

    monkeypatch.setattr(timing, "_clocked", clocked)
    assert timing._seconds_per_batch(asked.append, batch, CPU) == pytest.approx(seconds)
    assert max(asked) <= 8


def test_steps_are_really_taken():
    settings = preset("quick", precision="float32")
    assert timing._seconds_per_step(settings, CPU) > 0
    assert timing._seconds_per_game_step(settings, CPU) > 0
