import numpy as np
import pytest
from PIL import Image

from training_core.errors import InputError, OutputError
from training_core.patches.smooth_patches import SmoothPatches, Verdict
from training_core.reporting import figures
from training_core.reporting.figures import (
    GAP_PX,
    HEAD_PX,
    MARGIN_PX,
    PANEL_PX,
    comparison_figure,
    contrast_window,
    detail_place,
    patches_figure,
    scale_bar_um,
    to_grey,
)
from training_core.stack import PixelSize, Stack


@pytest.fixture
def scene():
    """Flat noise, with stripes in the lower right quarter; (128, 128) uint16."""
    pixels = np.random.default_rng(0).normal(500, 10, (128, 128))
    pixels[64:, 64:] += 300 * (np.arange(64) // 8 % 2)
    return Stack(pixels.astype(np.uint16), "YX", PixelSize(0.1, 0.1))


def opened(path):
    with Image.open(path) as picture:
        return picture.convert("RGB")


def panels(path, count, row=0):
    """Cut the tiles of one row out of a figure."""
    picture = np.asarray(opened(path))
    top = HEAD_PX + row * (PANEL_PX + GAP_PX)
    lefts = [MARGIN_PX + n * (PANEL_PX + GAP_PX) for n in range(count)]
    return [picture[top : top + PANEL_PX, left : left + PANEL_PX].astype(int) for left in lefts]


def test_all_views_share_the_contrast_of_the_noisy_frame(scene, tmp_path):
    brighter = scene.with_pixels(scene.pixels + 60)
    path = comparison_figure(scene, brighter, scene, tmp_path / "figure.png")
    for row in (0, 1):
        noisy, denoised, reference = panels(path, 3, row)
        np.testing.assert_array_equal(noisy, reference)
        low, high = contrast_window(scene, 0)
        # Both rows are grey where they are not marked, and 60 counts brighter than the noisy one.
        place = noisy[40, 40, 0], denoised[40, 40, 0]
        assert place[1] - place[0] == pytest.approx(
            min(60 * 255 / (high - low), 255 - place[0]), abs=1
        )


def test_the_whole_frame_is_drawn_pixel_by_pixel(scene, tmp_path):
    scene = Stack(scene.pixels[8:, 8:], "YX")  # 120 px, each drawn as 4 x 4
    path = comparison_figure(scene, scene, None, tmp_path / "figure.png")
    low, high = contrast_window(scene, 0)
    grey = np.clip((scene.frame(0) - low) / (high - low), 0, 1) * 255
    drawn = panels(path, 2)[0][:200, :, 0]
    expected = grey.repeat(4, axis=0).repeat(4, axis=1)[:200]
    np.testing.assert_allclose(drawn, expected, atol=0.51)


def test_without_a_reference_there_are_two_columns_and_no_psnr(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "compare_with_reference", None)
    path = comparison_figure(scene, scene, None, tmp_path / "figure.png")
    assert opened(path).width == 2 * (MARGIN_PX + PANEL_PX) + GAP_PX


def test_the_scores_and_their_range_are_written(scene):
    off = scene.with_pixels(scene.pixels + 10)
    details, notes = figures._scores(off, scene, scene)
    spread = np.ptp(scene.pixels.astype(int))
    assert details[0].startswith(f"PSNR {20 * np.log10(spread / 10):.2f} dB")
    assert f"data range of {spread}" in notes[0]


def test_contrast_saturates_a_third_of_a_percent():
    ramp = Stack(np.arange(100_000, dtype=np.uint32).reshape(250, 400), "YX")
    low, high = contrast_window(ramp, 0)
    assert (ramp.pixels < low).mean() + (ramp.pixels > high).mean() == pytest.approx(
        0.0035, abs=1e-5
    )
    assert contrast_window(Stack(ramp.pixels, "YX", value_unit="HU"), 0) == (-160, 240)
    assert contrast_window(Stack(np.full((4, 4), 9), "YX"), 0) == (9, 10)


def test_the_enlarged_place_is_where_the_detail_is(scene):
    low, high = contrast_window(scene, 0)
    top, left, side = detail_place(to_grey(scene.frame(0), (low, high)))
    assert 20 <= side <= 64
    assert min(top, left) >= 64 - 8
    assert max(top, left) + side <= 128


@pytest.mark.parametrize("shape", [(1, 1), (5, 512), (17, 16)])
def test_odd_frames_are_drawn(shape, tmp_path):
    stack = Stack(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), "YX")
    path = comparison_figure(stack, stack, None, tmp_path / "figure.png")
    assert opened(path).width >= 2 * MARGIN_PX + GAP_PX + 2


@pytest.mark.parametrize(("view", "bar"), [(27.6, 5), (8.6, 2), (358_400, 50_000), (0.9, 0.2)])
def test_scale_bars_are_one_two_or_five(view, bar):
    assert scale_bar_um(view) == pytest.approx(bar)
    assert scale_bar_um(view) <= view / 4


def test_scale_bar_has_its_length_and_is_left_out_without_a_pixel_size(scene, tmp_path):
    with_bar = panels(comparison_figure(scene, scene, None, tmp_path / "a.png"), 1)[0]
    unknown = Stack(scene.pixels, "YX")
    without = panels(comparison_figure(unknown, unknown, None, tmp_path / "b.png"), 1)[0]
    changed = np.flatnonzero((with_bar != without).any(axis=2)[PANEL_PX - 17])
    # 2 um are 20 of 128 pixels; the outline adds one.
    assert len(changed) > 0
    assert changed[-1] - changed[0] == pytest.approx(20 * PANEL_PX / 128, abs=3)


@pytest.mark.parametrize(("um", "text"), [(0.2, "200 nm"), (5, "5 µm"), (50_000, "50 mm")])
def test_lengths_have_the_fitting_unit(um, text):
    assert figures._length(um) == text


def test_an_existing_file_stays_unless_allowed(scene, tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        comparison_figure(scene, scene, None, path)
    assert path.read_bytes() == b"mine"
    comparison_figure(scene, scene, None, path, overwrite=True)
    assert opened(path).width > 2 * PANEL_PX


def test_nothing_is_left_of_a_figure_that_cannot_be_written(scene, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        comparison_figure(scene, scene, None, tmp_path / "missing" / "figure.png")
    with pytest.raises(InputError):
        comparison_figure(scene, scene, Stack(np.zeros((8, 8)), "YX"), tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []


def smooth_patches(locations):
    table = np.array(locations, np.int32).reshape(-1, 3)
    verdict = Verdict("red", "Found few.")
    return SmoothPatches(table, np.zeros(len(table)), 32, 8, None, 60, 0.1, verdict)


def test_patches_are_tinted_where_they_lie(scene, tmp_path):
    path = patches_figure(scene, smooth_patches([[0, 0, 0], [0, 8, 16]]), tmp_path / "p.png")
    where = panels(path, 1)[0]
    green = where[..., 1] - where[..., 0] > 20
    zoom = PANEL_PX / 128
    area = 32 * 32 + 32 * 32 - 24 * 16
    assert green.sum() == pytest.approx(area * zoom**2, rel=0.02)
    assert green[int(4 * zoom), int(4 * zoom)]
    assert green[int(38 * zoom), int(46 * zoom)]
    assert not green[int(38 * zoom), int(4 * zoom)]


def test_no_patches_still_make_a_figure(scene, tmp_path):
    path = patches_figure(scene, smooth_patches([]), tmp_path / "p.png")
    where = panels(path, 1)[0]
    assert not (where[..., 1] - where[..., 0] > 20).any()
