"""What the scripts share that train a bundled network: their command line, the clock, the files."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from training_core.cli.terminal import Terminal
from training_core.compute.checkpoint import Checkpoint
from training_core.compute.device import choose_device, describe_device, native_bfloat16
from training_core.errors import CoreError, InputError
from training_core.evaluation.set_files import pictures_in, read_gray
from training_core.resources import resource
from training_core.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from numpy.typing import NDArray

    from training_core.pretraining.start_network import AveragedTraining, TrainingSize

LICENCE = """## Licence

The weights come with the program under BSD-3-Clause. The photographs they were trained with are of
the Berkeley Segmentation Dataset, which is offered for research and education, and are no part of
the program. Whoever needs weights without that history can train them with other photographs: it
is one command.
"""


@dataclass(frozen=True)
class Trained:
    """A finished training: what its card tells of it, and the checkpoint that may go now."""

    training: AveragedTraining[Any]
    story: Mapping[str, str]
    device: torch.device
    checkpoint: Checkpoint


def training_parser(about: str | None, name: str, sets: str) -> argparse.ArgumentParser:
    """Give the command line of the script for `resources/NAME.safetensors`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="a folder of clean gray photographs")
    parser.add_argument("--small", action="store_true", help="the training for a processor")
    parser.add_argument("--data", type=Path, help=f"where {sets}; beside photographs")
    parser.add_argument("--output", type=Path, default=resource(f"{name}.safetensors"))
    parser.add_argument("--checkpoint", type=Path, default=Path(f"{name}_training"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--minutes", type=float, help="stop then, to go on later")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def run_in_time(
    arguments: argparse.Namespace, train: Callable[[argparse.Namespace, Run], int]
) -> int:
    """Train until the minutes are over; an error is a sentence and status 2."""
    run = Run(Terminal(sys.stderr))
    timer = threading.Timer(60 * (arguments.minutes or 0), run.stop_and_keep)
    timer.daemon = True
    if arguments.minutes is not None:
        timer.start()
    try:
        return train(arguments, run)
    except CoreError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        timer.cancel()


def train_network(
    arguments: argparse.Namespace,
    run: Run,
    settings: TrainingSize,
    train: Callable[..., AveragedTraining[Any]],
) -> Trained | None:
    """Train with the photographs, or go on; None where steps are left."""
    started = time.monotonic()
    checkpoint = Checkpoint(arguments.checkpoint, run=run)
    if checkpoint.exists and not arguments.resume:
        raise InputError(f"{arguments.checkpoint} keeps a training; add --resume or delete it.")
    images = read_photographs(arguments.photographs)
    device = choose_device(arguments.device, run=run)
    training = train(images, settings, device=device, checkpoint=checkpoint, run=run)
    if training.steps_done < settings.steps:
        print(f"{training.steps_done} of {settings.steps} steps done; go on with --resume.")
        return None
    hours = (checkpoint.seconds_before + time.monotonic() - started) / 3600
    arithmetic = "bfloat16" if native_bfloat16(device) else "float32"
    story = {
        "Photographs": f"{len(images)} of `{arguments.photographs.name}`",
        "Steps": f"{settings.steps} of {settings.batch} crops of {settings.crop_px} x "
        f"{settings.crop_px} pixels",
        "Device": f"{describe_device(device)}, convolutions in {arithmetic}",
        "Time": f"{hours:.1f} hours",
        "Seed": str(settings.seed),
    }
    return Trained(training, story, device, checkpoint)


def read_photographs(folder: Path) -> list[NDArray[np.float32]]:
    """Read gray photographs of 8 bits, each (height, width) float32, white at 1."""
    return [np.asarray(read_gray(path), np.float32) / 255 for path in pictures_in(folder)]


def listed(story: Mapping[str, str]) -> str:
    """Give how a network was trained as the lines of its card."""
    return "\n".join(f"- {label}: {text}" for label, text in story.items())


def write_both(output: Path, save: Callable[[Path], None], text: str) -> None:
    """Write weights and the card beside them; both are whole before either is there."""
    with TemporaryDirectory(dir=output.parent) as folder:
        weights, card = Path(folder, "weights"), Path(folder, "card")
        save(weights)
        card.write_text(text, "utf-8")
        weights.replace(output)
        card.replace(output.with_suffix(".md"))
