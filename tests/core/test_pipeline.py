"""The whole job on tiny stacks: what goes in, what comes out, and every way to stop."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.made_up import QUICKEST, block, blurred_noise, noise_model, squared_error, stack
from training_core import pipeline
from training_core.costs import Costs
from training_core.denoise.channel import Channel
from training_core.denoise.tiled import denoise
from training_core.errors import InputError, TooFewPatchesError
from training_core.networks.pretrained import (
    PretrainedDenoiser,
    load_pretrained,
)
from training_core.networks.published import NoiseGenerator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.generator import ResampledNoise, StationaryGenerator
from training_core.paper.gan import first_network
from training_core.pipeline import denoise_stack, expected_time, train
from training_core.run import (
    Cancelled,
    Note,
    PreviewReady,
    RoundJudged,
    Run,
    ShownRegion,
    Stage,
    StageFinished,
    StageStarted,
    StepsDone,
)
from training_core.settings import PatchSettings, preset
from training_core.stack import PixelSize, cast_like
from training_core.training import as_published
from training_core.training import channels as learned_channels
from training_core.training.material import Material

STAGES = [
    Stage.PATCHES,
    Stage.NOISE_MODEL,
    Stage.FIRST_ESTIMATE,
    Stage.ROUNDS,
    Stage.DENOISE,
]


pytestmark = pytest.mark.trains


def noisy_stack(shape=(72, 72), sigma=20.0, blur=0.0, seed=0, dtype=np.uint16):
    clean = block(*shape, 200.0, 800.0)
    noisy = clean + sigma * blurred_noise(shape, blur, seed)
    noisy = np.rint(noisy) if np.dtype(dtype).kind != "f" else noisy
    return stack(noisy.astype(dtype)), clean


def with_denoiser(settings=QUICKEST, **changes):
    return replace(settings, denoiser=replace(settings.denoiser, **changes))


@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_noise_is_taken_off(blur):
    noisy, clean = noisy_stack((96, 96), blur=blur)
    outcome = denoise_stack(noisy, QUICKEST)
    before, after = (squared_error(s.pixels, clean) for s in (noisy, outcome.denoised))
    assert before > (7 if not blur else 3) * after
    assert outcome.denoised.pixels.mean() == pytest.approx(noisy.pixels.mean(), rel=5e-3)
    assert outcome.denoiser.channels[0].noise.stack_sigma() == pytest.approx(20.0, rel=0.15)


def test_photon_noise_is_taken_off_without_a_shift():
    clean = block(80, 80, 5.0, 60.0)
    noisy = stack(np.random.default_rng(1).poisson(clean).astype(np.uint8))
    outcome = denoise_stack(noisy, QUICKEST)
    assert squared_error(noisy.pixels, clean) > 4 * squared_error(outcome.denoised.pixels, clean)
    assert outcome.denoised.pixels.mean() == pytest.approx(noisy.pixels.mean(), rel=5e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_what_describes_the_stack_stays(dtype):
    clean = block(64, 80, 20.0, 120.0)
    pixels = clean + 5.0 * blurred_noise((2, 1, 64, 80), 0.0, seed=2)
    noisy = stack(
        pixels.astype(dtype), "TZYX", pixel_size=PixelSize(0.1, 0.1, 0.4), time_step_s=3.0
    )
    made = denoise_stack(noisy, QUICKEST).denoised
    assert made.pixels.shape == noisy.pixels.shape
    assert made.pixels.dtype == np.float32
    assert cast_like(made, noisy).pixels.dtype == dtype
    assert replace(made, pixels=noisy.pixels) == noisy
    assert squared_error(made.pixels, clean) < 0.3 * squared_error(noisy.pixels, clean)


def test_every_channel_has_its_own_noise():
    clean = np.stack([block(80, 80, 100, 300), block(80, 80, 2000, 2500)])
    noise = np.stack(
        [8.0 * blurred_noise((80, 80), 0.0, 3), 90.0 * blurred_noise((80, 80), 0.7, 4)]
    )
    outcome = denoise_stack(stack((clean + noise).astype(np.float32), "CYX"), QUICKEST)
    sigmas = [channel.noise.stack_sigma() for channel in outcome.denoiser.channels]
    assert sigmas == pytest.approx([8.0, 90.0], rel=0.2)
    correlations = [told["correlation_x"][1] for told in outcome.denoiser.card["noise"]]
    assert correlations[0] == pytest.approx(0.0, abs=0.08)
    assert correlations[1] == pytest.approx(0.6, abs=0.12)
    for made, noisy, true in zip(outcome.denoised.pixels, clean + noise, clean, strict=True):
        assert squared_error(made, true) < 0.4 * squared_error(noisy, true)


def test_several_stacks_train_one_denoiser():
    small, _ = noisy_stack((64, 64), seed=5)
    other, clean = noisy_stack((64, 80), seed=6)
    made = train([small, other], QUICKEST).denoiser
    assert made.card["trained_on"] == ["stack", "stack"]
    alone = train([small], QUICKEST).denoiser
    assert made.card["patches"] > alone.card["patches"]
    denoised = denoise(other, made)
    assert squared_error(denoised.pixels, clean) < 0.2 * squared_error(other.pixels, clean)


@pytest.mark.parametrize(
    ("spikes", "bright", "tailed"), [(0.05, False, True), (0.0, False, False), (0.05, True, False)]
)
def test_where_a_few_pixels_hold_the_noise_it_is_learned_again_from_what_the_network_takes(
    spikes, bright, tailed
):
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, network="pretrained", steps=1))
    rng, clean = np.random.default_rng(0), block(192, 192, 200.0, 800.0)
    few = rng.random(clean.shape) < spikes
    drawn = rng.standard_normal(clean.shape)
    noise = np.where(few, 60.0 * (np.abs(drawn) if bright else drawn), 4.0 * drawn)
    learned = train([stack((clean + noise).astype(np.float32))], settings)
    chosen = learned.denoiser
    assert chosen.card.get("heavy_tails", []) == [1] * tailed
    generator = chosen.channels[0].noise.generator
    again = isinstance(generator, ResampledNoise) and generator.patches.shape[1:] == (1, 1)
    assert again == tailed
    bundled = PretrainedDenoiser()
    load_pretrained(bundled)
    before = learned.history[0].state_dict()
    assert all(torch.equal(before[name], w) for name, w in bundled.state_dict().items())


def test_hounsfield_units_stay_linear():
    clean = block(64, 64, -900.0, 400.0)
    noise = (1.0 + (clean + 900.0) / 300.0) * 20.0 * blurred_noise((64, 64), 0.0, seed=7)
    noisy = stack(np.rint(clean + noise).astype(np.int16), value_unit="HU")
    made = train([noisy], QUICKEST).denoiser
    assert made.channels[0].noise.stabiliser.gain == 0


def test_a_masked_half_is_left_alone():
    noisy, clean = noisy_stack((96, 128))
    pixels = noisy.pixels.copy()
    pixels[:, 64:] = 0
    made = denoise_stack(stack(pixels), QUICKEST).denoised.pixels
    assert made[:, 80:].max() <= 2
    assert squared_error(made[:, :52], clean[:, :52]) < 0.3 * 400


def weights(made):
    parts = [made.network, *(channel.noise.generator for channel in made.channels)]
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def test_the_seed_decides():
    noisy, _ = noisy_stack((64, 64))
    first, second, other = (train([noisy], replace(QUICKEST, seed=s)).denoiser for s in (0, 0, 1))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))
    assert first.card["rounds"] == second.card["rounds"]


def test_the_random_numbers_of_others_are_left_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    train([noisy_stack((64, 64))[0]], QUICKEST)
    assert torch.equal(torch.rand(3), expected)


def test_the_card_tells_the_story():
    noisy, _ = noisy_stack((64, 64))
    card = train([noisy], QUICKEST).denoiser.card
    assert json.loads(json.dumps(card)) == card
    assert card["settings"] == QUICKEST.to_dict()
    assert (card["preset"], card["seed"], card["dtype"], card["axes"]) == (
        "quick",
        0,
        "uint16",
        "YX",
    )
    assert [told["round"] for told in card["rounds"]] == [0, 1]
    assert card["chosen_round"] in (0, 1)
    assert -0.1 < card["rounds"][1]["error"] < 0.5
    assert card["patches"] >= 20
    assert card["seconds"] > 0


def test_stages_come_in_order_and_end():
    events = []
    noisy, _ = noisy_stack((64, 64))
    denoise_stack(noisy, QUICKEST, run=Run(events.append))
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    assert list(dict.fromkeys(started)) == STAGES
    assert {event.stage for event in events if isinstance(event, StageFinished)} == set(STAGES)
    for stage in STAGES:
        last = [e for e in events if isinstance(e, StepsDone) and e.stage is stage][-1]
        assert last.done == last.total


@pytest.mark.parametrize(
    ("stage", "when"),
    [(s, "started") for s in STAGES] + [(s, "finished") for s in STAGES[:-1]],
)
def test_cancel_at_every_stage(stage, when):
    kind = StageStarted if when == "started" else StageFinished
    asked_at = []

    def cancel(event):
        if isinstance(event, kind) and event.stage is stage:
            asked_at.append(event)
            run.cancel()
        elif asked_at:
            late.append(event)

    late = []
    run = Run(cancel)
    noisy, _ = noisy_stack((64, 64))
    with pytest.raises(Cancelled):
        denoise_stack(noisy, QUICKEST, run=run)
    assert asked_at
    assert len(late) <= 1


@pytest.mark.parametrize("stage", [Stage.PATCHES, Stage.NOISE_MODEL, Stage.ROUNDS])
def test_stop_and_keep_gives_a_denoiser(stage):
    def stop(event):
        events.append(event)
        if isinstance(event, StageStarted) and event.stage is stage:
            run.stop_and_keep()

    events = []
    run = Run(stop)
    noisy, clean = noisy_stack((64, 64))
    long = with_denoiser(rounds=5, steps=1000)
    outcome = denoise_stack(noisy, long, run=run)
    steps = [e.done for e in events if isinstance(e, StepsDone) and e.stage is Stage.ROUNDS]
    assert steps == [1]
    assert squared_error(outcome.denoised.pixels, clean) < 0.2 * squared_error(noisy.pixels, clean)


def test_the_watched_region_is_shown():
    events = []
    run = Run(events.append)
    run.watch(ShownRegion(0, 40, 30, 500, 24))
    noisy, clean = noisy_stack((64, 80))
    train([noisy], with_denoiser(steps=2), run=run)
    shown = [event for event in events if isinstance(event, PreviewReady)]
    assert shown
    assert shown[0].region == ShownRegion(0, 40, 30, 24, 24)
    place = (slice(40, 64), slice(30, 54))
    assert np.array_equal(shown[0].noisy, noisy.pixels[place].astype(np.float32))
    assert shown[0].denoised.dtype == np.float32
    assert squared_error(shown[0].denoised, clean[place]) < 0.5 * 400
    assert [one.stage for one in shown] == [Stage.FIRST_ESTIMATE, Stage.ROUNDS][: len(shown)]
    judged = [event for event in events if isinstance(event, RoundJudged)]
    assert [one.round for one in judged] == [0, 1]
    assert all(one.decibels > 3 for one in judged)


def test_without_training_the_first_look_is_shown():
    events = []
    run = Run(events.append)
    run.watch(ShownRegion(0, 0, 0, 64, 64))
    noisy, clean = noisy_stack((64, 64))
    train([noisy], preset("instant", patches=QUICKEST.patches), run=run)
    (shown,) = (event for event in events if isinstance(event, PreviewReady))
    assert shown.stage is Stage.FIRST_ESTIMATE
    assert squared_error(shown.denoised, clean) < 0.5 * squared_error(shown.noisy, clean)


@pytest.mark.parametrize(
    "region",
    [ShownRegion(7, 0, 0, 20, 20), ShownRegion(0, 63, 0, 1, 20), ShownRegion(0, 90, 0, 9, 9)],
)
def test_a_region_beside_the_stack_is_not_shown(region):
    events = []
    run = Run(events.append)
    run.watch(region)
    train([noisy_stack((64, 64))[0]], with_denoiser(steps=2), run=run)
    assert not [event for event in events if isinstance(event, PreviewReady)]


def test_a_constant_stack_is_refused():
    with pytest.raises(InputError, match="Every pixel of stack has the value 7"):
        denoise_stack(stack(np.full((2, 64, 64), 7, np.uint8), "TYX"), QUICKEST)


def test_a_small_frame_is_refused():
    with pytest.raises(InputError, match="frames of 40 x 12 pixels; at least 16 x 16"):
        denoise_stack(stack(np.zeros((12, 40), np.uint8)), QUICKEST)


def test_nearly_constant_stacks_are_refused():
    pixels = np.full((64, 64), 50, np.uint8)
    pixels[30:33, 30:33] = 200
    with pytest.raises(
        InputError, match=r"^Every part of the stack holds saturated, zero or constant pixels"
    ):
        denoise_stack(stack(pixels), QUICKEST)


def test_too_few_patches_are_one_sentence_with_a_remedy():
    noisy, _ = noisy_stack((64, 64))
    strict = replace(QUICKEST, patches=PatchSettings(strictness=0.01, patch_size_px=32))
    with pytest.raises(
        TooFewPatchesError, match=r"^Found 0 smooth patches; at least 60 are needed"
    ):
        denoise_stack(noisy, strict)


def test_few_patches_are_a_warning():
    noisy, _ = noisy_stack((64, 64))
    events = []
    train([noisy], QUICKEST, run=Run(events.append))
    warnings = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert any("at least 60 are needed" in text for text in warnings)


def test_the_channel_without_patches_is_named():
    even, _ = noisy_stack((64, 64))
    coarse = np.kron(np.random.default_rng(0).integers(0, 2000, (16, 16)), np.ones((4, 4)))
    both = np.stack([even.pixels, coarse + even.pixels / 8]).astype(np.float32)
    strict = replace(QUICKEST, patches=PatchSettings(strictness=0.6, patch_size_px=16, stride_px=4))
    with pytest.raises(TooFewPatchesError, match=r"^Channel 2: Found 0"):
        train([stack(both, "CYX")], strict)


PATCHES_OF_64 = PatchSettings(strictness=0.6, patch_size_px=64, stride_px=4)


def tiny_paper(network):
    settings = preset("paper", device="cpu")
    return replace(
        settings,
        patches=PATCHES_OF_64,
        noise_model=replace(settings.noise_model, steps=1, batch=2),
        denoiser=replace(settings.denoiser, network=network, rounds=1, steps=2, batch=2),
    )


@pytest.mark.parametrize("network", ["dncnn", "unet"])
def test_the_published_method_runs_through(network):
    clean = np.full((96, 120), 500.0)
    clean[:, 60:] = 515.0
    noisy = clean + 30.0 * blurred_noise(clean.shape, 0.0, seed=8)
    outcome = denoise_stack(stack(noisy.astype(np.float32)), tiny_paper(network))
    noise = outcome.denoiser.channels[0].noise
    assert isinstance(noise.generator, NoiseGenerator)
    assert outcome.denoiser.channels[0].noise.stack_sigma() == pytest.approx(30.0, rel=0.15)
    assert np.isfinite(outcome.denoised.pixels).all()
    assert not np.array_equal(outcome.denoised.pixels, noisy.astype(np.float32))
    assert np.isfinite(outcome.denoiser.card["rounds"][0]["error"])


def test_the_published_method_works_in_one_unit_for_all_stacks():
    frames = 90 + 12 * blurred_noise((2, 80, 80), 0.0, seed=8)
    stacks = [stack(np.rint(frame + 40 * n).astype(np.uint8)) for n, frame in enumerate(frames)]
    made = train(stacks, tiny_paper("dncnn")).denoiser
    assert made.channels[0].noise.stabiliser == Stabiliser(offset=0.0, scale=255.0)
    assert made.channels[0].noise.stack_sigma() == pytest.approx(12.0, rel=0.1)


def test_what_follows_the_published_networks_is_done_where_it_is_asked_for():
    tiny = tiny_paper("dncnn")
    more = replace(tiny.denoiser, keep_brightness=True, collaborate=True, even_flat_areas=True)
    frame = 90 + 12 * blurred_noise((80, 80), 0.0, seed=8)
    made = train([stack(np.rint(frame).astype(np.uint8))], replace(tiny, denoiser=more)).denoiser
    (channel,) = made.channels
    assert channel.brightness.shifts.any()
    assert channel.flat_areas is not None
    assert set(made.card["last_pass"]["errors"]) == {"1.0", "0.5", "0.0"}
    assert made.collaboration == made.card["last_pass"]["share"]
    assert not any(one["warnings"] for one in made.card["rounds"])


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize(("name", "place"), [("paper", "cpu"), ("quick", "meta")])
def test_regions_of_which_crops_are_enough_stay_in_main_memory(name, place, monkeypatch):
    """The device holds no values; a training is stopped once its regions were brought there."""
    settings = replace(preset(name, device="cpu"), patches=PATCHES_OF_64)
    networks = SimpleNamespace(g1=NoiseGenerator(), g2=first_network(settings))
    known = ((Channel(noise_model()),), False)
    monkeypatch.setattr(as_published, "train_paper_gan", lambda *_args, **_more: networks)
    monkeypatch.setattr(learned_channels, "learn_channels", lambda *_: known)
    monkeypatch.setattr(pipeline, "choose_device", lambda *_args, **_more: torch.device("meta"))
    brought, bring = [], Material.stabilised

    def stop(*args):
        brought.extend(bring(*args))
        raise Cancelled

    monkeypatch.setattr(Material, "stabilised", stop)
    clean = np.full((96, 120), 500.0)
    with pytest.raises(Cancelled):
        train([stack(clean + 30.0 * blurred_noise(clean.shape, 0.0, seed=8))], settings)
    assert [region.image.device.type for region in brought] == [place]


def test_the_published_networks_with_the_convolutional_generator():
    noisy, _ = noisy_stack((64, 64))
    made = train([noisy], with_denoiser(network="dncnn", steps=1, batch=1)).denoiser
    assert isinstance(made.channels[0].noise.generator, StationaryGenerator)


def test_the_published_generator_needs_64_px():
    frame = np.random.default_rng(9).normal(100, 5, (60, 90)).astype(np.float32)
    small = replace(tiny_paper("dncnn"), patches=PatchSettings(patch_size_px=16, stride_px=4))
    with pytest.raises(InputError, match="64 px"):
        train([stack(frame)], small)


def test_a_job_tells_how_long_the_next_one_takes():
    noisy, _ = noisy_stack((64, 64))
    run, costs = Run(), Costs()
    assert expected_time(noisy, QUICKEST, costs) is None
    denoise_stack(noisy, QUICKEST, run=run)
    # As after a hundred such jobs: one alone may be over before anything is sure.
    costs.known = {
        machine: {kind: (100 * amount, 100 * seconds) for kind, (amount, seconds) in kinds.items()}
        for machine, kinds in run.costs.measured.items()
    }
    state = torch.get_rng_state()
    short = expected_time(noisy, QUICKEST, costs)
    assert 0 < short.least <= short.most
    assert expected_time(noisy, with_denoiser(steps=100_000), costs).most > 10 * short.most
    tiny = tiny_paper("dncnn")
    long = replace(tiny, noise_model=replace(tiny.noise_model, steps=10_000, critic_steps=1))
    assert expected_time(noisy, long, costs).least > 60
    assert torch.equal(torch.get_rng_state(), state)
