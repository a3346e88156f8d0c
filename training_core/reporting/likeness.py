"""How a model suits a stack that it was not trained on: what differs, and how much that matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_core.run import SILENT, Run
from training_core.stack import Stack
from training_core.wording import figure, length

from .findings import UNKNOWN, Finding, Level
from .noise_analysis import NoiseAnalysis, analyse_noise

if TYPE_CHECKING:
    from training_core.denoise.denoiser import Denoiser
    from training_core.noise.figures import MeasuredNoise
    from training_core.noise.model import NoiseModel

STRENGTH = (1.25, 2.0)  # times: from the first on it is told, from the second on it is too much
GAIN = (1.5, 3.0)
PIXEL_SIZE = (1.5, 4.0)
CORRELATION = (0.1, 0.3)  # of neighbouring pixels, apart
NAME = "Suits this stack"


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a model was trained for beside what a stack is, fact by fact.

    Attributes
    ----------
    own
        Whether it was trained on this very stack, so that nothing needs to be compared.
    """

    facts: tuple[Finding, ...] = ()
    own: bool = False

    @property
    def level(self) -> Level:
        """That of the fact that matters most."""
        found = {fact.level for fact in self.facts}
        return next((one for one in (Level.RED, Level.AMBER) if one in found), Level.GREEN)

    @property
    def whole(self) -> Finding | None:
        """All of it in one finding, for the verdict on a result; None of the model's own stack."""
        if self.own:
            return None
        unlike = [fact for fact in self.facts if fact.level is self.level]
        if self.level is Level.GREEN:
            return Finding(NAME, "yes", Level.GREEN, "The model was trained on a stack like this.")
        names = ", ".join(fact.name.lower() for fact in unlike)
        value = "no" if self.level is Level.RED else "not quite"
        why = f"The model was trained on another kind of stack ({names}); train on this one."
        return Finding(NAME, value, self.level, why)

    @property
    def sentence(self) -> str:
        """What to say of a result where the model does not suit; "" where it does."""
        whole = self.whole
        return "" if whole is None or whole.level is Level.GREEN else whole.meaning


