"""Train the network that the rounds start from with clean photographs, measure it, write its card.

    python packaging/train_pretrained.py ../shared/data/bsd400            the full one, for a GPU
    python packaging/train_pretrained.py ../shared/data/bsd400 --small    an hour on a processor
    python packaging/train_pretrained.py ../shared/data/bsd400 --noise white    as long as that

The last goes on from the bundled weights and gives those for white noise,
`resources/pretrained_white.safetensors`; with `--noise heavy-tailed`, those for noise whose power
is in a few pixels, `resources/pretrained_heavy_tails.safetensors`.

As with `train_dncnn_b.py`, `--minutes 9` ends a turn and `--resume` begins the next, to the same
weights on a processor. Then `resources/pretrained.safetensors` is written, scenes are made of the
68 images of BSD68 beside the photographs, and what the network gains on them goes into the model
card `resources/pretrained.md`.
"""

from __future__ import annotations

import sys
from datetime import date
from functools import partial
from pathlib import Path
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
from training_core.networks.pretrained import HEAVY_TAILS, WEIGHTS, WHITE, save_pretrained
from training_core.pretraining.scenes import Kind
from training_core.pretraining.start_network import (
    FULL,
    MEASURED,
    ON_TOP,
    SMALL,
    measure_gain,
    train_pretrained,
)
from training_core.resources import resource

if TYPE_CHECKING:
    import argparse

    from training_core.run import Run

TITLE = "Pretrained, the bundled start of the rounds"
NAMES = {Kind.ANY: WEIGHTS, Kind.WHITE: WHITE, Kind.HEAVY_TAILED: HEAVY_TAILS}
WHERE = {
    Kind.ANY: "",
    Kind.WHITE: " where noise is white",
    Kind.HEAVY_TAILED: " where a few pixels hold the noise",
}
MANY = """one of two kinds of noise: photons with read noise, made even by the generalised Anscombe
transform, or Gaussian noise of a random spectrum (white, blurred, or with little of the slow waves,
as in CT), 2.5 to 80 standard deviations from black to white. The filter knows the spectrum, and how
strong the Gaussian noise is but to a tenth."""
ALONE = """white noise of one of two kinds: photons with read noise, made even by the generalised
Anscombe transform, or Gaussian noise, 2.5 to 80 standard deviations from black to white. The filter
knows how strong the Gaussian noise is but to a tenth. The training went on from the bundled weights
for any noise."""
TAILS = """white noise of which a few pixels hold most of the power: .3 to 30 % of them are 4 to 300
times as far off as the others, uniformly or normally distributed, and the others may be Gaussian of
one strength or of two; kurtosis 7 or more, 5 to 150 standard deviations from black to white. The
filter knows how strong the noise is but to a tenth. The training went on from the bundled weights
for any noise."""
NOISES = {Kind.ANY: MANY, Kind.WHITE: ALONE, Kind.HEAVY_TAILED: TAILS}
CARD = """# {title}

`{name}`: five residual blocks of two 3 x 3 convolutions
with 64 channels on 2 x 2 pixel blocks, float32. It corrects the estimate of the shrinkage filter,
in units of the noise's standard deviation. Written by `packaging/train_pretrained.py` on {today}.

## What it is for

It is **a start**: the rounds go on training it with pairs made of the user's own noisy images, and
the blind score decides whether what comes out is kept.

It is not for results by itself. It has seen **natural photographs with simulated noise**, no
micrograph and no CT slice, and expects of an image what photographs are like. Not for diagnosis.

## How it was trained

{story}

Each scene is a photograph, scaled, inverted, darkened, blurred and turned at random, under
{noise}
Mean squared error, each scene weighed by one over the root of the filter's error; Adam with a
cosine, averaged weights.

## What it gains

The mean squared error that the filter leaves falls by **{gain:.2f} dB** (mean over {scenes} scenes
made in the same way of the photographs of BSD68, none of which was trained on; float32).

{licence}"""


def main(given: list[str] | None = None) -> int:
    """Train, or go on; write weights and card when finished."""
    parser = training_parser(__doc__, "pretrained", "bsd68 is")
    parser.add_argument(
        "--noise",
        type=Kind,
        choices=list(Kind),
        default=Kind.ANY,
        help="what noise to learn; all but any on top of the bundled weights",
    )
    parser.set_defaults(output=None, checkpoint=None)
    arguments = parser.parse_args(given)
    name = NAMES[arguments.noise]
    if arguments.small and arguments.noise in ON_TOP:
        parser.error(f"--noise {arguments.noise} has one size; leave out --small")
    arguments.output = arguments.output or resource(name)
    arguments.checkpoint = arguments.checkpoint or Path(f"{resource(name).stem}_training")
    return run_in_time(arguments, _train)


def _train(arguments: argparse.Namespace, run: Run) -> int:
    data = arguments.data or arguments.photographs.parent
    find_bsd68(data)  # what is missing shall not show after days of training
    settings = ON_TOP.get(arguments.noise, SMALL if arguments.small else FULL)
    done = train_network(arguments, run, settings, train_pretrained)
    if done is not None:
        publish(done, arguments.output, data)
        done.checkpoint.remove()
    return 0


def find_bsd68(data: Path) -> Path:
    """Give the folder with the photographs that nothing is trained with."""
    return find_folder(data, ["bsd68", "BSD68"], "The test set BSD68")


def publish(done: Trained, output: Path, data: Path) -> None:
    """Measure the network, then write its weights and the card beside them."""
    network, kind = done.training.settled(), done.training.settings.noise
    gain = measure_gain(
        network,
        read_photographs(find_bsd68(data)),
        device=done.device,
        scenes=MEASURED,
        kind=kind,
    )
    print(f"{gain:.2f} dB less error than the filter's")
    text = CARD.format(
        title=TITLE + WHERE[kind],
        name=output.name,
        today=date.today(),
        story=listed(done.story),
        noise=NOISES[kind],
        gain=gain,
        scenes=MEASURED,
        licence=LICENCE,
    )
    write_both(output, partial(save_pretrained, network), text)


if __name__ == "__main__":
    sys.exit(main())
