"""Noise of CT, which differs from place to place, brought to the same strength and back."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from tests.support.made_up import QUICKEST, block, blurred_noise, covariance, denoiser, noise_model
from training_core.denoise.channel import Channel
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.neighbours import NeighbourFrames
from training_core.denoise.tiled import denoise
from training_core.evaluation.contenders import Contest, g2g_contenders
from training_core.noise.covariance import autocovariance, detrended
from training_core.noise.local_strength import EvenNoise, turns
from training_core.noise.strength_curve import NoiseCurve
from training_core.patches.local_strength import evened_frame, local_sigma, tissue
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.patches.window_scores import score_windows
from training_core.pipeline import train
from training_core.place import PatchLocation
from training_core.reporting.noise_analysis import analyse_noise
from training_core.reporting.words import tell_card
from training_core.run import SILENT, Note, PreviewReady, Run, ShownRegion
from training_core.settings import PatchSettings, preset
from training_core.stack import Stack, cast_like, tell_flaws

CALM, LOUD = 20.0, 80.0
AIR = -1000.0


def strength(height, width):
    """Give the std of the noise of each pixel, from calm on the left to loud on the right."""
    return np.broadcast_to(CALM * (LOUD / CALM) ** np.linspace(0, 1, width), (height, width))


def ct(height=192, width=256, blur=0.0, seed=1, dtype=np.float32, dose=1.0):
    """Give a slice with air above tissue and an organ, its noise, and the slice without it."""
    clean = np.full((height, width), 40.0)
    clean[: height // 4] = AIR
    clean[height // 2 : height // 2 + 40, 60:120] = 90.0
    noise = dose * strength(height, width) * blurred_noise((height, width), blur, seed)
    return Stack((clean + noise).round().astype(dtype), "YX", value_unit="HU"), clean, noise


def test_the_strength_is_found_everywhere():
    stack, _, _ = ct()
    found, true = local_sigma(stack.frame(0)), strength(*stack.frame_shape)
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(found / true - 1)[inner].mean() < 0.05
    assert np.abs(found / true - 1)[inner].max() < 0.25


def test_edges_hardly_change_the_strength():
    flat = 30.0 * blurred_noise((128, 128), 0.0, 2)
    steps = flat + np.where(np.indices((128, 128)).sum(axis=0) > 128, 1500.0, 0.0)
    change = local_sigma(steps.astype(np.float32)) / local_sigma(flat.astype(np.float32))
    assert change.max() < 1.2


@pytest.mark.parametrize("shape", [(16, 16), (17, 40), (64, 31)])
def test_small_frames_have_a_strength_too(shape):
    found = local_sigma((10.0 * blurred_noise(shape, 0.0, 3)).astype(np.float32))
    assert found.shape == shape
    assert np.all((found > 5) & (found < 20))


def test_evened_noise_has_one_strength():
    stack, clean, _ = ct()
    even = EvenNoise.of([stack])
    evened = even.evened(stack)
    assert evened.dtype == np.float32
    assert evened.value_unit == "HU"
    left = (evened.frame(0) - clean * even.gain(stack.frame(0)))[80:-40, 20:-20]
    parts = np.array([part.std() for part in np.array_split(left, 6, axis=1)])
    assert parts == pytest.approx(even.sigma, rel=0.08)
    assert CALM < even.sigma < LOUD


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_way_back_gives_the_same_pixels(dtype):
    stack, _, _ = ct(dtype=dtype)
    movie = Stack(np.stack([stack.pixels, stack.pixels[::-1]]), "ZYX", value_unit="HU")
    even = EvenNoise.of([movie])
    evened = even.evened(movie)
    assert evened.dtype == np.float32
    pixels = [even.restored(evened.frame(index), movie, index) for index in range(2)]
    pixels = np.reshape(pixels, movie.shape)
    assert pixels == pytest.approx(movie.pixels, abs=0)


def test_what_does_not_fit_the_file_is_counted():
    stack, _, _ = ct(dtype=np.int16)
    even = EvenNoise.of([stack])
    evened = even.evened(stack).pixels
    evened[0, :7] = 1e6
    notes: list[str] = []
    pixels = even.restored(evened, stack, 0)
    tell_flaws(stack.with_pixels(pixels), stack, Run(lambda note: notes.append(note.text)))
    made = cast_like(stack.with_pixels(pixels), stack)
    assert notes == ["7 pixels were clipped to the range of int16."]
    assert np.all(made.pixels[0, :7] == np.iinfo(np.int16).max)


def test_another_exposure_is_evened_alike():
    stack, _, _ = ct()
    other, _, _ = ct(seed=9, dose=2.0)
    even = EvenNoise.of([stack])
    gain = even.gain(stack.frame(0))
    assert even.evened(other, like=stack).frame(0) == pytest.approx(gain * other.frame(0), rel=1e-5)
    assert even.gain(other.frame(0)).mean() < 0.6 * gain.mean()


def test_without_noise_there_is_nothing_to_even():
    flat = Stack(np.full((64, 64), 40, np.int16), "YX", value_unit="HU")
    assert EvenNoise.of([flat]) is None
    assert evened_frame(flat.frame(0)) == pytest.approx(40.0)


def test_whole_numbers_make_no_strength_of_their_own():
    rng = np.random.default_rng(13)
    soft = gaussian_filter(rng.standard_normal((192, 256)), 2.0)
    frame = np.rint(40 + 4.0 * soft / soft.std()).astype(np.int16)
    even = EvenNoise.of([Stack(frame, "YX", value_unit="HU")])
    gain = even.gain(frame.astype(np.float32))
    assert 0.7 < gain.min() <= gain.max() < 1.4


def test_any_dose_becomes_alike():
    even = EvenNoise(50.0)
    for dose in (0.05, 0.2, 3.0):
        stack, clean, _ = ct(dose=dose)
        gain = even.gain(stack.frame(0))
        left = (even.evened(stack).frame(0) - clean * gain)[80:-40, 20:-20]
        assert left.std() == pytest.approx(50.0, rel=0.12)


def test_neighbours_are_scaled_as_the_frame_between_them():
    first, _, _ = ct(seed=1)
    second, _, _ = ct(seed=2)
    volume = Stack(np.stack([first.pixels, second.pixels]), "ZYX", value_unit="HU")
    even = EvenNoise.of([volume])
    frames = NeighbourFrames(even.evened(volume), [noise_model()], 1, given=volume, even=even)
    (beside,) = frames.beside(0)
    assert beside == pytest.approx(volume.frame(1) * even.gain(volume.frame(0)), rel=1e-5)
    whole = PatchLocation(0, 0, *volume.frame_shape)
    assert np.array_equal(frames.cut(0, whole)[0], noise_model().stabiliser.forward(beside))


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 2)])
def test_slivers_keep_their_values(shape):
    stack = Stack(np.full(shape, 40.0, np.float32), "YX", value_unit="HU")
    even = EvenNoise(30.0)
    assert even.gain(stack.frame(0)).shape == shape
    pixels = even.restored(even.evened(stack).frame(0), stack, 0)
    assert np.array_equal(pixels, stack.pixels)


def test_padding_without_noise_stays_finite():
    stack, _, _ = ct()
    stack.pixels[:60] = -2000.0
    even = EvenNoise.of([stack])
    assert np.isfinite(even.evened(stack).pixels).all()
    assert even.gain(stack.frame(0)).max() == pytest.approx(5.0)  # LEAST


def test_smooth_patches_lie_in_tissue():
    stack, _, _ = ct()
    found = find_smooth_patches(stack)
    assert found.count > 60
    middles = found.locations[:, 1] + 16
    assert (middles > stack.frame_shape[0] // 4).all()
    other = find_smooth_patches(replace(stack, value_unit=""))
    assert (other.locations[:, 1] < 16).any()


def test_patches_are_taken_from_loud_places_too():
    stack, _, _ = ct()
    loud = [
        (find_smooth_patches(replace(stack, value_unit=unit)).locations[:, 2] > 150).mean()
        for unit in ("HU", "")
    ]
    assert loud[0] > 0.15


def test_air_alone_is_searched_all_the_same():
    air = AIR + 10.0 * blurred_noise((96, 96), 0.0, 4)
    assert find_smooth_patches(Stack(air.astype(np.float32), "YX", value_unit="HU")).count > 20


def test_the_published_rule_knows_no_tissue():
    frame = ct()[0].frame(0)
    strict = PatchSettings(strictness=0.3)
    plain, hounsfield = (score_windows(frame, strict, unit=unit) for unit in ("", "HU"))
    assert np.array_equal(plain.select(0.3), hounsfield.select(0.3))
    assert np.array_equal(plain.flatness, hounsfield.flatness)


def test_tissue_is_told_from_air():
    stack, clean, _ = ct()
    inside = tissue(stack.frame(0))
    assert (inside == (clean > -300)).mean() > 0.97


def test_the_analysis_says_where_noise_is_weak_and_strong():
    (found,) = analyse_noise(ct()[0])
    calm, loud = found.noise.places
    assert calm == pytest.approx(CALM * (LOUD / CALM) ** 0.05, rel=0.15)
    assert loud == pytest.approx(CALM * (LOUD / CALM) ** 0.95, rel=0.15)
    assert "in a usual place of the body" in found.sentence
    assert "same strength everywhere" in found.route.sentences[0]
    (fluorescence,) = analyse_noise(replace(ct()[0], value_unit=""))
    assert fluorescence.noise.places is None


def trained(stack, **noise_settings):
    settings = replace(
        preset("quick", device="cpu"),
        noise_model=replace(QUICKEST.noise_model, steps=30, **noise_settings),
        denoiser=replace(
            preset("quick").denoiser, first_estimate="shrinkage", rounds=1, steps=4, kept_noise=0.0
        ),
    )
    return train([stack], settings, run=Run(lambda event: None)).denoiser


@pytest.mark.trains
def test_noise_that_follows_the_place_is_removed_better():
    stack, clean, _ = ct(blur=0.6)
    errors = {}
    for by_place in (True, False):
        made = trained(stack, by_place=by_place)
        assert (made.even_noise is not None) == by_place
        error = denoise(stack, made).frame(0) - clean
        errors[by_place] = np.sqrt(np.square(error[80:-16, 16:-16]).mean())
    assert errors[True] < 0.85 * errors[False]


@pytest.mark.trains
def test_a_training_shows_and_gives_hounsfield_units():
    stack, clean, noise = ct(dtype=np.int16)
    pictures = []

    def see(event):
        if isinstance(event, PreviewReady):
            pictures.append(event)

    run = Run(see)
    run.watch(ShownRegion(0, 64, 0, 96, 96))
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, kept_noise=0.0))
    learned = train([stack], settings, run=run)
    made = learned.denoiser
    assert made.channels[0].noise.stack_sigma() == pytest.approx(made.even_noise.sigma, rel=0.2)
    shown = pictures[-1]
    assert np.array_equal(shown.noisy, stack.frame(0)[64:160, :96])
    assert shown.denoised.mean() == pytest.approx(clean[64:160, :96].mean(), abs=12)
    result = denoise(stack, made)
    assert cast_like(result, stack).dtype == np.int16
    inner = np.s_[80:-16, 16:-16]
    assert (result.frame(0) - clean)[inner].std() < 0.8 * noise[inner].std()
    assert result.frame(0)[inner].mean() == pytest.approx(stack.frame(0)[inner].mean(), abs=1.0)
    (first,) = [c for c in g2g_contenders(learned) if c.method == "first-estimate"]
    trial = Contest("slice", stack, {}, "ct")
    estimated = first.apply(trial, SILENT)
    assert (estimated - clean)[inner].std() < 0.8 * noise[inner].std()


def test_a_model_remembers_the_strength(tmp_path):
    made = denoiser(noise_model(), kept_noise=0.0)
    stack, _, _ = ct()
    for even in (None, EvenNoise(35.0)):
        made = replace(made, even_noise=even)
        path = save_denoiser(made, tmp_path / f"{even is None}.g2g")
        again = load_denoiser(path, device="cpu")
        assert again.even_noise == even
        assert np.array_equal(denoise(stack, again).pixels, denoise(stack, made).pixels)


@pytest.mark.parametrize("even", [None, EvenNoise(35.0)])
def test_kept_noise_is_a_share_of_what_was_removed(even):
    stack, _, _ = ct()
    loud = noise_model(curve=NoiseCurve(np.array([20.0]), np.full(1, 40.0)))
    made = replace(denoiser(loud, kept_noise=0.0), even_noise=even)

    def result(share, given=stack):
        chosen = replace(made.settings.denoiser, kept_noise=share)
        return denoise(given, replace(made, settings=replace(made.settings, denoiser=chosen)))

    none, quarter = result(0.0).pixels, result(0.25).pixels
    assert np.abs(none - stack.pixels).max() > 1
    assert quarter == pytest.approx(0.75 * none + 0.25 * stack.pixels, abs=1e-2)
    assert np.array_equal(result(None).pixels, result(0.2).pixels)
    plain = replace(stack, value_unit="")
    assert np.array_equal(result(None, plain).pixels, result(0.0, plain).pixels)


@pytest.mark.trains
def test_a_channel_of_one_block_still_trains():
    pixels = block(96, 96, 30.0, 80.0) + 25.0 * blurred_noise((96, 96), 0.0, 5)
    made = train([Stack(pixels.astype(np.int16), "YX", value_unit="HU")], QUICKEST).denoiser
    assert isinstance(made.channels[0], Channel)
    assert made.even_noise.sigma == pytest.approx(25.0, rel=0.1)


@pytest.mark.trains
def test_streaks_of_many_directions_are_learned_as_they_were_recorded():
    stack, clean, _ = ct(height=256)
    rng = np.random.default_rng(6)
    along = [gaussian_filter1d(rng.standard_normal(stack.shape), 0.8, axis=a) for a in (0, 1)]
    turned = np.where(np.arange(256) // 64 % 2, *(a / a.std() for a in along))
    streaked = replace(stack, pixels=(clean + 40.0 * turned).astype(np.float32))
    notes = []

    def hear(event):
        if isinstance(event, Note):
            notes.append(event.text)

    settings = replace(
        QUICKEST,
        denoiser=replace(
            QUICKEST.denoiser, network="pretrained", first_estimate="automatic", kept_noise=0.0
        ),
    )
    made = train([streaked], settings, run=Run(hear)).denoiser
    assert [one["round"] for one in made.card["rounds"]] == [1]
    assert made.card["chosen_round"] == 1
    assert made.collaboration == 1.0
    assert made.card["first_estimate"]["chosen"] == "noisier2noise"
    assert any("another direction in each place" in note for note in notes)
    facts = {fact.name: fact for fact in tell_card(made.card)}
    assert facts["Round"].value == "1 of 1"
    assert "another direction" in facts["Round"].meaning
    assert not facts["Round"].details
    assert "in each place" in facts["First estimate"].meaning
    plain = train([replace(stack, pixels=stack.pixels)], settings, run=Run(hear)).denoiser
    assert [one["round"] for one in plain.card["rounds"]] == [0, 1]
    assert "recorded_pairs" not in plain.card
    asked = replace(settings, noise_model=replace(settings.noise_model, by_place=False))
    assert len(train([streaked], asked).denoiser.card["rounds"]) == 2


@pytest.mark.parametrize("blur", [0.0, 0.6, 1.0])
def test_one_noise_does_not_turn(blur):
    assert not turns(detrended(blurred_noise((300, 32, 32), blur, 7)), covariance(blur))


def test_two_noises_turn():
    rng = np.random.default_rng(8)
    parts = [gaussian_filter1d(rng.standard_normal((100, 32, 32)), 0.7, axis=a) for a in (1, 2)]
    noise = detrended(np.concatenate(parts))
    assert turns(noise, autocovariance(noise, trendless=True))


def test_too_little_tissue_is_not_searched_alone():
    stack, _, _ = ct()
    stack.pixels[60:] = AIR + 20.0 * blurred_noise((132, 256), 0.0, 14)
    found = find_smooth_patches(stack)
    assert found.count > 60
    assert (found.locations[:, 1] > 70).any()
