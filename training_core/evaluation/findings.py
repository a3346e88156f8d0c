"""What an evaluation says of our own result besides its scores: choice, brightness, noise alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scores import Report


def findings(report: Report) -> list[str]:
    """Say what the blind choice lost, what became of brightness and noise alone; CT in HU.

    Also say where what is bundled has seen more than the noisy images.
    """
    return [
        *_choice(report),
        *_reduction(report),
        *_brightness(report),
        *_noise_alone(report),
        *_clean_seen(report),
    ]


def plain_findings(report: Report) -> dict[str, Any]:
    """Give the same as plain values, None for what was not measured; by the last protocol."""
    protocol = report.protocols[-1].name
    oracle, ours = report.oracle(protocol), report.ours
    psnr, ssim = report.lost(protocol)
    bias = ours.bias(protocol) if ours else None
    return {
        "oracle": oracle.label if oracle else None,
        "lost_psnr": psnr,
        "lost_ssim": ssim,
        "mean_shift_percent": bias.shift_percent if bias else None,
        "slope_on_reference": bias.reference_slope if bias else None,
        "slope": bias.slope if bias else None,
        "calibration": bias.calibration if bias else None,
        "calibration_by_place": bias.calibration_by_place if bias else None,
        "worst_bin_percent": bias.worst_bin_percent if bias else None,
        "flat_residual": report.card.get("flat_residual"),
        "error_reduction": error_reduction(report),
    }


def error_reduction(report: Report) -> float | None:
    """Give by which share the root mean square error of CT falls; None for other images."""
    errors = _errors(report)
    return 1 - errors[1] / errors[0] if errors else None


def _errors(report: Report) -> tuple[float, float] | None:
    protocol = report.protocols[-1]
    noisy = next((row for row in report.rows if row.method == "noisy" and row.cells), None)
    if report.table.kind != "ct" or report.ours is None or noisy is None:
        return None
    before, after = (r.rmse(protocol.name, protocol.data_range) for r in (noisy, report.ours))
    return (before, after) if before and after else None


def _choice(report: Report) -> list[str]:
    protocol = report.protocols[-1].name
    oracle, (psnr, ssim) = report.oracle(protocol), report.lost(protocol)
    if oracle is None or psnr is None or ssim is None:
        return []
    return [
        f"The best of our rows, picked by the reference, is {oracle.label}: the blind choice loses "
        f"{psnr:.2f} dB and {ssim:.4f} SSIM, {protocol} protocol."
    ]


def _reduction(report: Report) -> list[str]:
    errors, protocol = _errors(report), report.protocols[-1]
    if errors is None:
        return []
    change = 100 * (errors[1] / errors[0] - 1)
    return [
        f"Root mean square error in [{protocol.low:g}, {protocol.high:g}] HU: {errors[0]:.2f} HU "
        f"noisy, {errors[1]:.2f} HU ours ({change:+.1f} %)."
    ]


def _brightness(report: Report) -> list[str]:
    ours = report.ours
    bias = ours.bias(report.protocols[-1].name) if ours else None
    if bias is None:
        return []
    return [
        f"Our result moves the mean of an image by at most {bias.shift_percent:+.2f} %, the mean "
        f"of a sixteenth by brightness by at most {bias.worst_bin_percent:+.2f} %; its slope on "
        f"the reference is {bias.reference_slope:.3f}, without bleaching {bias.slope:.3f}, that of "
        f"the reference on it {bias.calibration:.3f}, with brightness compared place by place "
        f"{bias.calibration_by_place:.3f}."
    ]


def _noise_alone(report: Report) -> list[str]:
    left = report.card.get("flat_residual")
    return [] if left is None else [f"Of learned noise on a constant {100 * left:.1f} % is left."]


def _clean_seen(report: Report) -> list[str]:
    """Say where bundled weights were trained on the clean images of the table's training set."""
    if report.table.kind != "natural" or report.ours is None:
        return []
    first = report.card.get("first_estimate", {}).get("chosen")
    if "pretrained" not in (report.settings.denoiser.network, first):
        return []
    return [
        "The weights of the pretrained network saw the clean photographs of BSD400, "
        "never those of BSD68."
    ]
