"""How much of the collaborative pass is taken is chosen blind, kept, and told."""

from __future__ import annotations

import pytest
import torch
from made_up import CPU, blurred_noise, denoiser, noise_model, scene

from training_core.blind_score import Judge
from training_core.checkpoint import Checkpoint
from training_core.last_pass import SHARES, choose_share
from training_core.model_file import load_denoiser, save_denoiser
from training_core.noisy_pairs import Estimate
from training_core.run import Run


def case():
    """Give a denoiser with a useless network, and a judge who has a scene for it."""
    chosen = denoiser(noise_model())
    torch.nn.init.normal_(chosen.network.layers[-1].weight, 0.0, 0.2)
    clean = scene(96, 96, 0.0, 12.0) + blurred_noise((96, 96), 0, 0)
    image = torch.from_numpy(clean.astype("float32"))
    return chosen, Judge([Estimate(image, chosen.channels[0])], 0, CPU)


def estimate(chosen, judge):
    crop = judge.trials[0].noisy
    return chosen.estimate(crop.image, crop.channel)


def test_the_best_score_wins_and_is_told():
    chosen, judge = case()
    notes = []
    choose_share(chosen, judge, Run(notes.append))
    errors = chosen.card["last_pass"]["errors"]
    assert chosen.collaboration == chosen.card["last_pass"]["share"] == 1.0  # it repairs most
    assert errors["1.0"] < errors["0.5"] < errors["0.0"]
    assert any("blind score" in str(note) for note in notes)


def test_each_share_is_judged_as_it_will_be_applied():
    chosen, judge = case()
    choose_share(chosen, judge)
    told = chosen.card["last_pass"]["errors"]
    for share in SHARES:
        chosen.collaboration = share
        score, _ = judge.judge(lambda n: chosen.estimate(n.image, n.channel), Run())
        assert score.error == pytest.approx(told[str(share)], rel=1e-4)


def test_half_is_the_mean_and_none_the_network_alone():
    chosen, judge = case()
    made = {}
    for share in SHARES:
        chosen.collaboration = share
        made[share] = estimate(chosen, judge)
    torch.testing.assert_close(made[0.5], (made[0.0] + made[1.0]) / 2)
    assert not torch.allclose(made[0.0], made[1.0])


def test_it_is_kept_in_checkpoint_and_model(tmp_path):
    chosen, judge = case()
    kept = Checkpoint(tmp_path / "kept")
    kept.claim({})
    choose_share(chosen, judge, part=kept.part("last-pass"))
    again, _ = case()
    choose_share(again, None, part=kept.part("last-pass"))  # nobody is asked again
    assert again.card["last_pass"] == chosen.card["last_pass"]
    chosen.collaboration = 0.5
    save_denoiser(chosen, tmp_path / "model.g2g")
    assert load_denoiser(tmp_path / "model.g2g", device="cpu").collaboration == 0.5


def test_without_the_pass_nothing_is_asked():
    chosen = denoiser(noise_model(), collaborate=False)
    choose_share(chosen, None)
    assert "last_pass" not in chosen.card
