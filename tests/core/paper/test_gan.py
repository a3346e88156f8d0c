"""The published adversarial stage: what a step updates, and the loop."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training_core.compute.checkpoint import Checkpoint
from training_core.errors import InputError
from training_core.networks.published import Critic, DnCNN, UNet
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import detrended
from training_core.noise.likeness import RealNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.paper import gan as paper_gan
from training_core.paper.gan import NETWORKS, AdversarialGame, CropSource, _rate, train_paper_gan
from training_core.run import (
    Cancelled,
    NoiseReady,
    Run,
    ShownRegion,
    Stage,
    StageFinished,
    StepsDone,
)
from training_core.settings import DenoiserSettings, NoiseModelSettings, Settings, preset

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Keep the depth of the published networks, with fewer channels."""
    wide = paper_gan.paper_network

    def thin(kind, depth, *, sigmoid=False):
        return DnCNN(depth, 8, sigmoid=sigmoid) if kind == "dncnn" else wide(kind, sigmoid=sigmoid)

    monkeypatch.setattr(paper_gan, "paper_network", thin)
    monkeypatch.setattr(paper_gan, "Critic", lambda: Critic(16))


def small_batch(rng, count=2):
    noise = rng.normal(0, 0.1, (count, 96, 96)).astype(np.float32)
    frames = [rng.random((80, 70), dtype=np.float32) for _ in range(2)]
    return CropSource(noise, frames, count, seed=3).draw()


