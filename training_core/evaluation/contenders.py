"""The methods that are compared on a benchmark set, each with a sentence on how it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training_core.denoise.brightness import BrightnessCurve
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.denoise.tiled import denoise, kept_share
from training_core.errors import ModelError
from training_core.networks.dncnn_b import load_dncnn_b
from training_core.networks.published import DnCNN
from training_core.pipeline import denoise_stack
from training_core.run import Run
from training_core.settings import Settings, preset
from training_core.stack import Stack, Values
from training_core.training.first_estimate import estimator_of
from training_core.training.noisier2noise import NAME as NOISIER2NOISE
from training_core.training.report import Learned

from . import classical
from .protocols import protocol_for
from .published_tables import Kind

FILTERS = ("blur", "nlm", "tv", "wavelet", "bm3d")
METHODS = ("noisy", *FILTERS, "dncnn-b", "instant", "first-estimate", "g2g", "oracle")
BLACK_AND_WHITE = {"HU": (-1000.0, 1000.0)}  # what the bundled network gets as 0 and 1
GREY_LEVELS = (0.0, 255.0)


@dataclass(frozen=True, eq=False)
class Contest:
    """A noisy test image on which all methods are tried."""

    name: str  # the picture, field and frame, or patient and slice
    noisy: Stack  # one frame, float32, so that nothing is rounded before it is scored
    # The clean image for each protocol that scores this noisy one, by name
    references: dict[str, Values]
    kind: Kind  # "natural", "micrograph" or "ct"

    @cached_property
    def values(self) -> Values:
        """The noisy image, (height, width) float64."""
        return self.noisy.raw_frame(0).astype(np.float64)

    @cached_property
    def sigma(self) -> float:
        """The noise's standard deviation as it is found blind."""
        return classical.blind_sigma(self.values, self.kind)


@dataclass(frozen=True)
class Contender:
    """One row of a table before it has been run."""

    method: str  # one of `METHODS`
    label: str
    how: str  # how the row is made, in a sentence; why not, where it cannot be
    # Gives the denoised image, (height, width) float64; None where it cannot be made
    apply: Callable[[Contest, Run], Values] | None
    sees_reference: bool = False  # whether it was told more than the noisy image
    # Whether it may be called the best; not what only the scores would pick among our own
    competes: bool = True


def classical_contenders(kind: Kind) -> list[Contender]:
    """Give the noisy image and the classical filters for a kind of image."""
    made = [
        Contender("noisy", "noisy", "As it came.", lambda trial, run: trial.values),
        Contender(
            "blur",
            "Gaussian blur",
            "Its width is chosen for each image by the highest PSNR against the reference, where "
            "two protocols score the image by that of the published one.",
            _tuned_blur,
            sees_reference=True,
        ),
        _filter("nlm", "NLM", classical.non_local_means),
        _filter("tv", "TV (Chambolle)", classical.total_variation),
        _filter("wavelet", "wavelet (BayesShrink)", classical.wavelet),
        _filter("bm3d", "BM3D", classical.bm3d),
    ]
    if kind == "micrograph":
        how = f"{_first_line(classical.stabilised_bm3d)} Nothing is told."
        made.append(
            Contender("bm3d", "GAT + BM3D", how, lambda t, run: classical.stabilised_bm3d(t.values))
        )
    if classical.has_bm3d():
        return made
    missing = "The package bm3d (no commercial use) is not installed."
    return [replace(c, apply=None, how=missing) if c.method == "bm3d" else c for c in made]


def _tuned_blur(trial: Contest, run: Run) -> Values:
    name, clean = next(iter(trial.references.items()))
    protocol = protocol_for(name, trial.kind)
    window = (protocol.low, protocol.high) if protocol.clips else classical.ANY_VALUE
    return classical.tuned_blur(trial.values, clean, window)


def _filter(method: str, label: str, function: Callable[[Values, float], Values]) -> Contender:
    how = f"{_first_line(function)} Sigma is estimated blind."
    return Contender(method, label, how, lambda trial, run: function(trial.values, trial.sigma))


