"""Applying a denoiser: identity to the last bit, tiles that do not show, channels and ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import Identity, blurred_noise, denoiser, noise_model, scene, stack
from training_core.denoise import tiled as denoiser_module
from training_core.denoise.brightness import BrightnessCurve
from training_core.denoise.channel import Channel
from training_core.denoise.tiled import denoise
from training_core.errors import InputError, SettingsError
from training_core.noise.anscombe import Stabiliser
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Cancelled, Note, Run, Stage, StepsDone
from training_core.stack import PixelSize, cast_like, tell_flaws

PHOTONS = Stabiliser(2.0, 9.0)
LINEAR = Stabiliser(offset=50.0, scale=7.0)
PLAIN = {"collaborate": False}


def identity(noise, *, channels, **changes):
    made = denoiser(noise, mean=3.25, spread=1.7, **PLAIN, **changes)
    return replace(made, network=Identity(channels))


def extremes(dtype, shape, seed=0):
    """Give pixels over the whole range of a dtype, its ends included."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(100.0, 1e3, shape).astype(dtype)
    info = np.iinfo(dtype)
    pixels = rng.integers(info.min, info.max, shape, dtype.newbyteorder("="), endpoint=True)
    pixels.flat[0], pixels.flat[-1] = info.min, info.max
    return pixels.astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "i2", "u4", "i4", "i8", "u8", "f4", "f8", ">u2", ">f4"]
)
@pytest.mark.parametrize("stabiliser", [PHOTONS, LINEAR])
@pytest.mark.parametrize("channels", [1, 2])
def test_identity_gives_every_bit_back(dtype, stabiliser, channels):
    noisy = stack(extremes(dtype, (2, 37, 53)), "TYX")
    made = denoise(noisy, identity(noise_model(0.0, stabiliser), channels=channels), tile_px=32)
    wide = noisy.dtype.itemsize > (4 if noisy.dtype.kind == "f" else 2)
    assert made.dtype == (np.float64 if wide else np.float32)
    as_it_came = cast_like(made, noisy)
    assert as_it_came.dtype == noisy.dtype
    assert np.array_equal(as_it_came.pixels, noisy.pixels)


def test_identity_in_every_orientation():
    noisy = stack(extremes("f4", (33, 47)))
    chosen = identity(noise_model(0.0, PHOTONS), channels=1, every_orientation=True)
    assert np.array_equal(denoise(noisy, chosen).pixels, noisy.pixels)


def noisy_stack(shape, blur=0.5, seed=1):
    """Give frames in float64, so that rounding hides nothing."""
    clean = scene(*shape, 100.0, 600.0)
    noisy = clean + 20.0 * blurred_noise(shape, blur, seed)
    return stack(noisy.astype(np.float64))


def largest_difference(noisy, chosen, tile_px):
    """Compare tiled with whole in units of the noise's std."""
    whole = denoise(noisy, chosen, tile_px=4096).pixels
    tiled = denoise(noisy, chosen, tile_px=tile_px).pixels
    assert not np.array_equal(whole, noisy.pixels)
    return np.abs(whole - tiled).max() / chosen.channels[0].noise.stack_sigma()


SIZES = [(131, 98, 64), (17, 150, 32), (50, 61, 32), (30, 40, 32), (16, 16, 8)]


@pytest.mark.parametrize(("height", "width", "tile_px"), SIZES)
@pytest.mark.parametrize("stabiliser", [PHOTONS, Stabiliser(scale=20.0)])
def test_tiles_do_not_show(height, width, tile_px, stabiliser):
    noise = noise_model(0.5, stabiliser)
    chosen = denoiser(noise, mean=10.0, spread=5.0)
    assert chosen.settings.denoiser.collaborate
    assert largest_difference(noisy_stack((height, width)), chosen, tile_px) < 1e-4


@pytest.mark.parametrize("shape", [(71, 97), (33, 50)])
@pytest.mark.parametrize("network", ["compact", "dncnn"])
def test_tiles_do_not_show_in_any_orientation(shape, network):
    noise = noise_model(0.5, Stabiliser(scale=20.0))
    chosen = denoiser(
        noise, mean=10.0, spread=5.0, network=network, every_orientation=True, collaborate=False
    )
    assert largest_difference(noisy_stack(shape), chosen, 32) < 1e-4


