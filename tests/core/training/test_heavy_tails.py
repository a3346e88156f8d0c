"""Noise of which a few pixels hold most, learned again from what the bundled network takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, noise_model, noise_of, scene
from training_core.denoise.channel import Channel
from training_core.denoise.region import Estimate
from training_core.errors import ModelError
from training_core.noise.clipping import Recording
from training_core.noise.synthetic import mixture
from training_core.run import SILENT, Run
from training_core.selection.sure import RiskEstimator
from training_core.settings import Settings
from training_core.training import first_estimate
from training_core.training.estimate_task import EstimateTask
from training_core.training.first_estimate import METHODS, make_first_estimates
from training_core.training.heavy_tails import learn_tails
from training_core.training.start import bundled_start

STRENGTH = 25.0
TRUTH = mixture((1000, 1000), STRENGTH, 9).ravel()
QUANTILES = [0.0005, 0.005, 0.02, 0.05, 0.1]


def channel(texture=1.5):
    """Give what smooth patches tell of the noise: its core is as wide as their texture."""
    values = TRUTH + texture * np.random.default_rng(0).standard_normal(TRUTH.shape)
    sigma = float(values.std())
    return Channel(noise_of(values, sigma), 200.0, sigma)


def regions(of, count=2, size=128):
    clean = scene(size, size)
    noisy = [clean + mixture(clean.shape, STRENGTH, seed) for seed in range(count)]
    return [Estimate(torch.from_numpy(image.astype(np.float32)), of) for image in noisy]


def drawn(noise):
    unit = noise.sample(2, 400, 400, torch.Generator().manual_seed(1)).numpy()
    return np.quantile(unit * noise.curve.sigmas.mean(), QUANTILES)


def test_what_the_network_takes_from_calm_places_tells_what_the_noise_is_like():
    learned, truth = channel(), np.quantile(TRUTH, QUANTILES)
    before = np.abs(drawn(learned.noise) - truth)
    assert learn_tails(Settings(), regions(learned), CPU, SILENT) == [learned]
    assert np.abs(drawn(learned.noise) - truth)[-2:].sum() < 0.5 * before[-2:].sum()
    sigma = float(learned.noise.curve.sigmas.mean())
    assert sigma == pytest.approx(TRUTH.std(), rel=0.06)
    assert learned.spread == pytest.approx(sigma)  # the unit of the network
    unit = learned.noise.sample(1, 300, 300, torch.Generator().manual_seed(2))
    assert float(unit.std()) == pytest.approx(1.0, abs=0.03)


def test_noise_that_is_known_already_stays_what_it_is():
    rng = np.random.default_rng(0)
    broad = np.where(rng.random(10**6) < 0.05, 30.0, 5.0) * rng.standard_normal(10**6)
    clean, known = scene(160, 160), Channel(noise_of(broad, float(broad.std())), 200.0, 8.0)
    few = np.where(rng.random((2, 160, 160)) < 0.05, 30.0, 5.0)
    noisy = [clean + each * rng.standard_normal(clean.shape) for each in few]
    images = [Estimate(torch.from_numpy(image.astype(np.float32)), known) for image in noisy]
    learn_tails(Settings(), images, CPU, SILENT)
    assert known.noise.curve.sigmas.mean() == pytest.approx(broad.std(), rel=0.06)
    assert drawn(known.noise) == pytest.approx(np.quantile(broad, QUANTILES), rel=0.15)


@pytest.mark.parametrize("recorded", [True, False])
def test_areas_without_noise_tell_nothing_of_it(recorded):
    learned = channel()
    if recorded:
        learned.recording = Recording(lowest=100.0)
    noisy = regions(learned)
    for region in noisy:
        region.image[:32] = 100.0  # cut off, or padding: calm, and without noise
    assert learn_tails(Settings(), noisy, CPU, SILENT) == [learned]
    assert learned.noise.curve.sigmas.mean() == pytest.approx(TRUTH.std(), rel=0.1)


def test_channels_are_learned_each_for_itself():
    few, known = channel(), channel()
    noisy = [*regions(few, size=32), *regions(known)]
    before = few.noise
    assert learn_tails(Settings(), noisy, CPU, SILENT) == [known]
    assert few.noise is before
    assert learn_tails(Settings(), [], CPU, SILENT) == []


def test_noise_that_would_be_twice_as_strong_is_not_believed():
    learned = channel()
    learned.noise = noise_of(TRUTH, TRUTH.std() / 3)
    before = learned.noise
    assert learn_tails(Settings(), regions(learned), CPU, SILENT) == []
    assert learned.noise is before


def test_without_the_weights_the_noise_stays_as_it_is(monkeypatch):
    def missing(*_):
        raise ModelError("pretrained_heavy_tails.safetensors is missing.")

    monkeypatch.setattr("training_core.training.start.load_pretrained", missing)
    told = []
    assert learn_tails(Settings(), regions(channel()), CPU, Run(told.append)) == []
    assert "is missing. The noise stays as the smooth patches have it." in told[0].text


def test_a_network_of_its_own_units_keeps_them():
    settings = Settings()
    settings = replace(settings, denoiser=replace(settings.denoiser, network="compact"))
    learned = replace(channel(), spread=60.0)
    start = bundled_start(settings, [learned], CPU)
    assert start.channels[0].spread == pytest.approx(learned.noise.curve.sigmas.mean())
    learn_tails(settings, regions(learned), CPU, SILENT)
    assert learned.spread == 60.0
    assert learned.noise.curve.sigmas.mean() == pytest.approx(TRUTH.std(), rel=0.06)


@pytest.mark.parametrize("tails", [True, False])
def test_the_blind_score_tries_it_for_the_first_estimate_where_tails_are_heavy(monkeypatch, tails):
    usual = {name: METHODS[name] for name in ("shrinkage", "pretrained")}
    monkeypatch.setattr(first_estimate, "METHODS", usual)
    known = channel() if tails else Channel(noise_model(), 200.0, 1.0)
    noisy = regions(known, count=1)
    made, choice = make_first_estimates(
        EstimateTask(Settings(), noisy, CPU), RiskEstimator(noisy, 0, CPU)
    )
    assert [result.name for result in choice.results] == ["shrinkage", *["pretrained"] * tails]
    asked = replace(Settings(), denoiser=replace(Settings().denoiser, first_estimate="pretrained"))
    made, _ = make_first_estimates(EstimateTask(asked, noisy, CPU), RiskEstimator(noisy, 0, CPU))
    start = bundled_start(asked, [known], CPU)
    assert torch.equal(made[0].image, start.estimate(noisy[0].image, start.channels[0]))
