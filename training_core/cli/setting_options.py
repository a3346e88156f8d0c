"""Any setting from the command line: NAME=VALUE, with the names that settings have in files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from training_core.errors import SettingsError
from training_core.settings import Settings


def with_options(settings: Settings, options: Sequence[str]) -> Settings:
    """Change settings by options such as denoiser.every_orientation=true.

    Parameters
    ----------
    options
        Later ones win. A value is a JSON number, true, false, null (automatic), or a word.

    Raises
    ------
    SettingsError
        If an option is no NAME=VALUE, there is no such setting, or the value is not allowed.
    """
    known = set(setting_names(settings))
    changes: dict[str, dict[str, Any]] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in known:
            raise SettingsError(
                f"There is no setting for {option!r}; write NAME=VALUE with one of the names "
                f"{', '.join(sorted(known))}."
            )
        part, _, field = name.rpartition(".")
        changes.setdefault(part, {})[field] = _value(value)
    # All at once, since some go only together.
    whole = changes.pop("", {})
    parts = {part: replace(getattr(settings, part), **each) for part, each in changes.items()}
    return replace(settings, **whole, **parts)


def setting_names(settings: Any, before: str = "") -> Iterator[str]:
    """Give the names of all settings, those of parts after the part's name and a dot."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value):
            yield from setting_names(value, f"{before}{item.name}.")
        elif item.name != "preset":  # which says where all the others began
            yield before + item.name


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
