"""The card of a denoiser in plain words: how well the noise was learned, what was chosen blind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_core.settings import PRESETS, preset
from training_core.wording import (
    LAST_PASS,
    STAND_INS,
    TAKEN,
    TURNING,
    duration,
    figure,
    harm,
    held_by_few,
    in_doubt,
    warnings_of,
)

Card = Mapping[str, Any]

METHODS = {
    "shrinkage": ("classical filters", "Filters that know the learned noise"),
    "noisier2noise": ("noisier2noise", "A network that learned from this data with more noise"),
    "pretrained": ("bundled network", "The bundled network before any training"),
}
STRANGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
MOST_LETTERS = 32  # of a file name: a word cannot be wrapped
UNTRAINED = (
    "The network is the bundled one as it is, since preset instant and settings without rounds "
    "train nothing."
)
AVERAGED = (
    "The noise has another direction in each place, as the streaks of CT have, and one average of "
    "them stands for all: what is judged by it is judged poorly. Training (preset quick) learns "
    "from the noise as it is in each place."
)
MEASURED = "Noise is drawn as it was measured, since no generator was to learn it."
POWER = "Blind score (estimated error that is left, as a share of the noise's power):"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was learned or chosen."""

    name: str
    value: str
    meaning: str
    details: tuple[str, ...] = ()  # lines with the figures behind it, for who asks
    good: bool | None = None  # whether it is as it should be; None where there is nothing to judge
    trusted: bool = True  # whether the result can be; where not, that comes before all else

    @property
    def sentence(self) -> str:
        """Give value and meaning in one line."""
        return f"{self.value}. {self.meaning}"


def tell_card(card: Card) -> list[Fact]:
    """Say what a card tells; of what an older or the published training did not do, nothing.

    Of a model file that was tampered with a story may be anything.
    """
    parts = {
        "doubted": _doubt,
        "noise": _noise,
        "first_estimate": _first_estimate,
        "neighbours": _neighbours,
        "chosen_round": _round,
        "last_pass": _last_pass,
        "faint_spots": _faint_spots,
    }
    try:
        return [tell(card) for key, tell in parts.items() if card.get(key) not in (None, [])]
    except STRANGE:
        meaning = "What the model tells of its training cannot be read; train it again to know."
        return [Fact("Training", "not known", meaning, good=False)]


def origin(card: Card) -> str:
    """Say how it was chosen, and on what, how long and with which preset it was trained."""
    names = card.get("trained_on")
    if not names or not isinstance(names, list):  # a text where DnCNN-B made a result, in 0.1
        return ""
    how = "Chosen blind, by an estimate of the error that is left."
    if card.get("recorded_pairs"):
        how = "Learned from the noise as it was recorded."
    try:
        first = _short(names[0])
        what = first if len(names) == 1 else f"{len(names)} stacks, the first {first}"
        if not _asked_for(card, "denoiser", "rounds"):
            took = f"{duration(card['seconds'])}, preset {card['preset']}"
            return f"Not trained. The noise was measured in {what} in {took}."
        if repeats := card.get("repeats"):
            how = f"Chosen by comparison with {' and '.join(map(_short, repeats))}."
        took = duration(card["seconds"])
        return f"{how} Trained on {what} in {took}, preset {_preset(card)}."
    except STRANGE:  # `tell_card` says so
        return ""


def _preset(card: Card) -> str:
    """Name the preset, and say where anything but seed, device and patches was changed in it."""
    name, told = str(card["preset"]), card.get("settings")
    if not isinstance(told, dict) or name not in PRESETS:
        return name
    usual = preset(name).to_dict()
    changed = any(told[key] != usual[key] for key in ("precision",) if key in told) or any(
        value != usual[part].get(key, value)
        for part in ("noise_model", "denoiser")
        for key, value in told.get(part, {}).items()
    )
    return f"{name}, adjusted" if changed else name


def _asked_for(card: Card, part: str, name: str) -> bool:
    """Whether a setting of the training that made a card is other than 0; so if it is not told."""
    return bool(card.get("settings", {}).get(part, {}).get(name, True))


def _doubt(card: Card) -> Fact:
    meaning = in_doubt(card["doubted"], len(card["noise"]))
    return Fact("Texture or noise", "cannot be told apart", meaning, good=False, trusted=False)


def _noise(card: Card) -> Fact:
    """Say how the learned noise was judged; of several channels, the worst one counts."""
    from training_core.noise.match import NoiseMatch  # loads scipy

    channels: Sequence[Mapping[str, Any]] = card["noise"]
    matches = [NoiseMatch.from_dict(channel["match"]) for channel in channels]
    if card.get("doubted"):
        how = "Its strength is that of the finest waves, where there is least of them."
        return Fact("Learned noise", "of independent pixels", how)
    if card.get("turning"):
        return Fact("Learned noise", "an average of all places", AVERAGED, good=False)
    if not any(matches):
        return Fact("Learned noise", "not judged", "This training did not compare it.")
    details = tuple(_matches(channels, matches))
    tailed: Sequence[int] = card.get("heavy_tails", ())
    pairs = enumerate(zip(channels, matches, strict=True), start=1)
    usual = [pair for number, pair in pairs if number not in tailed]
    few = held_by_few(tailed, len(channels)) if tailed else ""
    if not usual:
        return Fact("Learned noise", "from even areas", few, details)
    value = f"{math.floor(min(match.score for _, match in usual if match))} % match"
    learned = _asked_for(card, "noise_model", "steps")
    meaning, good = _alike(usual, len(channels), learned=learned)
    return Fact("Learned noise", value, f"{meaning} {few}".rstrip(), details, good)