@pytest.mark.parametrize(
    ("network", "shape"), [("dncnn", (75, 98)), ("dncnn", (20, 61)), ("unet", (75, 450))]
)
def test_tiles_do_not_show_with_the_published_networks(network, shape):
    noise = noise_model(0.5, Stabiliser(scale=20.0))
    chosen = denoiser(noise, mean=10.0, spread=5.0, network=network, collaborate=False)
    assert largest_difference(noisy_stack(shape), chosen, 32) < 1e-4


def test_the_untrained_chain_takes_noise_off():
    clean = scene(96, 96, 100.0, 600.0)
    noisy = stack(clean + 20.0 * blurred_noise(clean.shape, 0.0, seed=2))
    chosen = denoiser(noise_model(0.0, Stabiliser(scale=20.0)), mean=10.0, spread=5.0)
    torch.nn.init.zeros_(chosen.network.layers[-1].weight)
    torch.nn.init.zeros_(chosen.network.layers[-1].bias)
    made = denoise(noisy, chosen).pixels
    assert np.mean((noisy.pixels - clean) ** 2) > 7 * np.mean((made - clean) ** 2)
    assert made.mean() == pytest.approx(noisy.pixels.mean(), rel=1e-3)


def test_what_describes_the_stack_stays():
    pixels = np.random.default_rng(3).integers(90, 110, (2, 3, 1, 20, 24)).astype(np.int16)
    noisy = stack(
        pixels, "TZCYX", pixel_size=PixelSize(0.1, 0.2, 0.5), time_step_s=2.0, value_unit="HU"
    )
    made = denoise(noisy, denoiser(noise_model(0.0, LINEAR), **PLAIN))
    assert made.pixels.shape == noisy.pixels.shape
    assert made.pixels.dtype == np.float32
    assert cast_like(made, noisy).pixels.dtype == np.int16
    assert replace(made, pixels=noisy.pixels) == noisy


def test_every_channel_meets_its_own_noise():
    rng = np.random.default_rng(4)
    pixels = np.stack([rng.normal(100, 1, (2, 40, 40)), rng.normal(100, 30, (2, 40, 40))], axis=1)
    chosen = denoiser(noise_model(), **PLAIN)
    torch.nn.init.zeros_(chosen.network.layers[-1].weight)
    torch.nn.init.zeros_(chosen.network.layers[-1].bias)
    channels = tuple(Channel(noise_model(0.0, Stabiliser(scale=s))) for s in (1.0, 30.0))
    chosen = replace(chosen, channels=channels)
    made = denoise(stack(pixels, "TCYX"), chosen).pixels
    for channel, sigma in enumerate((1.0, 30.0)):
        assert made[:, channel].std() < 0.3 * sigma
    swapped = denoise(stack(pixels[:, ::-1], "TCYX"), chosen).pixels
    assert swapped[:, 0].std() > 0.8 * 30.0  # a filter for weaker noise leaves it


def test_a_stack_with_other_channels_is_refused():
    chosen = denoiser(noise_model(), **PLAIN)
    chosen = replace(chosen, channels=chosen.channels * 2)
    with pytest.raises(InputError, match="has 3 channels, the model learned 2"):
        denoise(stack(np.zeros((3, 20, 20)), "CYX"), chosen)
    with pytest.raises(InputError, match="has 1 channel, the model learned 2"):
        denoise(stack(np.zeros((20, 20))), chosen)


def test_one_channel_does_for_all():
    pixels = np.random.default_rng(5).normal(0, 1, (3, 24, 24))
    chosen = denoiser(noise_model(), **PLAIN)
    together = denoise(stack(pixels, "CYX"), chosen).pixels
    alone = denoise(stack(pixels, "TYX"), chosen).pixels
    assert np.array_equal(together, alone)


