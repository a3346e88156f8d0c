"""How much work a job will be, stage by stage; what that takes here is for `costs` to say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

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
from training_core.patches.smooth_patches import searched_mpx
from training_core.place import LARGEST_PX
from training_core.run import Stage
from training_core.selection.neighbours import AUTOMATIC, MOST, most_neighbours
from training_core.selection.sure import JUDGED_CROPS, parts_of
from training_core.settings import Settings
from training_core.stack import Stack

from .calibrate import SAMPLE_PX, SAMPLES
from .channels import measured_mpx
from .noisier2noise import DRAWS, settings_of
from .pairs import copies_for
from .round import crops_mpx
from .rounds import plan_of

PROBED = (2, 3)  # estimates of a crop when it is judged: the latter where photons are few
SPOTS_MPX = 0.4  # on which it is asked how faint a spot is left


def expected_work(
    stacks: Sequence[Stack], settings: Settings, device: torch.device
) -> dict[Stage, Amounts]:
    """Give the work of each stage of training on stacks and denoising them.

    At least what is done where the measured noise is believed and training ends after its first
    round, at most what is done where each round gains and every pass is worth it.
    """
    # The networks are only counted. On the device "meta" they would need no memory, but it pulls in
    # torch._dynamo, which takes as long as a fifth of an instant job.
    with torch.random.fork_rng(devices=[]):
        return _work(_Extent(stacks, settings), stacks, settings, device)


def _work(
    job: _Extent, stacks: Sequence[Stack], settings: Settings, device: torch.device
) -> dict[Stage, Amounts]:
    denoiser = Denoiser(job.network, (), settings, device)
    tile = tile_size(device, denoiser.halo_px, MEMORY_CHANNELS)
    mpx, seen = (
        sum(tiled_mpx(s, halo, tile) for s in stacks)
        for halo in (denoiser.last_halo_px, denoiser.halo_px)
    )
    searched = searched_mpx(stacks, settings.patches)
    near = 2 * most_neighbours(settings) * job.is_sequence * seen
    return {
        Stage.PATCHES: {costs.SEARCH_IN_CT if job.is_ct else costs.SEARCH: (searched, searched)},
        Stage.NOISE_MODEL: job.noise(),
        Stage.FIRST_ESTIMATE: job.first_estimate(),
        Stage.ROUNDS: job.rounds(),
        Stage.DENOISE: total([job.passes(mpx, mpx, final=True), {costs.NEIGHBOURS: (0.0, near)}]),
    }


class _Extent:
    """Stacks and settings, and how many megapixels each part of a training works on.

    `area` are the regions that are learned from, `judged` the crops of them that rounds are judged
    on, `crops` what a step learns from.
    """

    def __init__(self, stacks: Sequence[Stack], settings: Settings) -> None:
        self.settings, self.chosen, self.is_ct = settings, settings.denoiser, is_ct(stacks)
        self.network = build_network(self.chosen)
        self.is_sequence = any(map(sequence_axis, stacks))
        self.channels = max(stack.channel_of(stack.frame_count - 1) + 1 for stack in stacks)
        shape = [min(side, LARGEST_PX) for side in stacks[0].frame_shape]
        whole, each = sum(stack.mpx for stack in stacks), math.prod(shape) / 1e6
        self.regions = math.ceil(min(whole, self.chosen.area_mpx) / each)
        self.area = self.regions * each
        parts = parts_of(*shape)
        count = min(JUDGED_CROPS, self.regions * len(parts))
        self.judged = count * parts[0].height * parts[0].width / 1e6
        self.measured = self.channels * measured_mpx(self.regions * [math.prod(shape)])
        self.copies = self.area * copies_for(round(1e6 * self.area))
        self.crops = crops_mpx(self.chosen)

    def passes(
        self, least: float, most: float, *, sure: bool = False, final: bool = False
    ) -> Amounts:
        """Denoise; without the last pass where it does not pay, unless that is `sure`.

        Only what is `final` is an average over orientations.
        """
        ways = (4, 8) if final and self.chosen.every_orientation else (1, 1)
        together = self.chosen.collaborate
        return {
            of_network(costs.PASS, self.network): (ways[0] * least, ways[1] * most),
            costs.LAST_PASS: (sure * together * least, together * most),
        }

    def noise(self) -> Amounts:
        """Measure the noise and let the generator learn it."""
        chosen, kind = self.settings.noise_model, costs.NOISE_IN_CT if self.is_ct else costs.NOISE
        steps = self.channels * chosen.steps * game_mpx(chosen)
        measured = {kind: (self.measured, self.measured)}
        if self.settings.is_published:
            game = of_network(costs.GAME, first_network(self.settings))
            return {costs.NOISE: (self.measured, self.measured), game: (steps, steps)}
        looks = (
            self.channels,
            self.channels * (3 + chosen.steps / STEPS_TO_A_LOOK),
        )
        return measured | {costs.GAME: (0.0, steps), costs.MATCH: looks}

    def first_estimate(self) -> Amounts:
        """Estimate all regions once; in CT a network may be trained for that alone."""
        if self.settings.is_published or not self.chosen.rounds:
            return {}
        own = settings_of(self.settings).denoiser
        compact, learns = (
            build_network(own),
            self.is_ct or self.chosen.first_estimate == "noisier2noise",
        )
        asked = self.is_sequence and self.chosen.neighbours == AUTOMATIC
        choosing = (MOST + 1) * PROBED[1] * asked * self.judged
        work = {
            of_network(costs.STEP, compact): (0.0, learns * own.steps * self.crops),
            of_network(costs.PASS, compact): (0.0, learns * DRAWS * self.area),
            costs.PAIRS: (0.0, learns * self.copies),
            costs.NEIGHBOURS: (0.0, 2 * MOST * choosing),
            costs.LAST_PASS: (0.0, self.chosen.collaborate * choosing),
        }
        return total([work, self.passes(0.0, self.area)])

    def rounds(self) -> Amounts:
        """Learn, judge, and measure what is left of noise, brightness and spots."""
        if self.settings.is_published:
            steps = [self.chosen.steps] * self.chosen.rounds
            kind, sure, copies = costs.PUBLISHED_STEP, len(steps), 0.0
        else:
            steps = list(plan_of(self.chosen, recorded=False))
            kind, sure, copies = costs.STEP, min(len(steps), 1), self.copies
        begins = takes_estimate(self.network)  # then it is judged before it was trained, too
        judged = ((begins + sure) * self.judged, (begins + len(steps)) * self.judged)
        flat = self.chosen.even_flat_areas * self.channels * SAMPLES * SAMPLE_PX**2 / 1e6
        last = flat + self.chosen.keep_brightness * self.area + min(SPOTS_MPX, self.area)
        work = {
            of_network(kind, self.network): (
                sum(steps[:sure]) * self.crops,
                sum(steps) * self.crops,
            ),
            costs.PAIRS: (sure * copies, len(steps) * copies),
        }
        judging = self.passes(PROBED[0] * judged[0], PROBED[1] * judged[1], sure=True)
        estimates = self.passes(0.0, max(len(steps) - 1, 0) * self.area)
        return total([work, judging, estimates, self.passes(last, last, final=True)])
