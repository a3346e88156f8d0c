"""Case 36: an output that cannot be written is said in one sentence before anything is trained."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from training_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

TOO_LONG = "y" * 260


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(36).poisson(80, (96, 96)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "small.tif", pixels, metadata=None)
    return tmp_path / "small.tif"


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that may not be looked into, for an administrator neither."""
    folder = tmp_path / "closed"
    folder.mkdir()
    real = os.stat

    def refused(path: object, *more: object, **how: object) -> os.stat_result:
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *more, **how)

    monkeypatch.setattr(os, "stat", refused)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "run {image} --output {closed}/x.tif",
        "run {image} --output {closed}/folder",
        "run {image} --output {image}.new.tif --model {closed}/m.g2g",
        "train {image} --model {closed}/m.g2g",
        "denoise {image} --model {closed}/m.g2g --output {image}.new.tif",
        "patches {image} --figure {closed}/x.png",
        "info {closed}/x.tif",
        "run {image} --output {image.parent}/{long}.tif",
        "run {image} --output {image.parent}/{long}/x.tif",
        "info {image.parent}/{long}.tif",
        "run {image} --output {image}/x.tif",
        "run {image} --output {image}.new.tif --model {image}.new.tif",
        "train {image} --model .",
        "train {image} --model ..",
        "train {image} --model {closed} --overwrite",
        "run {image} --output {image}.new.tif --model {image.parent} --overwrite",
        "compare {image} {image} --reference {image} --window 5 5",
        "compare {image} {image} --reference {image} --window nan inf",
    ],
)
def test_one_sentence_and_nothing_done(command, image, closed, capsys):
    words = [w.format(image=image, closed=closed, long=TOO_LONG) for w in command.split()]
    assert main(words) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("g2g: ")
    assert "fault of the program" not in told[0]
    assert sorted(path.name for path in image.parent.iterdir()) == ["closed", "small.tif"]


def test_in_a_batch_the_others_go_on(image, tmp_path, capsys):
    long = image.with_name(f"{'x' * 240}.tif")  # whose result would have a name of 253 bytes
    long.write_bytes(image.read_bytes())
    output = tmp_path / "out"
    model = str(kept_model(tmp_path))
    command = ["denoise", str(long), str(image), "--model", model, "--device", "cpu"]
    assert main([*command, "--output", str(output)]) == 3
    assert [path.name for path in output.iterdir()] == ["small_denoised.tif"]
    assert "bytes too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("-", "cannot go to standard output"),
        ("plain", "without an ending"),
        ("/dev/stdout", "file"),
    ],
)
def test_what_is_no_name_of_a_result_is_refused(output, told, image, capsys, monkeypatch):
    monkeypatch.chdir(image.parent)
    (image.parent / "plain").touch()
    assert main(["run", str(image), "--output", output]) == 2
    assert told in capsys.readouterr().err
    assert sorted(path.name for path in image.parent.iterdir()) == ["plain", "small.tif"]


def test_a_link_in_a_circle_is_replaced_by_the_result(image, tmp_path):
    link = tmp_path / "loop.tif"
    link.symlink_to(link)
    model = str(kept_model(tmp_path))
    command = ["denoise", str(image), "--model", model, "--device", "cpu"]
    assert main([*command, "--output", str(link)]) == 0
    assert tifffile.imread(link).shape == (96, 96)


def test_a_folder_that_is_gone_is_the_reason_and_no_damage(image, tmp_path, capsys, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    assert main(["info", str(image)]) == 2
    assert "is not there any more" in capsys.readouterr().err