def likeness(denoiser: Denoiser, stack: Stack, *, run: Run = SILENT) -> Likeness:
    """Compare what a model was trained for with a stack, whose noise is measured for it.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    if trained_on(denoiser.card, stack):
        return Likeness(own=True)
    facts = [_modality(denoiser, stack), _channels(denoiser, stack)]
    if all(fact.level is not Level.RED for fact in facts):
        facts += _noise(denoiser, analyse_noise(stack, run=run))
    facts += _recording(denoiser.card, stack)
    return Likeness(tuple(facts))


def trained_on(card: Mapping[str, Any], stack: Stack) -> bool:
    """Whether a stack is among those that a model was trained on, by its name, size and type."""
    names = card.get("trained_on")  # a list of names, of 0.1 also a text
    known = isinstance(names, list) and stack.name in names
    alike = card.get("dtype", str(stack.dtype)) == str(stack.dtype)
    return known and alike and card.get("axes", stack.axes) == stack.axes


def _modality(denoiser: Denoiser, stack: Stack) -> Finding:
    model_ct, ct = denoiser.card.get("value_unit") == "HU" or denoiser.even_noise, _is_ct(stack)
    value = f"{_kind(bool(model_ct))} → {_kind(ct)}"
    if bool(model_ct) is ct:
        return Finding("Kind of image", value, Level.GREEN, "Model and stack are of one kind.")
    meaning = "CT and micrographs have nothing in common."
    return Finding("Kind of image", value, Level.RED, meaning)


def _is_ct(stack: Stack) -> bool:
    return stack.value_unit == "HU"


def _kind(ct: bool) -> str:
    return "CT (HU)" if ct else "intensities"


def _channels(denoiser: Denoiser, stack: Stack) -> Finding:
    known = len(denoiser.channels)
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    value = f"{known} → {count}"
    if known == count:
        return Finding("Channels", value, Level.GREEN, "The stack has as many as were learned.")
    if known == 1:
        meaning = "The one channel that was learned would serve for all of them."
        return Finding("Channels", value, Level.AMBER, meaning)
    return Finding("Channels", value, Level.RED, "The model cannot denoise other channels.")


def _noise(denoiser: Denoiser, analyses: Sequence[NoiseAnalysis]) -> Iterator[Finding]:
    """Compare the noise of each channel; of several the one that differs most is told."""
    known = denoiser.channels
    models = [known[min(n, len(known) - 1)].noise for n in range(len(analyses))]
    pairs = [(m, a.noise) for m, a in zip(models, analyses, strict=True) if a.noise is not None]
    if not pairs:
        meaning = "The noise of this stack could not be measured."
        yield Finding("Noise level", UNKNOWN, Level.AMBER, meaning)
        return
    even = bool(denoiser.even_noise)
    yield _worst(_strength(model, noise, even=even) for model, noise in pairs)
    yield _worst(_gain(model, noise) for model, noise in pairs)
    yield _worst(_correlation(model, noise) for model, noise in pairs)


def _worst(findings: Iterator[Finding]) -> Finding:
    order = (Level.NEUTRAL, Level.GREEN, Level.AMBER, Level.RED)
    return max(findings, key=lambda one: order.index(one.level))


def _strength(model: NoiseModel, noise: MeasuredNoise, *, even: bool) -> Finding:
    level, found = noise.levels[1], noise.sigmas[1]
    stabiliser, curve = model.stabiliser, model.curve
    known = model.stack_sigma()
    if not even:  # at the same brightness
        at = stabiliser.forward(np.array(level))
        known = stabiliser.sigma(level) * float(curve(at.astype(np.float64)))
    value = f"{figure(known)} → {figure(found)}"
    return _by_ratio("Noise level", value, found, known, STRENGTH, "at the same brightness")


def _gain(model: NoiseModel, noise: MeasuredNoise) -> Finding:
    known, found = model.stabiliser.gain, noise.gain or 0.0
    value = f"{_gain_text(known)} → {_gain_text(found)}"
    if bool(known) is not bool(found):
        meaning = "Only one of them has noise that grows with intensity."
        return Finding("Gain", value, Level.AMBER, meaning)
    if not known:
        return Finding("Gain", value, Level.GREEN, "Neither noise grows with intensity.")
    return _by_ratio("Gain", value, found, known, GAIN, "per photon")


def _gain_text(gain: float) -> str:
    return figure(gain) if gain else "none"


def _correlation(model: NoiseModel, noise: MeasuredNoise) -> Finding:
    told = model.statistics()
    pairs = [
        (float(mine), float(theirs))
        for way, measured in (("x", noise.correlation_x), ("y", noise.correlation_y))
        for mine, theirs in zip(told[f"correlation_{way}"][1:], measured[1:4], strict=True)
    ]
    known, found = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    apart = abs(known - found)
    value = f"{known:.2f} → {found:.2f}".replace("-", "−")
    if apart <= CORRELATION[0]:
        meaning = "Neighbouring pixels vary together as much as in the model."
        return Finding("Correlation", value, Level.GREEN, meaning)
    level = Level.AMBER if apart <= CORRELATION[1] else Level.RED
    meaning = "Neighbouring pixels vary together otherwise than in the model."
    return Finding("Correlation", value, level, meaning)


def _recording(card: Mapping[str, Any], stack: Stack) -> Iterator[Finding]:
    sizes = card.get("pixel_size_um")
    known = sizes[0] if isinstance(sizes, list) and sizes else None
    found = stack.pixel_size.x_um
    if isinstance(known, int | float) and known > 0 and found:
        value = f"{length(known)} → {length(found)}"
        yield _by_ratio("Pixel size", value, found, known, PIXEL_SIZE, "wide")
    else:
        meaning = "Model or stack do not say it, so it cannot be compared."
        yield Finding("Pixel size", UNKNOWN, Level.NEUTRAL, meaning)
    dtype = card.get("dtype")
    if isinstance(dtype, str):
        same = dtype == str(stack.dtype)
        meaning = "Values are stored alike." if same else "Values are stored otherwise."
        level = Level.GREEN if same else Level.AMBER
        yield Finding("Data type", f"{dtype[:16]} → {stack.dtype}", level, meaning)


def _by_ratio(
    name: str, value: str, found: float, known: float, limits: tuple[float, float], how: str
) -> Finding:
    """Judge by how many times one figure is the other."""
    if not known > 0 or not found > 0:
        return Finding(name, value, Level.RED, "The model has learned from no such values.")
    ratio = found / known
    apart = max(ratio, 1 / ratio)
    if apart <= limits[0]:
        return Finding(name, value, Level.GREEN, f"About the same {how}.")
    level = Level.AMBER if apart <= limits[1] else Level.RED
    return Finding(name, value, level, f"{figure(ratio)} times that of the model, {how}.")
