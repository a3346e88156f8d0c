import numpy as np
import pytest
from scipy import ndimage

from training_core.errors import InputError
from training_core.quality.measures import assess, compare_with_reference
from training_core.run import Cancelled, Run
from training_core.stack import PixelSize, Stack


def stack(pixels, axes="YX", **more):
    return Stack(np.asarray(pixels), axes, **more)


def scene(side=128):
    y, x = np.mgrid[:side, :side] / side
    return 100 + 50 * np.sin(6 * x) * np.cos(5 * y)


def test_psnr_of_uint8_is_what_a_pencil_gives():
    reference = np.zeros((8, 8), np.uint8)
    image = reference.copy()
    image[0, 0], image[3, 4] = 16, 12  # mean square error (256 + 144) / 64 = 6.25
    found = compare_with_reference(stack(image), stack(reference))
    assert found.data_range == 255
    assert found.rmse == pytest.approx(2.5)
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / 6.25))


def test_other_types_are_measured_against_the_range_of_the_reference():
    reference = np.array([[100, 300], [200, 1100]] * 8, np.uint16)
    found = compare_with_reference(stack(reference + 10), stack(reference))
    assert found.data_range == 1000
    assert found.psnr == pytest.approx(40.0)
    assert found.nrmse == pytest.approx(0.01)
    given = compare_with_reference(stack(reference + 10), stack(reference), 100.0)
    assert given.psnr == pytest.approx(20.0)
    assert given.data_range == 100


def test_equal_stacks():
    one = stack(scene().astype(np.uint16))
    found = compare_with_reference(one, one)
    assert (found.psnr, found.ssim, found.nrmse) == (float("inf"), 1.0, 0.0)


def test_a_straight_line_does_not_count_for_the_range_invariant_psnr():
    rng = np.random.default_rng(0)
    clean = scene()
    noisy = clean + rng.normal(0, 2, clean.shape)
    plain = compare_with_reference(stack(noisy), stack(clean))
    stretched = compare_with_reference(stack(3 * noisy - 40), stack(clean))
    assert stretched.range_invariant_psnr == pytest.approx(plain.range_invariant_psnr)
    assert plain.range_invariant_psnr == pytest.approx(plain.psnr, abs=0.05)
    assert stretched.psnr < 5


def test_ssim_is_that_of_the_published_tables():
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    clean = np.stack([scene(), scene().T])
    noisy = clean + rng.normal(0, 10, clean.shape)
    found = compare_with_reference(stack(noisy, "ZYX"), stack(clean, "ZYX"), 255)
    expected = [
        structural_similarity(c, n, data_range=255) for c, n in zip(clean, noisy, strict=True)
    ]
    assert found.ssim == pytest.approx(np.mean(expected))


def test_ct_is_compared_in_a_window_of_hounsfield_units():
    reference = np.array([[-1000, 0], [100, 1500]] * 8, np.int16)
    image = reference + np.array([[50, 20], [-20, 300]] * 8, np.int16)
    found = compare_with_reference(stack(image), stack(reference, value_unit="HU"))
    assert found.window == (-160, 240)
    assert found.data_range == 400
    assert found.rmse == pytest.approx(np.sqrt((0 + 400 + 400 + 0) / 4))
    narrow = compare_with_reference(stack(image), stack(reference), window=(0.0, 110.0))
    assert narrow.rmse == pytest.approx(np.sqrt((0 + 400 + 400 + 0) / 4))
    assert narrow.data_range == 110


def test_frames_smaller_than_the_ssim_window_are_measured():
    tiny = stack(np.array([[3.0, 9.0]]))
    assert compare_with_reference(tiny, tiny).ssim == 1.0


def test_different_shapes_are_refused_in_one_sentence():
    with pytest.raises(InputError) as caught:
        compare_with_reference(stack(np.zeros((2, 8, 9)), "ZYX"), stack(np.zeros((8, 8))))
    assert "2 frames of 9 × 8 px" in str(caught.value)
    assert "1 frame of 8 × 8 px" in str(caught.value)
    with pytest.raises(InputError):
        assess(stack(np.zeros((8, 9))), stack(np.zeros((8, 8))))


def test_a_comparison_can_be_cancelled():
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        compare_with_reference(stack(scene()), stack(scene()), run=run)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_the_removed_noise_is_described(blur):
    clean = scene(256)
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    noise = ndimage.gaussian_filter(noise, (0, blur), mode="wrap") if blur else noise
    noise *= 8 / noise.std()
    found = assess(stack(clean + noise), stack(clean))
    along_x = np.mean(noise[:, 1:] * noise[:, :-1]) / 64
    assert found.noise_sigma_before == pytest.approx(8.0, rel=0.08)
    assert found.noise_sigma_after < 0.4
    assert found.residual_unevenness == pytest.approx(0.0, abs=0.05)
    assert found.residual_to_noise == pytest.approx(1.0, abs=0.09)
    assert found.residual_autocorrelation == pytest.approx((along_x, 0.0), abs=0.02)
    assert found.residual_signal_correlation == pytest.approx(0.0, abs=0.02)
    assert (found.slope, found.intercept) == pytest.approx((1.0, 0.0), abs=1.5)
    assert found.slope == pytest.approx(1.0, abs=0.01)
    assert abs(found.mean_shift_percent) < 0.1


def test_identity_changes_nothing():
    one = stack(scene().astype(np.uint16), pixel_size=PixelSize(0.1, 0.1))
    found = assess(one, one)
    assert found.mean_shift_percent == 0.0
    assert found.residual_autocorrelation == (0.0, 0.0)
    assert found.residual_signal_correlation == 0.0
    assert (found.slope, found.intercept) == (1.0, 0.0)
    assert found.noise_sigma_after == found.noise_sigma_before


def test_a_shifted_mean_is_reported_with_its_sign():
    one = scene()[:, 1:]  # a first column of one value would be padding
    found = assess(stack(one), stack(0.98 * one))
    assert found.mean_shift_percent == pytest.approx(-2.0)
    assert found.slope == pytest.approx(1 / 0.98)
    signed = assess(stack(one - 100), stack(one - 99))
    least, greatest = np.percentile(one.astype(np.float32), (0.1, 99.9))
    assert signed.mean_shift_percent == pytest.approx(100 / (greatest - least), rel=1e-3)


def test_eaten_structure_shows_in_the_residual():
    clean = scene(256)
    clean[:, 128:] += 30 * (np.indices((256, 128)).sum(axis=0) // 8 % 2)
    rng = np.random.default_rng(2)
    noisy = clean + rng.normal(0, 5, clean.shape)
    found = assess(stack(noisy), stack(ndimage.gaussian_filter(noisy, 6)))
    assert found.residual_to_noise > 1.5
    assert found.residual_unevenness > 0.4
    assert min(found.residual_autocorrelation) > 0.4


def test_hot_pixels_that_were_repaired_are_no_structure_and_no_brightness():
    clean = scene(128)
    noisy = clean + np.random.default_rng(3).normal(0, 5, clean.shape)
    noisy[5::16, 5::16] += 2000
    found = assess(stack(noisy), stack(clean))
    assert found.residual_unevenness < 0.15
    assert abs(found.mean_shift_percent) < 0.3
