"""Small pictures of the images of a file, for choosing one of them."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np

from training_core.errors import InputError
from training_core.formats.file_image import FileImage
from training_core.run import SILENT, Run
from training_core.stack import Pixels

from .readers import list_images

SIDE_PX = 96
DARKEST, BRIGHTEST = 0.5, 99.5  # percentiles that become black and white
MOST_PICTURES = 60  # of more images only the names are shown


@dataclass(frozen=True, slots=True)
class ImagePreview:
    """One image of a file: its number from 1 on, its name and size, and how its middle looks.

    `picture` is (height, width) uint8, None where there are too many or it cannot be read.
    """

    number: int
    told: str
    picture: Pixels | None


def image_previews(path: str | PathLike[str], *, run: Run = SILENT) -> list[ImagePreview]:
    """Give a preview of each image of a file.

    Raises
    ------
    InputError
        When the file cannot be opened.
    """
    previews = []
    for number, image in enumerate(list_images(path, run=run), 1):
        run.check()
        picture = _picture(image, run) if number <= MOST_PICTURES else None
        previews.append(ImagePreview(number, image.told, picture))
    return previews


def _picture(image: FileImage, run: Run) -> Pixels | None:
    try:
        stack = image.open(run)
        frame = stack.frame(stack.frame_count // 2)
    except InputError:
        return None  # who opens it is told why
    step = -(-max(frame.shape) // SIDE_PX)
    small = np.nan_to_num(frame[::step, ::step], posinf=0, neginf=0)
    low, high = np.percentile(small, (DARKEST, BRIGHTEST))
    scaled = (small - low) * (255 / (high - low or 1))
    return np.ascontiguousarray(scaled.clip(0, 255).astype(np.uint8))
