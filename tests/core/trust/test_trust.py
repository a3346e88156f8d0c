"""Trust maps, planted dots and pure noise, with denoisers of which the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.support import made_up
from training_core.errors import InputError
from training_core.noise.anscombe import Stabiliser
from training_core.place import PatchLocation
from training_core.run import Cancelled, Run
from training_core.trust.planted import plant_dot
from training_core.trust.pure_noise import made_of_noise
from training_core.trust.renoised import Copies, Scene, denoised_again, stabilised_means
from training_core.trust.trust_map import TrustMap

SIDE = 64
WHOLE = PatchLocation(0, 0, SIDE, SIDE)


class Even(torch.nn.Module):
    """Gives the mean of the image: nothing is left of noise or of anything else."""

    halo_px, multiple_px = 2, 1

    def forward(self, images):
        return images[:, :1].mean(dim=(2, 3), keepdim=True).expand_as(images[:, :1])


def scene(network, *, sigma=20.0, kept=0.0, dtype=np.float32, axes="YX", middle=0, **noise):
    """Give a scene of grey 100 with noise, and a denoiser with this network."""
    model = made_up.noise_model(0.0, noise.get("stabiliser", Stabiliser(100.0 * 0, 0, 0, sigma)))
    plain = made_up.denoiser(
        model, kept_noise=kept, collaborate=False, even_flat_areas=False, network="dncnn"
    )
    made = replace(plain, network=network)
    shape = (3, SIDE, SIDE) if axes == "ZYX" else (SIDE, SIDE)
    pixels = 100 + sigma * np.random.default_rng(1).standard_normal(shape)
    return Scene.of(made_up.stack(pixels.astype(dtype), axes), made, middle, WHOLE)


def test_what_does_nothing_is_repeated_with_the_learned_noise() -> None:
    found = denoised_again(scene(made_up.Identity()), 6)
    assert np.array_equal(found.estimate, found.noisy)
    assert (found.again - found.estimate).std() == pytest.approx(20.0, rel=0.02)
    assert found.again == pytest.approx(found.estimate + found.added, abs=1e-3)


def test_what_removes_all_keeps_what_it_is_told_to() -> None:
    found = denoised_again(scene(Even(), kept=0.25), 4)
    assert (found.estimate - found.estimate.mean()).std() == pytest.approx(5.0, rel=0.05)
    assert found.again.std(axis=(1, 2)) == pytest.approx([5.0] * 4, rel=0.05)


def test_copies_are_as_the_file_would_have_them() -> None:
    made = scene(Even(), dtype=np.uint16)
    copies = list(made.renoised(np.full((1, SIDE, SIDE), 100.0), 3, 0))
    assert {copy.dtype for copy in copies} == {np.dtype(np.uint16)}
    assert not np.array_equal(copies[0], copies[1])
    again = next(made.renoised(np.full((1, SIDE, SIDE), 100.0), 1, 0))
    assert np.array_equal(again, copies[0])


def test_the_frame_is_cut_out_with_its_channel_and_its_place() -> None:
    pixels = np.arange(2 * 3 * SIDE * SIDE, dtype=np.float32).reshape(2, 3, SIDE, SIDE)
    model = made_up.denoiser(made_up.noise_model())
    two = replace(model, channels=(model.channels[0], replace(model.channels[0], mean=7.0)))
    stack = made_up.stack(pixels, "CZYX")
    found = Scene.of(stack, replace(two, neighbours=1), 4, PatchLocation(5, 6, 7, 8))
    assert found.channel == 1
    assert found.learned.mean == 7.0
    assert np.array_equal(found.raw, pixels[1, 1, 5:12, 6:14])
    assert found.stack.shape == (3, 7, 8)
    first = Scene.of(stack, replace(two, neighbours=1), 3, WHOLE)
    assert (first.middle, first.stack.shape[0]) == (0, 2)
    over_time = made_up.stack(pixels.reshape(2, 3, SIDE, SIDE), "TCYX")
    three = replace(two, channels=tuple(two.channels) * 3, neighbours=1)
    found = Scene.of(over_time, three, 4, WHOLE)
    assert np.array_equal(found.stack.pixels, pixels[:, 1])


def test_means_of_few_photons_stay_what_they_are() -> None:
    stabiliser = Stabiliser(gain=3.0, read_variance=2.0)
    means = np.linspace(1.0, 900.0, 50)
    assert stabiliser.inverse(stabilised_means(stabiliser, means)) == pytest.approx(means, rel=2e-3)


def test_a_cancelled_run_stops_between_repeats() -> None:
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        denoised_again(scene(Even()), 2, run=run)


def copies_of(estimate, again):
    return Copies(estimate, estimate, again, np.zeros_like(again))


def test_the_band_grows_with_scatter_and_with_what_is_taken() -> None:
    rng = np.random.default_rng(0)
    still = np.full((SIDE, SIDE), 50.0)
    sigmas = np.full_like(still, 10.0)
    calm = TrustMap.of(copies_of(still, np.stack([still] * 8)), sigmas)
    assert calm.half_band == pytest.approx(1.6449, rel=1e-6)
    assert calm.unsupported_share == 0.0
    scattered = still + 3 * rng.standard_normal((400, SIDE, SIDE))
    found = TrustMap.of(copies_of(still, scattered), sigmas)
    assert found.spread.mean() == pytest.approx(3.0, rel=0.01)
    assert found.half_width == pytest.approx(1.6449 * np.sqrt(0.2 * 9 + 1.0), rel=0.02)
    shifted = TrustMap.of(copies_of(still, scattered - 5), sigmas)
    assert shifted.bias.mean() == pytest.approx(-5.0, abs=0.05)
    assert shifted.half_width > 2.5 * found.half_width


def test_detail_that_does_not_come_back_is_unsupported() -> None:
    rng = np.random.default_rng(0)
    blob = np.zeros((SIDE, SIDE))
    blob[16, 16] = blob[48, 48] = 1.0
    blob = 500 * ndimage.gaussian_filter(blob, 1.5)
    lasting = blob.copy()
    lasting[:32] = 0.0  # the first one is gone when the noise is another
    again = lasting + rng.standard_normal((8, SIDE, SIDE))
    found = TrustMap.of(copies_of(blob, again), np.full_like(blob, 10.0))
    assert found.unsupported[16, 16]
    assert found.visible[48, 48]
    assert not found.unsupported[32:].any()
    assert 0.3 < found.unsupported_share < 0.7


def test_a_dot_is_kept_by_what_does_nothing_and_lost_by_what_takes_all() -> None:
    kept = plant_dot(scene(made_up.Identity()), 30, 30, 1.3)
    assert kept.spots.kept == pytest.approx([1.0] * 5, abs=1e-3)
    assert kept.spots.sigma == pytest.approx(20.0)
    added = kept.noisy[-1, 24, 24] - kept.noisy[0, 24, 24]
    assert added == pytest.approx((8 - 0.5) * 20, rel=1e-3)
    lost = plant_dot(scene(Even()), 0, 63, 1.3)
    assert max(lost.spots.kept) < 0.1
    part = plant_dot(scene(Even(), kept=0.5), 30, 30, 1.3)
    assert part.spots.kept == pytest.approx([0.5] * 5, abs=0.06)


def test_a_dot_outside_or_of_no_size_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        plant_dot(scene(Even()), 64, 3, 1.3)
    with pytest.raises(InputError, match=r"0\.5 to 6 px"):
        plant_dot(scene(Even()), 3, 3, 9.0)


def test_pure_noise_shows_what_a_denoiser_leaves_of_it() -> None:
    nothing = made_of_noise(scene(made_up.Identity()))
    assert nothing.left == pytest.approx(1.0)
    assert nothing.noisy.std() == pytest.approx(20.0, rel=0.03)
    assert nothing.level == pytest.approx(100.0, abs=2)
    assert made_of_noise(scene(Even(), kept=0.1)).left == pytest.approx(0.1, rel=0.05)
