"""The noise model: measured, learned, judged, and refused where it cannot be trusted."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import CPU, blurred_noise, covariance, noise_model, scene
from training_core import run as job
from training_core.errors import TooFewPatchesError
from training_core.networks.published import NoiseGenerator
from training_core.noise import adversarial as noise_game
from training_core.noise.adversarial import made_patches, start, train_generator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import LAGS, autocovariance, detrended
from training_core.noise.generator import MeasuredGenerator, ResampledNoise
from training_core.noise.match import NoiseMatch, compare_noise
from training_core.noise.measurement import Measurement, measure_noise
from training_core.noise.model import GaussianNoise, PublishedNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Cancelled, NoiseReady, Note, Run, ShownRegion, Stage, StepsDone
from training_core.settings import NoiseModelSettings

FEW = NoiseModelSettings(steps=6, batch=4, crop_px=24)


def unit_noise(blur, count=60, size=32, seed=1):
    return blurred_noise((count, size, size), blur, seed).astype(np.float32)


def train(noise, blur, settings=FEW, seed=0, run=None, **shown):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return train_generator(
            measurement(noise, blur), settings, seed=seed, device=CPU, run=run or Run(), **shown
        )


def measurement(noise, blur=0.0):
    curve = NoiseCurve(np.zeros(1), np.ones(1))
    return Measurement(Stabiliser(), curve, covariance(blur), detrended(noise), np.ones(len(noise)))


def blobs(count=200, size=32):
    """Give what no bent Gaussian noise is like, so that the game is played to its end."""
    sparse = np.random.default_rng(5).random((count, size, size)) < 0.02
    return gaussian_filter(sparse.astype(np.float32), (0, 1, 1))


def heavy_noise(count=60, size=32, seed=4):
    heavy = np.random.default_rng(seed).laplace(0, 0.5**0.5, (count, size, size))
    return heavy.astype(np.float32)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_gaussian_noise_matches_as_it_is_measured(blur):
    events = []
    generator, match = train(unit_noise(blur), blur, run=Run(events.append))
    assert match.good
    (note,) = (event for event in events if isinstance(event, Note))
    assert note.text == f"The noise as measured matches the patches ({match.score:.0f} %)."
    (done,) = (event for event in events if isinstance(event, StepsDone))
    assert (done.done, done.losses) == (6, {})  # no step is taken
    with torch.no_grad():
        white = torch.randn(200, 1, 62, 62, generator=torch.Generator().manual_seed(9))
        made = generator(white)[:, 0].numpy()
    assert made.std() == pytest.approx(1.0, abs=0.02)
    measured = autocovariance(made)[LAGS, LAGS : LAGS + 4]
    assert np.abs(measured - covariance(blur)[LAGS, LAGS : LAGS + 4]).max() < 0.06


def test_training_reports_every_loss_and_the_last_step():
    events = []
    train(blobs(), 1.0, run=Run(events.append))
    done = [event for event in events if isinstance(event, StepsDone)]
    assert (done[-1].stage, done[-1].done, done[-1].total) == (Stage.NOISE_MODEL, 6, 6)
    assert set(done[-1].losses) == {"critic", "generator"}
    assert 0.5 < done[0].losses["critic"] < 4.0  # the hinge loss of an untrained critic is about 2


def test_who_watches_the_game_sees_what_the_generator_makes_at_that_moment(monkeypatch):
    monkeypatch.setattr(noise_game, "NOISE_SECONDS", 0.0)
    monkeypatch.setattr(job, "SHOWING", 1e9)
    events, noise = [], blobs()
    run = Run(events.append)
    run.watch(ShownRegion(0, 0, 0, 8, 8))

    def spoil(game):
        step(game)
        if len(game.losses) == 6:
            with torch.no_grad():  # into white noise
                game.kept.linear.weight.zero_()[0, 0, 0, 0] = 1.0

    step = noise_game.NoiseGame.step
    monkeypatch.setattr(noise_game.NoiseGame, "step", spoil)
    train(noise, 1.0, run=run, cut=100 + 20 * noise, channel=2)
    shown = [event for event in events if isinstance(event, NoiseReady)]
    assert (shown[0].channel, shown[0].step, shown[-1].step) == (2, 0, 6)
    first, last = shown[0].likeness, shown[-1].likeness
    assert np.array_equal(first.real, last.real)
    assert first.along_x[0, 1] > 0.5  # the real noise
    assert first.along_x[1, 1] == pytest.approx(first.along_x[0, 1], abs=0.1)  # as measured
    assert last.along_x[1, 1] == pytest.approx(0.0, abs=0.05)  # as spoilt
    assert "differs from the real noise" in last.sentence
    assert np.allclose(first.levels.mean(), 100, atol=20)


def test_watching_changes_nothing():
    run = Run()
    run.watch(ShownRegion(0, 0, 0, 8, 8))
    one, _ = train(blobs(), 1.0)
    other, _ = train(blobs(), 1.0, run=run, cut=100 + 20 * blobs())
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_real_patches_stand_in_for_a_generator_that_did_not_converge():
    events = []
    one_step = NoiseModelSettings(steps=1, batch=2, crop_px=16)
    maker, match = train(blobs(), 1.0, one_step, run=Run(events.append))
    assert isinstance(maker, ResampledNoise)
    notes = [event for event in events if isinstance(event, Note)]
    assert len(notes) == 1
    assert notes[0].warning
    assert "does not match the patches (std" in notes[0].text
    assert f"re-sampled real noise stands in for it (match {match.score:.0f} %)." in notes[0].text


def test_measured_noise_stands_in_where_it_is_best(monkeypatch):
    def ruined(game, *_):
        with torch.no_grad():
            game.kept.linear.weight.zero_()[0, 0, 0, 0] = 1.0  # white, whatever it is shown

    monkeypatch.setattr(noise_game, "_play", ruined)
    events = []
    maker, match = train(unit_noise(0.7), 0.7, run=Run(events.append))
    assert isinstance(maker, MeasuredGenerator)
    assert match.score > 90
    (note,) = (event.text for event in events if isinstance(event, Note))
    assert "noise with the measured spectrum and histogram stands in for it" in note


def test_comparison_sees_strength_correlation_and_tails():
    real, white = unit_noise(0.0, seed=1), unit_noise(0.0, 1000, seed=2)
    same = compare_noise(white, real, np.ones(60))
    assert same.good
    assert same.score > 97
    assert same.std_ratio == pytest.approx(1.0, abs=0.01)
    assert compare_noise(white, real, np.full(60, 0.8)).score == pytest.approx(75, abs=1)
    blurred = compare_noise(unit_noise(0.8, 1000), real)
    assert blurred.correlation == pytest.approx(covariance(0.8)[LAGS, LAGS + 1], abs=0.03)
    assert blurred.spectrum > 0.3
    heavy = compare_noise(white, heavy_noise())
    assert heavy.kurtosis == pytest.approx(0.5, abs=0.05)  # 3 instead of 6
    assert heavy.correlation < 0.03
    assert not heavy.good
    assert not blurred.good


def test_sampling_error_covers_what_a_perfect_generator_differs_by():
    white = unit_noise(0.5, 500, seed=2)
    found = [compare_noise(white, unit_noise(0.5, 40, seed=s)) for s in range(10, 30)]
    for name in ("correlation", "spectrum", "kurtosis"):
        beyond = [getattr(m, name) > getattr(m, f"{name}_error") for m in found]
        assert np.mean(beyond) <= 0.25  # 5 % are meant; the made noise has an error as well
        assert np.mean([getattr(m, f"{name}_error") for m in found]) < 0.05
    few = compare_noise(white, unit_noise(0.5, 10, seed=3))
    assert few.correlation_error > found[0].correlation_error


def test_a_score_of_95_is_the_limit():
    assert NoiseMatch(1.0, 0.02, 0.03, 0.10).score == pytest.approx(95)
    assert NoiseMatch(0.9, 0.02, 0.03, 0.10).score == pytest.approx(90)
    assert NoiseMatch(1.0, 0.049, 0.049, 0.099).good
    assert not NoiseMatch(1.0, 0.051, 0.0, 0.0).good
    assert not NoiseMatch(1.0, 0.0, 0.051, 0.0).good
    assert not NoiseMatch(1.0, 0.0, 0.0, 0.11).good
    assert NoiseMatch(1.0, 0.06, 0.0, 0.0, correlation_error=0.02).good
    assert NoiseMatch(3.0, 0.0, 0.0, 0.0).score == 0


def test_older_judgements_say_nothing_comparable():
    match = NoiseMatch(1.0, 0.02, 0.03, 0.10, 0.01, 0.01, 0.02)
    assert NoiseMatch.from_dict(asdict(match)) == match
    assert NoiseMatch.from_dict({"correlation": 0.02, "kurtosis": 0.2}) is None
    assert NoiseMatch.from_dict(None) is None


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_resampled_noise_keeps_variance_correlation_and_tails(blur):
    real = detrended(unit_noise(blur, 100)) if blur else detrended(heavy_noise(100))
    maker = ResampledNoise.of(real, (0, 2, 4, 6))
    made = maker.sample(64, 80, 70, torch.Generator().manual_seed(1))
    assert made.shape == (64, 1, 80, 70)
    variance = made.square().mean(dim=(0, 1)).numpy()
    assert variance.mean() == pytest.approx(1.0, abs=0.02)
    edge, seam = np.concatenate([variance[:8], variance[-8:]]), variance[30:50]
    assert edge.mean() == pytest.approx(seam.mean(), rel=0.06)  # no place differs from another
    assert abs(float(made.mean())) < 0.01
    match = compare_noise(made_patches(maker, 32, torch.Generator().manual_seed(2)), real)
    assert match.correlation < 0.03
    assert match.kurtosis < 0.2


def test_resampled_noise_is_decided_by_its_generator_alone():
    maker = ResampledNoise.of(detrended(unit_noise(0.5, 30)), tuple(range(8)))
    again = [maker.sample(2, 40, 50, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(again[0], again[1])
    assert not torch.equal(again[0], again[2])
    assert not torch.equal(again[0][0], again[0][1])


def test_resampled_noise_is_turned_only_as_allowed():
    ramp = np.tile(np.linspace(-1, 1, 16, dtype=np.float32), (3, 16, 1))  # differs along x alone

    def across(ways):
        made = ResampledNoise.of(ramp, ways).sample(20, 40, 40, torch.Generator().manual_seed(0))
        return float(made.diff(dim=-2)[..., 5:8, :].abs().mean())

    kept, turned = across((0, 2, 4, 6)), across(tuple(range(8)))
    assert turned > 1.3 * kept


def test_the_game_ends_at_the_first_look_that_finds_a_match(monkeypatch):
    monkeypatch.setattr(noise_game, "STEPS_TO_A_LOOK", 4)
    looked, judged = [], NoiseMatch.good.fget

    def good(match):
        looked.append(match)
        return len(looked) > 2 and judged(match)

    monkeypatch.setattr(NoiseMatch, "good", property(good))
    events = []
    train(unit_noise(0.0), 0.0, NoiseModelSettings(steps=50), run=Run(events.append))
    (note,) = (event.text for event in events if isinstance(event, Note))
    assert "after 8 of 50 steps" in note


def test_same_seed_same_generator():
    weights = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            game = noise_game.NoiseGame(unit_noise(0.5), covariance(0.5), FEW, seed, CPU)
            game.step()
        weights.append(torch.cat([p.flatten() for p in game.kept.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_finish_early_keeps_what_was_learned():
    events = []
    run = Run(events.append)
    run.stop_and_keep()
    train(blobs(), 1.0, NoiseModelSettings(steps=500), run=run)
    assert [event.done for event in events if isinstance(event, StepsDone)] == [1]


def test_training_can_be_cancelled():
    run = Run(lambda event: run.cancel())
    with pytest.raises(Cancelled):
        train(unit_noise(0.0), 0.0, run=run)


def test_gaussian_noise_is_measured_in_full():
    clean = scene(256, 256)
    noisy = (clean + 20.0 * blurred_noise(clean.shape, 0.7, seed=5)).astype(np.float32)
    patches = (130.0 + 20.0 * blurred_noise((80, 32, 32), 0.7, seed=6)).astype(np.float32)
    found = measure_noise([noisy], patches, NoiseModelSettings(), linear=False)
    stabiliser, curve, measured, unit, strengths, *_ = found
    assert strengths.mean() == pytest.approx(1.0, abs=0.06)
    assert stabiliser.gain == 0
    # the standard deviation in stack units, whatever way scale and curve share it
    level = stabiliser.forward(np.array([130.0]))
    assert stabiliser.scale * curve(level)[0] == pytest.approx(20.0, rel=0.06)
    assert measured[LAGS, LAGS] == pytest.approx(1.0)
    assert measured[LAGS, LAGS + 1] == pytest.approx(covariance(0.7)[LAGS, LAGS + 1], abs=0.06)
    assert unit.shape == (80, 32, 32)


def test_patches_that_hold_structure_make_no_noise():
    noise = 20.0 * blurred_noise((80, 32, 32), 0, seed=6)
    textured = noise.copy()
    textured[[7, 30, 61]] += 60.0 * blurred_noise((3, 32, 32), 1.0, seed=8)
    frame = (130.0 + 20.0 * blurred_noise((256, 256), 0, seed=5)).astype(np.float32)
    patches = (130.0 + textured).astype(np.float32)
    measured = measure_noise([frame], patches, NoiseModelSettings(), linear=False)
    assert len(measured.noise) == len(measured.strengths) == 77
    assert np.square(measured.strengths).mean() == pytest.approx(1.0, abs=0.08)
    linear = measure_noise([frame], patches, NoiseModelSettings(), linear=True)
    assert len(linear.noise) == 80  # the noise of CT follows the place


def test_ct_noise_is_never_stabilised():
    rng = np.random.default_rng(7)
    clean = scene(128, 128, 100, 2000)
    noisy = rng.poisson(clean).astype(np.float32)
    patches = rng.poisson(400.0, (40, 32, 32)).astype(np.float32)
    fitted, *_ = measure_noise([noisy], patches, NoiseModelSettings(), linear=False)
    assert fitted.gain == pytest.approx(1.0, rel=0.15)
    for settings, linear in (
        (NoiseModelSettings(), True),
        (NoiseModelSettings(stabilise=False), False),
    ):
        kept, *_ = measure_noise([noisy], patches, settings, linear=linear)
        assert kept.gain == 0
        assert kept.scale == pytest.approx(20.0, rel=0.03)


def test_patches_without_noise_are_refused():
    clean = scene(64, 64).astype(np.float32)
    with pytest.raises(TooFewPatchesError, match="every pixel is equal"):
        measure_noise([clean], np.full((30, 16, 16), 9.0, np.float32), FEW, linear=False)


def test_samples_have_the_learned_statistics():
    noise = noise_model(0.7)
    noise.generator.hold_scale(torch.Generator().manual_seed(0))
    made = noise.sample(30, 40, 56, torch.Generator().manual_seed(1))
    assert made.shape == (30, 1, 40, 56)
    assert float(made.std()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(made, noise.sample(30, 40, 56, torch.Generator().manual_seed(1)))
    assert not torch.equal(made, noise.sample(30, 40, 56, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("shape", [(64, 64), (20, 30), (65, 150)])
def test_the_published_generator_fills_any_size(shape):
    torch.manual_seed(8)
    g1 = NoiseGenerator().eval()
    curve = NoiseCurve(np.zeros(1), np.array([0.05]))
    noise = PublishedNoise(Stabiliser(), curve, covariance(), g1, None, 10)
    made = noise.sample(3, *shape, torch.Generator().manual_seed(1))
    assert made.shape == (3, 1, *shape)
    latent = torch.randn(
        3 * (shape[0] // 65 + 1) * (-(-shape[1] // 64)),
        128,
        generator=torch.Generator().manual_seed(1),
    )
    first = g1(latent)[0, 0]
    height, width = (min(n, 64) for n in shape)
    assert torch.allclose(0.05 * made[0, 0, :height, :width], first[:height, :width])
    added = noise.add_noise(torch.ones(3, 1, *shape), torch.Generator().manual_seed(1))
    assert torch.allclose(added, 1 + 0.05 * made)


def test_added_noise_grows_with_the_signal():
    curve = NoiseCurve(np.array([0.0, 10.0]), np.array([1.0, 3.0]))
    noise = noise_model(curve=curve)
    clean = torch.zeros(1, 1, 128, 256)
    clean[..., 128:] = 10.0
    made = noise.add_noise(clean, torch.Generator().manual_seed(2)) - clean
    assert float(made[..., :128].std()) == pytest.approx(1.0, abs=0.05)
    assert float(made[..., 128:].std()) == pytest.approx(3.0, abs=0.15)


def test_only_noise_alike_both_ways_may_be_turned():
    assert noise_model(0.7).orientations == tuple(range(8))
    uneven = covariance(0.0)
    uneven[LAGS, LAGS + 1] = uneven[LAGS, LAGS - 1] = 0.5
    base = noise_model()
    model = GaussianNoise(base.stabiliser, base.curve, uneven, base.generator, None, 1)
    assert model.orientations == (0, 2, 4, 6)


def test_statistics_in_stack_units():
    linear = noise_model(0.7, Stabiliser(scale=20.0))
    assert linear.stack_sigma() == pytest.approx(20.0)
    told = linear.statistics()
    assert told["sigma"] == pytest.approx(20.0)
    assert told["correlation_x"] == told["correlation_y"]
    assert told["correlation_x"][0] == 1.0
    # 4 (value) + 100 at value 225 has the standard deviation 31.6
    middle = NoiseCurve(Stabiliser(4.0, 100.0).forward(np.array([225.0])).astype(float), np.ones(1))
    grown = noise_model(0.0, Stabiliser(4.0, 100.0), middle)
    assert grown.stack_sigma() == pytest.approx(1000**0.5, rel=0.01)


def test_strength_of_few_photons_follows_the_fit():
    few = Stabiliser(20.0, 40.0)
    level = few.forward(np.array([5.0])).astype(float)
    left = NoiseCurve(level, np.full(1, 0.35))  # the transform leaves a third of unit noise here
    value = float(few.inverse(level.astype(np.float32))[0])
    assert value > 4
    sigma = noise_model(0.0, few, left).stack_sigma()
    assert sigma == pytest.approx((20 * value + 40) ** 0.5, rel=0.001)


def test_the_bend_starts_at_the_measured_histogram():
    heavy = heavy_noise(200)
    generator = start(covariance(0.0), heavy)
    generator.hold_scale(torch.Generator().manual_seed(1))
    match = compare_noise(made_patches(generator, 32, torch.Generator().manual_seed(2)), heavy)
    assert match.kurtosis < 0.1
    assert match.correlation < 0.03
