"""Whether neighbouring frames help, and how many, chosen blind; the regions that carry them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint, State
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.neighbours import SEQUENCES, NeighbourFrames, averaged
from training_core.denoise.region import Region
from training_core.networks.pretrained import CompactDenoiser
from training_core.place import TrainingRegion
from training_core.run import Run, Stage
from training_core.settings import Settings

from .sure import JUDGED_PX, Risk, RiskEstimator, estimates_of

AUTOMATIC, MOST = "automatic", 2
GAIN_DB = 0.05  # it must gain, for what it costs
# .25 let a movie through that has .247; independent frames have .03 at most.
SHARED = 0.15  # correlation of the noise of two frames, from which on averages hold too much of it
JUDGED_MPX = 0.07  # in all crops together
LEAST_ERROR = 1e-3  # of the noise's variance: no score can tell less


def most_neighbours(settings: Settings) -> int:
    """Give how many neighbours on each side may be taken."""
    asked = settings.denoiser.neighbours
    if asked == "off":
        return 0
    return MOST if asked == AUTOMATIC else int(asked)


@dataclass(frozen=True, eq=False)
class Averaging:
    """How many neighbours on each side are averaged with a frame, and the regions with theirs.

    `told` says in plain values what was chosen and why; empty where there was nothing to choose.
    """

    noisy: Sequence[Region]
    count: int = 0
    told: Mapping[str, Any] = field(default_factory=dict)


def with_neighbours(
    denoiser: Denoiser,
    frames: Sequence[NeighbourFrames],
    regions: Sequence[TrainingRegion],
    noisy: Sequence[Region],
    run: Run,
    checkpoint: Checkpoint = NO_CHECKPOINT,
) -> Averaging:
    """Choose how many neighbours help; give the noisy regions with as many. Sets those of `frames`.

    The frames of each stack have as many neighbours as may be taken; a checkpoint keeps the scores.
    """
    count = max(sequence.count for sequence in frames)
    if not count:
        return Averaging(noisy)
    told: dict[str, Any] = {"axis": next(s.axis for s in frames if s.count)}
    if denoiser.settings.denoiser.neighbours == AUTOMATIC:
        state = checkpoint.stage(
            "neighbours", lambda: _scores(denoiser, frames, regions, noisy, run)
        )
        count, why = _chosen(state, told["axis"])
        run.note(why)
        errors = [float(parts.mean()) for parts in state["parts"]]
        told |= {"why": why, "errors": errors, "shared": state["shared"]}
    jumps = sum(len(sequence.jumps) for sequence in frames) if count else 0
    carrying = _carrying(count, frames, regions, noisy)
    return Averaging(carrying, count, told | {"chosen": count, "jumps": jumps})


def _scores(
    denoiser: Denoiser,
    frames: Sequence[NeighbourFrames],
    regions: Sequence[TrainingRegion],
    noisy: Sequence[Region],
    run: Run,
) -> State:
    """Judge the filters alone, before any training, with 0, 1 and 2 neighbours."""
    run.start(Stage.FIRST_ESTIMATE, MOST + 1, "neighbouring frames")
    shared = max(sequence.shared_noise() for sequence in frames if sequence.count)
    with torch.random.fork_rng(devices=[]):
        start = CompactDenoiser(4, 3).to(denoiser.device).eval()  # passes the estimate on
    estimator = estimates_of(replace(denoiser, network=start), run)
    height, width = (min(n, JUDGED_PX) for n in noisy[0].image.shape)
    crops = math.ceil(JUDGED_MPX * 1e6 / (height * width))
    parts = []
    for count in range(MOST + 1):
        carrying = _carrying(count, frames, regions, noisy)
        risk = RiskEstimator(carrying, denoiser.settings.seed, denoiser.device, crops=crops)
        parts.append(risk.judge(estimator, run)[0].parts)
        run.progress(Stage.FIRST_ESTIMATE, count + 1, MOST + 1)
    return {"parts": parts, "shared": shared}


def _chosen(state: State, axis: str) -> tuple[int, str]:
    """Choose by the scores, and say why in one sentence."""
    if state["shared"] > SHARED:
        return 0, (
            "Neighbouring frames are not used: their noise is correlated "
            f"({state['shared']:.2f}), so averaging would not take it off."
        )
    alone, *others = (Risk(parts) for parts in state["parts"])
    best = min(others, key=lambda score: score.error)
    count, apart = others.index(best) + 1, Risk(alone.parts - best.parts)
    least = (max(score.error, LEAST_ERROR) for score in (alone, best))
    gain = 10 * math.log10(next(least) / next(least))
    if gain <= 0:
        return 0, (
            f"Neighbouring frames are not used: along {SEQUENCES[axis]} they gain nothing "
            f"({gain:+.2f} dB by the blind score)."
        )
    if gain < GAIN_DB or 2 * apart.error < apart.range:  # less than its standard error
        return 0, (
            f"Neighbouring frames are not used: along {SEQUENCES[axis]} they gain {gain:+.2f} dB "
            "by the blind score, too little to be sure of."
        )
    much = f"{gain:.1f} dB" if best.error > LEAST_ERROR else "more than can be told"
    return count, (
        f"Neighbouring frames help: {count} on each side along {SEQUENCES[axis]} are averaged "
        f"where they match, which gains {much} by the blind score."
    )


def _carrying(
    count: int,
    frames: Sequence[NeighbourFrames],
    regions: Sequence[TrainingRegion],
    noisy: Sequence[Region],
) -> list[Region]:
    for sequence in frames:
        sequence.count = count if sequence.axis else 0
    if not count:
        return list(noisy)
    carrying = []
    for region, estimate in zip(regions, noisy, strict=True):
        assert region.place is not None
        near = torch.from_numpy(frames[region.stack].cut(region.frame, region.place))
        near = near.to(estimate.image.device)
        _, strength = averaged(estimate.image, near, estimate.channel.noise)
        carrying.append(replace(estimate, neighbours=near, strength=strength))
    return carrying
