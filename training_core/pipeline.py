"""The whole job: find smooth patches, learn the noise, estimate, train in rounds, denoise."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .blind_score import brightness_curve
from .denoiser import Channel, Denoiser, build_network, denoise, first_look, to_stack_units
from .device import choose_device, describe_device
from .errors import TooFewPatchesError
from .noise_game import train_generator
from .noise_model import NoiseModel, measure_noise
from .noise_statistics import NoiseCurve
from .noisy_pairs import Estimate
from .paper_gan import train_paper_gan
from .patches import PatchLocation
from .rounds import best_round, train_rounds
from .run import SILENT, PreviewReady, Region, Stage
from .shrinkage import CollaborativeFilter, ShrinkageFilter
from .smooth_patches import NEEDED, cut_patches, find_smooth_patches
from .stabilise import Stabiliser
from .stack import check_trainable
from .tiff_files import program
from .timing import expected_plan
from .training_regions import choose_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from .rounds import RoundResult
    from .run import Run
    from .settings import Settings
    from .stack import Stack
    from .training_regions import TrainingRegion

    Image = NDArray[np.float32]

MEASURED_REGIONS = 8
PREVIEW_PX = 256


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of the whole job."""

    denoised: Stack
    denoiser: Denoiser


def denoise_stack(stack: Stack, settings: Settings, *, run: Run = SILENT) -> Outcome:
    """Train a denoiser on a stack and denoise the stack with it.

    Raises
    ------
    InputError
        If nothing can be learned from the stack.
    Cancelled
        If the run was cancelled.
    """
    denoiser = train([stack], settings, run=run)
    return Outcome(denoise(stack, denoiser, run=run), denoiser)


def expected_seconds(stack: Stack, settings: Settings) -> float:
    """Estimate how long `denoise_stack` takes here, from a short real calculation."""
    plan = expected_plan([stack], settings, choose_device(settings.device))
    return sum(plan.values())


