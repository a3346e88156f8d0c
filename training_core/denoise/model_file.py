"""The .g2g model file: weights as safetensors, everything else as a JSON card. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from training_core.compute.device import choose_device
from training_core.compute.state_file import UNREADABLE, State, checksum
from training_core.draft import draft
from training_core.errors import InputError, ModelError, OutputError, SettingsError, shown
from training_core.formats.source_file import FileMark
from training_core.networks.build import build_network
from training_core.networks.pretrained import PretrainedDenoiser, with_all_inputs
from training_core.networks.published import NoiseGenerator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.compound_poisson import Photons
from training_core.noise.covariance import LAGS
from training_core.noise.generator import (
    KERNEL_PX,
    MeasuredGenerator,
    ResampledNoise,
    StationaryGenerator,
)
from training_core.noise.local_strength import EvenNoise
from training_core.noise.match import NoiseMatch
from training_core.noise.model import PhotonNoise, noise_of
from training_core.noise.strength_curve import NoiseCurve
from training_core.settings import Settings

from .brightness import BrightnessCurve
from .channel import Channel
from .denoiser import Denoiser
from .flat_areas import BLOCK, TESTS, FlatAreas
from .model_card import (
    ANY,
    NOT_NEGATIVE,
    STABILISED,
    STRENGTH,
    FieldError,
    Number,
    check_card,
    check_curve,
    check_tensor,
    check_weights,
    plain_story,
)

FORMAT = "g2g-1"
MOST_BYTES = 2**30  # far more than any model
MOST_SIGMAS = 100  # of the noise, which brightness is corrected by


def save_denoiser(
    denoiser: Denoiser, path: str | PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a denoiser as one file, whole or not at all.

    Raises `OutputError` if the file exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name.")
    tensors = {f"network.{k}": v for k, v in denoiser.network.state_dict().items()}
    channels = []
    for number, channel in enumerate(denoiser.channels):
        state = channel_state(channel)
        tensors |= {f"channel{number}.{name}": v for name, v in state["tensors"].items()}
        channels.append(state["card"])
    card = {
        "format": FORMAT,
        "settings": denoiser.settings.to_dict(),
        "channels": channels,
        "neighbours": denoiser.neighbours,
        "collaboration": denoiser.collaboration,
        "even_noise": denoiser.even_noise.sigma if denoiser.even_noise else None,
        "card": denoiser.card,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        # Not `save_file`, which lets nobody but the user read the file.
        about = json.dumps(card, default=str)
        metadata = {"g2g": about, "checksum": str(checksum(about, plain))}
        with draft(path) as temporary:
            temporary.write_bytes(save(plain, metadata=metadata))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {error}.") from error
    return path


def channel_state(channel: Channel) -> State:
    """Give a channel as tensors and a card of plain values."""
    noise = channel.noise
    arrays = {
        "covariance": noise.covariance,
        "curve.levels": noise.curve.levels,
        "curve.sigmas": noise.curve.sigmas,
        "brightness.levels": channel.brightness.levels,
        "brightness.shifts": channel.brightness.shifts,
    }
    tensors = {key: torch.from_numpy(np.array(v, np.float64)) for key, v in arrays.items()}
    generator = noise.generator.state_dict()
    tensors |= {f"generator.{key}": value for key, value in generator.items()}
    if channel.flat_areas:
        kept = channel.flat_areas.to_tensors()
        tensors |= {f"flat_areas.{key}": value for key, value in kept.items()}
    return {"tensors": tensors, "card": _channel_card(channel)}


def _channel_card(channel: Channel) -> dict[str, Any]:
    noise = channel.noise
    return {
        "mean": channel.mean,
        "spread": channel.spread,
        "doubted": channel.doubted,
        "sure": channel.sure,
        "blank": channel.blank,
        "stabiliser": noise.stabiliser.to_dict(),
        "generator": type(noise.generator).__name__,
        "match": asdict(noise.match) if noise.match else None,
        "patches": noise.patches,
        "photons": noise.photons.to_dict() if isinstance(noise, PhotonNoise) else None,
    }


def load_denoiser(path: str | PathLike[str], *, device: str = "auto") -> Denoiser:
    """Read a model file; nothing in it is ever executed.

    Raises `ModelError` if the file is missing, damaged or not a model of this program.
    """
    path = Path(path)
    card, tensors = _read(path)
    place = choose_device(device)
    try:
        check_card(card)
        story = plain_story(card.get("card") or {}, "card")
        chosen = card["settings"]["denoiser"]
        chosen.pop("anchor", None)  # of 0.1.0, and nothing to a result
        if chosen.get("network") == "residual-unet":
            raise ModelError(
                f"{path.name} has a residual U-Net, which this version has no more. "
                "Train the denoiser again."
            )
        settings = Settings.from_dict(card["settings"])
        network, weights = build_network(settings.denoiser), _under(tensors, "network")
        if isinstance(network, PretrainedDenoiser):
            weights = with_all_inputs(weights)
        network = _filled(network, weights, place, "network")
        sigma = card.get("even_noise")
        channels = tuple(
            channel_from({"card": part, "tensors": _under(tensors, f"channel{number}")}, place)
            for number, part in enumerate(card["channels"])
        )
    except (FieldError, SettingsError) as error:
        raise ModelError(
            f"{path.name} cannot be used: {shown(error)}. Train it again or use another copy."
        ) from error
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(
            f"{path.name} cannot be used: a part of the model is missing or damaged. "
            "Train it again or use another copy."
        ) from error
    return Denoiser(
        network,
        channels,
        settings,
        place,
        story,
        neighbours=card.get("neighbours") or 0,  # of 0.1.0 there are none of these
        collaboration=1.0 if card.get("collaboration") is None else card["collaboration"],
        even_noise=None if sigma is None else EvenNoise(float(sigma)),
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.exists():
        raise ModelError(f"There is no model file {path}.")
    if not path.is_file():  # a pipe would be waited for
        raise ModelError(f"{path} is no file.")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ModelError(f"{path.name} is no model file (.g2g): it has {size / 2**30:.1f} GB.")
    try:
        # Read, not mapped: a map kills the process when the file is cut meanwhile.
        content = FileMark.of(path).read(0, size).tobytes()
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        about = metadata.get("g2g", "null")
        card = json.loads(about)
    except InputError as error:
        raise ModelError(str(error)) from error
    except (*UNREADABLE, AttributeError, RuntimeError) as error:
        raise ModelError(f"{path.name} is damaged or is no model file (.g2g).") from error
    written = metadata.get("checksum")  # models of 0.1.0 have none
    if written is not None and written != str(checksum(about, tensors)):
        raise ModelError(
            f"{path.name} is damaged: what it holds is not what was written. Use another copy."
        )
    found = card.get("format") if isinstance(card, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{path.name} is no model of this version of g2g desktop: its format is "
            f"{shown(repr(found))}, and {FORMAT!r} is needed."
        )
    return card, tensors


def _under(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}


def _filled(network: nn.Module, weights: dict[str, Tensor], place: torch.device, name: str) -> Any:
    check_weights(network, weights, name)
    network.load_state_dict(weights)
    return network.to(place).eval()


def channel_from(state: State, place: torch.device) -> Channel:
    """Build a channel from its `channel_state`, with its generator on a device."""
    card, tensors = state["card"], state["tensors"]
    _check_channel(tensors)
    arrays = {name: value.numpy() for name, value in tensors.items() if "generator" not in name}
    noise = noise_of(
        Photons.from_dict(card.get("photons")),  # of 0.1.0 there are none
        Stabiliser.from_dict(card["stabiliser"]),
        NoiseCurve(arrays["curve.levels"], arrays["curve.sigmas"]),
        arrays["covariance"].reshape(KERNEL_PX, KERNEL_PX),
        _generator(card["generator"], _under(tensors, "generator"), place),
        NoiseMatch.from_dict(card["match"]),
        card["patches"],
    )
    brightness = BrightnessCurve(arrays["brightness.levels"], arrays["brightness.shifts"])
    most = np.abs(brightness.levels).max() + MOST_SIGMAS * noise.stack_sigma()
    if not np.abs(brightness.shifts).max() <= most:
        raise FieldError(f"its part 'brightness.shifts' is beyond {most:g}")
    kept = _under(tensors, "flat_areas")  # in models of 0.1.0 there is nothing
    flat_areas = FlatAreas.from_tensors(kept) if kept else None
    mean, spread = float(card["mean"]), float(card["spread"])
    doubted, sure, blank = (bool(card.get(name)) for name in ("doubted", "sure", "blank"))
    channel = Channel(noise, mean, spread, brightness, flat_areas=flat_areas)
    return replace(channel, doubted=doubted, sure=sure, blank=blank)


def _check_channel(tensors: dict[str, Tensor]) -> None:
    check_curve(tensors["curve.levels"], tensors["curve.sigmas"], "curve", STABILISED, STRENGTH)
    check_curve(tensors["brightness.levels"], tensors["brightness.shifts"], "brightness", ANY, ANY)
    covariance = tensors["covariance"]
    check_tensor(covariance, "covariance", (KERNEL_PX, KERNEL_PX), limits=STABILISED)
    if covariance[LAGS, LAGS] <= 0:
        raise FieldError("its part 'covariance' has no variance in the middle")
    if "flat_areas.cells_px" in tensors:
        cells, sides = tensors["flat_areas.cells_px"], Number(1, 64, whole=True)
        check_tensor(cells, "flat_areas.cells_px", (None,), torch.int64, sides)
        for name, count in (("powers", BLOCK**2), ("limits", TESTS)):
            part = f"flat_areas.{name}"
            check_tensor(tensors[part], part, (len(cells), count), torch.float32, NOT_NEGATIVE)


def _generator(kind: str, weights: dict[str, Tensor], place: torch.device) -> Any:
    """Build the generator of a class name; a name that nobody knows is a KeyError."""
    if kind == "ResampledNoise":
        size = weights["patches"].shape[-1] if weights["patches"].ndim else 0
        square = (None, size, size)
        check_tensor(weights["patches"], "generator.patches", square, torch.float32, STABILISED)
        ways = Number(0, 7, whole=True)
        check_tensor(weights["ways"], "generator.ways", (None,), torch.int64, ways)
    kinds: dict[str, Callable[[], nn.Module]] = {
        "StationaryGenerator": StationaryGenerator,
        "MeasuredGenerator": MeasuredGenerator,
        "ResampledNoise": lambda: ResampledNoise(weights["patches"], weights["ways"]),
        "NoiseGenerator": NoiseGenerator,
    }
    return _filled(kinds[kind](), weights, place, "generator")
