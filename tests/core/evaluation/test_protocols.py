import numpy as np
import pytest

from training_core.errors import SettingsError
from training_core.evaluation.protocols import PROTOCOLS, protocol_for

KINDS = ("natural", "micrograph", "ct")


@pytest.fixture
def clean():
    rows, columns = np.mgrid[:48, :64]
    return 40.0 + 2.0 * columns + 30.0 * (rows > 20)


def ssim_by_hand(one, two, data_range, window, bessel=1.0):
    """Mean SSIM of all windows inside the image, by its definition."""
    size = len(window)
    scores = []
    for top in range(one.shape[0] - size + 1):
        for left in range(one.shape[1] - size + 1):
            a, b = (x[top : top + size, left : left + size] for x in (one, two))
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = ((window * (x - m) ** 2).sum() * bessel for x, m in ((a, ma), (b, mb)))
            shared = (window * (a - ma) * (b - mb)).sum() * bessel
            c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
            scores.append(
                (2 * ma * mb + c1) * (2 * shared + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return np.mean(scores)


def gaussian_window():
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    return np.outer(line, line) / line.sum() ** 2


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_identical_image_is_perfect(name, kind, clean):
    protocol = protocol_for(name, kind)
    assert protocol.name == name
    score = protocol.score(clean, clean)
    assert score.psnr == float("inf")
    assert score.ssim == pytest.approx(1.0)


def test_published_clips_both_images_first():
    clean = np.full((8, 8), 255.0)
    image = clean.copy()
    image[0, 0] = 300.0
    image[1, 1] = 229.5
    score = protocol_for("published", "natural").score(image, clean + 50)
    assert score.psnr == pytest.approx(10 * np.log10(255**2 / (25.5**2 / 64)))


@pytest.mark.parametrize(
    ("kind", "peak"), [("natural", 255.0), ("micrograph", 255.0), ("ct", 400.0)]
)
def test_sane_peak(kind, peak, clean):
    score = protocol_for("sane", kind).score(clean + 4.0, clean)
    assert score.psnr == pytest.approx(20 * np.log10(peak / 4.0))
    assert protocol_for("sane", kind).data_range == peak


def test_sane_clips_nothing_but_ct_to_its_window(clean):
    image = clean.copy()
    image[0, 0] = clean[0, 0] + 1000.0
    error = 10 * np.log10(255**2 / (1000.0**2 / clean.size))
    assert protocol_for("sane", "natural").score(image, clean).psnr == pytest.approx(error)
    error = 10 * np.log10(400**2 / ((240.0 - clean[0, 0]) ** 2 / clean.size))
    assert protocol_for("sane", "ct").score(image, clean).psnr == pytest.approx(error)


def test_published_ct_counts_from_air(clean):
    noisy = clean + np.random.default_rng(1).normal(0, 9, clean.shape)
    in_hu = [1000 * (a / 127.5 - 1) for a in (noisy, clean)]
    as_gray = protocol_for("published", "natural").score(noisy, clean)
    score = protocol_for("published", "ct").score(*in_hu)
    assert (score.psnr, score.ssim) == pytest.approx((as_gray.psnr, as_gray.ssim))


def test_published_ssim_is_uniform_and_takes_its_range_from_the_denoised_image(clean):
    image = clean * 0.8 + np.random.default_rng(2).normal(0, 6, clean.shape)
    by_hand = ssim_by_hand(image, clean, np.ptp(image), np.full((7, 7), 1 / 49), 49 / 48)
    score = protocol_for("published", "natural").score(image, clean)
    assert score.ssim == pytest.approx(by_hand, abs=1e-9)


def test_sane_ssim_windows(clean):
    image = clean * 0.8 + np.random.default_rng(2).normal(0, 6, clean.shape)
    wang = ssim_by_hand(image, clean, 255, gaussian_window())
    assert protocol_for("sane", "natural").score(image, clean).ssim == pytest.approx(wang, abs=1e-9)
    uniform = ssim_by_hand(image, clean, 255, np.full((7, 7), 1 / 49), 49 / 48)
    score = protocol_for("sane", "micrograph").score(image, clean)
    assert score.ssim == pytest.approx(uniform, abs=1e-9)
    assert abs(wang - uniform) > 0.005


def test_a_flat_image_has_a_score(clean):
    score = protocol_for("published", "natural").score(np.full(clean.shape, 100.0), clean)
    assert 0 <= score.ssim < 0.9
    assert np.isfinite(score.psnr)


def test_each_says_its_range():
    assert "[0, 255]" in protocol_for("published", "natural").describes
    assert "[-1000, 1000] HU" in protocol_for("published", "ct").describes
    assert "[-160, 240] HU" in protocol_for("sane", "ct").describes


def test_unknown_protocol_is_refused():
    with pytest.raises(SettingsError, match="'usual'"):
        protocol_for("usual", "ct")
