"""Neighbouring frames: less noise where they match, no ghost where they do not, chosen blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import (
    CPU,
    QUICKEST,
    Identity,
    block,
    blurred_noise,
    covariance,
    denoiser,
    noise_model,
    scene,
    squared_error,
    stack,
)
from training_core import pipeline
from training_core.compute.checkpoint import Checkpoint
from training_core.costs import NEIGHBOURS, SEARCH
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.neighbours import NeighbourAverage, NeighbourFrames, sequence_axis
from training_core.denoise.region import Region
from training_core.denoise.tiled import denoise
from training_core.errors import SettingsError
from training_core.noise.anscombe import Stabiliser
from training_core.noise.strength_curve import NoiseCurve
from training_core.place import choose_regions
from training_core.run import Note, Run, Stage, StageStarted
from training_core.selection import neighbours as neighbour_choice
from training_core.selection.neighbours import most_neighbours, with_neighbours
from training_core.settings import DenoiserSettings, preset
from training_core.training import pairs as noisy_pairs
from training_core.training.expected_work import expected_work
from training_core.training.first_estimate import first_estimate
from training_core.training.pairs import PreparedPairs, synthetic_pairs

ONE = NoiseCurve(np.zeros(1), np.ones(1))
NOISE = noise_model(0.0, Stabiliser(scale=20.0))


def texture(side, amplitude=4.0, seed=0):
    image = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 2.0)
    return amplitude * image / image.std()


def unit_noise(frames, blur=0.0, seed=1):
    return np.asarray(frames) + np.stack(
        [blurred_noise(frame.shape, blur, seed + i) for i, frame in enumerate(frames)]
    )


def tensor(values):
    return torch.from_numpy(np.asarray(values, np.float32))


def still(frames=5, side=64, seed=1):
    """Give a still scene, clean, and a stack of noisy frames of it."""
    clean = 200.0 + 20.0 * texture(side)
    return clean, stack(20.0 * unit_noise([clean / 20.0] * frames, seed=seed), "TYX")


def filters(count, noise=NOISE, **changes):
    """Give a denoiser that is nothing but the filters."""
    made = denoiser(noise, mean=10.0, spread=5.0, **changes)
    torch.nn.init.zeros_(made.network.layers[-1].weight)
    torch.nn.init.zeros_(made.network.layers[-1].bias)
    return replace(made, neighbours=count)


# the average


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_equal_frames_are_averaged(blur):
    clean = texture(64)
    noisy = tensor(unit_noise([clean] * 5, blur))
    image, strength = NeighbourAverage(covariance(blur), ONE)(noisy[0], noisy[1:])
    assert squared_error(image, clean) < 0.23
    assert float(strength.square().mean()) == pytest.approx(squared_error(image, clean), rel=0.1)


@pytest.mark.parametrize("contrast", [1.0, 3.0, 30.0])
def test_a_moving_object_leaves_no_ghost(contrast):
    rows, columns = np.mgrid[:64, :64]
    discs = [np.hypot(rows - 32, columns - 32 - 4 * t) < 9 for t in (-2, -1, 0, 1, 2)]
    clean = [texture(64) + contrast * disc for disc in discs]
    noisy = stack(unit_noise(clean), "TYX")
    near = np.any(discs, axis=0)
    chosen = filters(2, noise_model())
    frames = tensor(noisy.pixels)
    made = [
        chosen.estimate(frames[2], chosen.channels[0], neighbours=near_by)
        for near_by in (None, frames[[0, 1, 3, 4]])
    ]
    error = [squared_error(image[near], clean[2][near]) for image in made]
    assert error[1] < 1.05 * error[0]


def test_what_is_new_stays():
    frames = np.zeros((3, 48, 48))
    frames[1, 20:24, 20:24] = 8.0
    noisy = tensor(unit_noise(frames))
    image, strength = NeighbourAverage(covariance(), ONE)(noisy[1], noisy[[0, 2]])
    assert torch.equal(image[20:24, 20:24], noisy[1, 20:24, 20:24])
    assert torch.all(strength[20:24, 20:24] == 1)
    assert float(strength[:8].mean()) == pytest.approx(3**-0.5, rel=0.05)


def test_stronger_noise_of_brighter_places_is_no_difference():
    clean = np.full((64, 64), 2.0)
    clean[:, 32:] = 30.0
    curve = NoiseCurve(np.array([2.0, 30.0]), np.array([0.5, 4.0]))
    sigma = np.where(clean > 10, 4.0, 0.5)
    noisy = tensor(clean + sigma * unit_noise(np.zeros((3, 64, 64))))
    _, strength = NeighbourAverage(covariance(), curve)(noisy[0], noisy[1:])
    for side in (slice(0, 24), slice(40, 64)):
        assert float(strength[:, side].mean()) == pytest.approx(3**-0.5, rel=0.05)


# which frames


def many(shape, axes):
    return stack(np.zeros((*shape, 16, 16), np.float32), axes)


@pytest.mark.parametrize(
    ("shape", "axes", "axis"),
    [
        ((), "YX", ""),
        ((3,), "CYX", ""),
        ((3, 4), "TCYX", "T"),
        ((3, 4), "TZYX", "T"),
        ((1, 4), "TZYX", "Z"),
        ((4, 2), "ZCYX", "Z"),
        ((5,), "IYX", "I"),
    ],
)
def test_time_comes_first_then_depth_and_dyes_never(shape, axes, axis):
    assert sequence_axis(many(shape, axes)) == axis


@pytest.mark.parametrize(
    ("shape", "axes", "index", "expected"),
    [
        ((5,), "TYX", 0, [1, 2]),
        ((5,), "TYX", 2, [0, 1, 3, 4]),
        ((5,), "TYX", 4, [2, 3]),
        ((3, 2), "TCYX", 3, [1, 5]),
        ((2, 3), "CZYX", 2, [0, 1]),
        ((2, 3), "CZYX", 3, [4, 5]),
        ((3, 2, 2), "TZCYX", 5, [1, 9]),
        ((3,), "CYX", 1, []),
    ],
)
def test_neighbours_differ_in_nothing_but_time_or_depth(shape, axes, index, expected):
    noises = [NOISE] * (shape[axes.index("C")] if "C" in axes else 1)
    assert sorted(NeighbourFrames(many(shape, axes), noises, 2).of(index)) == expected


def jumping(frames, at, moved):
    clean = texture(64, 3.0)
    contents = [np.roll(clean, t // 2, 1) if t < at else moved(clean) for t in range(frames)]
    return stack(20.0 * (10.0 + unit_noise(contents)), "TYX")


MOVED = {
    "cut": lambda clean: texture(64, 3.0, seed=9),
    "stage": lambda clean: np.roll(clean, 21, 0),
    "shutter": lambda clean: np.zeros_like(clean) - 9.0,
}


@pytest.mark.parametrize("moved", MOVED.values(), ids=list(MOVED))
@pytest.mark.parametrize(("frames", "at"), [(9, 5), (2, 1)])
def test_a_jump_ends_a_sequence(moved, frames, at):
    found = NeighbourFrames(jumping(frames, at, moved), [NOISE], 2)
    assert found.jumps == {at}
    assert all(index < at for index in found.of(at - 1))
    assert all(index >= at for index in found.of(at))


@pytest.mark.parametrize("frames", [2, 12])
def test_a_still_or_drifting_scene_has_no_jumps(frames):
    assert not NeighbourFrames(still(frames)[1], [NOISE], 2).jumps
    assert not NeighbourFrames(jumping(frames, frames, None), [NOISE], 2).jumps


def test_a_frame_after_a_jump_is_denoised_as_if_it_were_alone():
    noisy, notes = jumping(6, 5, MOVED["cut"]), []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    made = denoise(noisy, filters(2), run=run).pixels
    alone = denoise(stack(noisy.pixels[5]), filters(2)).pixels
    assert np.array_equal(made[5], alone)
    assert notes == ["1 frame is kept apart from the one before, since the content jumps."]


@pytest.mark.parametrize(("mixed", "least", "most"), [(0.0, -0.1, 0.1), (0.5, 0.35, 0.65)])
def test_noise_that_frames_share_is_found(mixed, least, most):
    clean, noisy = still(6)
    pixels = noisy.pixels - clean
    pixels[1:] = np.sqrt(1 - mixed**2) * pixels[1:] + mixed * pixels[:-1]
    frames = NeighbourFrames(stack(clean + pixels, "TYX"), [NOISE], 1)
    assert least < frames.shared_noise() < most


# a whole stack


def test_a_still_sequence_gains_decibels():
    clean, noisy = still()
    error = [squared_error(denoise(noisy, filters(n)).pixels, clean) for n in (0, 1, 2)]
    assert 10 * np.log10(error[0] / error[1]) > 1.5
    assert 10 * np.log10(error[0] / error[2]) > 2.5


def test_identity_gives_every_bit_back():
    pixels = np.random.default_rng(0).integers(0, 65535, (3, 37, 53)).astype(np.uint16)
    made = denoiser(NOISE, mean=3.25, spread=1.7, collaborate=False)
    made = replace(made, network=Identity(2), neighbours=2)
    assert np.array_equal(denoise(stack(pixels, "TYX"), made, tile_px=32).pixels, pixels)


def test_a_single_frame_is_denoised_alone():
    _, noisy = still(1)
    alone = stack(noisy.pixels[0])
    assert np.array_equal(denoise(alone, filters(2)).pixels, denoise(alone, filters(0)).pixels)


@pytest.mark.parametrize("collaborate", [True, False])
def test_tiles_do_not_show(collaborate):
    clean = scene(50, 98, 100.0, 600.0)
    frames = [np.roll(clean, 3 * t, 1) for t in range(2)]
    noisy = stack(20.0 * unit_noise(np.array(frames) / 20.0, 0.5), "TYX")
    noise = noise_model(0.5, Stabiliser(scale=20.0))
    alone = denoiser(noise, mean=10.0, spread=5.0, collaborate=collaborate)
    chosen = replace(alone, neighbours=1)
    whole, tiled = (denoise(noisy, chosen, tile_px=px).pixels for px in (4096, 64))
    assert np.abs(whole - tiled).max() / 20.0 < 1e-4
    assert np.abs(whole - denoise(noisy, alone).pixels).max() / 20.0 > 0.1


def test_a_model_file_keeps_them(tmp_path):
    path = save_denoiser(filters(2), tmp_path / "a.g2g")
    assert load_denoiser(path, device="cpu").neighbours == 2


# training


def chosen(noisy, **changes):
    """Let the choice be made for a stack whose noise is known; give a denoiser that follows it,
    the choice, and what was said.
    """
    made = filters(0, collaborate=False, **changes)
    notes = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    regions = choose_regions([noisy], 1.0, seed=0)
    forward = NOISE.stabiliser.forward
    estimates = [Region(tensor(forward(r.values)), made.channels[0]) for r in regions]
    frames = [NeighbourFrames(noisy, [NOISE], most_neighbours(made.settings), run)]
    averaging = with_neighbours(made, frames, regions, estimates, run)
    assert frames[0].count == averaging.count
    return replace(made, neighbours=averaging.count), averaging, notes


def test_neighbours_are_chosen_where_they_help():
    _, averaging, notes = chosen(still(5)[1])
    told = averaging.told
    assert averaging.count == told["chosen"] == 2
    assert told["errors"][2] < 0.7 * told["errors"][0]
    assert sorted(len(region.neighbours) for region in averaging.noisy) == [2, 2, 3, 3, 4]
    assert len(notes) == 1
    assert "2 on each side along time" in notes[0]
    assert told["why"] == notes[0]


def test_unlike_frames_are_not_taken_for_neighbours():
    clean = [10.0 + texture(64, seed=n) for n in range(6)]
    _, averaging, notes = chosen(stack(20.0 * unit_noise(clean), "IYX"))
    assert averaging.count == 0
    assert all(region.neighbours is None for region in averaging.noisy)
    assert "not used: along the order of the frames they gain" in notes[0]


def test_copies_are_not_taken_for_neighbours():
    _, noisy = still(2)
    _, averaging, notes = chosen(stack(np.repeat(noisy.pixels, 3, axis=0), "TYX"))
    assert averaging.count == 0
    assert "their noise is correlated" in notes[0]


@pytest.mark.parametrize(("asked", "count"), [("off", 0), ("1", 1), ("2", 2)])
def test_who_knows_is_not_asked(asked, count):
    _, averaging, notes = chosen(still(3)[1], neighbours=asked)
    assert averaging.count == count
    assert not notes


def test_a_single_frame_costs_no_choice():
    _, averaging, notes = chosen(stack(still(1)[1].pixels[0]))
    assert (averaging.count, averaging.told, notes) == (0, {}, [])
    assert averaging.noisy[0].neighbours is None


def test_paper_mode_takes_single_frames():
    assert most_neighbours(preset("paper")) == 0
    assert most_neighbours(preset("quick")) == 2
    with pytest.raises(SettingsError, match="Neighbouring frames"):
        DenoiserSettings(neighbours="3")


def test_pairs_and_first_estimates_know_how_much_noise_is_left():
    clean, noisy = still(5)
    made, averaging, _ = chosen(noisy, neighbours="2")
    middle = max(averaging.noisy, key=lambda region: len(region.neighbours))
    alone = replace(middle, neighbours=None, strength=None)
    error = [squared_error(first_estimate(r), clean / 20.0) for r in (alone, middle)]
    assert error[1] < 0.5 * error[0]
    known = Region(tensor(clean / 20.0), made.channels[0], strength=middle.strength)
    draw = torch.Generator().manual_seed(0)
    pairs = synthetic_pairs(made, [middle], [known], draw, Run())
    source, target = PreparedPairs(pairs, draw, CPU).batch(made.settings.denoiser)[:2]
    left = float((source[:, :1] - target).square().mean()) * made.channels[0].spread ** 2
    assert left == pytest.approx(0.21, abs=0.02)


def test_the_plan_counts_the_choice():
    plans = [
        expected_work([many((9,), axes)], replace(QUICKEST, denoiser=chosen), CPU)
        for axes in ("TYX", "CYX")
        for chosen in (replace(QUICKEST.denoiser, neighbours=n) for n in ("automatic", "off"))
    ]
    most = [plan[Stage.FIRST_ESTIMATE].get(NEIGHBOURS, (0.0, 0.0))[1] for plan in plans]
    assert most[0] > 0 == most[1] == most[2] == most[3]
    assert plans[0][Stage.DENOISE][NEIGHBOURS] == (0.0, 4 * plans[0][Stage.PATCHES][SEARCH][0])


class PowerCutError(Exception):
    """Comes without a warning."""


@pytest.mark.trains
def test_a_training_learns_with_neighbours_and_goes_on_with_them(monkeypatch, tmp_path):
    monkeypatch.setattr(noisy_pairs, "MOST_COPIES", 2)
    clean = block(48, 64, 2000, 2500)
    noisy = stack(clean + 60.0 * unit_noise(np.zeros((3, 48, 64))), "TYX")

    def job(asked, **more):
        changed = replace(QUICKEST.denoiser, neighbours=asked, first_estimate="shrinkage")
        settings = replace(QUICKEST, denoiser=replace(changed, collaborate=False))
        return pipeline.denoise_stack(noisy, settings, **more)

    alone, made = (job(asked) for asked in ("off", "automatic"))
    assert made.denoiser.card["neighbours"]["chosen"] == made.denoiser.neighbours > 0
    error = [squared_error(outcome.denoised.pixels, clean) for outcome in (alone, made)]
    assert error[1] < 0.6 * error[0]

    def cut_power(event):
        if isinstance(event, StageStarted) and event.stage is Stage.ROUNDS:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        job("automatic", run=Run(cut_power), checkpoint=Checkpoint(tmp_path))
    monkeypatch.setattr(neighbour_choice, "_scores", None)  # it must not be asked again
    resumed = job("automatic", checkpoint=Checkpoint(tmp_path))
    assert np.array_equal(resumed.denoised.pixels, made.denoised.pixels)
    assert resumed.denoiser.card["neighbours"] == made.denoiser.card["neighbours"]
