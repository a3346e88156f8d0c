"""How much of the collaborative pass is taken is chosen blind, kept, and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, blurred_noise, denoiser, noise_model, scene
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.region import Region
from training_core.run import SILENT, Run
from training_core.selection import choice
from training_core.selection.choice import SHARES, judge_shares, tell_share
from training_core.selection.sure import Risk, RiskEstimator, estimates_of


def case():
    """Give a denoiser with a useless network, and a judge who has a scene for it."""
    chosen = denoiser(noise_model())
    torch.nn.init.normal_(chosen.network.layers[-1].weight, 0.0, 0.2)
    clean = scene(96, 96, 0.0, 12.0) + blurred_noise((96, 96), 0, 0)
    image = torch.from_numpy(clean.astype("float32"))
    return chosen, RiskEstimator([Region(image, chosen.channels[0])], 0, CPU)


def estimate(chosen, judge):
    crop = judge.trials[0].noisy
    return chosen.estimate(crop.image, crop.channel)


def test_the_best_score_wins_and_is_told():
    chosen, judge = case()
    notes = []
    run = Run(notes.append)
    judged = judge_shares(chosen, judge, run)
    told = tell_share(judged, run)
    errors = told["errors"]
    assert errors == judged.errors
    assert told["share"] == judged.share == 1.0  # it repairs most
    assert errors["1.0"] < errors["0.5"] < errors["0.0"]
    assert any("blind score" in str(note) for note in notes)


def test_each_share_is_judged_as_it_will_be_applied():
    chosen, judge = case()
    told = judge_shares(chosen, judge, SILENT).errors
    for share in SHARES:
        sharing = replace(chosen, collaboration=share)
        score, _ = judge.judge(estimates_of(sharing, SILENT), SILENT)
        assert score.error == pytest.approx(told[str(share)], rel=1e-4)


def test_half_is_the_mean_and_none_the_network_alone():
    chosen, judge = case()
    made = {}
    for share in SHARES:
        made[share] = estimate(replace(chosen, collaboration=share), judge)
    torch.testing.assert_close(made[0.5], (made[0.0] + made[1.0]) / 2)
    assert not torch.allclose(made[0.0], made[1.0])


def test_it_is_kept_in_the_model(tmp_path):
    chosen, _ = case()
    save_denoiser(replace(chosen, collaboration=0.5), tmp_path / "model.g2g")
    assert load_denoiser(tmp_path / "model.g2g", device="cpu").collaboration == 0.5


def test_without_the_pass_there_is_no_choice():
    chosen, judge = case()
    settings = chosen.settings
    plain = replace(settings.denoiser, collaborate=False)
    chosen = replace(chosen, settings=replace(settings, denoiser=plain))
    judged = judge_shares(chosen, judge, SILENT)
    score, _ = judge.judge(estimates_of(chosen, SILENT), SILENT)
    assert judged.error == score.error
    assert not judged.errors
    notes = []
    assert tell_share(judged, Run(notes.append)) == {}
    assert not notes


def test_a_warning_rules_no_share_out_and_is_kept(monkeypatch):
    chosen, judge = case()
    found = iter([("it takes structure",), (), ("it leaves noise",)])  # of shares 1, 1/2, 0
    monkeypatch.setattr(choice, "find_warnings", lambda *given, **more: next(found))
    judged = judge_shares(chosen, judge, SILENT)
    assert judged.errors["1.0"] < judged.errors["0.5"] < judged.errors["0.0"]
    assert judged.share == 1.0
    assert judged.warnings == ("it takes structure",)


def test_the_best_share_is_given_and_the_denoiser_stays_as_it_was(monkeypatch):
    chosen, judge = case()
    errors, judged_as_usual = iter([0.5, 0.3, 0.2]), judge.judge

    def told(*asked):
        _, made = judged_as_usual(*asked)
        return Risk(np.full(4, next(errors))), made

    monkeypatch.setattr(judge, "judge", told)
    judged = judge_shares(chosen, judge, SILENT)
    assert judged.share == 0.0
    assert judged.errors == {"1.0": 0.5, "0.5": 0.3, "0.0": 0.2}
    assert chosen.collaboration == 1.0