def train(stacks: Sequence[Stack], settings: Settings, *, run: Run = SILENT) -> Denoiser:
    """Learn one denoiser from stacks that were taken alike; nothing clean is needed.

    With `run.stop_and_keep` it finishes early, with what was learned so far.

    Raises
    ------
    InputError
        If a stack is constant or too small, or has too few smooth patches.
    Cancelled
        If the run was cancelled.
    """
    started = time.monotonic()
    for stack in stacks:
        check_trainable(stack)
    device = choose_device(settings.device, run=run)
    run.plan(expected_plan(stacks, settings, device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        training = _Training(stacks, settings, device, run)
        denoiser, rounds = training.denoiser()
    denoiser.card = _card(denoiser, stacks, rounds, time.monotonic() - started)
    return denoiser


class _Training:
    """The stages of one training, in order, and what they hand to each other."""

    def __init__(
        self, stacks: Sequence[Stack], settings: Settings, device: torch.device, run: Run
    ) -> None:
        self.stacks, self.settings, self.device, self.run = stacks, settings, device, run
        self.regions = choose_regions(stacks, settings.denoiser.area_mpx, settings.seed)
        self.patches = _smooth_patches(stacks, settings, run)

    def denoiser(self) -> tuple[Denoiser, list[RoundResult]]:
        published = self.settings.noise_model.generator == "g1"
        learned = [
            self._published(number) if published else self._measured(number)
            for number in range(len(self.patches))
        ]
        channels = tuple(channel for channel, _ in learned)
        network = build_network(self.settings.denoiser).to(self.device).eval()
        denoiser = Denoiser(network, channels, self.settings, self.device)
        noisy = [
            self._estimate(channels[r.channel].noise.stabiliser.forward(r.values), r, channels)
            for r in self.regions
        ]
        teachers = [g2 for _, g2 in learned if g2 is not None]
        first = teachers or self._first_estimates(noisy)
        rounds = train_rounds(denoiser, noisy, first, run=self.run, preview=self._preview)
        if self.settings.denoiser.keep_brightness:
            self._measure_brightness(denoiser, noisy)
        return denoiser, rounds

    def _estimate(
        self, image: Image, region: TrainingRegion, channels: Sequence[Channel]
    ) -> Estimate:
        return Estimate(torch.from_numpy(image).to(self.device), channels[region.channel])

    def _frames(self, channel: int) -> list[Image]:
        return [region.values for region in self.regions if region.channel == channel]

    def _measured(self, number: int) -> tuple[Channel, None]:
        """Measure the noise of a channel and let the generator learn it."""
        frames = self._frames(number)[:MEASURED_REGIONS]
        chosen = self.settings.noise_model
        linear = any(stack.value_unit == "HU" for stack in self.stacks)
        patches = self.patches[number]
        stabiliser, curve, covariance, noise = measure_noise(frames, patches, chosen, linear=linear)
        generator, match = train_generator(
            noise, covariance, chosen, seed=self.settings.seed, device=self.device, run=self.run
        )
        model = NoiseModel(stabiliser, curve, covariance, generator, match, len(patches))
        stabilised = np.concatenate([stabiliser.forward(f).ravel() for f in frames])
        spread = float(stabilised.std())
        return Channel(model, float(stabilised.mean()), spread if spread > 0 else 1.0), None

    def _published(self, number: int) -> tuple[Channel, nn.Module]:
        """Train g1 and g2 on unit intensities, as published."""
        intensity = self.stacks[0].intensity
        unit = Stabiliser(offset=intensity.offset, scale=intensity.scale)
        patches, frames = self.patches[number], self._frames(number)
        *_, covariance, _ = measure_noise(
            frames[:MEASURED_REGIONS], patches, self.settings.noise_model, linear=True
        )
        gan = train_paper_gan(
            unit.forward(patches),
            [unit.forward(frame) for frame in frames],
            self.settings,
            device=self.device,
            run=self.run,
        )
        sigma = float(unit.forward(patches).std(axis=(1, 2)).mean())
        curve = NoiseCurve(np.zeros(1), np.array([sigma]))
        model = NoiseModel(unit, curve, covariance, gan.g1, None, len(patches))
        return Channel(model), gan.g2

    @torch.no_grad()
    def _first_estimates(self, noisy: Sequence[Estimate]) -> list[Estimate]:
        """Estimate every region before any network has learned to denoise."""
        self.run.start(Stage.FIRST_ESTIMATE, len(noisy))
        estimates = []
        for done, region in enumerate(noisy, start=1):
            self.run.check()
            image = first_estimate(region.image, region.channel.noise, self.run)
            estimates.append(Estimate(image, region.channel))
            self.run.progress(Stage.FIRST_ESTIMATE, done, len(noisy))
        self.run.finish(Stage.FIRST_ESTIMATE)
        return estimates

    def _measure_brightness(self, denoiser: Denoiser, noisy: Sequence[Estimate]) -> None:
        """Find how far areas of each brightness moved, and have it undone from now on."""
        for number, channel in enumerate(denoiser.channels):
            mine = [i for i, region in enumerate(self.regions) if region.channel == number]
            estimates = [denoiser.estimate(noisy[i].image, channel, self.run) for i in mine]
            regions = [self.regions[i] for i in mine]
            channel.brightness = brightness_curve(regions, estimates, channel)

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
        made = denoiser.network_pass(torch.from_numpy(stabilised).to(self.device), channel)
        values = to_stack_units(made.cpu().numpy(), stabilised, noisy, channel)
        shown = Region(region.frame, place.top, place.left, place.height, place.width)
        return PreviewReady(Stage.ROUNDS, shown, noisy, values.astype(np.float32))


def first_estimate(noisy: Tensor, noise: NoiseModel, run: Run = SILENT) -> Tensor:
    """Estimate a stabilised region (height, width) with classical filters that know the noise.

    Small and large blocks err differently, so their mean guides the collaborative filter.
    """
    large = ShrinkageFilter(noise.covariance, noise.curve, size_px=16, step_px=4)
    images = noisy[None, None]
    pilot = ((first_look(noise)(images) + large(images)) / 2)[0, 0]
    return CollaborativeFilter(noise.covariance, noise.curve)(noisy, pilot, run)


def _smooth_patches(stacks: Sequence[Stack], settings: Settings, run: Run) -> list[Image]:
    """Cut the smooth patches of each channel out, (count, size, size) float32 in stack units."""
    found: dict[int, list[Image]] = {}
    sentences: dict[int, str] = {}
    for stack in stacks:
        for number, channel in enumerate(_channels(stack)):
            patches = find_smooth_patches(channel, settings.patches, run=run)
            found.setdefault(number, []).append(cut_patches(channel, patches))
            sentences.setdefault(number, patches.verdict.sentence)
    size = min(part.shape[1] for parts in found.values() for part in parts)
    joined = [
        np.concatenate([part[:, :size, :size] for part in parts])
        for _, parts in sorted(found.items())
    ]
    _refuse_too_few(joined, [sentences[number] for number in sorted(sentences)], run)
    return joined


def _channels(stack: Stack) -> list[Stack]:
    """Part a stack by its channels: the smoothest of one would crowd out those of another."""
    if "C" not in stack.axes:
        return [stack]
    parts = np.moveaxis(stack.pixels, stack.axes.index("C"), 0)
    return [replace(stack, pixels=part, axes=stack.axes.replace("C", "")) for part in parts]


def _refuse_too_few(joined: Sequence[Image], sentences: Sequence[str], run: Run) -> None:
    for number, (patches, sentence) in enumerate(zip(joined, sentences, strict=True), start=1):
        told = f"Channel {number}: {sentence}" if len(joined) > 1 else sentence
        if len(patches) < NEEDED // 3:
            raise TooFewPatchesError(told)
        if len(patches) < NEEDED:
            run.note(told, warning=True)


def _card(
    denoiser: Denoiser, stacks: Sequence[Stack], rounds: Sequence[RoundResult], seconds: float
) -> dict[str, Any]:
    """Tell the story of a training in plain values."""
    stack, settings = stacks[0], denoiser.settings
    return {
        "program": program(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": describe_device(denoiser.device),
        "preset": settings.preset,
        "seed": settings.seed,
        "seconds": seconds,
        "settings": settings.to_dict(),
        "trained_on": [s.name for s in stacks],
        "dtype": str(stack.dtype),
        "axes": stack.axes,
        "pixel_size_um": [stack.pixel_size.x_um, stack.pixel_size.y_um, stack.pixel_size.z_um],
        "patches": sum(channel.noise.patches for channel in denoiser.channels),
        "noise": [channel.noise.statistics() for channel in denoiser.channels],
        "rounds": [result.to_dict() for result in rounds],
        "chosen_round": best_round(rounds),
    }
