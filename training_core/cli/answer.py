"""What a command says in the end: a JSON object, lines for a person, or a failure as a sentence.

Of a fault of the program the details are kept for who mends it.
"""

from __future__ import annotations

import errno
import json
import math
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training_core.compute.memory import out_of_memory
from training_core.errors import CoreError, OutputError, printable
from training_core.formats.source_file import shown
from training_core.resources import program

from .terminal import showable, silence

REFUSALS = ("EACCES", "EPERM", "ENAMETOOLONG", "ENOTDIR", "ELOOP")  # of a path that was given
SHORTAGES = ("ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EROFS", "EIO")
DONE, INTERNAL_ERROR, SOME_FAILED = 0, 1, 3
ONE_BY_ONE = ("outputs", "failed", "trainings")  # told in one line for each stack


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input; `output` is None where `error` says why."""

    input: str
    output: str | None
    seconds: float
    error: str | None


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
        return asdict(value)
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


def sentence(error: Exception) -> str:
    """Say what went wrong; of what nobody foresaw the details go into a log file."""
    return foreseen(error) or _fault(error)


def foreseen(error: Exception) -> str:
    """Say what of files, settings or the system is the reason; "" where it is the program."""
    if isinstance(error, CoreError):
        return str(error)
    if isinstance(error, OSError):
        kind = errno.errorcode.get(error.errno or 0)
        if kind in REFUSALS:
            path = shown(error.filename or "A file")
            return f"{path} cannot be used ({error.strerror}); choose another."
        if kind in SHORTAGES:
            return f"The system has no more of what is needed: {error.strerror}."
    if out_of_memory(error):
        return "There is not enough memory for this stack; try a smaller part of it."
    return ""


def _fault(error: Exception) -> str:
    fault = f"This is a fault of the program ({type(error).__name__}), not of your files."
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="g2g-fault-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            log.write(f"{program()}\n{''.join(traceback.format_exception(error))}")
    except OSError:  # not even that can be written
        return f"{fault} Please report it."
    return f"{fault} Please report it with {log.name}."
