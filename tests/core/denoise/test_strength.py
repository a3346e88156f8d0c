"""The strength of a result, changed afterwards, is that of a result made with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support import made_up
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.strength import keeping, kept_again, kept_of
from training_core.denoise.tiled import denoise


def noisy_stack(**more):
    pixels = 100 + 20 * made_up.blurred_noise((2, 48, 48), 0.0, 1)
    return made_up.stack(pixels.astype(np.float32), "CYX", **more)


def two_channels(**settings):
    one = made_up.denoiser(made_up.noise_model(), mean=100.0, spread=20.0, **settings)
    return replace(one, channels=(one.channels[0], replace(one.channels[0], doubted=True)))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_another_strength_is_what_denoising_with_it_gives(share: float) -> None:
    stack, model = noisy_stack(), two_channels()
    result = denoise(stack, model)
    again = kept_again(result, stack, model, share)
    expected = denoise(stack, keeping(model, share))
    assert np.asarray(again.pixels) == pytest.approx(np.asarray(expected.pixels), abs=2e-4)


def test_the_most_that_any_channel_keeps_is_told() -> None:
    assert kept_of(two_channels(), noisy_stack()) == 0.8
    assert kept_of(two_channels(kept_noise=0.1), noisy_stack()) == 0.1
    one = two_channels()
    assert kept_of(replace(one, channels=one.channels[:1]), noisy_stack(value_unit="HU")) == 0.2


def test_the_strength_is_in_the_card_and_in_the_model_file(tmp_path) -> None:
    model = keeping(made_up.denoiser(made_up.noise_model()), 0.35)
    assert model.card["kept_noise"] == 0.35
    loaded = load_denoiser(save_denoiser(model, tmp_path / "m.g2g"))
    assert loaded.settings.denoiser.kept_noise == 0.35
    assert loaded.card["kept_noise"] == 0.35


def test_the_strength_it_has_changes_no_bit() -> None:
    stack, model = noisy_stack(), two_channels(kept_noise=0.25)
    result = denoise(stack, model)
    again = kept_again(result, stack, model, 0.25)
    assert np.array_equal(again.pixels[:], result.pixels)
