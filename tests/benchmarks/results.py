"""The sections of RESULTS.md, each written by the benchmark that measured it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def section(text: str, title: str) -> str:
    """Give what stands under a title, without the title; empty where there is none."""
    return _parted(text, title)[1]


def with_section(text: str, title: str, body: str) -> str:
    """Put a body under a title; other sections stay as they are, a new one comes last."""
    before, _, after = _parted(text, title)
    return f"{before.rstrip()}\n\n## {title}\n\n{body.strip()}\n{after}"


def read_results() -> str:
    """Give the text of RESULTS.md."""
    return RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Benchmarks\n"


def write_results(text: str) -> None:
    """Replace the text of RESULTS.md."""
    RESULTS.write_text(text, encoding="utf-8")


def machine() -> str:
    """Name this machine by its cores, processor and Python."""
    return f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}"


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0]}" if names else platform.machine()


def _parted(text: str, title: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(f"## {title}\n")
    body, found, after = rest.partition("\n## ")
    return before, body, found + after
