"""The sections of docs/results.md, each written by the benchmark that measured it."""

from __future__ import annotations

import os
import platform
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results.md"
WIDTH = 110


def section(text: str, title: str) -> str:
    """Give what stands under a title, without the title; empty where there is none."""
    return _parted(text, title)[1]


def with_section(text: str, title: str, body: str) -> str:
    """Put a body under a title; other sections stay as they are, a new one comes last."""
    before, _, after = _parted(text, title)
    return f"{before.rstrip()}\n\n## {title}\n\n{_wrapped(body)}\n{after}"


def with_rows(text: str, title: str, note: str, head: str, rows: Mapping[str, str]) -> str:
    """Put lines of a table, by their first cells, into a section; its other lines stay."""
    old = [line for line in section(text, title).splitlines() if line.startswith("| ")][1:]
    lines = {line.split("|")[1].strip(): line for line in old} | dict(rows)
    table = "\n".join([head, rule(head), *lines.values()])
    return with_section(text, title, f"{note}\n\n{table}")


def rule(head: str) -> str:
    """Give the line below the head of a table."""
    return "|" + "---|" * (head.count("|") - 1)


def read_results() -> str:
    """Give the text of docs/results.md."""
    return RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n"


def write_results(text: str) -> None:
    """Replace the text of docs/results.md."""
    RESULTS.write_text(text, encoding="utf-8")


def machine() -> str:
    """Name this machine by its cores, processor and Python, and the code by its commit."""
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {_processor()}, {python}, commit {_commit()}"


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0]}" if names else platform.machine()


def _commit() -> str:
    """Give the commit of the code, and whether it was changed since; "unknown" outside git."""
    command = ["git", "describe", "--always", "--dirty=, changed", "--abbrev=7", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()


def _wrapped(body: str) -> str:
    """Break the lines of paragraphs; tables and headings, which are read back, stay."""
    return "\n\n".join(map(_paragraph, body.strip().split("\n\n")))


def _paragraph(text: str) -> str:
    if any(line.startswith(("|", "#")) for line in text.splitlines()):
        return text
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _parted(text: str, title: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(f"## {title}\n")
    body, found, after = rest.partition("\n## ")
    return before, body, found + after
