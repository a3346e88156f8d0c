"""Train the bundled blind denoiser DnCNN-B with clean photographs, measure it and write its card.

    python packaging/train_dncnn_b.py ../shared/data/bsd400            the full one, for a GPU
    python packaging/train_dncnn_b.py ../shared/data/bsd400 --small    some hours on a processor

Where a machine is lent for minutes, add `--minutes 9` and repeat the command with `--resume` until
the training is finished; on a processor it ends with the same weights as one that was never
interrupted. Then `resources/dncnn_b.safetensors` is written, the 68 images of BSD68 beside the
photographs are denoised, and the figures go into the model card `resources/dncnn_b.md`.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from training_core.benchmark_sets import TABLES, load_table
from training_core.blind_training import FULL, SMALL, train_dncnn_b
from training_core.checkpoint import Checkpoint
from training_core.device import choose_device, describe_device
from training_core.dncnn_b import save_dncnn_b
from training_core.errors import CoreError, InputError
from training_core.evaluation_set import pictures_in, read_gray
from training_core.precision import native_bfloat16
from training_core.resources import resource
from training_core.run import Run
from training_core.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from numpy.typing import NDArray

    from training_core.networks import DnCNN

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

It has seen **natural photographs and white Gaussian noise only**. It is the instant first look
before any training, a first estimate that training can start from, and the row DnCNN-B of the
benchmark tables.

It is not for final results: it has never seen a micrograph or a CT slice, and expects of an image
what photographs are like. Correlated noise (wide-field fluorescence, CT) it hardly removes; the
program then says so. Not for diagnosis.

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

## Licence

The weights come with the program under BSD-3-Clause. The photographs they were trained with are of
the Berkeley Segmentation Dataset, which is offered for research and education, and are no part of
the program. Whoever needs weights without that history can train them with other photographs: it
is one command.
"""


def main(given: list[str] | None = None) -> int:
    """Train, or go on; write weights and card when finished."""
    arguments = _parser().parse_args(given)
    run = Run(Terminal(sys.stderr))
    timer = threading.Timer(60 * (arguments.minutes or 0), run.stop_and_keep)
    timer.daemon = True
    if arguments.minutes is not None:
        timer.start()
    try:
        return _train(arguments, run)
    except CoreError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        timer.cancel()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="a folder of clean gray photographs")
    parser.add_argument("--small", action="store_true", help="the training for a processor")
    parser.add_argument("--data", type=Path, help="where bsd68 and cbsd68 are; beside photographs")
    parser.add_argument("--output", type=Path, default=resource("dncnn_b.safetensors"))
    parser.add_argument("--checkpoint", type=Path, default=Path("dncnn_b_training"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--minutes", type=float, help="stop then, to go on later")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def _train(arguments: argparse.Namespace, run: Run) -> int:
    started = time.monotonic()
    checkpoint = Checkpoint(arguments.checkpoint, run=run)
    if checkpoint.exists and not arguments.resume:
        raise InputError(f"{arguments.checkpoint} keeps a training; add --resume or delete it.")
    data = arguments.data or arguments.photographs.parent
    for protocol in PROTOCOLS:  # what is missing shall not show after days of training
        load_table(TABLES[f"bsd68-gaussian{SIGMAS[0]}"], data, protocol)
    images = read_photographs(arguments.photographs)
    settings = SMALL if arguments.small else FULL
    device = choose_device(arguments.device, run=run)
    training = train_dncnn_b(images, settings, device=device, checkpoint=checkpoint, run=run)
    if training.steps_done < settings.steps:
        print(f"{training.steps_done} of {settings.steps} steps done; go on with --resume.")
        return 0
    hours = (checkpoint.seconds_before + time.monotonic() - started) / 3600
    arithmetic = "bfloat16" if native_bfloat16(device) else "float32"
    story = {
        "Photographs": f"{len(images)} of `{arguments.photographs.name}`, in four sizes",
        "Steps": f"{settings.steps} of {settings.batch} crops of {settings.crop_px} x "
        f"{settings.crop_px} pixels",
        "Device": f"{describe_device(device)}, convolutions in {arithmetic}",
        "Time": f"{hours:.1f} hours",
        "Seed": str(settings.seed),
    }
    publish(training.settled(), arguments.output, story, data, device)
    checkpoint.remove()
    return 0


def read_photographs(folder: Path) -> list[NDArray[np.float32]]:
    """Read gray photographs of 8 bits, each (height, width) float32, white at 1."""
    return [np.asarray(read_gray(path), np.float32) / 255 for path in pictures_in(folder)]


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
    told = "\n".join(f"- {label}: {text}" for label, text in story.items())
    text = CARD.format(today=date.today(), story=told, rows="\n".join(rows), seed=0)
    with TemporaryDirectory(dir=output.parent) as folder:  # both are whole before either is there
        weights, card = Path(folder, "weights"), Path(folder, "card")
        save_dncnn_b(network, weights)
        card.write_text(text, "utf-8")
        weights.replace(output)
        card.replace(output.with_suffix(".md"))


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
