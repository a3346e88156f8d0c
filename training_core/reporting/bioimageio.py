"""A trained denoiser as a package for bioimage.io: TorchScript, a test pair, and what it is."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import torch
from PIL import Image

from training_core.batch.outputs import refuse_existing
from training_core.denoise.channel import check_channels
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.portable import LEFT_OUT, PortableDenoiser
from training_core.draft import draft
from training_core.errors import InputError, OutputError
from training_core.resources import program
from training_core.stack import Image as Frame
from training_core.stack import Stack

from .figures import contrast_window, to_grey
from .methods import CITATION

FORMAT = "0.5.4"
TEST_PX = 256
COVER_PX = 512
PAPER = "https://arxiv.org/abs/1905.10488"
_LIST = "\n".join(f"- {part}" for part in LEFT_OUT)
README = f"""# A denoiser for images of one kind

Trained by {program()} on noisy images alone, by the method of GAN2GAN. It fits images of the same
microscope, detector and settings; on others its noise model is wrong. Values are those of the file:
do not normalise them first.

What `g2g denoise` does with the same model and this network does not:

{_LIST}

So its results are noisier, by up to some decibels, than those of `g2g denoise`.

## Validation

The test pair is what the network makes of a part of a noisy image. Whether a result can be trusted,
the program says for each stack; look at what was removed, and measure on the raw data.
"""


def export_bioimageio(
    denoiser: Denoiser, stack: Stack, path: Path, *, overwrite: bool = False
) -> Path:
    """Write a package, a ZIP file, with a part of `stack` as what it is tested with.

    The network is there with its normalisation and its filter; what is not is said in the package
    (`LEFT_OUT`).

    Raises
    ------
    InputError
        If the stack has other channels than the denoiser learned, or is too small.
    ModelError
        If the denoiser is one of CT, which needs more than a network.
    OutputError
        If the file exists and may not be replaced, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    portable = PortableDenoiser(denoiser).eval()
    noisy = _sample(stack, portable)
    with torch.no_grad():
        made = portable(torch.from_numpy(noisy)).numpy()
    files = {
        "weights.pt": portable.torchscript(),
        "test_input.npy": _npy(noisy),
        "test_output.npy": _npy(made),
        "cover.png": _cover(stack, noisy[0, 0], made[0, 0]),
        "README.md": README.encode(),
    }
    about = _description(portable, files)
    files["rdf.yaml"] = json.dumps(about, indent=1).encode()  # JSON is YAML
    try:
        with draft(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as package:
            for name, content in files.items():
                package.writestr(name, content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).") from error
    return path


def _sample(stack: Stack, portable: PortableDenoiser) -> Frame:
    """Cut the middle of the first frame of each channel, (1, channels, height, width) float32."""
    check_channels(stack, portable.channels)
    shortest, grid = min(stack.frame_shape), portable.grid_px
    if shortest < portable.smallest_px:
        raise InputError(
            f"The frames of {stack.name} are {shortest} px across, and at least "
            f"{portable.smallest_px} are needed for a test; give a larger stack of the same kind."
        )
    cut = []
    for length in stack.frame_shape:
        side = min(length, max(TEST_PX, portable.smallest_px)) // grid * grid
        cut.append(slice((length - side) // 2, (length - side) // 2 + side))
    first = {stack.channel_of(index): index for index in reversed(range(stack.frame_count))}
    wanted = range(len(portable.channels))
    return np.stack([stack.frame(first[channel])[tuple(cut)] for channel in wanted])[None]


def _npy(values: Frame) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values, np.float32))
    return file.getvalue()


def _cover(stack: Stack, noisy: Frame, made: Frame) -> bytes:
    """Draw the sample, noisy at the left and denoised at the right, as PNG of 2 to 1."""
    window, side = contrast_window(stack, 0), min(noisy.shape)
    both = np.hstack([to_grey(frame[:side, :side], window) for frame in (noisy, made)])
    file = io.BytesIO()
    Image.fromarray(both).resize((2 * COVER_PX, COVER_PX)).save(file, "PNG")
    return file.getvalue()


def _description(portable: PortableDenoiser, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Give the resource description."""

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": sha256(files[name]).hexdigest()}

    size = {"min": portable.smallest_px, "step": portable.grid_px}
    names = [f"channel{number}" for number in range(1, len(portable.channels) + 1)]
    kept = [{"type": "batch"}, {"type": "channel", "channel_names": names}]
    across = [{"type": "space", "id": axis, "size": size} for axis in "yx"]
    halo = {"halo": portable.halo_px}
    after = [
        {"type": "space", "id": axis, "size": {"tensor_id": "noisy", "axis_id": axis}} | halo
        for axis in "yx"
    ]
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": "Blind denoiser of g2g desktop",
        "description": "Denoises single images; learned from noisy images alone (GAN2GAN). "
        f"It leaves out: {'; '.join(LEFT_OUT)}.",
        "authors": [{"name": "the user of g2g desktop"}],
        "cite": [{"text": CITATION, "url": PAPER}],
        "license": "BSD-3-Clause",
        "tags": ["denoising", "fluorescence-light-microscopy", "2d", "pytorch"],
        "documentation": file("README.md"),
        "covers": [file("cover.png")],
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [
            {
                "id": "noisy",
                "axes": [*kept, *across],
                "data": {"type": "float32"},
                "test_tensor": file("test_input.npy"),
            }
        ],
        "outputs": [
            {
                "id": "denoised",
                "axes": [*kept, *after],
                "data": {"type": "float32"},
                "test_tensor": file("test_output.npy"),
            }
        ],
        "weights": {
            "torchscript": file("weights.pt")
            | {"pytorch_version": torch.__version__.partition("+")[0]}
        },
    }
