"""Smooth patches: the published test to the last digit, and a choice that finds pure noise."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from PIL import Image

from training_core.compute.checkpoint import NO_CHECKPOINT
from training_core.errors import SettingsError
from training_core.patches import smooth_patches
from training_core.patches.flatness import NoiseFloor, flatness_map
from training_core.patches.smooth_patches import (
    cut_noise_patches,
    cut_patches,
    find_smooth_patches,
    searched_frames,
    searched_mpx,
)
from training_core.patches.window_moments import window_moments
from training_core.patches.window_scores import coverage_map, homogeneity_map, score_windows
from training_core.run import SILENT, Cancelled, Run, StageFinished, StepsDone
from training_core.settings import PatchSettings
from training_core.stack import Stack


def per_window(frame, size, stride):
    """Eqn (4) window by window, by PyWavelets."""
    tops = range(0, frame.shape[0] - size + 1, stride)
    lefts = range(0, frame.shape[1] - size + 1, stride)
    scores = np.empty((len(tops), len(lefts)))
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            approximation, details = pywt.dwt2(frame[top : top + size, left : left + size], "haar")
            spread = np.array([band.std() for band in (approximation, *details)])
            scores[i, j] = np.abs(spread - spread.mean()).mean() / spread.mean()
    return scores


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [
        ((203, 157), 32, 5),
        ((203, 157), 96, 24),
        ((130, 131), 16, 7),
        ((81, 80), 48, 1),
        ((97, 96), 96, 3),
        ((201, 200), 34, 60),
        ((620, 90), 24, 9),
    ],
)
def test_published_score_equals_the_transform_of_each_window(shape, size, stride):
    noise = np.random.default_rng(1).normal(size=shape)
    frame = 5e4 + noise * np.geomspace(1, 1e4, shape[1])  # a dark window beside a bright one
    scores = homogeneity_map(frame, size, stride)
    expected = per_window(frame, size, stride)
    assert scores.shape == expected.shape
    assert np.abs(scores - expected).max() < 1e-12


def test_published_score_of_single_precision_and_untouched_input():
    frame = np.random.default_rng(1).normal(3e4, 1, (64, 64)).astype(np.float32)
    before = frame.copy()
    assert homogeneity_map(frame, 32, 8) == pytest.approx(per_window(frame.astype(float), 32, 8))
    flatness_map(frame, 32, 8)
    assert np.array_equal(frame, before)


def test_last_window_that_fits_exactly_counts():
    assert homogeneity_map(np.eye(120), 96, 24).shape == (2, 2)
    assert homogeneity_map(np.eye(119), 96, 24).shape == (1, 1)
    assert homogeneity_map(np.eye(95), 96, 24).shape == (0, 0)


def test_constant_window_is_never_smooth():
    assert np.isinf(homogeneity_map(np.full((64, 64), 7.0), 32, 16)).all()


def test_odd_patch_is_refused():
    with pytest.raises(
        SettingsError, match="Patch size is 33 px; the Haar transform needs an even"
    ):
        homogeneity_map(np.eye(64), 33, 8)


@pytest.mark.parametrize(("size", "stride"), [(32, 8), (30, 7), (7, 3), (5, 20)])
def test_window_moments_survive_a_large_offset(size, stride):
    values = np.random.default_rng(2).normal(1e8, 1, (90, 77))
    mean, variance = window_moments(values, size, stride)
    views = np.lib.stride_tricks.sliding_window_view(values, (size, size))[::stride, ::stride]
    assert mean == pytest.approx(views.mean((2, 3)), rel=1e-14)
    assert variance == pytest.approx((views - 1e8).var((2, 3)), rel=1e-7)


def test_flatness_ignores_a_trend_and_the_strength_of_the_noise():
    y, x = np.mgrid[:128, :128] / 64.0
    noise = np.random.default_rng(3).normal(size=(128, 128))
    plain = flatness_map(noise, 32, 8)
    bent = flatness_map(1000 + 40 * noise + 300 * x - 200 * y + 500 * x * y + 90 * y * y, 32, 8)
    assert plain.mean() == pytest.approx(1, abs=0.1)
    assert bent == pytest.approx(plain, rel=0.03)


def test_flatness_equals_a_least_squares_fit():
    window = np.random.default_rng(4).normal(size=(32, 32)).cumsum(0)
    y, x = np.mgrid[:32, :32].reshape(2, -1) / 31.0
    trend = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    left = window.ravel() - trend @ np.linalg.lstsq(trend, window.ravel(), rcond=None)[0]
    blocks = left.reshape(4, 8, 4, 8).mean((1, 3))
    mixed = np.diff(np.diff(window, axis=0), axis=1)
    mixed = np.pad(mixed**2, ((0, 1), (0, 1)), mode="edge").mean() / 4
    low = 64 * (blocks**2).sum() / freedom(trend)
    whole = (left**2).sum() / (1024 - 6)
    assert flatness_map(window, 32, 8)[0, 0] == pytest.approx(low * whole**2 / mixed**3, rel=1e-9)


def test_flatness_of_a_window_depends_on_its_own_pixels():
    frame = np.random.default_rng(4).normal(50, 1, (150, 1100)).cumsum(1)  # several slabs
    whole = flatness_map(frame, 32, 1)
    assert whole.shape == (119, 1069)
    for row, col in ((0, 0), (6, 500), (7, 3), (117, 1067)):
        with_neighbours = frame[row : row + 33, col : col + 33]  # differences end one pixel outside
        alone = flatness_map(with_neighbours, 32, 1)[0, 0]
        assert whole[row, col] == pytest.approx(alone, rel=1e-9)


def freedom(trend):
    """Expected sum of squares of the 16 block means, times 64, for unit white noise."""
    means = np.kron(np.kron(np.eye(4), np.ones(8)), np.kron(np.eye(4), np.ones(8))) / 64
    residual = np.eye(1024) - trend @ np.linalg.pinv(trend)
    return np.trace(means @ residual @ means.T) * 64


def half_structured(rng, sigma=5.0):
    """Left half pure noise on three plateaus, right half a strong pattern with the same noise."""
    frame = np.full((256, 256), 100.0)
    frame[96:, :128] = 160
    frame[:, 128:] += 40 * np.sin(np.arange(256) / 3)[:, None] * np.sin(np.arange(128) / 3)
    return frame + rng.normal(0, sigma, frame.shape)


def test_automatic_choice_avoids_structure_and_measures_the_noise():
    stack = Stack(half_structured(np.random.default_rng(5)).astype(np.float32), "YX")
    found = find_smooth_patches(stack)
    patches = cut_patches(stack, found)
    assert found.count >= 60
    assert found.verdict.level == "green"
    assert (found.locations[:, 2] <= 100).all()
    spread = np.sqrt(patches.var((1, 2)).mean())
    assert spread == pytest.approx(5, rel=0.03)


def test_automatic_choice_spares_clipped_masked_and_labelled_regions():
    rng = np.random.default_rng(6)
    frame = rng.normal(500, 20, (256, 256)).round()
    frame[:96, :96] = -2000  # padding
    frame[:96, 160:] = np.minimum(frame[:96, 160:] + 500, 1000)  # saturated
    frame[200:, :] = np.kron(rng.integers(0, 2, (7, 32)) * 300 + 400, np.ones((8, 8)))  # a label
    windows = score_windows(frame.astype(np.float32), PatchSettings())
    tops, lefts = np.nonzero(windows.usable)
    assert windows.usable.sum() > 200
    assert not windows.usable[:8, :8].any()
    assert not windows.usable[:8, 20:].any()
    assert (tops * 8 + 32 <= 200 + 12).all()
    assert lefts.max() > 20


def test_select_follows_the_strictness_without_scoring_again():
    rng = np.random.default_rng(7)
    windows = score_windows(half_structured(rng).astype(np.float32), PatchSettings())
    counts = [int(windows.select(limit).sum()) for limit in (0.02, 0.05, 0.2, 1.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    chosen = windows.select(0.05)
    assert (windows.scores[chosen] <= 0.05).all()
    assert (windows.scores[windows.usable & ~chosen] > 0.05).all()


def test_published_search_gives_the_windows_of_the_map():
    rng = np.random.default_rng(8)
    frames = np.stack([half_structured(rng), half_structured(rng, 8)]).astype(np.float32)
    settings = PatchSettings(strictness=0.05, patch_size_px=48, stride_px=16)
    found = find_smooth_patches(Stack(frames, "TYX"), settings)
    expected = [
        (t, 16 * r, 16 * c)
        for t in (0, 1)
        for r, c in np.argwhere(per_window(frames[t].astype(float), 48, 16) <= 0.05)
    ]
    assert found.locations.tolist() == [list(place) for place in expected]
    cut = cut_patches(Stack(frames, "TYX"), found)
    frame, top, left = expected[-1]
    assert np.array_equal(cut[-1], frames[frame, top : top + 48, left : left + 48])


def test_the_most_patches_are_spread_over_all_stacks_of_a_channel():
    rng = np.random.default_rng(8)
    # 9, 0 and 16 windows pass; the values tell the stack and the channel
    sizes, noise = (96, 64, 128), rng.normal(0, 1, (128, 128))
    pixels = [
        np.stack([1000 * n + 100 * c + noise[:size, :size] for c in (0, 1)]).astype(np.float32)
        for n, size in enumerate(sizes)
    ]
    pixels[1][:] = np.arange(64) % 16  # structure alone
    stacks = [Stack(one, "CYX") for one in pixels]

    def origins(most):
        settings = PatchSettings(strictness=0.9, patch_size_px=32, stride_px=32, most=most)
        cut = cut_noise_patches(stacks, settings, SILENT, NO_CHECKPOINT)
        return [np.rint(one.mean(axis=(1, 2)) / 100).astype(int).tolist() for one in cut]

    assert origins(100) == [[0] * 9 + [20] * 16, [1] * 9 + [21] * 16]
    assert origins(20) == [[0] * 7 + [20] * 13, [1] * 7 + [21] * 13]


def test_coverage_map_counts_windows():
    selected = np.array([[True, True], [False, True]])
    expected = np.zeros((13, 12), int)
    for row, col in np.argwhere(selected):
        expected[row * 3 : row * 3 + 8, col * 3 : col * 3 + 8] += 1
    assert np.array_equal(coverage_map(selected, 8, 3, (13, 12)), expected)
    small = coverage_map(selected, 8, 4, (13, 12), shrink=4)
    assert small.tolist() == [[1, 2, 1], [1, 3, 2], [0, 1, 1], [0, 0, 0]]


def test_coverage_of_the_stack_is_a_fraction_of_its_pixels():
    noise = np.random.default_rng(9).normal(0, 1, (64, 64)).astype(np.float32)
    settings = PatchSettings(strictness=1.0, patch_size_px=32, stride_px=32)
    whole = find_smooth_patches(Stack(noise, "YX"), settings)
    assert (whole.count, whole.coverage) == (4, 1.0)
    fewest = find_smooth_patches(Stack(noise, "YX"), PatchSettings(1.0, 32, 32, most=2))
    assert fewest.coverage == 0.5


def test_verdict_names_the_strictness_that_would_do():
    frame = np.random.default_rng(10).normal(0, 1, (256, 256)).astype(np.float32)
    scores = np.sort(homogeneity_map(frame, 32, 16).ravel())
    stack = Stack(frame, "YX")
    found = find_smooth_patches(stack, PatchSettings(strictness=0.01, stride_px=16))
    enough = np.ceil(scores[59] * 100) / 100
    assert found.count == (scores <= 0.01).sum() < 20
    assert found.verdict.level == "red"
    assert found.verdict.sentence == (
        f"Found {found.count} smooth patches; at least 60 are needed. "
        f"Raise the tolerance (strictness) to {enough:g} or choose a smaller patch."
    )
    again = find_smooth_patches(stack, PatchSettings(strictness=float(enough), stride_px=16))
    assert again.verdict.level == "green"


def test_small_frames_use_a_smaller_patch_or_say_why_not():
    movie = np.random.default_rng(11).normal(100, 5, (50, 30, 40)).astype(np.float32)
    found = find_smooth_patches(Stack(movie, "TYX"))
    assert found.patch_size_px == 30
    assert found.verdict.level == "green"
    assert cut_patches(Stack(movie, "TYX"), found).shape == (found.count, 30, 30)
    tiny = find_smooth_patches(Stack(movie[:, :12], "TYX"))
    assert (tiny.count, tiny.coverage) == (0, 0.0)
    assert tiny.verdict.level == "red"
    assert tiny.verdict.sentence == (
        "The frames are 40 × 12 px; smooth patches need at least 16 × 16 px."
    )
    assert cut_patches(Stack(movie[:, :12], "TYX"), tiny).shape == (0, 32, 32)


def test_constant_stack_gets_a_red_verdict():
    found = find_smooth_patches(Stack(np.full((2, 64, 64), 9, np.uint8), "ZYX"))
    assert found.count == 0
    assert found.verdict.sentence.startswith("Every part of the stack holds saturated, zero or")


def test_bright_and_dark_windows_are_both_chosen():
    rng = np.random.default_rng(12)
    frame = np.full((256, 256), 50.0)
    frame[:, 192:] = 800
    frame += rng.normal(0, 1, frame.shape) * np.sqrt(frame)
    stack = Stack(frame.astype(np.float32), "YX")
    brightness = cut_patches(stack, find_smooth_patches(stack)).mean((1, 2))
    assert 0.3 < (brightness > 700).mean() < 0.7


def test_floor_of_many_frames_vetoes_the_structured_ones():
    rng = np.random.default_rng(13)
    frames = rng.normal(0, 5, (6, 96, 96))
    frames[3:] += 60 * np.sin(np.arange(96) / 2.5)
    found = find_smooth_patches(Stack(frames.astype(np.float32), "TYX"))
    assert found.count >= 60
    assert set(found.locations[:, 0]) == {0, 1, 2}


def test_noise_floor_takes_what_is_typical():
    floor = NoiseFloor(2.0)
    assert floor.distance(np.array([3.2, 6.0, 1.6, 6.1])).tolist() == pytest.approx(
        [0.0, np.log(6 / 3.2), np.log(2), np.inf]
    )


def test_cancel_and_events():
    events = []
    run = Run(events.append)
    stack = Stack(np.random.default_rng(14).normal(0, 1, (3, 64, 64)).astype(np.float32), "TYX")
    find_smooth_patches(stack, run=run)
    assert isinstance(events[-1], StageFinished)
    last = [e for e in events if isinstance(e, StepsDone)][-1]
    assert (last.done, last.total) == (3, 3)
    run.cancel()
    with pytest.raises(Cancelled):
        find_smooth_patches(stack, run=run)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "within"),
    [("Confocal_FISH", 0.03), ("TwoPhoton_MICE", 0.04), ("WideField_BPAE_G", 0.07)],
)
def test_automatic_choice_measures_the_noise_of_micrographs(shared_data, kind, within):
    """The truth is the difference of two frames of the same scene, in the same places."""
    folder = shared_data / "fmd" / "test_mix" / "raw"
    first, second = (np.asarray(Image.open(folder / f"{kind}_{i}.png"), float) for i in (3, 4))
    found = find_smooth_patches(Stack(first.astype(np.float32), "YX"))
    assert found.count > 200
    measured = without_trend(cut_patches(Stack(first, "YX"), found))
    truth = without_trend(cut_patches(Stack((first - second) / np.sqrt(2), "YX"), found))
    assert measured == pytest.approx(truth, rel=within)


def without_trend(patches):
    """Root mean square of patches less their second-order trend."""
    y, x = np.mgrid[:32, :32].reshape(2, -1) / 31.0
    trend = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]
    flat = patches.reshape(len(patches), -1).astype(float)
    return np.sqrt(np.mean((flat - flat @ trend @ trend.T) ** 2))


@pytest.mark.parametrize("most", [1.5, 8.0, 21.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("offset", "step"), [(0, 1), (40, 4)])
def test_photon_counts_are_noise_and_no_damage(most, dtype, offset, step):
    rows, columns = np.mgrid[:256, :256]
    mean = 0.3 + most * np.exp(-((rows - 90) ** 2 + (columns - 150) ** 2) / 3000)
    counts = (offset + step * np.random.default_rng(0).poisson(mean)).astype(dtype)
    found = find_smooth_patches(Stack(counts, "YX"), PatchSettings())
    assert found.count >= 60
    padded = counts.copy()
    padded[:, :128] = offset
    scores = score_windows(padded, PatchSettings())
    assert not scores.usable[:, : (128 - 32) // 8].any()  # nothing is all there is


def test_clipped_black_is_no_photon_count():
    noisy = np.random.default_rng(0).normal(-4, 6, (256, 256)).clip(0, 40).round()
    assert not score_windows(noisy.astype(np.float32), PatchSettings()).usable.any()


def test_too_few_patches_are_explained_by_black_that_was_cut_off():
    noisy = np.random.default_rng(0).normal(-4, 6, (256, 256))
    noisy[:60, :60] += 60
    found = find_smooth_patches(Stack(noisy.clip(0, 255).round().astype(np.uint8), "YX"))
    assert found.verdict.level == "red"
    assert "of the frame is saturated, cut off at black, constant or" in found.verdict.sentence


def test_a_long_stack_is_searched_in_frames_spread_over_it(monkeypatch):
    monkeypatch.setattr(smooth_patches, "FEWEST_SEARCHED_PX", 0)
    noise = np.random.default_rng(0).normal(100, 10, (130, 40, 40)).astype(np.float32)
    events = []
    found = find_smooth_patches(Stack(noise, "TYX"), run=Run(events.append))
    assert found.verdict.sentence.startswith(f"Found {found.count} smooth patches in 64 of the 130")
    searched = np.linspace(0, 129, 64).round()
    assert set(found.locations[:, 0]) <= set(searched)
    assert found.locations[-1, 0] > 120
    assert [e.total for e in events if isinstance(e, StepsDone)][-1] == 64
    assert 0 < found.coverage <= 1
    every = find_smooth_patches(Stack(noise, "TYX"), PatchSettings(strictness=0.9))
    assert len(set(every.locations[:, 0])) == 130


@pytest.mark.parametrize(
    ("side", "searched"), [(64, 1024), (256, 64), (1024, 64), (2048, 16), (8192, 1), (20_000, 1)]
)
def test_about_as_many_pixels_are_searched_whatever_the_size_of_a_frame(side, searched):
    long = Stack(np.broadcast_to(np.zeros((), np.uint8), (5000, side, side)), "TYX")
    assert len(searched_frames(long, PatchSettings())) == searched
    assert searched_mpx([long], PatchSettings()) == pytest.approx(searched * side**2 / 1e6)


def test_where_few_frames_hold_patches_others_are_searched(monkeypatch):
    monkeypatch.setattr(smooth_patches, "FEWEST_SEARCHED_PX", 0)
    pixels = np.zeros(
        (130, 40, 40), np.float32
    )  # dark but for frames between those looked at first
    lit = sorted(set(range(130)) - set(searched_frames(Stack(pixels, "TYX"), PatchSettings())))
    pixels[lit] = np.random.default_rng(0).normal(100, 10, (len(lit), 40, 40))
    found = find_smooth_patches(Stack(pixels, "TYX"))
    assert found.verdict.level == "green"
    assert f"in {len(lit)} of the 130 frames" in found.verdict.sentence
    assert set(found.locations[:, 0]) <= set(lit)
