"""The folder of an evaluation: made as a whole, and replaced only by another evaluation."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from .errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

PAGE, SCORES = "report.md", "scores.csv"


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


def put_in_place(partial: Path, folder: Path) -> None:
    """Move a finished folder to where an earlier one may be, which comes back if that fails.

    Raises
    ------
    OSError
        If it cannot be moved.
    """
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
