"""Fiji and napari: where they are on this computer, and handing them a file."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QProcess, QProcessEnvironment

from .paths import home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .preferences import Preferences

_LIBRARIES = "LD_LIBRARY_PATH"


@dataclass(frozen=True, slots=True)
class OtherProgram:
    """A program that takes the name of a file.

    `commands` are what it is called on the search path and in its folder; `folders` are what that
    folder is called; `inside` are the places below it.
    """

    name: str
    commands: tuple[str, ...]
    folders: tuple[str, ...]
    inside: tuple[str, ...]


FIJI = OtherProgram(
    "Fiji",
    (
        "fiji",
        "fiji-linux-x64",
        "fiji-linux-arm64",
        "ImageJ-linux64",
        "fiji-windows-x64.exe",
        "ImageJ-win64.exe",
        "fiji-macos",
        "ImageJ-macosx",
    ),
    ("Fiji", "Fiji.app", "fiji", "fiji.app"),
    ("", "Contents/MacOS"),
)
NAPARI = OtherProgram(
    "napari",
    ("napari", "napari.exe"),
    ("napari.app", "napari", "napari-env", "miniconda3/envs/napari", "miniforge3/envs/napari"),
    ("Contents/MacOS", "bin", "Scripts", ""),
)
PROGRAMS = (FIJI, NAPARI)


def found_programs(preferences: Preferences) -> dict[str, Path]:
    """Give the programs that are on this computer: where the user said, else in the usual places.

    Looks at some hundred names, and opens nothing.
    """
    chosen = {FIJI.name: preferences.fiji, NAPARI.name: preferences.napari}
    found = {program.name: _find(program, chosen[program.name]) for program in PROGRAMS}
    return {name: path for name, path in found.items() if path is not None}


def _find(program: OtherProgram, chosen: str) -> Path | None:
    if chosen:
        return next(filter(_runs, _within(Path(chosen), program)), None)
    for command in program.commands:
        on_path = shutil.which(command)
        if on_path:
            return Path(on_path)
    folders = (place / folder for place in _usual_places() for folder in program.folders)
    paths = (path for folder in folders for path in _within(folder, program))
    return next(filter(_runs, paths), None)


def _within(place: Path, program: OtherProgram) -> Iterator[Path]:
    """Give the file itself, or what the program may be in its folder."""
    yield place
    for inside in program.inside:
        for command in program.commands:
            yield place / inside / command


def _usual_places() -> Iterator[Path]:
    own = home()
    yield from (own, own / "Applications", own / "Desktop", own / "Downloads", own / "Documents")
    yield from (own / ".local", own / "AppData/Local/Programs", own / "AppData/Local")
    yield from map(Path, ("/Applications", "/opt", "/usr/local", "/usr/share"))
    for name in ("ProgramFiles", "ProgramData", "SystemDrive"):
        if os.environ.get(name):
            yield Path(f"{os.environ[name]}/")


def _runs(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except OSError:
        return False


def hand_over(program: Path, file: Path) -> bool:
    """Start a program with a file, apart from this one; tell whether it started."""
    process = QProcess()
    process.setProgram(str(program))
    process.setArguments([str(file)])
    process.setWorkingDirectory(str(file.parent))
    environment = QProcessEnvironment.systemEnvironment()
    for name, value in own_environment(os.environ).items():
        environment.insert(name, value) if value else environment.remove(name)
    process.setProcessEnvironment(environment)
    return bool(process.startDetached())


def own_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Give what another program must not have of ours: the libraries of a bundle; "" is none."""
    if not getattr(sys, "frozen", False):
        return {}
    return {_LIBRARIES: variables.get(f"{_LIBRARIES}_ORIG", "")}
