"""Every output option against every input: nothing read is replaced, no pipe waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support.made_up import denoiser, noise_model
from training_core.cli.main import main
from training_core.denoise.model_file import save_denoiser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes"),
]

# {a} to {c} are inputs, {target} is what is to be written.
COMMANDS = (
    "run {a} --output {target}",
    "run {a} --repeats {b} {c} --output {target}",
    "run {a} --output {free} --model {target}",
    "run {a} --repeats {b} --output {free} --model {target}",
    "train {a} {b} {c} --model {target}",
    "train {a} --repeats {b} --model {target}",
    "denoise {a} --model {model} --output {target}",
    "patches {a} --figure {target}",
    "compare {a} {b} --figure {target}",
    "compare {a} {b} --reference {c} --figure {target}",
)
WAYS = ("itself", "hard link", "symbolic link", "another spelling", "in a linked folder")


def save(path: Path, seed: int) -> Path:
    tifffile.imwrite(path, np.random.default_rng(seed).poisson(50, (64, 64)).astype(np.uint16))
    return path


def inputs(folder: Path) -> dict[str, Path]:
    made = {name: save(folder / f"{name}.tif", n) for n, name in enumerate("abc")}
    return made | {"model": save_denoiser(denoiser(noise_model()), folder / "m.g2g")}


def named(path: Path, way: str) -> Path:
    """Give another name of a file."""
    if way == "hard link":
        os.link(path, other := path.with_name(f"hard-{path.name}"))
    elif way == "symbolic link":
        (other := path.with_name(f"soft-{path.name}")).symlink_to(path)
    elif way == "another spelling":
        other = path.parent / ".." / path.parent.name / path.name
    elif way == "in a linked folder":
        (folder := path.parent.with_name("elsewhere")).symlink_to(path.parent)
        other = folder / path.name
    else:
        other = path
    return other


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_output_replaces_an_input(
    command: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("a", "b", "c", "model"):
        if f"{{{key}}}" not in command:
            continue
        folder = tmp_path / key / "in"
        folder.mkdir(parents=True)
        read = inputs(folder)
        target = named(read[key], way)
        before = {path: path.read_bytes() for path in folder.iterdir()}
        words = command.format(**read, target=target, free=folder.parent / "free.tif")
        assert main([*words.split(), "--overwrite"]) == 2, words
        said = capsys.readouterr().err
        assert "would replace" in said, said
        assert said.count("\n") == 1, said
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_no_pipe_is_waited_for(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = inputs(tmp_path)
    os.mkfifo(pipe := tmp_path / "pipe.tif")
    plain = read | {"target": tmp_path / "t.tif", "free": tmp_path / "f.tif"}
    alone = "--repeats" in command or not command.startswith("train")
    for key in ("a", "b", "c", "model", "target"):
        # Of several stacks to train on a pipe is left out, and the others are trained on.
        if f"{{{key}}}" in command and (alone or key == "target"):
            words = command.format(**plain | {key: pipe}).split()
            assert main([*words, "--overwrite"]) == 2, words
            assert "pipe.tif is n" in capsys.readouterr().err, words
