"""An evaluation as it is read: a table on the terminal, a CSV file, a page with example crops."""

from __future__ import annotations

import csv
import io
import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import OutputError
from training_core.reporting.figures import detail_place, enlarged, save_png, sheet, to_grey
from training_core.resources import program
from training_core.wording import duration

from .contenders import FILTERS
from .scores import BIASES, Bias, Example, Mean, Report, Row

PAGE, SCORES = "report.md", "scores.csv"
CROP_PX = 300
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "bm3d")
BEST, SEES = "*", "(sees the reference)"
LEGEND = (
    "best of the methods that see no reference, of G2G only the round chosen blind, the last one "
    "and the result; +- is the standard error over images (se)."
)
SHOWN_PERCENT = 0.35  # of the pixels are black or white, as in Fiji
COLUMNS = (
    "table",
    "protocol",
    "method",
    "source",
    "sees_reference",
    "image",
    "images",
    "psnr_db",
    "psnr_standard_error",
    "ssim",
    "ssim_standard_error",
    *BIASES,
)


def as_text(report: Report) -> str:
    """Give the table for a terminal, aligned, in ASCII."""
    names = [_label(row) for row in report.rows]
    wide = max(len(name) for name in names)
    heads = [f"{protocol.name} protocol" for protocol in report.protocols]
    lines = [
        headline(report),
        "",
        " " * wide + "".join(f"  {head:^27}" for head in heads),
        "method".ljust(wide) + "  PSNR (dB) +- se       SSIM " * len(heads),
    ]
    for name, row in zip(names, report.rows, strict=True):
        lines.append((name.ljust(wide) + "".join(_cell(report, row))).rstrip())
    lines += ["", f"{BEST} {LEGEND}"]
    lines += [*(p.describes for p in report.protocols), *report.notes]
    lines += [f"{r.label}: {r.how}" for r in report.rows if r.source == "measured" and not r.cells]
    lines += [*verdicts(report), *findings(report)]
    return "\n".join(lines).encode("ascii", "replace").decode()


def headline(report: Report) -> str:
    """Say which table, on how many of its images, with which preset and seed."""
    count = f"{len(report.images)} of {report.available} test images"
    training = f"preset {report.settings.preset}, seed {report.settings.seed}"
    return f"{report.table.name}: {report.table.title}; {count}, {training}, on {report.device}"


def verdicts(report: Report) -> list[str]:
    """Say whether our result passes the published G2G and the target, a sentence for each."""
    ours = report.ours
    if ours is None:
        return []
    if len(report.images) < report.available:
        return ["A part of the images says nothing of the whole table, so there is no verdict."]
    sentences = []
    for row in report.rows:
        passed = report.passes(row)
        if passed is None or not (row.source == "target" or row.label == "G2G"):
            continue
        protocol = next(p.name for p in report.protocols if p.name in row.means)
        mine, known = _figures(ours.means[protocol]), _figures(row.means[protocol])
        name = "the target" if row.source == "target" else f"published {row.label}"
        word = "passes" if passed else "does not pass"
        if not passed and report.passes(row, psnr_alone=True):
            word = "passes in PSNR, but not in SSIM,"
        sentences.append(f"{ours.label} ({mine}) {word} {name} ({known}), {protocol} protocol.")
    return sentences


def _figures(mean: Mean) -> str:
    parts = [f"{mean.psnr:.2f} dB" if mean.psnr is not None else ""]
    parts += [f"SSIM {mean.ssim:.3f}" if mean.ssim is not None else ""]
    return ", ".join(part for part in parts if part)


def findings(report: Report) -> Iterator[str]:
    """Say what the blind choice lost, and what became of error, brightness and noise alone.

    Also where what is bundled has seen more than the noisy images. By the last protocol.
    """
    protocol, ours = report.protocols[-1], report.ours
    oracle, lost, bias = report.oracle(protocol.name), report.lost(protocol.name), _bias(report)
    if oracle and lost:
        yield (
            f"The best of our rows, picked by the reference, is {oracle.label}: the blind choice "
            f"loses {lost[0]:.2f} dB and {lost[1]:.4f} SSIM, {protocol.name} protocol."
        )
    if errors := _errors(report):
        yield (
            f"Root mean square error in [{protocol.low:g}, {protocol.high:g}] HU: {errors[0]:.2f} "
            f"HU noisy, {errors[1]:.2f} HU ours ({100 * (errors[1] / errors[0] - 1):+.1f} %)."
        )
    if bias:
        yield (
            f"Our result moves the mean of an image by at most {bias.mean_shift_percent:+.2f} %, "
            f"the mean of a sixteenth by brightness by at most {bias.worst_bin_percent:+.2f} %; "
            f"its slope on the reference is {bias.slope_on_reference:.3f}, without bleaching "
            f"{bias.slope:.3f}, that of the reference on it {bias.calibration:.3f}, with "
            f"brightness compared place by place {bias.calibration_by_place:.3f}."
        )
    if (left := report.card.get("flat_residual")) is not None:
        yield f"Of learned noise on a constant {100 * left:.1f} % is left."
    first = report.card.get("first_estimate", {}).get("chosen")
    used = (report.settings.denoiser.network, first)
    if report.table.kind == "natural" and ours and "pretrained" in used:
        yield (
            "The weights of the pretrained network saw the clean photographs of BSD400, "
            "never those of BSD68."
        )


