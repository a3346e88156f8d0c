"""A trained network with its normalisation and its filter as one module, for other programs."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training_core.errors import ModelError
from training_core.networks.published import fold_batch_norm, takes_estimate, takes_sigma
from training_core.noise.anscombe import STABILISED_FLOOR, Stabiliser
from training_core.noise.strength_curve import NoiseCurve
from training_core.stack import Values

from .channel import Channel
from .dct_filter import ShrinkageFilter
from .denoiser import Denoiser, looks_px

GRID_PX = 16  # of the sides that it takes, which the filter's blocks fit
LEFT_OUT = (
    "averaging with neighbouring frames",
    "the mean over turned and mirrored images",
    "the last pass, which filters similar patches together",
    "the smoothing of flat areas",
    "the share of the noise that is put back where texture was in doubt",
    "the care for hot pixels, padding and values that are no number",
)


class PortableDenoiser(nn.Module):
    """Maps noisy frames to denoised ones, both (batch, channels, height, width) in stack units.

    Sides are multiples of `grid_px` and at least `smallest_px`; a pixel sees `halo_px` far. What is
    more than one pass of one network over one frame is `LEFT_OUT`.

    Raises
    ------
    ModelError
        If the denoiser needs what a network alone cannot do.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        if denoiser.even_noise:
            raise ModelError(
                "This model brings the noise of CT to one strength first, which a network in other "
                "programs cannot; use g2g denoise for CT."
            )
        self.network = fold_batch_norm(denoiser.network).cpu().requires_grad_(requires_grad=False)
        self.channels = denoiser.channels
        self.grid_px = max(GRID_PX, denoiser.grid_px)
        seen = int(self.network.halo_px) + looks_px(self.network)  # type: ignore[arg-type]
        self.halo_px = -(-seen // self.grid_px) * self.grid_px
        self.smallest_px = 2 * self.halo_px + self.grid_px

    def forward(self, frames: Tensor) -> Tensor:
        """Denoise frames, float32."""
        made = [
            self._denoised(frames[:, number : number + 1], channel)
            for number, channel in enumerate(self.channels)
        ]
        return torch.cat(made, dim=1)

    def _denoised(self, frames: Tensor, channel: Channel) -> Tensor:
        if channel.blank:
            return frames
        noise = channel.noise
        noisy = _stabilised(noise.stabiliser, frames)
        parts = [noisy]
        if takes_estimate(self.network):
            parts.append(_TracedFilter(noise.covariance, noise.curve)(noisy))
        seen = channel.normalised(torch.cat(parts, dim=1))
        if takes_sigma(self.network):
            sigma = _sigma(noise.curve, parts[1]) / channel.spread
            wide = _TracedFilter.wide(noise.covariance, noise.curve)
            seen = torch.cat([seen, sigma, channel.normalised(wide(noisy))], dim=1)
        made = channel.denormalised(self.network(seen))
        values = _restored(noise.stabiliser, made)
        curve = channel.brightness
        return (values + _between(values, curve.levels, curve.shifts)).float()

    def torchscript(self) -> bytes:
        """Give it as a file of TorchScript, for frames of any size that it takes."""
        side, file = self.smallest_px, io.BytesIO()
        example = torch.zeros(1, len(self.channels), side, side + self.grid_px)
        with torch.no_grad(), warnings.catch_warnings():
            # It is deprecated, but what bioimage.io runs everywhere; numbers stay as they are.
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(self.eval(), example), file)  # type: ignore[no-untyped-call]
        return file.getvalue()


@dataclass(frozen=True, eq=False)
class _TracedFilter(ShrinkageFilter):
    """The filter in steps that a trace keeps, for even sides."""

    def padded(self, images: Tensor) -> Tensor:
        size = self.size_px
        return functional.pad(images, (size, size, size, size), mode="reflect")

    def sigma(self, mean: Tensor) -> Tensor:
        return _sigma(self.curve, mean)


def _sigma(curve: NoiseCurve, mean: Tensor) -> Tensor:
    return _between(mean.double(), curve.levels, curve.sigmas).float()


def _between(where: Tensor, levels: Values, values: Values) -> Tensor:
    """Interpolate float64 as `np.interp` does."""
    xs, ys = torch.from_numpy(levels.copy()), torch.from_numpy(values.copy())
    if len(levels) == 1:
        return torch.zeros_like(where) + ys
    inside = where.clamp(float(levels[0]), float(levels[-1]))
    after = torch.searchsorted(xs, inside).clamp(1, len(levels) - 1)
    share = (inside - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1].lerp(ys[after], share)


def _stabilised(stabiliser: Stabiliser, frames: Tensor) -> Tensor:
    """Do what `Stabiliser.forward` does."""
    exact, gain = frames.double(), stabiliser.gain
    if not gain:
        return ((exact - stabiliser.offset) / stabiliser.scale).float()
    inside = gain * exact + 0.375 * gain**2 + stabiliser.read_variance
    return (2 / gain * inside.clamp(min=0).sqrt()).float()


def _restored(stabiliser: Stabiliser, made: Tensor) -> Tensor:
    """Do what `Stabiliser.inverse` does, in float64."""
    exact, gain = made.double(), stabiliser.gain
    if not gain:
        return exact * stabiliser.scale + stabiliser.offset
    d, root = exact.clamp(min=STABILISED_FLOOR), 1.5**0.5
    read = stabiliser.read_variance / gain**2
    counts = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8 - read
    values: Tensor = counts.clamp(min=-read) * gain
    return values
