"""The rows of robust mode: averaged over images, kept on disk, and put together to an outcome."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_core.evaluation.protocols import SANE_CT, SANE_MICROGRAPH
from training_core.evaluation.scores import Bias, Cell, Mean, Report, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from robust_tables import Outcome

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = "sane"
OURS = ("noisy", "first-estimate", "g2g", "oracle")
# The rows that need no training, and the modules and weights that they depend on.
WITHOUT_TRAINING = {
    "noisy": (),
    "blur": ("evaluation/classical",),
    "nlm": ("evaluation/classical", "quality/noise_level"),
    "tv": ("evaluation/classical", "quality/noise_level"),
    "wavelet": ("evaluation/classical", "quality/noise_level"),
    "bm3d": ("evaluation/classical", "quality/noise_level", "noise/covariance", "noise/anscombe"),
    "dncnn-b": ("networks/dncnn_b", "dncnn_b.safetensors"),
    "instant": (
        "pipeline",
        "settings",
        "noise/measurement",
        "training/channels",
        "training/start",
        "denoise/denoiser",
        "denoise/tiled",
        "pretrained.safetensors",
    ),
}


def kept_rows(
    folder: Path, name: str, more: dict[str, Any], make: Callable[[str], Sequence[Row]]
) -> list[Row]:
    """Give the rows that need no training; those that are not in the folder are made and kept.

    Parameters
    ----------
    name
        Of the set, as the files begin.
    more
        What decides about the rows besides their code.
    make
        Gives the rows of a method.
    """
    found = []
    for method, modules in WITHOUT_TRAINING.items():
        path, key = folder / f"{name}-{method}.json", {**more, "code": _code(modules)}
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if kept.get("key") != key:
            measured = [row for row in make(method) if row.source == "measured" and row.cells]
            kept = {"key": key, "rows": [asdict(row) for row in measured]}
            if measured:  # without the package bm3d there is nothing to keep
                write(path, kept)
        found += [row_from(plain) for plain in kept["rows"]]
    return found


def _code(modules: Iterable[str]) -> str:
    code = hashlib.sha256()
    for name in modules:
        weights = ROOT / "resources" / name
        if not name.endswith(".safetensors"):
            code.update((ROOT / "training_core" / f"{name}.py").read_bytes())
        elif weights.exists():
            code.update(weights.read_bytes())
    return code.hexdigest()


def write(path: Path, values: dict[str, Any]) -> None:
    """Write plain values as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values), encoding="utf-8")
    part.replace(path)


def with_ours(outcome: Outcome, reports: Sequence[Report]) -> Outcome:
    """Add what was trained: every row of ours, its best, its bias and its time.

    Raises
    ------
    SystemExit
        If a set could not be trained on, saying why.
    """
    for report in reports:
        if report.ours is None:
            why = next(
                (row.how for row in report.rows if row.method == "g2g"), "no reason is known"
            )
            raise SystemExit(f"{report.table.name}: {why}")
    results = [report.ours for report in reports if report.ours]
    oracles = [row for report in reports if (row := report.oracle(PROTOCOL))]
    own = [row for r in reports for row in r.rows if row.method in OURS[1:] and row.cells]
    rows = {**outcome.rows, **means(own, short_label)}
    noisy = [row for report in reports for row in report.rows if row.method == "noisy"]
    # PSNR and SSIM may have different best rows.
    lost = np.mean([[len(r.images) * v for v in r.lost(PROTOCOL) or ()] for r in reports], axis=0)
    share = len(reports) / sum(len(r.images) for r in reports)
    denoising = sum(row.seconds * len(row.cells) for row in results if row.seconds)
    biases = [cell.bias for row in results for cell in row.cells if cell.bias]
    errors = [_rmse(each) for each in (noisy, results)]
    return replace(
        outcome,
        rows=rows,
        chosen=[f"round {report.card['chosen_round']}" for report in reports],
        oracle=[short_label(row) for row in oracles],
        lost=(float(lost[0] * share), float(lost[1] * share)),
        bias=asdict(Bias.of(biases)),
        left=max(report.card["flat_residual"] for report in reports),
        trainings=len(reports),
        wall_s=sum(report.card["seconds"] for report in reports) + denoising,
        core_s=sum(report.card["core_seconds"] for report in reports) + denoising,
        timed=not any(report.device.startswith(("NVIDIA", "cuda")) for report in reports),
        errors=(errors[0], errors[1]) if reports[0].table.kind == "ct" else None,
    )


def _rmse(rows: Sequence[Row]) -> float:
    values = [row.rmse(PROTOCOL, SANE_CT.data_range) or 0.0 for row in rows]
    return float(np.sqrt(np.mean(np.square(values))))


def short_label(row: Row) -> str:
    """Call a row of ours by what it is in every training: without preset and marks."""
    label = row.label.partition(", ")[2].partition(" (")[0]
    return "ours" if label == "result" else label


def means(rows: Iterable[Row], name: Callable[[Row], str]) -> dict[str, tuple[float, float]]:
    """Average the images of rows that have the same name."""
    scores: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        scores.setdefault(name(row), []).extend((c.psnr, c.ssim) for c in row.cells)
    return {
        label: (float(np.mean([s[0] for s in each])), float(np.mean([s[1] for s in each])))
        for label, each in scores.items()
        if each
    }


def row_from(plain: dict[str, Any]) -> Row:
    """Read a row back that was written as plain values, without bias: the tables show only ours."""
    cells = tuple(Cell(**{**cell, "bias": None}) for cell in plain["cells"])
    known = {name: Mean(**mean) for name, mean in plain["means"].items()}
    return Row(**{**plain, "cells": cells, "means": known})


def brightness_psnr(noisy: Any, clean: Any) -> float:
    """Score a reference brought to the brightness of its noisy image by a line."""
    seen, x = noisy.ravel().astype(np.float64), clean.ravel()
    slope, offset = np.polyfit(x, seen, 1)
    error = float(np.mean(np.square(slope * x + offset - x)))
    return (
        float(10 * np.log10(SANE_MICROGRAPH.data_range**2 / error))
        if error > 1e-12
        else float("inf")
    )