def plain_findings(report: Report) -> dict[str, Any]:
    """Give the same as plain values, None for what was not measured."""
    protocol = report.protocols[-1].name
    oracle, bias, errors = report.oracle(protocol), _bias(report), _errors(report)
    psnr, ssim = report.lost(protocol) or (None, None)
    return {
        "oracle": oracle.label if oracle else None,
        "lost_psnr": psnr,
        "lost_ssim": ssim,
        **(asdict(bias) if bias else dict.fromkeys(BIASES)),
        "flat_residual": report.card.get("flat_residual"),
        "error_reduction": 1 - errors[1] / errors[0] if errors else None,
    }


def _bias(report: Report) -> Bias | None:
    return report.ours.bias(report.protocols[-1].name) if report.ours else None


def _errors(report: Report) -> tuple[float, float] | None:
    """Give the root mean square errors of noisy and ours, HU; None for other images than CT."""
    protocol = report.protocols[-1]
    noisy = next((row for row in report.rows if row.method == "noisy" and row.cells), None)
    if report.table.kind != "ct" or report.ours is None or noisy is None:
        return None
    before, after = (r.rmse(protocol.name, protocol.data_range) for r in (noisy, report.ours))
    return (before, after) if before and after else None


def _label(row: Row) -> str:
    before = "published " * (row.source == "published")
    return f"{before}{row.label}{f' {SEES}' * row.sees_reference}"


def _cell(report: Report, row: Row) -> Iterator[str]:
    for protocol in report.protocols:
        mean = row.means.get(protocol.name)
        mark = BEST if row is report.best(protocol.name) else " "
        psnr = f"{mean.psnr:.2f}" if mean and mean.psnr is not None else "-"
        error = f" +- {mean.psnr_error:.2f} " if mean and mean.psnr_error is not None else ""
        ssim = f"{mean.ssim:.4f}" if mean and mean.ssim is not None else "-"
        yield f"  {psnr:>7}{error:<9}{mark} {ssim:>8} "


