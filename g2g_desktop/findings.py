"""What the quality figures mean, in words: value, verdict and one plain sentence each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training_core.quality import BlindQuality, ReferenceQuality


class Level(StrEnum):
    """How good a figure is; the value is the word shown beside its symbol."""

    GREEN = "Good"
    AMBER = "Check"
    RED = "Poor"
    NEUTRAL = "For information"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report."""

    name: str
    value: str
    level: Level
    meaning: str


def blind_findings(quality: BlindQuality, unit: str = "") -> list[Finding]:
    """Put into words what can be said without a reference; `unit` is that of the pixel values."""
    return [
        _noise(quality.noise_sigma_before, quality.noise_sigma_after, unit),
        _signal_in_residual(quality.residual_signal_correlation),
        _pattern_in_residual(max(quality.residual_autocorrelation, key=abs)),
        _brightness(quality.mean_shift_percent),
        _detail(quality.frc_resolution_um, quality.resolution_method),
    ]


def _noise(before: float, after: float, unit: str) -> Finding:
    name, suffix = "Noise", f" {unit}" if unit else ""
    if before <= 0:
        meaning = "No smooth part was found to measure the noise in."
        return Finding(name, "not measured", Level.NEUTRAL, meaning)
    ratio = after / before
    change = 100 * (ratio - 1)
    value = f"{before:.3g} → {after:.3g}{suffix} ({_signed(change, 0)} %)"
    if ratio <= 0.5:
        return Finding(name, value, Level.GREEN, "Smooth parts vary far less than before.")
    if ratio <= 0.85:
        return Finding(name, value, Level.AMBER, "Some noise is left; train longer.")
    return Finding(name, value, Level.RED, "Hardly any noise was removed.")


def _signal_in_residual(correlation: float) -> Finding:
    name, value = "Structure removed", _signed(correlation, 2)
    if abs(correlation) <= 0.1:
        return Finding(name, value, Level.GREEN, "What was removed does not follow the picture.")
    if abs(correlation) <= 0.25:
        meaning = "What was removed follows the picture a little; look at fine detail."
        return Finding(name, value, Level.AMBER, meaning)
    return Finding(name, value, Level.RED, "What was removed follows the picture: detail is lost.")


def _pattern_in_residual(correlation: float) -> Finding:
    name, value = "Pattern removed", _signed(correlation, 2)
    if abs(correlation) <= 0.15:
        meaning = "What was removed is random from pixel to pixel."
        return Finding(name, value, Level.GREEN, meaning)
    # No red: noise that is correlated itself, as in wide-field and CT, leaves exactly this.
    if correlation > 0:
        meaning = "Neighbouring pixels changed alike: usual in wide-field and CT."
    else:
        meaning = "Neighbouring pixels changed oppositely: usual in sharp CT, else a sign of blur."
    return Finding(name, value, Level.AMBER, meaning)


def _brightness(shift_percent: float) -> Finding:
    name, value = "Mean brightness", f"{_signed(shift_percent, 2)} %"
    if abs(shift_percent) <= 0.5:
        return Finding(name, value, Level.GREEN, "Intensities can be measured as before.")
    level = Level.AMBER if abs(shift_percent) <= 2 else Level.RED
    return Finding(name, value, level, "The mean moved; do not compare intensities across stacks.")


def _detail(resolution_um: float | None, method: str | None) -> Finding:
    name = "Smallest detail"
    if resolution_um is None:
        meaning = "Needs a pixel size, and frames of at least 64 px."
        return Finding(name, "not measured", Level.NEUTRAL, meaning)
    how = "repeated frames (FRC)" if method == "frc" else "the denoised image (decorrelation)"
    return Finding(name, _length(resolution_um), Level.NEUTRAL, f"Estimated from {how}.")


def reference_findings(before: ReferenceQuality, after: ReferenceQuality) -> list[Finding]:
    """Put into words how much nearer the reference the denoised stack is than the noisy one."""
    gain = after.psnr - before.psnr
    better = after.ssim - before.ssim
    closer = after.nrmse - before.nrmse
    return [
        Finding(
            "PSNR",
            f"{_decibels(before.psnr)} → {_decibels(after.psnr)} dB",
            _gain_level(gain, enough=1.0),
            "Higher is closer to the reference; +3 dB is half the error power.",
        ),
        Finding(
            "SSIM",
            f"{before.ssim:.3f} → {after.ssim:.3f}",
            _gain_level(better, enough=0.01),
            "Likeness of structure; 1 is equal.",
        ),
        Finding(
            "NRMSE",
            f"{before.nrmse:.4f} → {after.nrmse:.4f}",
            _gain_level(-closer, enough=0.0),
            "Error as a share of the range of the reference; 0 is equal.",
        ),
    ]


def range_sentence(quality: ReferenceQuality) -> str:
    """State what PSNR and SSIM were taken over; without it the figures mean nothing."""
    text = f"Data range {quality.data_range:.6g}"
    if quality.window is None:
        return f"{text}."
    low, high = quality.window
    return f"{text}, both clipped to {_whole(low)} to {_whole(high)} HU first."


def _gain_level(gain: float, enough: float) -> Level:
    if math.isnan(gain):
        return Level.NEUTRAL
    if gain > enough:
        return Level.GREEN
    return Level.AMBER if gain >= 0 else Level.RED


def _decibels(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def _length(length_um: float) -> str:
    if length_um >= 100:
        return f"{length_um / 1000:.2f} mm"
    return f"{length_um:.2f} µm" if length_um >= 0.1 else f"{length_um * 1000:.0f} nm"


def _signed(value: float, decimals: int) -> str:
    """Write a number with its sign, and with none where it rounds to zero."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text[1:]


def _whole(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")