def test_clipped_pixels_are_counted_and_said():
    chosen = identity(noise_model(0.0, Stabiliser()), channels=1)
    shifted = BrightnessCurve(np.zeros(1), np.full(1, 100.0))
    channels = (replace(chosen.channels[0], brightness=shifted),)
    bias = torch.nn.Module()
    bias.halo_px, bias.forward = 0, lambda images: images[:, :1] + 1.0  # type: ignore[assignment]
    chosen = replace(chosen, network=bias, channels=channels)
    pixels = np.full((16, 16), 100, np.uint8)
    pixels[:2] = 250
    events = []
    exact = denoise(stack(pixels), chosen, run=Run(events.append))
    assert np.all(exact.pixels[:2] > 255)
    tell_flaws(exact, stack(pixels), Run(events.append))
    made = cast_like(exact, stack(pixels)).pixels
    assert np.all(made[:2] == 255)
    assert np.all(made[2:] == 202)  # 1 of the spread 1.7, and 100
    notes = [event for event in events if isinstance(event, Note)]
    assert [note.text for note in notes] == ["32 pixels were clipped to the range of uint8."]


def test_brightness_curve_corrects_by_level():
    curve = BrightnessCurve(np.array([0.0, 100.0]), np.array([1.0, 3.0]))
    corrected = curve(np.array([-5.0, 0.0, 50.0, 100.0, 200.0]))
    assert corrected.tolist() == [-4.0, 1.0, 52.0, 103.0, 203.0]
    values = np.array([1.0, 2.0])
    assert BrightnessCurve()(values) is values


def test_the_curve_of_the_noise_reaches_the_filters():
    curve = NoiseCurve(np.array([10.0, 30.0]), np.array([0.1, 3.0]))
    clean = np.full((64, 64), 10.0)
    clean[:, 32:] = 30.0
    noisy = clean + np.where(clean > 20, 3.0, 0.1) * blurred_noise((64, 64), 0.0, seed=6)
    chosen = denoiser(noise_model(0.0, Stabiliser(), curve))
    made = denoise(stack(noisy), chosen).pixels
    assert np.std(made[:, 40:] - clean[:, 40:]) < 1.0
    assert np.std(made[:, :24] - clean[:, :24]) < 0.1


def test_progress_ends_at_all_tiles_and_cancel_stops():
    events = []
    noisy = stack(np.zeros((3, 40, 40)), "TYX")
    chosen = identity(noise_model(), channels=1)
    denoise(noisy, chosen, run=Run(events.append), tile_px=32)
    last = [event for event in events if isinstance(event, StepsDone)][-1]
    assert (last.stage, last.done, last.total) == (Stage.DENOISE, 12, 12)
    run = Run(lambda event: run.cancel())
    with pytest.raises(Cancelled):
        denoise(noisy, chosen, run=run)


def with_little_memory(chosen, most_px):
    """Let a denoiser run out of memory on frames of more pixels; give the sizes it was asked."""
    network, asked = chosen.network.forward, []

    def greedy(images):
        asked.append(tuple(images.shape[-2:]))
        if images.shape[-2] * images.shape[-1] > most_px:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return network(images)

    chosen.network.forward = greedy
    return asked


def test_a_full_memory_makes_tiles_smaller_and_the_result_stays(monkeypatch):
    monkeypatch.setattr(denoiser_module, "fold_batch_norm", lambda network: network)
    noisy = noisy_stack((200, 150))
    chosen = denoiser(noise_model(0.5, Stabiliser(scale=20.0)), network="dncnn", **PLAIN)
    whole = denoise(noisy, chosen, tile_px=192)
    asked, notes = with_little_memory(chosen, 128 * 120), []
    made = denoise(noisy, chosen, tile_px=192, run=Run(notes.append))
    assert np.abs(made.pixels - whole.pixels).max() / chosen.channels[0].noise.stack_sigma() < 1e-4
    assert asked[:2] == [(200, 150), (120, 120)]  # 192 px, then 96 px, with a halo of 24
    assert max(height * width for height, width in asked[1:]) <= 128 * 120
    told = [note.text for note in notes if isinstance(note, Note)]
    assert told == ["The memory ran out; smaller tiles are used from now on."]


def test_a_memory_too_small_for_any_tile_is_one_sentence(monkeypatch):
    monkeypatch.setattr(denoiser_module, "fold_batch_norm", lambda network: network)
    chosen = denoiser(noise_model(), network="dncnn", **PLAIN)
    asked = with_little_memory(chosen, 100)
    with pytest.raises(SettingsError, match=r"too small even for tiles of 32 px; close other"):
        denoise(noisy_stack((130, 130)), chosen, tile_px=128)
    assert len(asked) == 3  # 128, 64 and 32 px
