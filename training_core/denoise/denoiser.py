"""The denoiser: a network with what it needs to know of the noise, applied to a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training_core.costs import LAST_PASS, NEIGHBOURS, PASS, of_network
from training_core.networks.published import takes_estimate, takes_sigma
from training_core.noise.local_strength import EvenNoise
from training_core.noise.model import NoiseModel
from training_core.place import PatchLocation, turn, turn_back, whole
from training_core.run import SILENT, Run
from training_core.settings import Settings

from .channel import Channel
from .dct_filter import BLOCK_PX, WIDE_BLOCK_PX, ShrinkageFilter, local_sigma
from .neighbours import NeighbourAverage, averaged
from .nl_bayes import CollaborativeFilter


@dataclass(frozen=True, eq=False)
class Denoiser:
    """Everything that turns a noisy frame into a clean one."""

    # Shared by all channels; maps (1, inputs, height, width) normalised to (1, 1, ...)
    network: nn.Module
    channels: tuple[Channel, ...]  # one per channel of the training stack
    settings: Settings  # what it was trained with
    device: torch.device  # where the network is
    # The story of the training, plain values for JSON
    card: Mapping[str, Any] = field(default_factory=dict)
    # How many frames on each side are averaged with a frame where they match; 0 for none
    neighbours: int = 0
    # What share of the collaborative pass is taken, the rest being the network's own result
    collaboration: float = 1.0
    # Brings the noise to the same strength everywhere before anything else, for CT; or None
    even_noise: EvenNoise | None = None

    @property
    def collaborates(self) -> bool:
        """Whether the collaborative pass follows the network."""
        return self.settings.denoiser.collaborate and self.collaboration > 0

    @property
    def halo_px(self) -> int:
        """How far a pixel of the `passes` sees; each of them by multiples of the `grid_px`."""
        looks = looks_px(self.network) + NeighbourAverage.halo_px * bool(self.neighbours)
        return self.last_halo_px + self.network_halo_px + self._on_grid(looks)

    @property
    def network_halo_px(self) -> int:
        """How far a pixel of the network's result sees into what it is given."""
        return self._on_grid(int(self.network.halo_px))  # type: ignore[arg-type]

    @property
    def last_halo_px(self) -> int:
        """How far a pixel of the last pass sees into what the network makes; 0 without that."""
        return self._on_grid(CollaborativeFilter.halo_px) if self.collaborates else 0

    def _on_grid(self, seen_px: int) -> int:
        return -(-seen_px // self.grid_px) * self.grid_px

    @property
    def grid_px(self) -> int:
        """Tiles must begin on multiples of this for tiled `passes` to equal those of the whole."""
        return max(8, int(getattr(self.network, "multiple_px", 1)))

    def inputs(self, noisy: Tensor, channel: Channel, strength: Tensor | None = None) -> Tensor:
        """Give what the network sees of stabilised frames (batch, 1, height, width).

        `strength` (height, width) is the share of the noise's std in each pixel; None for 1.
        """
        if not takes_estimate(self.network):
            return channel.normalised(noisy)
        share = None if strength is None else strength[None, None]
        estimate = first_look(channel.noise)(noisy, share)
        seen = channel.normalised(torch.cat([noisy, estimate], dim=1))
        if not takes_sigma(self.network):
            return seen
        sigma = local_sigma(channel.noise.curve, estimate) * (1.0 if share is None else share)
        wide = channel.normalised(wide_look(channel.noise)(noisy, share))
        return torch.cat([seen, sigma / channel.spread, wide], dim=1)

    @torch.no_grad()
    def network_pass(
        self,
        noisy: Tensor,
        channel: Channel,
        strength: Tensor | None = None,
        inner: PatchLocation | None = None,
    ) -> Tensor:
        """Give the network's estimate of a stabilised frame (height, width); see `inputs`.

        Of a place `inner` of it, if that is given: more than it takes for that is not computed.
        """
        place = inner or whole(noisy.shape)
        around = place.grown(self.network_halo_px, noisy.shape)
        inputs = self.inputs(noisy[None, None], channel, strength)
        images = self._padded(inputs[..., *around.slices])
        seen = images[0, 0]
        if self.settings.denoiser.every_orientation:
            ways = channel.noise.orientations
            turned = [turn_back(self.network(turn(images, way)), way)[0, 0] for way in ways]
            made = seen + (torch.stack(turned) - seen).mean(dim=0)
        else:
            made = self.network(images)[0, 0]
        cut, given = place.within(around).slices, noisy[place.slices]
        # A pixel that the network left alone keeps its value to the last bit.
        return torch.where((made == seen)[cut], given, channel.denormalised(made)[cut])

    def _padded(self, images: Tensor) -> Tensor:
        """Fill up to the network's grid, which then lies alike however the image is turned."""
        multiple = int(getattr(self.network, "multiple_px", 1))
        below, right = (-n % multiple for n in images.shape[-2:])
        return functional.pad(images, (0, right, 0, below), mode="replicate")

    @torch.no_grad()
    def estimate(
        self, noisy: Tensor, channel: Channel, run: Run = SILENT, neighbours: Tensor | None = None
    ) -> Tensor:
        """Denoise a stabilised frame (height, width) float32 on the denoiser's device.

        Its `neighbours` (count, height, width), if any, are averaged with it where they match.
        """
        made, strength = self.passes(noisy, channel, run, neighbours)
        return self.evened(made, channel, strength)

    @torch.no_grad()
    def passes(
        self,
        noisy: Tensor,
        channel: Channel,
        run: Run = SILENT,
        neighbours: Tensor | None = None,
        inner: PatchLocation | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Give `estimate` before flat areas are evened, and what share of the noise it began with.

        The share is one of the std, for each pixel; None for all of it. Both are of a place `inner`
        of the frame, if that is given, which begins on the `grid_px`: each pass takes no more of
        the frame than the next one sees.
        """
        inner = inner or whole(noisy.shape)
        around = inner.grown(self.last_halo_px, noisy.shape)
        seen, strength, made = self.first_pass(noisy, channel, neighbours, run, around)
        if self.collaborates:
            together = self.last_pass(seen, made, channel, run, strength)
            made = made.lerp(together, self.collaboration)
        cut = inner.within(around).slices
        return made[cut], None if strength is None else strength[cut]

    @torch.no_grad()
    def first_pass(
        self,
        noisy: Tensor,
        channel: Channel,
        neighbours: Tensor | None = None,
        run: Run = SILENT,
        inner: PatchLocation | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Give what the passes see, what share of the noise is in it, and the network's result.

        All of a place `inner` of the frame, if that is given.
        """
        place = inner or whole(noisy.shape)
        seen, strength = averaged(noisy, neighbours, channel.noise)
        if neighbours is not None and len(neighbours):
            run.did(NEIGHBOURS, neighbours.numel() / 1e6)
        pilot = self.network_pass(seen, channel, strength, place)
        ways = channel.noise.orientations if self.settings.denoiser.every_orientation else (0,)
        run.did(of_network(PASS, self.network), len(ways) * pilot.numel() / 1e6)
        seen, noisy = seen[place.slices], noisy[place.slices]
        strength = None if strength is None else strength[place.slices]
        # What the network left alone stays as it came, without what neighbours add.
        return seen, strength, torch.where(pilot == seen, noisy, pilot)

    @torch.no_grad()
    def last_pass(
        self, seen: Tensor, pilot: Tensor, channel: Channel, run: Run, strength: Tensor | None
    ) -> Tensor:
        """Filter similar patches together, as the network's result tells them."""
        filtered = CollaborativeFilter(channel.noise.covariance, channel.noise.curve)
        together = filtered(seen, pilot, run, strength)
        run.did(LAST_PASS, seen.numel() / 1e6)
        return together

    @torch.no_grad()
    def evened(self, made: Tensor, channel: Channel, strength: Tensor | None = None) -> Tensor:
        """Even out the flat areas of what the `passes` gave, if that is asked for and learned."""
        if channel.flat_areas is None or not self.settings.denoiser.even_flat_areas:
            return made
        return channel.flat_areas(made, channel.noise.curve, strength)


def first_look(noise: NoiseModel) -> ShrinkageFilter:
    """Give the filter whose estimate the network corrects."""
    return ShrinkageFilter(noise.covariance, noise.curve)


def wide_look(noise: NoiseModel) -> ShrinkageFilter:
    """Give the filter with large blocks, of which the bundled network sees the estimate, too."""
    return ShrinkageFilter.wide(noise.covariance, noise.curve)


def looks_px(network: nn.Module) -> int:
    """Give how far the filters see, in two passes, whose estimates a network takes."""
    if not takes_estimate(network):
        return 0
    return 2 * (WIDE_BLOCK_PX if takes_sigma(network) else BLOCK_PX)
