"""The stages of one training, in order, and what they hand to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training_core.denoise.brightness import uncut
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.model_file import channel_from, channel_state
from training_core.denoise.neighbours import NeighbourFrames, averaged
from training_core.denoise.region import Estimate
from training_core.denoise.tiled import to_stack_units
from training_core.networks.build import build_network
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.networks.pretrained import PretrainedDenoiser, load_pretrained
from training_core.noise.adversarial import train_generator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.clipping import RecordedNoise, Recording
from training_core.noise.heavy_tails import is_heavy_tailed
from training_core.noise.local_strength import WHY, EvenNoise, is_ct, turns
from training_core.noise.measurement import measure_noise, note_unlike
from training_core.noise.model import NoiseModel
from training_core.noise.strength_curve import NoiseCurve
from training_core.paper.gan import first_network, train_paper_gan
from training_core.patches.local_strength import tissue
from training_core.patches.smooth_patches import cut_noise_patches
from training_core.place import PatchLocation
from training_core.regions import choose_regions
from training_core.run import PreviewReady, Region, Stage
from training_core.selection.neighbours import most_neighbours, with_neighbours
from training_core.selection.sure import RiskEstimator
from training_core.stack import IntensityRange
from training_core.wording import held_by_few

from .calibrate import brightness_curve, measure_flat_areas
from .estimate_task import EstimateTask
from .first_estimate import make_first_estimates
from .heavy_tails import learn_tails
from .pairs import estimate_all
from .remeasure_refined import refined
from .rounds import train_rounds
from .start import weights_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn

    from training_core.compute.checkpoint import Checkpoint, Part, State
    from training_core.regions import TrainingRegion
    from training_core.run import Run
    from training_core.selection.choice import RoundResult
    from training_core.settings import Settings
    from training_core.stack import Stack

    from .pairs import Teacher

    Image = NDArray[np.float32]

MEASURED_REGIONS = 8
PREVIEW_PX = 256


class Training:
    """The stages of one training; what a checkpoint keeps of them is not computed again."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        settings: Settings,
        device: torch.device,
        run: Run,
        checkpoint: Checkpoint,
        repeats: Sequence[Stack] = (),
    ) -> None:
        self.stacks, self.settings, self.device, self.run = stacks, settings, device, run
        self.checkpoint, self.repeats = checkpoint, repeats
        self.turns = False  # whether the noise of a channel does
        self.given, self.even = stacks, self._even_noise(stacks)
        if self.even:
            self.stacks = [self.even.evened(stack, run=run) for stack in stacks]
            self.repeats = [self.even.evened(repeat, like=stacks[0], run=run) for repeat in repeats]
        self.regions = choose_regions(self.stacks, settings.denoiser.area_mpx, settings.seed)
        if not self._is_published():
            note_unlike(stacks, self.regions, run)
        self.patches = cut_noise_patches(
            stacks, settings.patches, run, checkpoint, evened=self.stacks
        )

    def denoiser(self) -> tuple[Denoiser, list[RoundResult]]:
        """Go through all stages; give the denoiser of the best round, and all rounds."""
        known = [self._channel(number) for number in range(len(self.patches))]
        channels = tuple(channel for channel, _ in known)
        network = build_network(self.settings.denoiser)
        if isinstance(network, PretrainedDenoiser):
            load_pretrained(network, weights_for(channels))
        network = network.to(self.device).eval()
        denoiser = Denoiser(network, channels, self.settings, self.device, even_noise=self.even)
        noisy = [
            self._estimate(channel.noise.stabiliser.forward(r.values), channel)
            for r, channel in ((r, channels[r.channel]) for r in self.regions)
        ]
        tailed = [channel for channel in channels if is_heavy_tailed(channel.noise)]
        few = [region for region in noisy if region.channel in tailed]
        if learned := learn_tails(self.settings, few, self.device, self.run):
            numbers = [n for n, channel in enumerate(channels, start=1) if channel in learned]
            self.run.note(held_by_few(numbers, len(channels)))
            denoiser.card["heavy_tails"] = numbers
        noisy = self._with_neighbours(denoiser, noisy)
        judge, recorded = self._judge(noisy), self._learns_from_recorded(denoiser)
        first: Teacher = [g2 for _, g2 in known if g2 is not None]
        if not first:
            scene = EstimateTask(
                self.settings, noisy, self.device, self.run, self.checkpoint, recorded
            )
            first, choice = make_first_estimates(scene, judge)
            denoiser.card["first_estimate"] = choice.to_dict()
            denoiser.first_estimates = dict(choice.made)
        rounds = train_rounds(
            denoiser,
            noisy,
            first,
            run=self.run,
            preview=self._preview,
            checkpoint=self.checkpoint,
            judge=judge,
            recorded=recorded,
        )
        if self.settings.denoiser.even_flat_areas:
            for channel in channels:
                channel.flat_areas = measure_flat_areas(
                    denoiser, channel, self.settings.seed, self.run
                )
        if self.settings.denoiser.keep_brightness:
            self._measure_brightness(denoiser, noisy)
        return denoiser, rounds

    def _learns_from_recorded(self, denoiser: Denoiser) -> bool:
        """Tell whether no pairs can be made that are like the recorded images; say why.

        With repeats what is chosen is chosen by them, and no noise need be known for that.
        """
        pretrained = isinstance(denoiser.network, PretrainedDenoiser)
        recorded = self.turns and pretrained and not self.repeats
        if recorded:
            self.run.note(f"{WHY}.")
            denoiser.card["recorded_pairs"] = WHY
            self.run.shorten(Stage.ROUNDS, 1 / self.settings.denoiser.rounds)
        return recorded

    def _estimate(self, image: Image, channel: Channel) -> Estimate:
        # The published method takes crops of them alone, and `Crops` says where those fit.
        place = torch.device("cpu") if self._is_published() else self.device
        return Estimate(torch.from_numpy(image).to(place), channel)

    def _with_neighbours(self, denoiser: Denoiser, noisy: Sequence[Estimate]) -> list[Estimate]:
        noises = [channel.noise for channel in denoiser.channels]
        most, part = most_neighbours(self.settings), self.checkpoint.part("neighbours")
        self.frames = [
            NeighbourFrames(stack, noises, most, self.run, given=given, even=self.even)
            for stack, given in zip(self.stacks, self.given, strict=True)
        ]
        return with_neighbours(denoiser, self.frames, self.regions, noisy, self.run, part)

    def _judge(self, noisy: Sequence[Estimate]) -> RiskEstimator:
        """Give what chooses among first estimates, weights and rounds, by repeats if any."""
        others = [
            [
                self._estimate(channel.noise.stabiliser.forward(region.cut_from(repeat)), channel)
                for region, channel in zip(self.regions, (n.channel for n in noisy), strict=True)
            ]
            for repeat in self.repeats
        ]
        seen = [self._tissue(region) for region in self.regions] if self.even else None
        return RiskEstimator(noisy, self.settings.seed, self.device, others=others, seen=seen)

    def _tissue(self, region: TrainingRegion) -> NDArray[np.bool_]:
        return tissue(region.cut_from(self.given[region.stack]))

    def _even_noise(self, stacks: Sequence[Stack]) -> EvenNoise | None:
        by_place = self.settings.noise_model.by_place and not self._is_published()
        return EvenNoise.of(stacks, self.run) if by_place and is_ct(stacks) else None

    def _is_published(self) -> bool:
        return self.settings.noise_model.generator == "g1"

    def _frames(self, channel: int) -> list[Image]:
        return [region.values for region in self.regions if region.channel == channel]

    def _channel(self, number: int) -> tuple[Channel, nn.Module | None]:
        """Learn the noise of a channel; also give g2 where the published method learns it."""
        part = self.checkpoint.part(f"channel-{number}")
        state = part.load()
        if state is None:
            game = self.checkpoint.part(f"noise-{number}")
            state = (self._published if self._is_published() else self._measured)(number, game)
            part.save(state)
            game.drop()
        # Built from the state also where it was learned just now, so that nothing can differ.
        self.turns |= state["turns"]
        channel, g2 = channel_from(state["channel"], self.device), None
        as_recorded = self.settings.denoiser.as_recorded and not self._is_published()
        if as_recorded and not self.even:  # which moves the ends of the values to and fro
            channel.recording = Recording.of(self.stacks, number)
        if state["g2"] is not None:
            g2 = first_network(self.settings).to(self.device).eval()
            g2.load_state_dict(state["g2"])
        return channel, g2

    def _measured(self, number: int, game: Part) -> State:
        """Measure the noise of a channel and let the generator learn it."""
        mine = [r for r in self.regions if r.channel == number][:MEASURED_REGIONS]
        frames = [region.values for region in mine]
        chosen = self.settings.noise_model
        linear, patches, turning = is_ct(self.stacks), self.patches[number], False
        measured = measure_noise(frames, patches, chosen, linear=linear)
        if self.even:
            turning = turns(measured.noise, measured.covariance)
            seen = [self._tissue(region) for region in mine]
            measured = refined(measured, frames, patches, self.run, seen)
        generator, match = train_generator(
            measured,
            chosen,
            seed=self.settings.seed,
            device=self.device,
            run=self.run,
            part=game,
        )
        stabiliser, curve, covariance, _, _, photons = measured
        model = NoiseModel(stabiliser, curve, covariance, generator, match, len(patches), photons)
        stabilised = np.concatenate([stabiliser.forward(f).ravel() for f in frames])
        spread = float(stabilised.std())
        if self.settings.denoiser.network == PRETRAINED:
            spread = float(curve(stabilised).mean())
        channel = Channel(model, float(stabilised.mean()), spread if spread > 0 else 1.0)
        return {"channel": channel_state(channel), "g2": None, "turns": turning}

    def _published(self, number: int, game: Part) -> State:
        """Train g1 and g2 on unit intensities, as published."""
        intensity = IntensityRange.published(self.stacks)
        unit = Stabiliser(offset=intensity.offset, scale=intensity.scale)
        patches, frames = self.patches[number], self._frames(number)
        _, _, covariance, *_ = measure_noise(
            frames[:MEASURED_REGIONS], patches, self.settings.noise_model, linear=True
        )
        gan = train_paper_gan(
            unit.forward(patches),
            [unit.forward(frame) for frame in frames],
            self.settings,
            device=self.device,
            run=self.run,
            part=game,
        )
        sigma = float(unit.forward(patches).std(axis=(1, 2)).mean())
        curve = NoiseCurve(np.zeros(1), np.array([sigma]))
        model = NoiseModel(unit, curve, covariance, gan.g1, None, len(patches))
        return {"channel": channel_state(Channel(model)), "g2": gan.g2.state_dict(), "turns": False}

    def _measure_brightness(self, denoiser: Denoiser, noisy: Sequence[Estimate]) -> None:
        """Find how far areas of each brightness moved, and have it undone from now on.

        So is what cutting off at the ends of the file did to them.
        """
        estimates = estimate_all(denoiser, noisy, self.checkpoint.part("last-estimates"), self.run)
        for number, channel in enumerate(denoiser.channels):
            mine = [i for i, region in enumerate(self.regions) if region.channel == number]
            regions, images = [self.regions[i] for i in mine], [estimates[i].image for i in mine]
            curve = brightness_curve(regions, images, channel)
            channel.brightness = uncut(curve, RecordedNoise(channel.noise, channel.recording))

    def _preview(self, denoiser: Denoiser, region: Region) -> PreviewReady | None:
        """Show what the network makes of the watched region of the first stack now."""
        stack = self.stacks[0]
        if region.frame >= stack.frame_count:
            return None
        place = PatchLocation(
            region.top, region.left, min(region.height, PREVIEW_PX), min(region.width, PREVIEW_PX)
        ).grown(0, stack.frame_shape)
        if place.height < 2 or place.width < 2:
            return None
        noisy = stack.frame(region.frame)[place.slices]
        channel = denoiser.channels[stack.channel_of(region.frame)]
        stabilised = channel.noise.stabiliser.forward(noisy)
        image, near = (
            torch.from_numpy(values).to(self.device)
            for values in (stabilised, self.frames[0].cut(region.frame, place))
        )
        seen, strength = averaged(image, near, channel.noise)
        made = denoiser.network_pass(seen, channel, strength)
        values = to_stack_units(made.cpu().numpy(), stabilised, noisy, channel)
        if self.even:
            given = self.given[0].frame(region.frame)
            values, noisy = values / self.even.gain(given)[place.slices], given[place.slices]
        shown = Region(region.frame, place.top, place.left, place.height, place.width)
        return PreviewReady(Stage.ROUNDS, shown, noisy, values.astype(np.float32))
