"""The card of a model file: which fields it has, of what type, in what range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from training_core.noise.match import NoiseMatch

LARGEST = 1e30  # in stack units; its square is still a number
MOST_STABILISED = 1e6  # where noise has a std of 1
MOST_CHANNELS = 64  # a file that was tampered with must not fill the memory
MOST_WEIGHT = 1e6  # beyond, a network gives no numbers any more
DEEPEST, LONGEST = 12, 60
NAMING = ("input", "trained_on", "repeats")  # fields of a story


class FieldError(ValueError):
    """A field of a model that cannot be; its text names it, with the value and what may be."""


@dataclass(frozen=True, slots=True)
class Number:
    """From `low` to `high`; `above` leaves `low` itself out."""

    low: float = -LARGEST
    high: float = LARGEST
    above: bool = False
    whole: bool = False

    def allows(self, value: object) -> bool:
        """Whether a value is such a number; NaN is none."""
        kinds = int if self.whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else that a field may be: in words, and whether a value is such."""

    words: str
    allows: Callable[[Any], bool]

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be empty, or absent as in models of older versions."""

    of: Any


@dataclass(frozen=True, slots=True)
class Many:
    """A list of alike fields."""

    of: Any
    least: int = 0
    most: int = 100_000


ANY = Number()
SHARE = Number(0, 1)
STABILISED = Number(-MOST_STABILISED, MOST_STABILISED)
STRENGTH = Number(0, MOST_STABILISED, above=True)
NOT_NEGATIVE = Number(0)
ABOVE_NOTHING = Number(0, above=True)
GENERATORS = ("StationaryGenerator", "MeasuredGenerator", "ResampledNoise", "NoiseGenerator")
GENERATOR = Other(f"one of {', '.join(GENERATORS)}", lambda value: value in GENERATORS)
FLAG = Other("true or false", lambda value: isinstance(value, bool))
NAMES = Other(  # or a text that describes them
    "a list of names",
    lambda value: isinstance(value, str | list) and all(isinstance(name, str) for name in value),
)
CHANNEL = {
    "mean": STABILISED,
    "spread": Number(1 / MOST_STABILISED, MOST_STABILISED),
    "doubted": Maybe(FLAG),
    "sure": Maybe(FLAG),
    "blank": Maybe(FLAG),
    "stabiliser": {
        "gain": NOT_NEGATIVE,
        "read_variance": Number(-(LARGEST**2), LARGEST**2),
        "offset": ANY,
        "scale": ABOVE_NOTHING,
    },
    "generator": GENERATOR,
    # A judgement of an older kind lacks some.
    "match": Maybe({item.name: Maybe(NOT_NEGATIVE) for item in fields(NoiseMatch)}),
    "patches": Number(0, 1e9, whole=True),
    "photons": Maybe(
        {
            "background": ANY,
            "gain": ABOVE_NOTHING,
            "spread": Number(0, 10, above=True),
            "read": NOT_NEGATIVE,
        }
    ),
}
CARD = {
    "settings": {"denoiser": {}},  # the rest is checked by the settings themselves
    "channels": Many(CHANNEL, 1, MOST_CHANNELS),
    "neighbours": Maybe(Number(0, 2, whole=True)),
    "collaboration": Maybe(SHARE),
    "even_noise": Maybe(STRENGTH),
    "card": Maybe({"trained_on": Maybe(NAMES), "seed": Maybe(Number(0, 2**64, whole=True))}),
}


def check_card(card: Any, expected: Any = CARD, name: str = "") -> None:
    """Raise `FieldError` for the first field that cannot be; unknown fields may be anything.

    The card, as JSON gives it, stands at `name`, such as "channels.0"; `expected` is the kind of
    field that it may be, or a mapping of names to kinds.
    """
    before = f"{name}." if name else ""
    if isinstance(expected, Maybe):
        if card is not None:
            check_card(card, expected.of, name)
    elif isinstance(expected, Mapping):
        _require(isinstance(card, dict), name, card, "a group of fields")
        for key, kind in expected.items():
            if key not in card and not isinstance(kind, Maybe):
                raise FieldError(f"its field '{before}{key}' is missing")
            check_card(card.get(key), kind, f"{before}{key}")
    elif isinstance(expected, Many):
        fits = isinstance(card, list) and expected.least <= len(card) <= expected.most
        _require(fits, name, card, f"a list of {expected.least} to {expected.most}")
        for number, item in enumerate(card):
            check_card(item, expected.of, f"{before}{number}")
    else:
        _require(expected.allows(card), name, card, str(expected))


def plain_story(value: Any, name: str, depth: int = 0) -> Any:
    """Give a story, which is free of form, with None for numbers that are not finite.

    Raises `FieldError` if it is deeper than any story.
    """
    _require(depth < DEEPEST, name, value, f"no more than {DEEPEST} levels")
    if isinstance(value, dict):
        return {k: plain_story(v, f"{name}.{k[:LONGEST]}", depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [plain_story(v, f"{name}.{i}", depth + 1) for i, v in enumerate(value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def without_names(story: Mapping[str, Any]) -> dict[str, Any]:
    """Give a story without the names of files, which may be those of patients."""
    return {key: value for key, value in story.items() if key not in NAMING}


def _require(holds: bool, name: str, value: Any, needed: str) -> None:
    if not holds:
        told = repr(value)
        told = told if len(told) <= LONGEST else f"{told[:LONGEST]}..."
        raise FieldError(f"its field '{name}' is {told}; {needed} is needed")


def check_weights(network: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Raise `FieldError` where weights are not those of a network: names, shapes, types, values."""
    own = network.state_dict()
    if odd := sorted(own.keys() ^ weights.keys()):
        what = "is missing" if odd[0] in own else "belongs to no part of it"
        raise FieldError(f"its part '{name}.{odd[0]}' {what}")
    for key, values in weights.items():
        whole = not own[key].is_floating_point()
        limits = Number(-LARGEST, LARGEST) if whole else Number(-MOST_WEIGHT, MOST_WEIGHT)
        check_tensor(values, f"{name}.{key}", tuple(own[key].shape), own[key].dtype, limits)


def check_tensor(
    values: Tensor,
    name: str,
    shape: Sequence[int | None],
    dtype: torch.dtype = torch.float64,
    limits: Number = ANY,
) -> None:
    """Raise `FieldError` where a tensor has another shape (None: any length), type or range."""
    fits = values.dtype == dtype and values.ndim == len(shape) and values.numel() > 0
    if not fits or any(n not in (m, None) for n, m in zip(shape, values.shape, strict=True)):
        needed = " x ".join("any" if n is None else str(n) for n in shape) or "one number"
        found = " x ".join(map(str, values.shape)) or "one number"
        raise FieldError(
            f"its part '{name}' is {found} ({_short(values.dtype)}); {needed} ({_short(dtype)}) is "
            "needed"
        )
    ends = values.min().item(), values.max().item()  # NaN is either's
    wrong = [end for end in ends if not limits.allows(end)]
    if wrong:
        raise FieldError(f"its part '{name}' holds {wrong[0]:g}; {limits} is needed")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_curve(levels: Tensor, values: Tensor, name: str, on: Number, of: Number) -> None:
    """Raise `FieldError` where a curve has no ascending levels with a value for each."""
    check_tensor(levels, f"{name}.levels", (None,), limits=on)
    check_tensor(values, name, tuple(levels.shape), limits=of)
    if bool((levels.diff() < 0).any()):
        raise FieldError(f"its part '{name}.levels' does not ascend")
