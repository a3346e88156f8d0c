"""Train the network that the rounds start from with clean photographs, measure it, write its card.

    python packaging/train_pretrained.py ../shared/data/bsd400            the full one, for a GPU
    python packaging/train_pretrained.py ../shared/data/bsd400 --small    two hours on a processor

As with `train_dncnn_b.py`, `--minutes 9` ends a turn and `--resume` begins the next, to the same
weights on a processor. Then `resources/pretrained.safetensors` is written, scenes are made of the
68 images of BSD68 beside the photographs, and what the network gains on them goes into the model
card `resources/pretrained.md`.
"""

from __future__ import annotations

import sys
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from network_training import (
    LICENCE,
    Trained,
    listed,
    read_photographs,
    run_in_time,
    train_network,
    training_parser,
    write_both,
)

from training_core.evaluation.set_files import find_folder
from training_core.networks.pretrained import save_pretrained
from training_core.pretraining.start_network import (
    FULL,
    MEASURED,
    SMALL,
    measure_gain,
    train_pretrained,
)

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from training_core.run import Run

TITLE = "Pretrained, the bundled start of the rounds"
CARD = """# Pretrained, the bundled start of the rounds

`{name}`: five residual blocks of two 3 x 3 convolutions with 64 channels on 2 x 2
pixel blocks, float32. It corrects the estimate of the shrinkage filter, in units of the noise's
standard deviation, which it is given for each pixel, as is the estimate of the filter with large
blocks. Written by `packaging/train_pretrained.py` on
{today}.

## What it is for

It is **a start**: the rounds go on training it with pairs made of the user's own noisy images, and
the blind score decides whether what comes out is kept. The preset `instant` uses it as it is.

It has seen **photographs and drawn scenes under simulated noise**, no micrograph and no CT slice.
Not for diagnosis.

## How it was trained

{story}

Each scene is a photograph, scaled, inverted, darkened, blurred and turned at random (60 %), a drawn
specimen that glows on a dark field (25 %: bodies, filaments and spots) or a drawn section (15 %:
even areas and membranes). Its noise is that of photons with read noise, .4 to 300 photons in white,
made even by the generalised Anscombe transform (35 %); white noise of which a few pixels hold most
of the power, kurtosis 7 or more (10 %); or Gaussian noise of a random spectrum (white, blurred, or
with little of the slow waves, as in CT), 1.5 to 80 standard deviations from black to white. The
filter knows the spectrum, and how strong noise is that is not of photons but to a tenth.
Mean squared error, each scene weighed by one over the root of the filter's error; Adam with a
cosine, averaged weights.

## What it gains

The mean squared error that the filter leaves falls by **{gain:.2f} dB** (mean over {scenes} scenes
made in the same way with the photographs of BSD68, none of which was trained on; float32).

{licence}"""


def main(given: list[str] | None = None) -> int:
    """Train, or go on; write weights and card when finished."""
    parser = training_parser(__doc__, "pretrained", "bsd68 is")
    return run_in_time(parser.parse_args(given), _train)


def _train(arguments: argparse.Namespace, run: Run) -> int:
    data = arguments.data or arguments.photographs.parent
    find_bsd68(data)  # what is missing shall not show after days of training
    done = train_network(arguments, run, SMALL if arguments.small else FULL, train_pretrained)
    if done is not None:
        publish(done, arguments.output, data)
        done.checkpoint.remove()
    return 0


def find_bsd68(data: Path) -> Path:
    """Give the folder with the photographs that nothing is trained with."""
    return find_folder(data, ["bsd68", "BSD68"], "The test set BSD68")


def publish(done: Trained, output: Path, data: Path) -> None:
    """Measure the network, then write its weights and the card beside them."""
    network, photographs = done.training.settled(), read_photographs(find_bsd68(data))
    gain = measure_gain(network, photographs, device=done.device, scenes=MEASURED)
    print(f"{gain:.2f} dB less error than the filter's")
    text = CARD.format(
        name=output.name,
        today=date.today(),
        story=listed(done.story),
        gain=gain,
        scenes=MEASURED,
        licence=LICENCE,
    )
    write_both(output, partial(save_pretrained, network), text)


if __name__ == "__main__":
    sys.exit(main())
