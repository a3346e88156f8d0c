"""Where things are: bundled resources, and the folders of the user."""

from __future__ import annotations

from pathlib import Path

import appdirs

APP_NAME = "g2g-desktop"
_HERE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Give the path of a bundled file, in a source tree, a wheel and a frozen application alike."""
    folders = (_HERE / "resources", _HERE.parent / "resources")
    found = next((folder for folder in folders if folder.is_dir()), folders[0])
    return found / name


def user_data_dir() -> Path:
    """Give the folder for preferences and logs, made when missing."""
    return _made(appdirs.user_data_dir(APP_NAME, appauthor=False))


def log_file() -> Path:
    """Give the file that says what happened, for reports."""
    return _made(appdirs.user_log_dir(APP_NAME, appauthor=False)) / "g2g-desktop.log"


def _made(folder: str) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path
