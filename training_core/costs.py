"""What work costs on this machine, as the jobs measure it while they run, and what is left costs.

An amount of work is in megapixels: of frames, of crops times steps, of noisy copies. What a machine
has shown is kept in a small file of the user, so that the next job knows it before it begins.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import appdirs

from .draft import draft, hold, release

SEARCH, SEARCH_IN_CT, NOISE, NOISE_IN_CT = "search", "search in CT", "noise", "noise in CT"
GAME, MATCH = "game", "match"  # the latter is a look at whether made noise matches
PAIRS, NEIGHBOURS, LAST_PASS = "pairs", "neighbours", "last pass"
PASS, STEP, PUBLISHED_STEP = "pass", "step", "published step"  # of a network: see `of_network`
OWN = "own steps"  # of a stage that is measured in nothing but its own steps

# Core seconds per megapixel (of a look: each): what kinds of work cost beside each other, and so
# what all cost once one is known. Those of networks are the filter before them, and what they take
# for each thousand weights (docs/results.md).
TYPICAL = {
    SEARCH: 0.35,
    SEARCH_IN_CT: 1.5,
    NOISE: 3.5,
    NOISE_IN_CT: 26.0,
    MATCH: 0.7,
    GAME: 2.3,
    PAIRS: 1.5,
    NEIGHBOURS: 0.6,
    LAST_PASS: 2.8,
}
NETWORKS = {
    "game DnCNN": (0.0, 0.058),
    "game UNet": (0.0, 0.031),
    "pass PretrainedDenoiser": (0.7, 0.004),
    "pass CompactDenoiser": (0.7, 0.0043),
    "pass DnCNN": (0.0, 0.0135),
    "pass UNet": (0.0, 0.0052),
    "step PretrainedDenoiser": (0.0, 0.012),
    "step CompactDenoiser": (0.0, 0.016),
    "step DnCNN": (0.0, 0.048),
    "step UNet": (0.0, 0.0154),
    "published step DnCNN": (0.0, 0.061),
    "published step UNet": (0.0, 0.02),
}
DOUBT = 1.5  # times more or less: what is only told by the cost of other work
PRIOR_SECONDS = 1.0  # of measuring, until when what was known before counts as much
SHOWN_SECONDS = 1.0  # of work, from which on a machine of which nothing was known has a speed
LEAST = 1e-9  # of megapixels and seconds that are believed; the most is as far away
KEPT = 0.5  # of what earlier jobs have measured counts beside the last one

Tally = tuple[float, float]  # an amount, and the seconds it took
Amounts = Mapping[str, tuple[float, float]]  # of each kind of work, at least and at most


@dataclass(frozen=True, slots=True)
class Span:
    """How many seconds something takes, at least and at most."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """One figure for both, for a bar."""
        return math.sqrt(max(self.least, 1e-9) * max(self.most, 1e-9))


def in_order(spans: Sequence[Span | None]) -> list[Span | None]:
    """Give the times of jobs of which each does more than the one before, so that none is less.

    Where kinds of work are known unlike well, estimates could say otherwise.
    """
    ordered: list[Span | None] = []
    least = most = 0.0
    for span in spans:
        if span is not None:
            least, most = max(least, span.least), max(most, span.most)
            ordered.append(Span(least, most))
        else:
            ordered.append(None)
    return ordered


def of_network(work: str, network: Any) -> str:
    """Name a kind of work of a network by its class and size: "pass DnCNN 560k"."""
    weights = sum(p.numel() for p in network.parameters())
    return f"{work} {type(network).__name__} {float(f'{weights:.2g}') / 1000:g}k"


def typical(kind: str) -> float | None:
    """Give what a kind of work costs on the machine of the table; None where that is not told."""
    name, _, size = kind.rpartition(" ")
    if name not in NETWORKS:
        return TYPICAL.get(kind)
    filtered, each = NETWORKS[name]
    return filtered + each * float(size.removesuffix("k"))


def total(parts: Iterable[Amounts]) -> Amounts:
    """Add up amounts of work."""
    added: dict[str, tuple[float, float]] = {}
    for part in parts:
        for kind, (least, most) in part.items():
            before = added.get(kind, (0.0, 0.0))
            added[kind] = (before[0] + least, before[1] + most)
    return added


class Costs:
    """A stopwatch for work of different kinds, and what is known of each on this machine."""

    def __init__(self) -> None:
        self.machine = ""
        self.known: dict[str, dict[str, Tally]] = {}  # of each machine
        self.measured: dict[str, dict[str, Tally]] = {}
        self._lap = time.monotonic()

    def begin(self, machine: str) -> None:
        """Start the stopwatch, on what `machine` (device and threads) names."""
        self.machine, self._lap = machine, time.monotonic()

    def did(self, kind: str, amount: float) -> None:
        """Count the time since the last call as what an amount of work took."""
        now = time.monotonic()
        mine = self.measured.setdefault(self.machine, {})
        before, seconds = mine.get(kind, (0.0, 0.0))
        mine[kind] = (before + amount, seconds + now - self._lap)
        self._lap = now

    def skip(self, seconds: float) -> None:
        """Count so many seconds since the last call as no work."""
        self._lap += seconds

    def restart(self, kind: str) -> None:
        """Forget what was measured of a kind of work, which begins now."""
        self.measured.get(self.machine, {}).pop(kind, None)
        self._lap = time.monotonic()

    def span(self, amounts: Amounts) -> Span | None:
        """Give how long work takes here; None where nothing is known of this machine."""
        least = most = 0.0
        for kind, (fewest, greatest) in amounts.items():
            price = self._price(kind) if greatest > 0 else (0.0, 1.0)
            if price is None:
                return None
            cost, doubt = price
            least, most = least + fewest * cost / doubt, most + greatest * cost * doubt
        return Span(least, most)

    def _price(self, kind: str) -> tuple[float, float] | None:
        """Give seconds per megapixel, and by what factor they may be off."""
        amount, seconds = self.measured.get(self.machine, {}).get(kind, (0.0, 0.0))
        base, doubt = self._before(kind)
        if base is None:
            return (seconds / amount, 1.0) if amount > 0 and seconds >= SHOWN_SECONDS else None
        prior = PRIOR_SECONDS
        cost = (prior + seconds) / (prior / base + amount)
        return cost, doubt ** (prior / (prior + seconds))

    def _before(self, kind: str) -> tuple[float | None, float]:
        """Give what a kind cost in earlier jobs or, by the cost of other kinds, typically does.

        As much as the other work of this job was slower than was known, this will be, too.
        """
        known = self.known.get(self.machine, {})
        mine = self.measured.get(self.machine, {})
        if kind in known:
            pairs = [(known[k], mine[k]) for k in known if k in mine]
            expected = sum(done * cost[1] / cost[0] for cost, (done, _) in pairs)
            took = sum(seconds for _, (_, seconds) in pairs)
            pace = (PRIOR_SECONDS + took) / (PRIOR_SECONDS + expected)
            return pace * known[kind][1] / known[kind][0], 1.0
        usual = typical(kind)
        tallies = [(k, t) for of in (known, mine) for k, t in of.items() if typical(k)]
        took = sum(seconds for _, (_, seconds) in tallies)
        expected = sum((typical(k) or 0.0) * amount for k, (amount, _) in tallies)
        if usual is None or took < SHOWN_SECONDS or expected <= 0:
            return None, 1.0
        return usual * took / expected, DOUBT


def cost_file() -> Path:
    """Give the file in which the costs of work are kept."""
    return Path(appdirs.user_data_dir("g2g-desktop", appauthor=False)) / "speed.json"


@contextmanager
def remembered(costs: Costs) -> Iterator[None]:
    """Let a job know what earlier ones have measured, and keep what it measures."""
    costs.known = read_costs()
    try:
        yield
    finally:
        if any(costs.measured.values()):
            _keep(costs)


def read_costs() -> dict[str, dict[str, Tally]]:
    """Give what is kept of each machine; nothing where that is missing or damaged."""
    path = cost_file()
    try:
        if not path.is_file():
            return {}
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(machine): {
                kind: _tally(*values) for kind, values in kinds.items() if _is_kind(kind)
            }
            for machine, kinds in kept.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}


def _is_kind(kind: str) -> bool:
    """Whether this is what a kind of work is called."""
    name, _, size = kind.rpartition(" ")
    return kind in TYPICAL or (name in NETWORKS and bool(re.fullmatch(r"[0-9.]{1,9}k", size)))


def _tally(amount: float, seconds: float) -> Tally:
    tally = float(amount), float(seconds)
    if not all(LEAST < value < 1 / LEAST for value in tally):
        raise ValueError("no amount of work and no time that a machine could have")
    return tally


def _keep(costs: Costs) -> None:
    """Write what was measured, beside half of what was known; nothing where that cannot be."""
    path = cost_file()
    if not path.is_absolute():  # there is no home to put it into
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(".g2g-0000000c0575.lock")  # a leftover, once its process is dead
        held = hold(lock, wait=True)  # what jobs beside this one measured is not lost
        try:
            kept = _with_measured(read_costs(), costs)
            with draft(path) as temporary:
                temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        finally:
            release(held, lock)


def _with_measured(kept: dict[str, dict[str, Tally]], costs: Costs) -> dict[str, dict[str, Tally]]:
    for machine, kinds in costs.measured.items():
        old = kept.setdefault(machine, {})
        for kind, (amount, seconds) in kinds.items():
            if _is_kind(kind) and amount > LEAST and seconds > LEAST:
                before = old.get(kind, (0.0, 0.0))
                old[kind] = (KEPT * before[0] + amount, KEPT * before[1] + seconds)
    return kept
