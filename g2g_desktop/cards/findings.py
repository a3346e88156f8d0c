"""What the quality figures mean, in words: value, verdict and one plain sentence each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from training_core.reporting.words import tell_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_core.quality.measures import BlindQuality, ReferenceQuality


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
    tip: str = ""  # how it is measured, and from where on it warns


def verdict(findings: Sequence[Finding]) -> str:
    """Sum up a report, such as "3 of 4 checks good"; "" where nothing was judged."""
    judged = [f.level for f in findings if f.level is not Level.NEUTRAL]
    return f"{judged.count(Level.GREEN)} of {len(judged)} checks good" if judged else ""


def warns(findings: Sequence[Finding]) -> bool:
    """Whether any check was not passed."""
    return any(f.level in (Level.AMBER, Level.RED) for f in findings)


def card_findings(card: Mapping[str, Any]) -> list[Finding]:
    """Put into words what a denoiser learned of the noise, and what was chosen for it blind."""
    levels = {True: Level.GREEN, False: Level.AMBER, None: Level.NEUTRAL}
    return [
        Finding(
            fact.name,
            fact.value,
            levels[fact.good] if fact.trusted else Level.RED,
            fact.meaning,
            "\n".join(fact.details),
        )
        for fact in tell_card(card)
    ]


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
    name = "Noise"
    if before <= 0:
        meaning = "No smooth part was found to measure the noise in."
        return Finding(name, "not measured", Level.NEUTRAL, meaning)
    ratio = after / before
    change = _signed(100 * (ratio - 1), 0)
    value = f"{_three(before)} → {_three(after)} {unit or 'grey values'} ({change} %)"
    tip = "Standard deviation in smooth parts. Warns where less than 50 % is gone."
    if ratio <= 0.5:
        meaning = "Smooth parts vary far less than before."
        return Finding(name, value, Level.GREEN, meaning, tip)
    if ratio <= 0.85:
        return Finding(name, value, Level.AMBER, "Some noise is left; train longer.", tip)
    return Finding(name, value, Level.RED, "Hardly any noise was removed.", tip)


def _signal_in_residual(correlation: float) -> Finding:
    name, size = "Structure lost", abs(correlation)
    tip = (
        "Correlation of what was removed with the picture: 0 is none, 1 is all. "
        "Warns above 0.10; poor above 0.25."
    )
    if size <= 0.1:
        meaning = "What was removed does not follow the picture."
        return Finding(name, f"none seen ({size:.2f})", Level.GREEN, meaning, tip)
    if size <= 0.25:
        meaning = "What was removed follows the picture a little; look at fine detail."
        return Finding(name, f"some ({size:.2f})", Level.AMBER, meaning, tip)
    meaning = "What was removed follows the picture: detail is lost."
    return Finding(name, f"much ({size:.2f})", Level.RED, meaning, tip)


def _pattern_in_residual(correlation: float) -> Finding:
    name, size = "Pattern in what was removed", abs(correlation)
    tip = "Correlation of neighbouring pixels in what was removed. Warns above 0.15."
    if size <= 0.15:
        meaning = "What was removed is random from pixel to pixel."
        return Finding(name, f"none ({size:.2f})", Level.GREEN, meaning, tip)
    # No red: noise that is correlated itself, as in wide-field and CT, leaves exactly this.
    if correlation > 0:
        meaning = "Neighbouring pixels changed alike: usual in wide-field and CT."
    else:
        meaning = "Neighbouring pixels changed oppositely: usual in sharp CT, else a sign of blur."
    return Finding(name, f"some ({size:.2f})", Level.AMBER, meaning, tip)


def _brightness(shift_percent: float) -> Finding:
    name, value = "Mean brightness", f"{_signed(shift_percent, 2)} %"
    tip = "Mean of the whole stack. Warns above 0.5 %; poor above 2 %."
    if abs(shift_percent) <= 0.5:
        return Finding(name, value, Level.GREEN, "Overall brightness is unchanged.", tip)
    level = Level.AMBER if abs(shift_percent) <= 2 else Level.RED
    meaning = "The mean moved; do not compare intensities across stacks."
    return Finding(name, value, level, meaning, tip)


def _detail(resolution_um: float | None, method: str | None) -> Finding:
    name = "Smallest detail"
    if resolution_um is None:
        meaning = "Needs a pixel size, and frames of at least 64 px."
        return Finding(name, "not measured", Level.NEUTRAL, meaning)
    if method == "frc":
        meaning, tip = "Estimated from repeated frames.", "By Fourier ring correlation (FRC)."
    else:
        meaning, tip = "Estimated from the denoised image.", "By decorrelation analysis."
    return Finding(name, _length(resolution_um), Level.NEUTRAL, meaning, tip)


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


def _three(value: float) -> str:
    """Write three digits, and never an exponent."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _signed(value: float, decimals: int) -> str:
    """Write a number with its sign, and with none where it rounds to zero."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text[1:]


def _whole(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")
