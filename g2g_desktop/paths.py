"""Where things are: bundled resources, and the folders of the user."""

from __future__ import annotations

from pathlib import Path

import appdirs

from training_core.resources import resource

__all__ = ["log_file", "resource", "user_data_dir"]

APP_NAME = "g2g-desktop"


def user_data_dir() -> Path:
    """Give the folder for preferences and logs, made when missing."""
    return _made(appdirs.user_data_dir(APP_NAME, appauthor=False))


def checkpoints_dir() -> Path:
    """Give the folder where trainings under way are kept, for the case of a crash."""
    return _made(str(user_data_dir() / "checkpoints"))


def log_file() -> Path:
    """Give the file that says what happened, for reports."""
    return _made(appdirs.user_log_dir(APP_NAME, appauthor=False)) / "g2g-desktop.log"


def _made(folder: str) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path
