"""Words that are said both while a job runs and of its result: figures, times, what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def figure(value: float) -> str:
    """Write two or three digits, and never an exponent for everyday numbers."""
    if value == 0 or 1e-4 <= abs(value) < 1:
        return f"{value:.2g}"
    if abs(value) >= 1e7 or abs(value) < 1:
        return f"{value:.2e}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def pixel_value(value: float) -> str:
    """Write a grey value: whole from 1000 on, else with four digits."""
    if not math.isfinite(value):
        return "\N{INFINITY}" if value > 0 else str(value)
    whole = abs(value) >= 1000 or float(value).is_integer()
    return f"{value:.0f}" if whole else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Say how long something takes: "8 s", "3 min", "2 h 10 min", "12 days"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes >= 48 * 60:
        return f"{round(minutes / (24 * 60))} days"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


MEASURING = "measuring"  # how long it takes, which nobody knows yet
ALIKE = 1.3  # times: two ends of a range that are said as one


def between(least: float, most: float, say: Callable[[float], str] = duration) -> str:
    """Say a range of seconds: "about 40 s", "1 to 2 min", "50 s to 3 min"."""
    low, high = say(least), say(most)
    if low == high or most < ALIKE * least:
        return f"about {say(math.sqrt(max(least, 0.0) * most))}"
    (first, *unit), (last, *other) = low.split(), high.split()
    short = len(unit) == 1 and unit == other
    return f"{first} to {last} {unit[0]}" if short else f"{low} to {high}"


TAKEN = {1.0: "taken", 0.5: "half taken", 0.0: "left out"}
LAST_PASS = {
    1.0: "After the network, similar patches are filtered together (collaborative pass).",
    0.5: "The result is the mean of the network's and of filtering similar patches together after "
    "it (collaborative pass).",
    0.0: "The result is the network's; filtering similar patches together after it (collaborative "
    "pass) makes it no better.",
}
STAND_INS = {
    "ResampledNoise": "re-sampled real noise",
    "MeasuredGenerator": "noise with the measured spectrum and histogram",
}
TURNING = "since it learns from the noise as it is in each place"


def harm(result: Mapping[str, Any], chosen: int) -> str:
    """Say what the blind checks found against a round, and what to do if it is the one chosen."""
    number, reasons = result["round"], "; ".join(warnings_of(result))
    if number != chosen:
        return f"Round {number}, which is not chosen, may do harm: {reasons}."
    return (
        f"Round {number}, which is chosen, may do harm by the blind checks: {reasons}. "
        "Compare before and after closely."
    )


def warnings_of(result: Mapping[str, Any]) -> Sequence[str]:
    """Give what speaks against a round or an estimate; models of 0.1 call it vetoes."""
    found: Sequence[str] = result.get("warnings", result.get("vetoes", ()))
    return found


def held_by_few(tailed: Sequence[int], channels: int) -> str:
    """Say in which channels, counted from 1, the noise has heavy tails, and what was done."""
    what = "How far off they are was learned from what the bundled network takes from even areas."
    if len(tailed) == channels:
        return f"A few pixels hold most of the noise. {what}"
    return f"{_in_channels(tailed)} a few pixels hold most of the noise. {what}"


def in_doubt(doubted: Sequence[int], channels: int) -> str:
    """Say in which channels, counted from 1, texture and noise are alike, and what was done."""
    what = (
        "So every pixel is taken to have noise of its own, and at most a third of what is found is "
        "taken away. If the camera's noise is known to be correlated, say so in the settings "
        "(Neighbouring pixels) and train again."
    )
    if len(doubted) == channels:
        return f"Texture and noise cannot be told apart: no area is surely flat. {what}"
    told = (
        f"{_in_channels(doubted)} texture and noise cannot be told apart: no area is surely flat."
    )
    return f"{told} {what}"


def _in_channels(numbers: Sequence[int]) -> str:
    return f"In channel{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def length(um: float) -> str:
    """Write a length in the unit that suits it: "65 nm", "0.108 µm", "1.4 mm"."""
    if um < 0.1:
        return f"{um * 1000:.4g} nm"
    return f"{um / 1000:.4g} mm" if um >= 100 else f"{um:.4g} µm"


def percent(share: float) -> str:
    """Write a share with two digits and never an exponent: "0.12 %", "34 %", "100 %"."""
    if 0 < share < 1e-5:
        return "less than 0.001 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def bytes_text(count: float) -> str:
    """Write a size in memory or on disk, such as "12.4 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{_three(count)} {unit}"
        count /= 1000
    return f"{_three(count)} GB"


def _three(count: float) -> str:
    """Write three digits, and never an exponent."""
    return f"{count:.3g}" if count < 999.5 else f"{count:.0f}"