def as_csv(report: Report) -> str:
    """Give a line for each image, method and protocol, and one for each mean."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in report.rows:
        start = {
            "table": report.table.name,
            "method": row.label,
            "source": row.source,
            "sees_reference": row.sees_reference,
        }
        for cell in row.cells:
            bias = asdict(cell.bias) if cell.bias else {}
            scores = _exact(psnr_db=cell.psnr, ssim=cell.ssim, **bias)
            writer.writerow({**start, "protocol": cell.protocol, "image": cell.image, **scores})
        for protocol, mean in row.means.items():
            scores = _exact(
                psnr_db=mean.psnr,
                psnr_standard_error=mean.psnr_error,
                ssim=mean.ssim,
                ssim_standard_error=mean.ssim_error,
            )
            where = {"protocol": protocol, "image": "mean", "images": mean.images}
            writer.writerow({**start, **where, **scores})
    return file.getvalue()


def _exact(**scores: float | None) -> dict[str, str]:
    return {name: f"{value:.6f}" for name, value in scores.items() if value is not None}


def as_markdown(report: Report, pictures: list[str]) -> str:
    """Give the page; `pictures` are the files of the examples, beside it."""
    card = report.card
    trained = f"{card['seconds']:.0f} s on {card['device']}" if card else "not trained"
    blindly = "" if card.get("recorded_pairs") else " chosen blind"
    chosen = f", round {card['chosen_round']}{blindly}" if card else ""
    lines = [
        f"# {report.table.title}",
        "",
        f"{headline(report)}.",
        "",
        *(f"- {sentence}" for sentence in (*verdicts(report), *findings(report))),
        "",
        *_markdown_table(report),
        "",
        f"\\{BEST} {LEGEND}",
        "",
        *(f"- {p.describes}" for p in report.protocols),
        "",
        "## Images",
        "",
        *(f"- {note}" for note in report.notes),
        "",
        "## How each row was made",
        "",
        *(f"- **{_label(row)}**: {row.how}" for row in report.rows),
        "",
        "## Settings",
        "",
        f"- Training: {trained}{chosen}. Everything: {duration(report.seconds)}.",
        f"- Versions: {_versions()}.",
        f"- `{report.settings.to_dict()}`",
        "",
        "## Examples",
        "",
        *(f"![{name}]({name})\n" for name in pictures),
    ]
    return "\n".join(lines)


def _markdown_table(report: Report) -> Iterator[str]:
    heads = [f"{p.name}: PSNR (dB) | SSIM" for p in report.protocols]
    yield f"| method | {' | '.join(heads)} | s / image |"
    yield "|---|" + "---:|" * (2 * len(heads) + 1)
    for row in report.rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.2f}"
        cells = (" | ".join(_words(cell)) for cell in _cell(report, row))
        yield f"| {_label(row)} | {' | '.join(cells)} | {seconds} |"


def _words(cell: str) -> tuple[str, str]:
    psnr, _, ssim = cell.strip().rpartition(" ")
    return " ".join(psnr.split()), ssim


def _versions() -> str:
    found = [program(), f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def write_report(report: Report, folder: Path, *, overwrite: bool = False) -> Path:
    """Write page, scores and crops into a folder that appears whole or not at all.

    Raises `OutputError` if the folder exists and may not be replaced, or cannot be written.
    """
    check_folder(folder, overwrite=overwrite)
    partial = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        pictures = [draw_example(report, e, partial).name for e in report.examples]
        (partial / SCORES).write_text(as_csv(report), encoding="utf-8")
        (partial / PAGE).write_text(as_markdown(report, pictures), encoding="utf-8")
        _put_in_place(partial, folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def draw_example(report: Report, example: Example, folder: Path) -> Path:
    """Draw the part richest in detail: noisy, best classical, DnCNN-B, ours and clean."""
    protocol = report.protocols[0].name
    clean = example.references[protocol]
    low, high = (float(v) for v in np.percentile(clean, (SHOWN_PERCENT, 100 - SHOWN_PERCENT)))
    window = (low, max(high, low + 1e-9))
    top, left, side = detail_place(to_grey(clean, window))
    cut = (slice(top, top + side), slice(left, left + side))
    rows = [report.best(protocol, methods) for methods in (("noisy",), FILTERS, ("dncnn-b",))]
    shown = [row for row in (*rows, report.ours) if row is not None]
    headings = [(r.label, _score(r, example.name, protocol)) for r in shown]
    images = [*(example.made[r.label] for r in shown), clean]
    tiles = [[enlarged(to_grey(image[cut], window), CROP_PX)] for image in images]
    caption = f"{example.name}: {side} px, same contrast in all views, {low:.4g} to {high:.4g}"
    name = re.sub(r"[^\w-]", "_", example.name)
    picture = sheet([*headings, ("clean", "reference")], tiles, [f"{caption}."])
    return save_png(picture, folder / f"{name}.png")


def _score(row: Row, image: str, protocol: str) -> str:
    mine = (c for c in row.cells if (c.image, c.protocol) == (image, protocol))
    return " ".join(f"PSNR {c.psnr:.2f} dB   SSIM {c.ssim:.3f}" for c in mine)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` unless the folder may be made, or replaced as an earlier evaluation."""
    if not folder.exists():
        return
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    # Replaced as a whole: a folder with anything else in it, such as a data set, never is.
    if inside and not {PAGE, SCORES} <= inside <= _files_of_report(folder):
        raise OutputError(f"{folder} holds more than an evaluation; choose another folder.")
    if inside and not overwrite:
        raise OutputError(f"{folder} exists already; choose another folder or add --overwrite.")


def _files_of_report(folder: Path) -> set[str]:
    """Name what was written together with the page, which lists its pictures; empty without it."""
    page = folder / PAGE
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    return {PAGE, SCORES, *re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE)}


def _put_in_place(partial: Path, folder: Path) -> None:
    """Move a finished folder to where an earlier one may be, which comes back if that fails."""
    old = folder.with_name(f".{folder.name}.old")
    earlier = folder.exists()
    if earlier:
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    try:
        os.replace(partial, folder)
    except OSError:
        if earlier:
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
