"""What a command says in the end: a JSON object, or lines for a person."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training_core.batch.stacks import Result
from training_core.errors import OutputError, printable

from .terminal import showable, silence

DONE, INTERNAL_ERROR, SOME_FAILED = 0, 1, 3
ONE_BY_ONE = ("outputs", "failed", "trainings")  # told in one line for each stack


def answer(
    facts: dict[str, Any], as_json: bool, results: Sequence[Result] = (), text: str = ""
) -> int:
    """Write the answer to stdout, as `text` where there is one; give the exit code."""
    plain = _plain(facts)
    if as_json:
        text = json.dumps(plain, allow_nan=False)
    elif not text:
        shown = {k: v for k, v in plain.items() if v != "" and k not in ONE_BY_ONE}
        lines = []
        for key, value in shown.items():
            label = re.sub(r"_(um|s|percent)$", r" (\1)", key).replace("_", " ")
            lines += f"{label}: {_readable(value)}".split("\n")
        lines += [f"{result.input}: {result.error or result.output}" for result in results]
        text = "\n".join(map(printable, lines))
    try:
        sys.stdout.write(showable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        made = [result.output for result in results if result.output]
        raise OutputError(
            f"The answer cannot be written to standard output ({error.strerror})"
            f"{', but made was ' if made else ''}{' and '.join(made)}."
        ) from error
    return SOME_FAILED if any(result.error for result in results) else DONE


def _plain(value: Any) -> Any:
    """Give JSON values: paths as text, numbers that are not finite as null."""
    if isinstance(value, Result):
        told = asdict(value)
        del told["made"]  # is told by the command
        return told
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_readable(item)}" for key, item in value.items())
    if isinstance(value, list):
        numbers = all(isinstance(item, int) for item in value)
        return (" x " if numbers else "; ").join(map(_readable, value)) if value else "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "unknown" if value is None else str(value)
