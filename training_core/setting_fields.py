"""How a setting is declared: a dataclass field that knows its limits, label and help."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from .errors import SettingsError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a form and an option need to know of one setting."""

    label: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    advanced: bool = True


def setting(default: Any, label: str, help: str, **limits: Any) -> Any:  # noqa: A002
    """Declare a dataclass field with its limits; the program chooses where the default is None."""
    return field(default=default, metadata={"limits": Limits(label, help, **limits)})


class Checked:
    """Checks each value against its limits when a settings object is made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            if "limits" in item.metadata:
                _check(item.metadata["limits"], getattr(self, item.name), hints[item.name])


def _check(limits: Limits, value: Any, kind: Any) -> None:
    if value is None and type(None) in getattr(kind, "__args__", ()):
        return
    if limits.choices and value not in limits.choices:
        options = ", ".join(limits.choices)
        raise SettingsError(f"{limits.label} is {value!r}; choose one of {options}.")
    if kind is bool and not isinstance(value, bool):
        raise SettingsError(f"{limits.label} is {value!r}; true or false is needed.")
    if limits.minimum is None and limits.maximum is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        number = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{limits.label} is {value!r}; {number} is needed.")
    low = -float("inf") if limits.minimum is None else limits.minimum
    high = float("inf") if limits.maximum is None else limits.maximum
    if not low <= value <= high:
        unit = f" {limits.unit}" if limits.unit else ""
        raise SettingsError(
            f"{limits.label} is {value:g}{unit}; choose a value from {low:g} to {high:g}{unit}."
        )


def limits_of(settings: Any, name: str) -> Limits:
    """Give the limits of one field of a settings object or class."""
    for item in fields(settings):
        if item.name == name:
            found: Limits = item.metadata["limits"]
            return found
    raise KeyError(name)
