"""What the quality figures mean, in words, and the one verdict on a result that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .words import tell_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_core.quality.measures import BlindQuality, ReferenceQuality


UNKNOWN = "not known"


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


class Trust(StrEnum):
    """What a result may be used for; the value is what the user reads."""

    SAFE = "Safe to measure"
    LOOK = "Look only"
    NO = "Do not use"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The one verdict on a result, and the one reason for it, a sentence."""

    trust: Trust
    reason: str


def judge(findings: Sequence[Finding], alike: Finding | None = None) -> Judgement:
    """Give the one verdict on a result: that of its worst finding.

    Parameters
    ----------
    findings
        All that is known of it; what is not known is no reason to trust it.
    alike
        How the model suits the stack, where it was trained on another one.
    """
    for trust, level in ((Trust.NO, Level.RED), (Trust.LOOK, Level.AMBER)):
        if alike is not None and alike.level is level:
            return Judgement(trust, alike.meaning)
        for finding in findings:
            if finding.level is level:
                return Judgement(trust, f"{finding.name}: {finding.value}. {finding.meaning}")
    unknown = next((one for one in findings if one.value == UNKNOWN), None)
    if unknown is not None:
        return Judgement(Trust.LOOK, f"{unknown.name}: {UNKNOWN}. {unknown.meaning}")
    return Judgement(Trust.SAFE, "No check found a reason against it.")


def verdict(findings: Sequence[Finding]) -> str:
    """Sum up a report, such as "3 of 4 checks good, 1 not known"; "" where nothing was judged."""
    judged = [f.level for f in findings if f.level is not Level.NEUTRAL]
    unknown = sum(f.value == UNKNOWN for f in findings)
    more = f", {unknown} not known" if unknown else ""
    return f"{judged.count(Level.GREEN)} of {len(judged)} checks good{more}" if judged else ""


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


def blind_findings(
    quality: BlindQuality,
    unit: str = "",
    card: Mapping[str, Any] | None = None,
    *,
    foreign: bool = False,
) -> list[Finding]:
    """Put into words what can be said without a reference.

    `unit` is that of the pixel values, `card` that of the denoiser: noise that is known to be
    correlated leaves a pattern, and where texture is like noise nobody knows what was removed.
    `foreign` says that the denoiser was trained on another stack. Noise that was kept on purpose is
    no reason to train longer.
    """
    card = card or {}
    doubted, blended = bool(card.get("doubted")), bool(card.get("kept_noise"))
    remedy = "raise the strength" if blended else "train longer"
    remedy = "train on this stack" if foreign else remedy
    learned = _learned_correlations(card)
    found = max(quality.residual_autocorrelation, key=abs)
    unlike = found if not learned else found - min(learned, key=lambda each: abs(found - each))
    return [
        _noise(quality, unit, remedy, doubted=doubted),
        _structure(quality.residual_unevenness, doubted=doubted),
        _pattern_in_residual(found, unlike, known=bool(learned)),
        _brightness(quality.mean_shift_percent),
        _detail(quality.frc_resolution_um, quality.resolution_method),
    ]


def _learned_correlations(card: Mapping[str, Any]) -> list[float]:
    """Give those of neighbouring pixels in the learned noise; of a strange card none."""
    ways = ("correlation_x", "correlation_y")
    try:
        return [float(one[way][1]) for one in card.get("noise", ()) for way in ways]
    except (LookupError, TypeError, ValueError):
        return []


def _noise(quality: BlindQuality, unit: str, remedy: str, *, doubted: bool) -> Finding:
    name, before, after = "Noise", quality.noise_sigma_before, quality.noise_sigma_after
    if doubted:
        meaning = "Texture and noise are alike here, so nobody can tell how much of it is left."
        return Finding(name, UNKNOWN, Level.NEUTRAL, meaning)
    if not before or after is None:
        meaning = "No place was found to measure the noise in."
        return Finding(name, UNKNOWN, Level.NEUTRAL, meaning)
    ratio = after / before
    change = _signed(100 * (ratio - 1), 0)
    value = f"{_three(before)} → {_three(after)} {unit or 'grey values'} ({change} %)"
    tip = (
        "Standard deviation in calm places, from waves too fine for texture. "
        "Warns where less than 50 % is gone."
    )
    if ratio <= 0.5:
        meaning = "Calm places vary far less than before."
        return Finding(name, value, Level.GREEN, meaning, tip)
    if ratio <= 0.85:
        return Finding(name, value, Level.AMBER, f"Some noise is left; {remedy}.", tip)
    return Finding(name, value, Level.RED, "Hardly any noise was removed.", tip)


def _structure(uneven: float | None, *, doubted: bool) -> Finding:
    name = "Structure lost"
    tip = (
        "How much of what was removed noise cannot explain, since it is stronger than in calm "
        "places of the same brightness. Structure that is alike everywhere does not show. "
        "Warns above 15 %; poor above 40 %."
    )
    if doubted:
        meaning = "Texture and noise are alike here, so nobody can tell what was removed."
        return Finding(name, UNKNOWN, Level.NEUTRAL, meaning, tip)
    if uneven is None:
        meaning = "What was removed cannot be compared from place to place."
        return Finding(name, UNKNOWN, Level.NEUTRAL, meaning, tip)
    share = f"{100 * max(uneven, 0.0):.0f} %"
    if uneven <= 0.15:
        meaning = "What was removed is as strong in one place as in another."
        return Finding(name, f"none seen ({share})", Level.GREEN, meaning, tip)
    if uneven <= 0.4:
        meaning = "A part of what was removed is too uneven for noise; look at fine detail."
        return Finding(name, f"some ({share})", Level.AMBER, meaning, tip)
    meaning = "Much of what was removed is too uneven for noise: detail is lost."
    return Finding(name, f"much ({share})", Level.RED, meaning, tip)


def _pattern_in_residual(correlation: float, unlike: float, *, known: bool) -> Finding:
    name, value = "Pattern in what was removed", f"{correlation:.2f}".replace("-", "−")
    tip = (
        "Correlation of neighbouring pixels in what was removed. Warns where that of the noise "
        "differs by more than 0.15."
    )
    if abs(unlike) <= 0.15:
        meaning = "What was removed is random from pixel to pixel."
        if abs(correlation) > 0.15:
            meaning = "What was removed has the pattern of the noise that was learned."
        return Finding(name, f"that of noise ({value})", Level.GREEN, meaning, tip)
    # No red: noise that is correlated itself, as in wide-field and CT, leaves exactly this.
    if known:
        meaning = "Neighbouring pixels changed otherwise than the learned noise would have them."
    elif correlation > 0:
        meaning = "Neighbouring pixels changed alike: usual in wide-field and CT."
    else:
        meaning = "Neighbouring pixels changed oppositely: usual in sharp CT, else a sign of blur."
    return Finding(name, f"some ({value})", Level.AMBER, meaning, tip)


def _brightness(shift_percent: float) -> Finding:
    name, value = "Mean brightness", f"{_signed(shift_percent, 2)} %"
    tip = "Mean of the whole stack. Warns above 0.5 %; poor above 1 %."
    if abs(shift_percent) <= 0.5:
        return Finding(name, value, Level.GREEN, "Overall brightness is unchanged.", tip)
    level = Level.AMBER if abs(shift_percent) <= 1 else Level.RED
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
