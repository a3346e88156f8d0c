"""Pipes, devices and sockets are refused wherever a path can be given; nobody waits for them."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files"),
    pytest.mark.timeout(60, method="thread"),
]

COMMANDS = {
    "info": ["info", "ODD"],
    "patches": ["patches", "ODD"],
    "patches --figure": ["patches", "GOOD", "--figure", "ODD", "--overwrite"],
    "train": ["train", "ODD", "--model", "new.g2g"],
    "train --model": ["train", "GOOD", "--model", "ODD", "--overwrite"],
    "train --model --resume": ["train", "GOOD", "--model", "ODD", "--resume"],
    "train --repeats": ["train", "GOOD", "--model", "new.g2g", "--repeats", "ODD"],
    "run": ["run", "ODD", "--output", "new.tif"],
    "run --output": ["run", "GOOD", "--output", "ODD.tif", "--overwrite"],
    "run --model": ["run", "GOOD", "--output", "new.tif", "--model", "ODD", "--overwrite"],
    "run --repeats": ["run", "GOOD", "--output", "new.tif", "--repeats", "ODD"],
    "denoise": ["denoise", "ODD", "--model", "m.g2g", "--output", "new.tif"],
    "denoise --model": ["denoise", "GOOD", "--model", "ODD", "--output", "new.tif"],
    "compare noisy": ["compare", "ODD", "GOOD"],
    "compare denoised": ["compare", "GOOD", "ODD"],
    "compare --reference": ["compare", "GOOD", "GOOD", "--reference", "ODD"],
    "compare --figure": ["compare", "GOOD", "GOOD", "--figure", "ODD", "--overwrite"],
    "evaluate --data": ["evaluate", "bsd68-gaussian25", "--data", "ODD"],
}


@pytest.fixture(params=["pipe", "socket", "device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the name of what is no file, in the folder that is worked in, with and without .tif."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("GOOD", np.random.default_rng(0).poisson(90, (64, 64)).astype(np.uint16))
    for name in ("ODD", "ODD.tif"):
        if request.param == "pipe":
            os.mkfifo(name)
        elif request.param == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(name)
        else:
            os.symlink("/dev/zero", name)
    return tmp_path / "ODD"


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_refused_in_a_sentence(odd: Path, capsys: pytest.CaptureFixture[str], command: str):
    assert main(COMMANDS[command]) == 2

    told = capsys.readouterr().err.strip()
    assert "ODD" in told
    assert told.endswith(".")
    assert not stat.S_ISREG(odd.stat().st_mode)
    assert sorted(p.name for p in odd.parent.iterdir()) == ["GOOD", "ODD", "ODD.tif"]


@pytest.fixture
def checkpoint(odd: Path) -> Iterator[Path]:
    """Let what is no file lie where a checkpoint would."""
    place = Path("new.tif.checkpoint")
    os.rename(odd, place)
    return place


@pytest.mark.usefixtures("odd")
def test_members_of_a_folder_are_passed_over(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("ODD", "ODD.tif"):
        os.rename(name, folder / name)
    for number in range(3):
        pixels = np.random.default_rng(number).poisson(90, (64, 64)).astype(np.uint16)
        tifffile.imwrite(folder / f"z{number}.tif", pixels)

    assert main(["info", str(folder), "--json"]) == 0
    assert '"shape": [3, 64, 64]' in capsys.readouterr().out


def test_nor_is_one_taken_for_a_checkpoint(checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    told = ["--preset", "instant", "--output", "new.tif", "--resume"]
    assert main(["run", "GOOD", *told]) == 2
    assert checkpoint.name in capsys.readouterr().err
    assert not Path("new.tif").exists()
