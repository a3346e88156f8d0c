"""Made-up photographs, and the scripts in `packaging` that train bundled networks with them."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

PACKAGING = Path(__file__).parents[2] / "packaging"


def photographs(count=3):
    """Give smooth made-up photographs with white at 1."""
    rng = np.random.default_rng(0)
    blurred = (gaussian_filter(rng.standard_normal((80, 70)), 3) for _ in range(count))
    return [np.clip(0.5 + 2 * image, 0, 1).astype(np.float32) for image in blurred]


def weights(network):
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def write_photographs(folder, count=3):
    folder.mkdir()
    for number, image in enumerate(photographs(count)):
        Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(folder / f"{number}.png")


def load_script(monkeypatch, name):
    """Give a script as a module, with the modules beside it within reach."""
    monkeypatch.syspath_prepend(PACKAGING)
    return importlib.import_module(name)


def command_line(tmp_path, name):
    """Give what a script is told, for three photographs without benchmark sets beside them."""
    write_photographs(tmp_path / "clean")
    kept, output = tmp_path / "kept", tmp_path / f"{name}.safetensors"
    told = {"--device": "cpu", "--output": output, "--checkpoint": kept}
    return [
        str(tmp_path / "clean"),
        "--small",
        *(str(word) for pair in told.items() for word in pair),
    ]
