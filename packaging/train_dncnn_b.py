"""Train the bundled blind denoiser DnCNN-B with clean photographs, measure it and write its card.

    python packaging/train_dncnn_b.py ../shared/data/bsd400            the full one, for a GPU
    python packaging/train_dncnn_b.py ../shared/data/bsd400 --small    some hours on a processor

Where a machine is lent for minutes, add `--minutes 9` and repeat the command with `--resume` until
the training is finished; on a processor it ends with the same weights as one that was never
interrupted. Then `resources/dncnn_b.safetensors` is written, the 68 images of BSD68 beside the
photographs are denoised, and the figures go into the model card `resources/dncnn_b.md`.
"""

from __future__ import annotations

import sys
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from network_training import (
    LICENCE,
    listed,
    run_in_time,
    train_network,
    training_parser,
    write_both,
)

from training_core.evaluation.datasets import load_table
from training_core.evaluation.published_tables import TABLES
from training_core.networks.pretrained import write_weights
from training_core.pretraining.dncnn_b import FULL, SMALL, train_dncnn_b

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from training_core.networks.published import DnCNN
    from training_core.run import Run

SIGMAS = (15, 25, 50)
# Published tables on their own gray; on the usual files Zhang et al., IEEE TIP 26 (2017), Table II.
PUBLISHED = {"published": (31.36, 28.83, 25.69), "sane": (31.61, 29.16, 26.23)}
PROTOCOLS = {
    "published": "the published tables' gray and clipping",
    "sane": "the usual gray files",
}
CARD = """# DnCNN-B, the bundled blind denoiser

`dncnn_b.safetensors`: the network of Zhang, Zuo, Chen, Meng and Zhang, *Beyond a Gaussian
Denoiser* (IEEE TIP 26, 2017): 20 convolutions of 3 x 3 with 64 channels, float32, batch norm
folded into them. Written by `packaging/train_dncnn_b.py` on {today}.

## What it is for

It has seen **natural photographs and white Gaussian noise only**. It is the row DnCNN-B of the
benchmark tables, and nothing else in the program uses it.

It has never seen a micrograph or a CT slice, and expects of an image what photographs are like.
Correlated noise (wide-field fluorescence, CT) it hardly removes. Not for diagnosis.

## How it was trained

{story}

Noise of standard deviation 0 to 55 (white is 255), drawn anew for each crop; crops turned and
mirrored at random; mean squared error, Adam with a cosine, averaged weights, batch norm measured
for the averaged weights.

## PSNR on BSD68

Mean over the 68 images in dB. None of them was trained on, and nothing was chosen by them. White
Gaussian noise, not clipped, seed {seed}; float32.

| | sigma 15 | sigma 25 | sigma 50 |
|---|---|---|---|
{rows}

{licence}"""


def main(given: list[str] | None = None) -> int:
    """Train, or go on; write weights and card when finished."""
    parser = training_parser(__doc__, "dncnn_b", "bsd68 and cbsd68 are")
    return run_in_time(parser.parse_args(given), _train)


def _train(arguments: argparse.Namespace, run: Run) -> int:
    data = arguments.data or arguments.photographs.parent
    for protocol in PROTOCOLS:  # what is missing shall not show after days of training
        load_table(TABLES[f"bsd68-gaussian{SIGMAS[0]}"], data, protocol)
    done = train_network(arguments, run, SMALL if arguments.small else FULL, train_dncnn_b)
    if done is not None:
        story = {**done.story, "Photographs": done.story["Photographs"] + ", in four sizes"}
        publish(done.training.settled(), arguments.output, story, data, done.device)
        done.checkpoint.remove()
    return 0


def publish(
    network: DnCNN, output: Path, story: Mapping[str, str], data: Path, device: torch.device
) -> None:
    """Measure the network on BSD68, then write its weights and the card beside them."""
    rows = []
    for protocol, about in PROTOCOLS.items():
        measured = [f"{evaluate(network, data, s, protocol, device):.2f}" for s in SIGMAS]
        rows.append(f"| this network, {about} | {' | '.join(measured)} |")
        known = [f"{psnr:.2f}" for psnr in PUBLISHED[protocol]]
        rows.append(f"| published DnCNN-B, {about} | {' | '.join(known)} |")
        print("\n".join(rows[-2:]))
    text = CARD.format(
        today=date.today(), story=listed(story), rows="\n".join(rows), seed=0, licence=LICENCE
    )
    write_both(output, partial(write_weights, network), text)


def evaluate(
    network: DnCNN, data: Path, sigma: int, protocol: str, device: torch.device, *, seed: int = 0
) -> float:
    """Give the mean PSNR in dB on BSD68 with white noise of `sigma` of 255."""
    import torch

    benchmark = load_table(TABLES[f"bsd68-gaussian{sigma}"], data, protocol, seed=seed)
    ready = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    scores = []
    for image in benchmark.tests:
        noisy = torch.from_numpy(image.noisy.frame(0) / 255).to(device)
        with torch.no_grad():
            clean = ready(noisy[None, None])[0, 0].cpu().numpy() * 255
        scores.append(benchmark.protocol.score(clean, image.clean).psnr)
    return float(np.mean(scores))


if __name__ == "__main__":
    sys.exit(main())