def _first_line(function: Callable[..., Values]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


def bundled_contenders(
    kind: Kind, device: torch.device, like: Settings | None = None
) -> list[Contender]:
    """Give what needs no training: DnCNN-B and, but for photographs, our bundled network."""
    scale = "-1000 HU is 0 to it and 1000 HU 1" if kind == "ct" else "black 0, white 1"
    how = f"The bundled blind network, trained with clean photographs; {scale}."
    try:
        network = load_dncnn_b(device)
        made = [Contender("dncnn-b", "DnCNN-B", how, lambda t, run: _bundled(network, t))]
    except ModelError:
        made = [Contender("dncnn-b", "DnCNN-B", "Weights missing.", None)]
    if kind == "natural":  # such as our network was trained with
        return made
    like = like or Settings()
    settings = preset("instant", device=device.type, seed=like.seed, precision=like.precision)
    told = "Our bundled network with the noise of the image, measured blind; nothing is trained."

    def instant(trial: Contest, run: Run) -> Values:
        return _values(denoise_stack(trial.noisy, settings, run=run).denoised)

    return [*made, Contender("instant", "instant", told, instant)]


@torch.no_grad()
def _bundled(network: DnCNN, trial: Contest) -> Values:
    """Apply the network to grey levels or HU, scaled alike whatever the noise."""
    black, white = BLACK_AND_WHITE.get(trial.noisy.value_unit, GREY_LEVELS)
    unit = (trial.values - black) / (white - black)
    device = next(network.parameters()).device
    image = torch.from_numpy(np.asarray(unit, np.float32)).to(device)[None, None]
    made: NDArray[np.float32] = network(image)[0, 0].cpu().numpy()
    return made.astype(np.float64) * (white - black) + black


def g2g_contenders(learned: Learned) -> Iterator[Contender]:
    """Give the first estimate, the network of every round and the final result of a training."""
    denoiser, history = learned.denoiser, learned.history
    settings, chosen = denoiser.settings, denoiser.card["chosen_round"]
    name, last = f"G2G {settings.preset}", max(history)
    yield from _first_estimate(learned, name)
    for number in sorted(history):
        marks = ["chosen blind"] * (number == chosen) + ["last"] * (number == last)
        which = f"round {number} ({', '.join(marks)})" if marks else f"round {number}"
        how = f"The network alone after round {number}."
        if not number:
            g2 = settings.denoiser.first_estimate == "g2"
            how = "Generator g2." if g2 else "The network before training."
        apply = _by(_alone(denoiser, history[number]))
        yield Contender("g2g", f"{name}, {which}", how, apply, competes=bool(marks))
    if settings.denoiser.collaborate:
        how = "What the result would be, had this round been chosen; brightness as corrected now."
        for number in sorted(set(history) - {chosen}):
            other = replace(denoiser, network=history[number])
            label = f"{name}, round {number} with all passes"
            yield Contender("oracle", label, how, _by(other), competes=False)
    how = "What `g2g run` gives: the blindly chosen round with all passes after the network."
    yield Contender("g2g", f"{name}, result", how, _by(denoiser))


def _by(denoiser: Denoiser) -> Callable[[Contest, Run], Values]:
    return lambda trial, run: _values(denoise(trial.noisy, denoiser, run=run))


def _values(stack: Stack) -> Values:
    return stack.raw_frame(0).astype(np.float64)


def _alone(denoiser: Denoiser, network: nn.Module) -> Denoiser:
    """Give a denoiser by a network of this training, without what follows it."""
    plain = replace(denoiser.settings.denoiser, collaborate=False, keep_brightness=False)
    channels = tuple(
        replace(c, brightness=BrightnessCurve(), flat_areas=None) for c in denoiser.channels
    )
    settings = replace(denoiser.settings, denoiser=plain)
    return replace(denoiser, network=network, channels=channels, settings=settings)


def _first_estimate(learned: Learned, name: str) -> Iterator[Contender]:
    asked = learned.denoiser.settings.denoiser.first_estimate
    if asked == "g2":
        return
    method = learned.denoiser.card.get("first_estimate", {}).get("chosen", asked)
    how = f"Before any training: {method}, with the learned noise."
    apply: Callable[[Contest, Run], Values] | None = partial(_estimated, learned)
    if learned.first_estimate is None and method == NOISIER2NOISE:  # learned again for each image
        how, apply = "It was learned before the training was interrupted.", None
    label = f"{name}, first estimate"
    yield Contender("first-estimate", label, how, apply, competes=False)


def _estimated(learned: Learned, trial: Contest, run: Run) -> Values:
    """Estimate by what the training made; after a resumed one it is made again."""
    denoiser = learned.denoiser
    channel = learned.first_channels[0]
    stabiliser = channel.noise.stabiliser
    even = denoiser.even_noise
    gain = even.gain(trial.values.astype(np.float32)) if even else 1.0
    stabilised = torch.from_numpy(stabiliser.forward(trial.values * gain)).to(denoiser.device)
    noisy = Region(stabilised, channel)
    made = (learned.first_estimate or estimator_of(denoiser, [noisy], run))(noisy)
    values: Values = stabiliser.inverse(made.cpu().numpy()) / gain
    # As in every other row of ours.
    share = kept_share(denoiser.settings.denoiser, trial.noisy, channel)
    return values + share * (trial.values - values)
