"""Noise of which a few pixels hold most, learned again from what the bundled network takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, noise_model, noise_of, scene
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.errors import ModelError
from training_core.noise.figures import Recording
from training_core.noise.synthetic import mixture
from training_core.run import SILENT, Run
from training_core.settings import Settings
from training_core.training.heavy_tails import learn_tails, with_tails
from training_core.training.start import bundled_start
from training_core.training.task import Task
from training_core.wording import held_by_few

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
    return [Region(torch.from_numpy(image.astype(np.float32)), of) for image in noisy]


def drawn(noise):
    unit = noise.sample(2, 400, 400, torch.Generator().manual_seed(1)).numpy()
    return np.quantile(unit * noise.curve.sigmas.mean(), QUANTILES)


def tails(noisy, *changed, settings=None):
    """Give the channels that take the place of those that are to change, and of no others."""
    learned = learn_tails(settings or Settings(), noisy, CPU, SILENT)
    assert list(learned) == list(changed)
    return learned.values()


def test_what_the_network_takes_from_calm_places_tells_what_the_noise_is_like():
    known, truth = channel(), np.quantile(TRUTH, QUANTILES)
    before = np.abs(drawn(known.noise) - truth)
    (learned,) = tails(regions(known), known)
    assert np.abs(drawn(learned.noise) - truth)[-2:].sum() < 0.5 * before[-2:].sum()
    assert np.abs(drawn(known.noise) - truth).tolist() == before.tolist()  # stays as it was
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
    images = [Region(torch.from_numpy(image.astype(np.float32)), known) for image in noisy]
    (learned,) = tails(images, known)
    assert learned.noise.curve.sigmas.mean() == pytest.approx(broad.std(), rel=0.06)
    assert drawn(learned.noise) == pytest.approx(np.quantile(broad, QUANTILES), rel=0.15)


@pytest.mark.parametrize("recorded", [True, False])
def test_areas_without_noise_tell_nothing_of_it(recorded):
    known = channel()
    if recorded:
        known = replace(known, recording=Recording(lowest=100.0))
    noisy = regions(known)
    for region in noisy:
        region.image[:32] = 100.0  # cut off, or padding: calm, and without noise
    (learned,) = tails(noisy, known)
    assert learned.noise.curve.sigmas.mean() == pytest.approx(TRUTH.std(), rel=0.1)
    assert learned.recording == known.recording


def test_channels_are_learned_each_for_itself():
    few, known = channel(), channel()
    noisy = [*regions(few, size=32), *regions(known)]
    (learned,) = tails(noisy, known)
    (alone,) = tails(regions(known), known)
    assert drawn(learned.noise).tolist() == drawn(alone.noise).tolist()
    assert not tails([])


def test_noise_that_would_be_twice_as_strong_is_not_believed():
    weak = replace(channel(), noise=noise_of(TRUTH, TRUTH.std() / 3))
    assert not tails(regions(weak))


def test_without_the_weights_the_noise_stays_as_it_is(monkeypatch):
    def missing(*_):
        raise ModelError("pretrained.safetensors is missing.")

    monkeypatch.setattr("training_core.training.start.load_pretrained", missing)
    told = []
    assert learn_tails(Settings(), regions(channel()), CPU, Run(told.append)) == {}
    assert "is missing. The noise stays as the smooth patches have it." in told[0].text


def test_a_network_of_its_own_units_keeps_them():
    settings = Settings()
    settings = replace(settings, denoiser=replace(settings.denoiser, network="compact"))
    known = replace(channel(), spread=60.0)
    start = bundled_start(settings, [known], CPU)
    assert start.channels[0].spread == pytest.approx(known.noise.curve.sigmas.mean())
    (learned,) = tails(regions(known), known, settings=settings)
    assert learned.spread == 60.0
    assert learned.noise.curve.sigmas.mean() == pytest.approx(TRUTH.std(), rel=0.06)


def test_a_training_goes_on_with_the_tails_where_there_are_any():
    known, plain = channel(), Channel(noise_model(), 200.0, 1.0)
    noisy = [*regions(plain, count=1), *regions(known)]
    start = replace(bundled_start(Settings(), [plain, known], CPU), channels=(plain, known))
    notes = []
    task = Task(Settings(), CPU, Run(notes.append))
    denoiser, moved, numbers = with_tails(start, noisy, task)
    assert numbers == (2,)
    assert start.channels == (plain, known)
    assert denoiser.channels[0] is plain
    assert denoiser.channels[1].noise is not known.noise
    assert [region.channel for region in moved] == [denoiser.channels[i] for i in (0, 1, 1)]
    assert all(new.image is old.image for new, old in zip(moved, noisy, strict=True))
    assert [note.text for note in notes] == [held_by_few(numbers, 2)]
    same, unmoved, none = with_tails(replace(start, channels=(plain,)), noisy[:1], task)
    assert same.channels == (plain,)
    assert ([region.channel for region in unmoved], none) == ([plain], ())