def _alike(
    judged: Sequence[tuple[Mapping[str, Any], Any]], count: int, *, learned: bool
) -> tuple[str, bool]:
    """Say what makes the noise of channels, each with its match, and whether it is as it should."""
    stand_ins = [STAND_INS[c["generator"]] for c, _ in judged if c["generator"] in STAND_INS]
    if stand_ins and learned:
        where = f" in {len(stand_ins)} of {count} channels" if count > 1 else ""
        return (
            f"The generator did not converge{where}; {' or '.join(dict.fromkeys(stand_ins))} "
            "stands in for it. More steps for the noise model may help."
        ), False
    if all(match.good for _, match in judged if match):
        alike = "Made noise is like real noise that was kept aside to judge it."
        return alike if learned else MEASURED, True
    return (
        "Made noise differs from real noise that was kept aside to judge it. "
        "More or better smooth patches may help."
    ), False


def _matches(channels: Sequence[Mapping[str, Any]], matches: Sequence[Any]) -> Iterator[str]:
    for number, (channel, match) in enumerate(zip(channels, matches, strict=True), start=1):
        named = _named(number, channels)
        if match is not None:
            yield f"{named}{match.score:.0f} % match; {match.sentence}."
        yield f"{named}Learned from {channel['patches']} smooth patches."


def _first_estimate(card: Card) -> Fact:
    told = card["first_estimate"]
    value, meaning = METHODS.get(told["chosen"], (told["chosen"], "The method"))
    why = f", {TURNING}" if told.get("turning") else ""
    return Fact("First estimate", value, f"{meaning}{why}.")


def _round(card: Card) -> Fact:
    chosen, rounds = card["chosen_round"], [one for one in card["rounds"] if "error" in one]
    trained = max((one["round"] for one in rounds), default=chosen)
    recorded = card.get("recorded_pairs")
    planned = card.get("settings", {}).get("denoiser", {}).get("rounds", trained)
    mine: Mapping[str, Any] = next((one for one in rounds if one["round"] == chosen), {})
    if warnings_of(mine):
        meaning = harm(mine, chosen)
    elif recorded:
        meaning = f"{recorded}."
    elif not planned:
        meaning = UNTRAINED
    elif chosen == 0:
        meaning = "Training made nothing clearly better, so the network is used as it was before."
    else:
        meaning = "No other round is clearly better."
    # A blind score that does not know the noise is not told.
    told = [] if recorded else [f"Round {one['round']}: {_left(one)}" for one in rounds]
    details = [POWER, *told] if told else []
    if trained < planned and not recorded:
        details.append(f"Training ended after round {trained} of {planned}.")
    good = False if warnings_of(mine) else None
    value = f"{chosen or 'none'} of {trained}" if planned else "no training"
    return Fact("Round", value, meaning, tuple(details), good)


def _last_pass(card: Card) -> Fact:
    told = card["last_pass"]
    share = float(told["share"])
    errors = [f"{TAKEN[float(s)].capitalize()}: {_percent(e)}" for s, e in told["errors"].items()]
    return Fact("Last pass", TAKEN[share], LAST_PASS[share], (POWER, *errors))


def _faint_spots(card: Card) -> Fact:
    """Say which contrast is lost; of several channels, the worst one counts."""
    each: Sequence[Mapping[str, Any]] = card["faint_spots"]
    worst = max(each, key=lambda one: one["half"] or math.inf)
    details = tuple(f"{_named(n, each)}{_spots_of(one)}" for n, one in enumerate(each, start=1))
    if worst["half"] is None:
        return Fact(
            "Faint spots",
            "lost",
            "Spots of 3 px lose more than half of their height even where it is 8 times the noise.",
            details,
            good=False,
        )
    if worst["half"] <= min(map(float, worst["kept"])):
        meaning = "Spots of 3 px keep half of their height even where it is half the noise's std."
        return Fact("Faint spots", "kept", meaning, details)
    height = figure(worst["half"] * worst["sigma"])
    meaning = (
        f"Spots of 3 px keep half of their height from {worst['half']:.1f} times the noise on; "
        "fainter ones are mostly taken for noise."
    )
    return Fact("Faint spots", f"seen from {height} grey values on", meaning, details)


def _spots_of(one: Mapping[str, Any]) -> str:
    kept = (f"{c} times the noise: {_percent(k)}" for c, k in one["kept"].items())
    return "Height that is left of spots, " + ", ".join(kept) + "."


def _named(number: int, each: Sequence[Any]) -> str:
    return f"Channel {number}: " if len(each) > 1 else ""


def _neighbours(card: Card) -> Fact:
    told = card["neighbours"]
    count, jumps = told["chosen"], told["jumps"]
    plain = "They are averaged where they match, as asked for." if count else "They are not used."
    details = [f"{n} on each side: {_percent(e)}" for n, e in enumerate(told.get("errors", ()))]
    details = [POWER, *details] if details else []
    if jumps:
        details.append(f"Frames are kept apart where the content jumps: {jumps} times.")
    value = f"{count} on each side" if count else "none"
    return Fact("Neighbouring frames", value, told.get("why", plain), tuple(details))


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[:16]}...{name[-12:]}"


def _left(one: Mapping[str, Any]) -> str:
    """Write an error with its uncertainty, and what spoke against what it is of."""
    reasons = "".join(f", but {reason}" for reason in warnings_of(one))
    return f"{_percent(one['error'])} ± {100 * one['range']:.1f}{reasons}"


def _percent(error: float) -> str:
    return f"{100 * error:.1f} %"
