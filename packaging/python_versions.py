"""Tell which Pythons and systems the program can be installed on: a table, asked of the index.

    python packaging/python_versions.py        needs uv (pip install uv) and a package index

Each cell is what pip would take there: the version of torch, or what cannot be had. It is the
resolution alone; nothing is installed, so a table full of versions is no proof that they run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "Linux x86-64": "x86_64-manylinux_2_34",
    "Linux ARM": "aarch64-manylinux_2_39",
    "Windows": "x86_64-pc-windows-msvc",
    "macOS ARM": "aarch64-apple-darwin",
    "macOS Intel": "x86_64-apple-darwin",
}
SHOWN = ("torch", "pyside6-essentials", "numpy")


def main() -> int:
    """Print the table; exit code 1 where a Python has no system at all."""
    cells = {(p, s): resolved(p, SYSTEMS[s]) for p in PYTHONS for s in SYSTEMS}
    print(f"| {', '.join(SHOWN)} | {' | '.join(PYTHONS)} |")
    print("|---" * (1 + len(PYTHONS)) + "|")
    for system in SYSTEMS:
        print(f"| {system} | {' | '.join(cells[python, system] for python in PYTHONS)} |")
    lost = [p for p in PYTHONS if all(cells[p, s].startswith("no ") for s in SYSTEMS)]
    return int(bool(lost))


def resolved(python: str, system: str) -> str:
    """Give the versions that would be installed there, or which package is not to be had."""
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    where = ["--python-version", python, "--python-platform", system]
    done = subprocess.run([*command, *where, PROJECT], capture_output=True, text=True, check=False)
    if done.returncode:
        return read_refusal(done.stderr)
    found = dict(line.split("==") for line in done.stdout.split() if "==" in line)
    return ", ".join(found.get(name, "not needed") for name in SHOWN)


def read_refusal(text: str) -> str:
    """Name the package that cannot be had, of what uv says.

    Raises
    ------
    SystemExit
        If it says something else, such as that there is no network.
    """
    refused = re.search(r"Because (?:only )?([\w-]+)[\s<>=]", text)
    if "No solution found" not in text or refused is None:
        sys.exit(f"The index could not be asked: {text.strip()}")
    return f"no {refused[1]}"


if __name__ == "__main__":
    sys.exit(main())
