"""What the window remembers between two starts: recent files and models, theme, geometry."""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from training_core.draft import draft

from .language import LANGUAGES
from .paths import user_data_dir

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_MOST_RECENT, _MOST_AXES = 8, 200
_LISTS = ("recent", "models")
_MOST_BYTES, _LONGEST = 2**20, 2**14  # of the file, and of one text in it


@dataclass(frozen=True, slots=True)
class Preferences:
    """The remembered values; every one has a default, so a lost file only costs comfort.

    `geometry` is what `QWidget.saveGeometry` gave, in hexadecimal; `theme` is "system", "light" or
    "dark", `language` "system" or one of `LANGUAGES`; `recent` and `models` are paths, the latest
    first; `fiji` and `napari` are where these programs are, "" where they are searched for; `axes`
    are folders, the axes that are read of a file in them, and what the user said that these are,
    the latest first.
    """

    recent: tuple[str, ...] = ()
    theme: str = "system"
    geometry: str = ""
    export_folder: str = ""
    fiji: str = ""
    napari: str = ""
    models: tuple[str, ...] = ()
    axes: tuple[tuple[str, str, str], ...] = ()
    language: str = "system"

    def with_recent(self, path: Path) -> Preferences:
        """Put `path` first among the recent stacks."""
        return replace(self, recent=_first(str(path), self.recent))

    def with_model(self, path: Path) -> Preferences:
        """Put `path` first among the recent models."""
        return replace(self, models=_first(str(path), self.models))

    def with_axes(self, path: Path, read: str, meant: str) -> Preferences:
        """Remember what axes that are `read` in the folder of `path` are meant to be."""
        folder = _folder_of(path)
        rest = tuple(entry for entry in self.axes if entry[:2] != (folder, read))
        return replace(self, axes=((folder, read, meant), *rest)[:_MOST_AXES])

    def axes_at(self, path: Path) -> dict[str, str]:
        """Give what is remembered of the axes in the folder of `path`, by those that are read."""
        folder = _folder_of(path)
        return {read: meant for at, read, meant in self.axes if at == folder}


def load_preferences() -> Preferences:
    """Read the preferences; what is missing or damaged keeps its default, so the window opens."""
    try:
        path = _file()
        if not path.is_file():
            return Preferences()
        with path.open("rb") as file:
            stored = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        _LOG.warning("The preferences could not be read: %s", error)
        return Preferences()
    return _valid(stored if isinstance(stored, dict) else {})


def save_preferences(preferences: Preferences) -> None:
    """Write the preferences, whole or not at all."""
    try:
        with draft(_file()) as temporary:
            temporary.write_text(json.dumps(asdict(preferences), indent=1), encoding="utf-8")
    except OSError as error:
        _LOG.warning("The preferences could not be saved: %s", error)


def _folder_of(path: Path) -> str:
    return str((path if path.is_dir() else path.parent).absolute())


def _file() -> Path:
    return user_data_dir() / "preferences.json"


def _first(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    return (name, *(item for item in known if item != name))[:_MOST_RECENT]


def _valid(stored: dict[str, Any]) -> Preferences:
    kept: dict[str, Any] = {}
    for item in fields(Preferences):
        value = stored.get(item.name)
        if item.name in _LISTS and isinstance(value, list):
            kept[item.name] = tuple(entry for entry in value if _is_text(entry))[:_MOST_RECENT]
        elif item.name == "axes" and isinstance(value, list):
            kept["axes"] = tuple(tuple(entry) for entry in value if _are_axes(entry))[:_MOST_AXES]
        elif item.name not in (*_LISTS, "axes") and _is_text(value):
            kept[item.name] = value
    if kept.get("theme") not in (None, "system", "light", "dark"):
        del kept["theme"]
    if kept.get("language") not in (None, "system", *LANGUAGES):
        del kept["language"]
    if not re.fullmatch("([0-9a-f]{2})*", kept.get("geometry", "")):
        del kept["geometry"]
    return Preferences(**kept)


def _are_axes(entry: Any) -> bool:
    """Whether an entry is a folder with two ways to name as many axes, as a stack takes them."""
    if not isinstance(entry, list) or len(entry) != 3 or not all(map(_is_text, entry)):
        return False
    read, meant = entry[1:]
    named = re.fullmatch("[TZCI]{0,4}YX", meant) and len(set(meant)) == len(meant)
    return bool(named) and len(read) == len(meant)


def _is_text(value: Any) -> bool:
    """Whether a value is text that Qt and the file system take."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        os.fsencode(value)  # which half a character in JSON cannot be
    except UnicodeError:
        return False
    return len(value) <= _LONGEST
