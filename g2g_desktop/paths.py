"""Where things are: bundled resources, and the folders of the user."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import appdirs

from training_core.resources import resource

__all__ = ["guide", "home", "log_file", "resource", "user_data_dir"]

APP_NAME = "g2g-desktop"


def guide(language: str = "en") -> Path:
    """Give the folder with the pages of the guide, in a source tree and an installation alike."""
    inside = Path(__file__).resolve().parent / "guide"
    pages = inside if inside.is_dir() else inside.parents[1] / "docs" / "guide"
    return pages if language == "en" else pages / language


def user_data_dir() -> Path:
    """Give the folder for preferences and logs, made when missing."""
    return _made(appdirs.user_data_dir(APP_NAME, appauthor=False))


def checkpoints_dir() -> Path:
    """Give the folder where trainings under way are kept, for the case of a crash."""
    return _made(str(user_data_dir() / "checkpoints"))


def log_file() -> Path:
    """Give the file that says what happened, for reports."""
    return _made(appdirs.user_log_dir(APP_NAME, appauthor=False)) / "g2g-desktop.log"


def queue_log() -> Path:
    """Give the file with what the queue has done, in the lines of the command `g2g`."""
    return log_file().with_name("queue.log")


def home() -> Path:
    """Give the home of the user, or the folder that the program was started in."""
    try:
        return Path.home()
    except RuntimeError:  # there is none
        return Path.cwd()


def _made(folder: str) -> Path:
    """Make a folder, elsewhere where it cannot be or cannot be written to: the window must open."""
    path = Path(folder)
    try:
        if path.is_absolute():  # else there is no home to put it into
            path.mkdir(parents=True, exist_ok=True)
            if os.access(path, os.W_OK):
                return path
    except OSError:
        pass
    path = _elsewhere() / path.name
    path.mkdir(exist_ok=True)
    return path


@cache
def _elsewhere() -> Path:
    """Give a folder that lasts as long as the computer runs."""
    return Path(tempfile.mkdtemp(prefix=f"{APP_NAME}-"))
