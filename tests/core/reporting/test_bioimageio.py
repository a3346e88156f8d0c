"""A package for bioimage.io holds together: hashes, shapes, and a test pair that is made again."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.made_up import kept_model
from training_core.cli.main import main
from training_core.export.writers import write_stack
from training_core.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_the_package_holds_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(1).normal(300, 20, (2, 200, 150)).astype(np.float32)
    noisy = write_stack(Stack(pixels, "TYX"), tmp_path / "patient_smith.tif")
    package, model = tmp_path / "model.zip", kept_model(tmp_path)
    command = ["export-model", str(model), str(noisy), "--bioimageio", str(package)]

    assert main([*command, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    with ZipFile(package) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    about = json.loads(files["rdf.yaml"])
    named = [about["documentation"], *about["covers"], about["weights"]["torchscript"]]
    named += [about[way][0]["test_tensor"] for way in ("inputs", "outputs")]
    assert {each["source"] for each in named} == files.keys() - {"rdf.yaml"}
    for each in named:
        assert sha256(files[each["source"]]).hexdigest() == each["sha256"]
    given, wanted = (np.load(io.BytesIO(files[f"test_{n}.npy"])) for n in ("input", "output"))
    script = torch.jit.load(io.BytesIO(files["weights.pt"]))
    assert np.array_equal(script(torch.from_numpy(given)).numpy(), wanted)
    assert np.array_equal(given[0, 0], pixels[0, 4:196, 3:147])
    for axis, length in zip(about["inputs"][0]["axes"][2:], given.shape[2:], strict=True):
        assert (length - axis["size"]["min"]) % axis["size"]["step"] == 0
    assert Image.open(io.BytesIO(files["cover.png"])).size == (1024, 512)
    for part in told["leaves_out"]:
        assert part in about["description"]
        assert part in files["README.md"].decode()
    assert not [name for name, content in files.items() if b"smith" in content]

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    small = write_stack(Stack(pixels[:, :60], "TYX"), tmp_path / "small.tif")
    assert main([*command[:2], str(small), *command[3:], "--overwrite"]) == 2
    assert "give a larger stack" in capsys.readouterr().err
