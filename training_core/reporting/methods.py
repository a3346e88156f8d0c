"""What a paper has to say of a result: a paragraph on the methods, a citation, and the command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from training_core.settings import Settings, limits_of, preset
from training_core.wording import LAST_PASS, figure

CITATION = (
    "S. Cha, T. Park, B. Kim, J. Baek, T. Moon: GAN2GAN: Generative noise learning for blind "
    "denoising with single noisy images. International Conference on Learning Representations "
    "(ICLR), 2021."
)


def methods_paragraph(settings: Settings, card: Mapping[str, Any], version: str) -> str:
    """Write how a stack was denoised, in the words of a methods section.

    `card` is that of the denoiser; what an older one does not tell is left out.
    """
    start = (
        f"Images were denoised blindly with g2g desktop {version} (preset {settings.preset}, seed "
        f"{settings.seed}), which follows GAN2GAN: the noise was learned from smooth patches of "
        "the images themselves, and no clean image, second exposure or noise level was given."
    )
    return " ".join([start, *_details(settings, card)])


def _details(settings: Settings, card: Mapping[str, Any]) -> Iterator[str]:
    for channel in _mappings(card.get("noise")):
        if isinstance(channel.get("patches"), int) and isinstance(channel.get("sigma"), float):
            yield (
                f"Noise of a standard deviation of {figure(channel['sigma'])} was found in "
                f"{channel['patches']} patches."
            )
    rounds = settings.denoiser.rounds
    if not rounds:
        yield "The bundled network was used untrained, with this noise."
    elif isinstance(card.get("chosen_round"), int):
        yield (
            f"The denoiser was trained on pairs with made noise for up to {rounds} rounds; round "
            f"{card['chosen_round']} was chosen without a reference."
        )
    last = card.get("last_pass")
    if isinstance(last, Mapping) and last.get("share") in LAST_PASS:
        yield LAST_PASS[last["share"]]
    kept = settings.denoiser.kept_noise
    if kept:
        yield f"Of what denoising removed, {100 * kept:.0f} % was kept."


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def same_command(stack: str, output: str, settings: Settings, axes: str = "") -> str:
    """Write the command that trains and denoises with the same settings; `axes` if corrected."""
    corrected = ["--axes", axes] if axes else []
    words = ["g2g", "run", stack, "--output", output, *corrected, *changed_options(settings)]
    return shlex.join(words)


def changed_options(settings: Settings) -> list[str]:
    """Give preset, seed, device and each setting that differs from the preset's, as options."""
    usual = preset(settings.preset)
    words = ["--preset", settings.preset]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    if settings.device != "auto":
        words += ["--device", settings.device]
    for part in ("patches", "noise_model", "denoiser"):
        mine, theirs = getattr(settings, part), getattr(usual, part)
        for item in fields(mine):
            value = getattr(mine, item.name)
            if item.name == "areas":
                words += [word for area in value for word in ("--area", str(area))]
            elif value != getattr(theirs, item.name):
                written = value if isinstance(value, str) else json.dumps(value)
                words += ["--set", f"{part}.{item.name}={written}"]
    return words


def changed_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """Give preset, seed and each setting that differs from the preset's: label, value, unit."""
    usual = preset(settings.preset)
    told = [("Preset", settings.preset, ""), ("Seed", str(settings.seed), "")]
    for part in ("patches", "noise_model", "denoiser"):
        mine, theirs = getattr(settings, part), getattr(usual, part)
        for item in fields(mine):
            value = getattr(mine, item.name)
            if item.name == "areas":
                told += [("Painted area", str(area), "px") for area in value]
            elif value != getattr(theirs, item.name):
                limits = limits_of(mine, item.name)
                told.append((limits.label, str(value), limits.unit))
    return told
