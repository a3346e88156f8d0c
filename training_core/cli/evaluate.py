"""The command `g2g evaluate`: which tables, with what, and where the reports go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from training_core.batch.outputs import Existing
from training_core.batch.stacks import Result
from training_core.errors import CoreError, InputError, UsageError
from training_core.evaluation.benchmark import Request, evaluate, settings_for, usual_methods
from training_core.evaluation.contenders import METHODS
from training_core.evaluation.published_tables import TABLES
from training_core.evaluation.report import (
    as_text,
    check_folder,
    plain_findings,
    verdicts,
    write_report,
)
from training_core.evaluation.scores import Report, Row
from training_core.run import Run

from .answer import answer

DATA = Path("shared", "data")  # beside the checkout
REPORTS = Path("evaluation")


def list_tables(arguments: argparse.Namespace) -> int:
    """Answer with the name of each table and one line on it."""
    tables = {name: f"{table.title}{_published(name)}" for name, table in TABLES.items()}
    lines = [f"{name.ljust(max(map(len, tables)))}  {about}" for name, about in tables.items()]
    return answer({"tables": tables}, arguments.json, text="\n".join(lines))


def _published(name: str) -> str:
    psnr, ssim = TABLES[name].published.get("G2G", (None, None))
    return f" (published G2G: {psnr:g} dB, SSIM {ssim:g})" if psnr and ssim else ""


def evaluate_tables(arguments: argparse.Namespace, run: Run) -> int:
    """Evaluate tables one after another, write a report for each, and answer with the figures.

    Raises `CoreError` if the only table cannot be evaluated, or the command asks for what is not
    there.
    """
    names, methods = _tables(arguments.tables), _methods(arguments.methods)
    data, output = _data(arguments.data), arguments.output
    alone = output is not None and len(names) == 1
    folders = [output] if alone else [(output or REPORTS) / name for name in names]
    existing = Existing(arguments.overwrite, arguments.resume)
    for folder in folders:  # before the long part, not after it
        check_folder(folder, overwrite=existing.overwrite or existing.resume)
    facts: list[dict[str, Any]] = []
    texts, failed = [], []
    for name, folder in zip(names, folders, strict=True):
        if existing.is_finished(folder) and any(folder.iterdir()):
            texts.append(f"{folder} is finished already and kept.")
            facts.append({"table": name, "title": TABLES[name].title, "output": folder})
            continue
        request = _request(name, data, methods, arguments)
        try:
            with existing.checkpoint(folder, run) as checkpoint:
                overwrite = existing.overwrite or checkpoint.exists
                report = evaluate(request, run=run, checkpoint=checkpoint)
                write_report(report, folder, overwrite=overwrite)
        except CoreError as error:
            if len(names) == 1:
                raise
            run.note(f"{name} is left out: {error}", warning=True)
            failed.append(Result(name, None, 0.0, str(error)))
            continue
        facts.append(_facts(report) | {"output": folder})
        texts.append(f"{as_text(report)}\nWritten to {folder}.")
    told = {"tables": facts, "failed": failed}
    return answer(told, arguments.json, failed, text="\n\n".join(texts))


def _tables(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in TABLES:
            near = get_close_matches(name, TABLES, n=3, cutoff=0.4)
            nearest = f"; the nearest are {', '.join(near)}" if near else ""
            raise UsageError(
                f"There is no table {name!r}{nearest}; `g2g evaluate list` names all of them."
            )
    if not names:
        raise UsageError("Name a table to evaluate; `g2g evaluate list` names all of them.")
    return list(dict.fromkeys(names))


def _data(given: Path | None) -> Path:
    beside = Path(__file__).resolve().parents[3] / DATA
    data = given or beside
    if given is None and not beside.is_dir():
        raise UsageError("Say where the benchmark images are: add --data FOLDER.")
    if not data.is_dir():
        raise InputError(f"There is no folder {data}; give the folder of the benchmark sets.")
    return data


def _methods(given: str | None) -> tuple[str, ...]:
    """Read the methods that are wanted; none where nobody chose."""
    wanted = [part.strip() for part in given.split(",")] if given else []
    unknown = [name for name in wanted if name not in METHODS]
    if unknown:
        raise UsageError(f"There is no method {unknown[0]!r}; choose from {', '.join(METHODS)}.")
    return tuple(name for name in METHODS if name in wanted)


def _request(
    name: str, data: Path, methods: tuple[str, ...], arguments: argparse.Namespace
) -> Request:
    table = TABLES[name]
    chosen = settings_for(table, arguments.preset, seed=arguments.seed, device=arguments.device)
    protocols = ("published", "sane") if arguments.protocol == "both" else (arguments.protocol,)
    compared = methods or usual_methods(table.kind)
    return Request(table, data, chosen, protocols, compared, arguments.limit)


def _facts(report: Report) -> dict[str, Any]:
    return {
        "table": report.table.name,
        "title": report.table.title,
        "images": len(report.images),
        "available": report.available,
        "preset": report.settings.preset,
        "seed": report.settings.seed,
        "device": report.device,
        "seconds": report.seconds,
        "chosen_round": report.card.get("chosen_round"),
        "rows": [_row(report, row) for row in report.rows],
        "verdicts": verdicts(report),
        "findings": plain_findings(report),
        "notes": report.notes,
    }


def _row(report: Report, row: Row) -> dict[str, Any]:
    return {
        "method": row.label,
        "source": row.source,
        "sees_reference": row.sees_reference,
        "how": row.how,
        "passed": report.passes(row) if row.source != "measured" else None,
        "scores": {
            protocol: {
                "psnr": mean.psnr,
                "psnr_standard_error": mean.psnr_error,
                "ssim": mean.ssim,
                "ssim_standard_error": mean.ssim_error,
            }
            for protocol, mean in row.means.items()
        },
    }
