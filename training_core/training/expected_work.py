"""How much work a job will be, stage by stage; what that takes here is for `costs` to say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from training_core import costs
from training_core.compute.device import tile_size
from training_core.costs import Amounts, of_network, total
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.neighbours import sequence_axis
from training_core.denoise.tiled import MEMORY_CHANNELS, tiled_mpx
from training_core.networks.build import build_network
from training_core.networks.published import takes_estimate
from training_core.noise.adversarial import STEPS_TO_A_LOOK, game_mpx
from training_core.noise.local_strength import is_ct
from training_core.paper.gan import first_network
from training_core.place import LARGEST_PX
from training_core.run import Stage
from training_core.selection.neighbours import AUTOMATIC, JUDGED_MPX, MOST, most_neighbours
from training_core.selection.sure import JUDGED_CROPS, parts_of
from training_core.settings import DenoiserSettings, Settings
from training_core.stack import Stack

from .calibrate import SAMPLE_PX, SAMPLES
from .channels import measured_mpx
from .noisier2noise import DRAWS, settings_of
from .noisier2noise import NAME as NOISIER2NOISE
from .pairs import copies_for
from .rounds import plan_of

PROBED = (2, 3)  # estimates of a crop when it is judged: the latter where photons are few
SPOTS_MPX = 0.4  # on which it is asked how faint a spot is left


def expected_work(
    stacks: Sequence[Stack], settings: Settings, device: torch.device
) -> dict[Stage, Amounts]:
    """Give the work of each stage of training on stacks and denoising them.

    At least what is done where the measured noise is believed and training ends after its first
    round, at most what is done in all rounds.
    """
    whole, ct = sum(stack.mpx for stack in stacks), is_ct(stacks)
    chosen = settings.denoiser
    network = build_network(chosen)
    shape = [min(n, LARGEST_PX) for n in stacks[0].frame_shape]
    each = shape[0] * shape[1] / 1e6
    regions = math.ceil(min(whole, chosen.area_mpx) / each)
    area = regions * each
    crops = parts_of(*shape)
    judged = min(JUDGED_CROPS, regions * len(crops)) * crops[0].height * crops[0].width / 1e6
    channels = max(stack.channel_of(stack.frame_count - 1) + 1 for stack in stacks)
    noise = channels * measured_mpx(regions * [shape[0] * shape[1]])
    plan = {
        Stage.PATCHES: _all(costs.SEARCH_IN_CT if ct else costs.SEARCH, whole),
        Stage.NOISE_MODEL: total(
            [
                _all(costs.NOISE_IN_CT if ct else costs.NOISE, noise),
                _game(settings, channels),
            ]
        ),
        Stage.DENOISE: _denoising(stacks, network, settings, device),
    }
    if settings.is_published:
        step = of_network(costs.PUBLISHED_STEP, network)
        learned = chosen.rounds * chosen.steps * _step_mpx(chosen)
        checks = _judging(network, settings, chosen.rounds * judged, chosen.rounds * judged)
        return plan | {Stage.ROUNDS: total([_all(step, learned), checks])}
    begins = takes_estimate(network)  # then it is judged before it was trained, too
    least, most = begins + min(chosen.rounds, 1), begins + chosen.rounds
    rounds = [
        _rounds(chosen, network, area),
        _judging(network, settings, least * judged, most * judged),
        _calibration(network, settings, area, channels),
    ]
    first = _first_estimate(stacks, settings, network, area)
    return plan | {Stage.FIRST_ESTIMATE: first, Stage.ROUNDS: total(rounds)}


def _all(kind: str, amount: float) -> Amounts:
    return {kind: (amount, amount)}


def _passes(network: nn.Module, settings: Settings, least: float, most: float) -> Amounts:
    """Denoise megapixels, or so many at least and at most; the last pass is taken if it pays."""
    chosen = settings.denoiser
    ways = (4, 8) if chosen.every_orientation else (1, 1)
    together = most if chosen.collaborate else 0.0
    return {
        of_network(costs.PASS, network): (ways[0] * least, ways[1] * most),
        costs.LAST_PASS: (0.0, together),
    }


def _game(settings: Settings, channels: int) -> Amounts:
    chosen = settings.noise_model
    steps = channels * chosen.steps * game_mpx(chosen)
    if settings.is_published:
        return _all(of_network(costs.GAME, first_network(settings)), steps)
    looks = channels * (chosen.steps / STEPS_TO_A_LOOK + 3)
    return {
        costs.GAME: (0.0, steps),
        costs.MATCH: (channels * (1 + (chosen.steps > 0)), looks),
    }


def _step_mpx(chosen: DenoiserSettings) -> float:
    return chosen.batch * chosen.crop_px**2 / 1e6


def _first_estimate(
    stacks: Sequence[Stack], settings: Settings, network: nn.Module, area: float
) -> Amounts:
    """Estimate all regions once; in CT a network may be trained for that alone."""
    chosen = settings.denoiser
    if not chosen.rounds:
        return {}
    asked = chosen.first_estimate
    work = [_passes(network, settings, 0.0, area)]
    if asked == NOISIER2NOISE or (asked == AUTOMATIC and is_ct(stacks)):
        own = settings_of(settings).denoiser
        compact = build_network(own)
        work.append(
            {
                of_network(costs.STEP, compact): (0.0, own.steps * _step_mpx(own)),
                of_network(costs.PASS, compact): (0.0, DRAWS * area),
                costs.PAIRS: (0.0, area * copies_for(round(area * 1e6))),
            }
        )
    sequences = sum(stack.mpx for stack in stacks if sequence_axis(stack))
    if chosen.neighbours == AUTOMATIC and sequences:
        each = PROBED[1] * min(sequences, JUDGED_MPX)
        work.append({costs.LAST_PASS: (0.0, (MOST + 1) * each), costs.NEIGHBOURS: (0.0, 6 * each)})
    return total(work)


def _rounds(chosen: DenoiserSettings, network: nn.Module, area: float) -> Amounts:
    """Learn, in the first round alone or in all."""
    steps = plan_of(chosen, recorded=False) or [0]
    copies, each = bool(chosen.rounds) * area * copies_for(round(area * 1e6)), _step_mpx(chosen)
    work: dict[str, tuple[float, float]] = {
        of_network(costs.STEP, network): (steps[0] * each, sum(steps) * each),
        costs.PAIRS: (copies, len(steps) * copies),
    }
    return work


def _judging(network: nn.Module, settings: Settings, least: float, most: float) -> Amounts:
    estimates = _passes(network, settings, PROBED[0] * least, PROBED[1] * most)
    if settings.denoiser.collaborate:
        estimates = {**estimates, costs.LAST_PASS: (PROBED[0] * least, PROBED[1] * most)}
    return total([estimates, {costs.CHECKS: (least, most)}])


def _calibration(network: nn.Module, settings: Settings, area: float, channels: int) -> Amounts:
    """Measure what is left of noise alone, and what happens to brightness and to spots."""
    chosen, samples = settings.denoiser, channels * SAMPLES * SAMPLE_PX**2 / 1e6
    mpx = chosen.even_flat_areas * samples + chosen.keep_brightness * area + min(SPOTS_MPX, area)
    teaching = max(chosen.rounds - 1, 0) * area  # of each round but the first one
    estimates = _passes(network, settings, mpx, mpx + teaching)
    return total([estimates, _all(costs.CALIBRATION, area)])


def _denoising(
    stacks: Sequence[Stack], network: nn.Module, settings: Settings, device: torch.device
) -> Amounts:
    denoiser = Denoiser(network, (), settings, device)
    tile = tile_size(device, denoiser.halo_px, MEMORY_CHANNELS)
    mpx = sum(tiled_mpx(stack, denoiser, tile) for stack in stacks)
    near = 2 * most_neighbours(settings) * any(map(sequence_axis, stacks))
    return {**_passes(network, settings, mpx, mpx), costs.NEIGHBOURS: (0.0, near * mpx)}