def test_weights_of_the_losses_count():
    settings = NoiseModelSettings(
        critic_steps=1, noise_weight=0.0, image_weight=0.0, cycle_weight=10.0
    )
    game = AdversarialGame(settings, "dncnn", 5, CPU)
    before = [p.clone() for p in game.g1.parameters()]
    still = [p.clone() for p in game.g3.parameters()]
    game.step(*small_batch(np.random.default_rng(2)))
    assert all(torch.equal(a, b) for a, b in zip(before, game.g1.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(still, game.g3.parameters(), strict=True))


def test_rate_is_constant_for_a_third_and_then_falls():
    rates = [_rate(step, 300) for step in range(300)]
    assert rates[:110] == [1.0] * 110
    assert rates[110] == pytest.approx(0.95)
    assert rates[200] == pytest.approx(0.5)
    assert rates[299] == pytest.approx(0.05)


def test_rate_scales_the_generators_only():
    settings = NoiseModelSettings(critic_steps=1)
    game = AdversarialGame(settings, "dncnn", 5, CPU)
    before = deepcopy((game.g2.state_dict(), game.c1.state_dict()))
    game.step(*small_batch(np.random.default_rng(4)), rate=0.0)
    for name, values in game.g2.named_parameters():
        assert torch.equal(values, before[0][name])
    assert not torch.equal(game.c1.layers[0].weight, before[1]["layers.0.weight"])


def test_crops_have_no_mean_and_repeat_with_the_seed():
    rng = np.random.default_rng(5)
    patches = (10 + rng.normal(0, 1, (3, 96, 96))).astype(np.float32)
    frames = [np.arange(64 * 200, dtype=np.float32).reshape(64, 200)]
    first, second = (CropSource(patches, frames, 8, seed=9) for _ in range(2))
    noise, noisy, latent = first.draw()
    assert noise.mean((1, 2, 3)).abs().max() < 1e-5
    assert (noise.shape, noisy.shape, latent.shape) == ((8, 1, 64, 64), (8, 1, 64, 64), (8, 128))
    assert all(
        torch.equal(a, b) for a, b in zip((noise, noisy, latent), second.draw(), strict=True)
    )
    across = {float(crop[0, 0, 1] - crop[0, 0, 0]) for crop in noisy}
    down = {float(crop[0, 1, 0] - crop[0, 0, 0]) for crop in noisy}
    assert (across, down) == ({1.0, -1.0}, {200.0, -200.0})  # flipped both ways, never turned


def without_batch_norm(game):
    """Let nothing of a crop depend on the others of its batch; double precision, too."""
    for name in NETWORKS:
        network = getattr(game, name).double()
        for chain in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
            for index, layer in enumerate(chain):
                if isinstance(layer, nn.BatchNorm2d):
                    chain[index] = nn.Identity()
    return game


@pytest.mark.parametrize(("name", "most", "parts"), [("g2", 2, 4), ("c1", 3, 2), ("g3", 1, 5)])
def test_a_full_memory_splits_the_step_and_changes_nothing_else(monkeypatch, name, most, parts):
    settings = NoiseModelSettings(critic_steps=2)
    notes = []
    whole, split = (
        without_batch_norm(AdversarialGame(settings, "dncnn", 5, CPU, run=Run(notes.append)))
        for _ in range(2)
    )
    network = getattr(split, name)
    forward = network.forward

    def limited(images):
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(images)

    monkeypatch.setattr(network, "forward", limited)
    for seed in range(2):
        crops = [part.double() for part in small_batch(np.random.default_rng(seed), count=5)]
        for game in (whole, split):
            game.step(*crops)
        assert torch.allclose(whole.losses[-1], split.losses[-1], rtol=1e-9)
    for learned in NETWORKS:
        pairs = zip(
            getattr(whole, learned).parameters(), getattr(split, learned).parameters(), strict=True
        )
        assert all(torch.allclose(a, b, rtol=0, atol=1e-9) for a, b in pairs), learned
    assert (split.parts.count, len(notes)) == (parts, 1)


def test_an_interrupted_stage_ends_with_the_same_weights(tmp_path):
    patches, frames, settings = tiny_job(4)
    expected = train_paper_gan(patches, frames, settings, device=CPU)

    def interrupt(event):
        if isinstance(event, StepsDone) and event.done == 2:
            run.cancel()

    run = Run(interrupt)
    run.tick_due = lambda: True  # type: ignore[method-assign]
    part = Checkpoint(tmp_path).part("gan")
    with pytest.raises(Cancelled):
        train_paper_gan(patches, frames, settings, device=CPU, run=run, part=part)
    events = []
    found = train_paper_gan(
        patches,
        frames,
        settings,
        device=CPU,
        run=Run(events.append),
        part=Checkpoint(tmp_path).part("gan"),
    )
    assert next(event.done for event in events if isinstance(event, StepsDone)) == 3
    assert torch.equal(*(torch.stack(game.losses) for game in (expected, found)))
    for ours, theirs in ((expected.g1, found.g1), (expected.g2, found.g2)):
        for key, values in ours.state_dict().items():
            assert torch.equal(values, theirs.state_dict()[key]), key


def tiny_job(steps, **noise_model):
    rng = np.random.default_rng(6)
    patches = rng.normal(0, 0.1, (4, 64, 64)).astype(np.float32)
    frames = [rng.random((64, 64), dtype=np.float32)]
    settings = Settings(
        seed=1,
        denoiser=DenoiserSettings(first_estimate="g2", network="dncnn"),
        noise_model=NoiseModelSettings(
            generator="g1", steps=steps, batch=2, crop_px=64, critic_steps=1, **noise_model
        ),
    )
    return patches, frames, settings


def test_training_gives_networks_and_history():
    events = []
    patches, frames, settings = tiny_job(3)
    trained = train_paper_gan(patches, frames, settings, device=CPU, run=Run(events.append))
    losses = torch.stack(trained.losses)
    assert losses.shape == (3, 3)
    assert losses.isfinite().all()
    assert not trained.g1.training
    assert not trained.g2.training
    estimate = trained.g2(torch.rand(1, 1, 20, 30))
    assert estimate.shape == (1, 1, 20, 30)
    assert ((estimate > 0) & (estimate < 1)).all()
    steps = [e for e in events if isinstance(e, StepsDone)]
    assert (steps[-1].done, steps[-1].total) == (3, 3)
    assert set(steps[-1].losses) == {"noise critic", "image critic", "cycle"}
    assert isinstance(events[-1], StageFinished)
    again = train_paper_gan(patches, frames, settings, device=CPU)
    assert torch.allclose(losses, torch.stack(again.losses), atol=1e-6)


def test_who_watches_sees_what_g1_makes():
    events = []
    patches, frames, settings = tiny_job(3)
    run = Run(events.append)
    run.watch(ShownRegion(0, 0, 0, 8, 8))
    curve = NoiseCurve(np.zeros(1), np.full(1, float(patches.std())))
    real = RealNoise(detrended(patches), patches, Stabiliser(), curve)
    trained = train_paper_gan(patches, frames, settings, device=CPU, run=run, real=real, channel=1)
    shown = next(event for event in events if isinstance(event, NoiseReady))
    assert (shown.channel, shown.step) == (1, 1)
    assert shown.likeness.made.std() == pytest.approx(1.0, abs=0.1)
    again = train_paper_gan(patches, frames, settings, device=CPU)
    assert torch.allclose(torch.stack(trained.losses), torch.stack(again.losses), atol=1e-6)


def test_stop_and_keep_ends_after_the_step_and_cancel_at_once():
    patches, frames, settings = tiny_job(1000)
    run = Run()
    run.stop_and_keep()
    kept = train_paper_gan(patches, frames, settings, device=CPU, run=run)
    assert len(kept.losses) == 1

    def cancel(event):
        if isinstance(event, StepsDone) and event.stage is Stage.NOISE_MODEL:
            run.cancel()

    run = Run(cancel)
    with pytest.raises(Cancelled):
        train_paper_gan(patches, frames, settings, device=CPU, run=run)


def test_too_small_patches_and_frames_are_refused():
    patches, frames, settings = tiny_job(1)
    with pytest.raises(InputError, match=r"The smooth patches are 32 px wide; .* needs 64 px\."):
        train_paper_gan(patches[:, :32, :32], frames, settings, device=CPU)
    with pytest.raises(InputError, match=r"The frames are 40 px across"):
        train_paper_gan(patches, [frames[0][:40]], settings, device=CPU)


def test_ct_uses_the_unet_for_its_estimate():
    patches, frames, settings = tiny_job(1)
    settings = replace(settings, denoiser=replace(settings.denoiser, network="unet"))
    trained = train_paper_gan(patches, frames, settings, device=CPU)
    assert isinstance(trained.g2, UNet)
    assert trained.g2.sigmoid


def test_paper_preset_is_the_published_schedule():
    settings = preset("paper")
    noise, denoiser, patches = settings.noise_model, settings.denoiser, settings.patches
    assert (patches.patch_size_px, patches.stride_px, patches.strictness) == (96, 24, 0.42)
    assert (noise.batch, noise.critic_steps, noise.crop_px) == (64, 5, 64)
    assert (noise.noise_weight, noise.image_weight, noise.cycle_weight) == (5, 1, 10)
    assert noise.steps == 20_500 // 64 * 30
    assert denoiser.steps == 20_500 // 128 * 30
    assert (denoiser.rounds, denoiser.batch, denoiser.learning_rate) == (3, 128, 1e-3)
    assert (denoiser.first_estimate, denoiser.network, denoiser.targets) == ("g2", "dncnn", "noisy")
