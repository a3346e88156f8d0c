"""Make the pictures of how the method works: python packaging/make_method_pictures.py.

Everything is made by the program itself from the bundled fluorescence sample, and written to
`docs/guide/pictures`: learned noise beside real noise, a noisy pair made from an estimate, and the
network after each round. It trains for some minutes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training_core import (
    Run,
    Settings,
    Stack,
    apply_denoiser,
    compare_with_reference,
    find_smooth_patches,
    open_stack,
    preset,
    train,
)
from training_core.denoise.region import Region
from training_core.noise.likeness import REACH
from training_core.reporting.figures import (
    contrast_window,
    detail_place,
    enlarged,
    save_png,
    sheet,
    to_grey,
)
from training_core.resources import resource
from training_core.training.pairs import synthetic_pairs
from training_core.trust.noise_likeness import noise_likeness

if TYPE_CHECKING:
    from PIL import Image

    from training_core.denoise.denoiser import Denoiser
    from training_core.training.report import Learned

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "guide" / "pictures"
NAMES = ("method_noise", "method_pair", "method_rounds")
SHOWN_PX = 300
FRAME = 0


def main() -> int:
    """Train once, and write all pictures."""
    noisy, clean = (
        open_stack(resource(f"samples/fluorescence_{kind}.tif")) for kind in ("noisy", "clean")
    )
    learned = train([noisy], from_nothing())
    for name, told in zip(NAMES, draw(noisy, clean, learned), strict=True):
        print(f"{name}: {told}")
    return 0


def from_nothing() -> Settings:
    """Give settings whose network has learned nothing before, so that rounds show."""
    quick = preset("quick", device="cpu")
    denoiser = replace(quick.denoiser, network="compact", rounds=3)
    return replace(quick, denoiser=denoiser)


def draw(noisy: Stack, clean: Stack, learned: Learned) -> tuple[str, str, str]:
    """Write the pictures; give what is in each."""
    return (
        draw_noise(noisy, learned.denoiser),
        draw_pair(noisy, learned.denoiser),
        draw_rounds(noisy, clean, learned),
    )


def draw_noise(noisy: Stack, denoiser: Denoiser) -> str:
    """Lay noise of smooth patches beside noise that the model makes."""
    patches = find_smooth_patches(noisy, denoiser.settings.patches)
    found = noise_likeness(noisy, patches, denoiser)
    tiles = [[_tile(to_grey(noise, (-REACH, REACH)))] for noise in (found.real, found.made)]
    headings = [("Real noise", "twelve smooth patches"), ("Made noise", "of the learned model")]
    caption = [f"Each patch without its trend and of the same strength. {found.sentence}"]
    _save(NAMES[0], headings, tiles, caption)
    return found.sentence


def draw_pair(noisy: Stack, denoiser: Denoiser) -> str:
    """Show an estimate and two noisy copies of it, as a round learns from."""
    import torch

    channel = denoiser.channels[0]
    estimate = apply_denoiser(_one(noisy), denoiser).frame(0)
    stabilised = torch.from_numpy(channel.stabilised(estimate))
    settings = replace(denoiser.settings.denoiser, targets="noisy")
    twice = replace(denoiser, settings=replace(denoiser.settings, denoiser=settings))
    random = torch.Generator().manual_seed(0)
    pair = synthetic_pairs(twice, (), [Region(stabilised, channel)], random, Run())[0]
    stabiliser = channel.noise.stabiliser
    copies = [
        stabiliser.algebraic_inverse(channel.denormalised(pair.images[place]).numpy())
        for place in (0, -1)
    ]
    window = contrast_window(noisy, FRAME)
    greys = [to_grey(frame, window) for frame in (noisy.frame(FRAME), estimate, *copies)]
    heads = ("Recorded", "Estimate", "Made copy 1", "Made copy 2")
    told = ("the only one there is", "of the round before", "what the network sees", "its target")
    caption = ["Both copies are the estimate and noise that was made, each time other noise."]
    tiles = _details(greys, greys[1])
    _save(NAMES[1], list(zip(heads, told, strict=True)), tiles, caption)
    return f"{len(copies)} copies"


def draw_rounds(noisy: Stack, clean: Stack, learned: Learned) -> str:
    """Show what the network makes after each round, and how far it is from the clean sample."""
    plain = replace(learned.denoiser.settings.denoiser, collaborate=False, even_flat_areas=False)
    settings = replace(learned.denoiser.settings, denoiser=plain)
    made = {"Noisy": _one(noisy)}
    for number, network in sorted(learned.history.items()):
        denoiser = replace(learned.denoiser, network=network, settings=settings, neighbours=0)
        name = f"Round {number}" if number else "First estimate"
        made[name] = apply_denoiser(_one(noisy), denoiser)
    scores = [compare_with_reference(stack, _one(clean)).psnr for stack in made.values()]
    told = [f"{score:.1f} dB" for score in scores]
    window = contrast_window(noisy, FRAME)
    greys = [to_grey(stack.frame(0), window) for stack in made.values()]
    caption = [
        "One frame alone, without its neighbours and without the last pass; PSNR against the clean "
        "sample, which the training never sees."
    ]
    _save(NAMES[2], list(zip(made, told, strict=True)), _details(greys, greys[-1]), caption)
    return ", ".join(told)


def _one(stack: Stack) -> Stack:
    return replace(stack, pixels=np.asarray(stack.raw_frame(FRAME)), axes="YX", metadata={})


def _details(greys: list[np.ndarray], where: np.ndarray) -> list[list[Image.Image]]:
    """Cut the square with the most detail out of each."""
    top, left, side = detail_place(where)
    return [[_tile(grey[top : top + side, left : left + side])] for grey in greys]


def _tile(grey: np.ndarray) -> Image.Image:
    return enlarged(np.ascontiguousarray(grey), SHOWN_PX)


def _save(
    name: str,
    headings: list[tuple[str, str]],
    tiles: list[list[Image.Image]],
    caption: list[str],
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    save_png(sheet(headings, tiles, caption), PICTURES / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
