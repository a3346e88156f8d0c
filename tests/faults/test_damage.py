"""Any bit of a checkpoint or a model changed: the same result, or one sentence."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.made_up import block, blurred_noise, denoiser, noise_model, stack
from training_core.batch.outputs import Existing
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise import tiled
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.errors import CoreError
from training_core.run import Cancelled, Note, Run, Stage, StageStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training_core.denoise.denoiser import Denoiser

    Record = Callable[[str, object], None]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
IN_FULL, IN_SHORT = 1000, 24


class Cut(Run):
    """Is cancelled at a tile of the denoising."""

    def __init__(self, tile: int) -> None:
        super().__init__(self._look)
        self.left, self.here = tile, False

    def _look(self, event: object) -> None:
        self.here |= isinstance(event, StageStarted) and event.stage is Stage.DENOISE

    def check(self) -> None:
        self.left -= self.here
        if self.left < 0:
            raise Cancelled


def made() -> Denoiser:
    settings: dict[str, Any] = {"collaborate": False, "width": 8, "depth": 3}
    return denoiser(noise_model(), **settings)


def denoise(folder: Path, run: Run) -> np.ndarray[Any, Any]:
    clean = block(64, 64, 200.0, 800.0)
    noisy = stack((clean + blurred_noise((3, 64, 64), 0.0, 2)).astype(np.float32), "ZYX")
    checkpoint = Checkpoint(folder, every_s=0.0, run=run)
    checkpoint.claim({"about": "this"})
    result = tiled.denoise(noisy, made(), run=run, tile_px=32, checkpoint=checkpoint)
    return np.asarray(result.pixels)


def spoilt(data: bytes, how: str, draw: np.random.Generator) -> bytes:
    """Flip a bit, make a run of bytes zero, cut the end off, or put the start of another file."""
    changed, place = bytearray(data), int(draw.integers(len(data)))
    if how == "flipped":
        changed[place] ^= 1 << int(draw.integers(8))
    elif how == "zeroed":
        length = int(draw.integers(1, 512))
        changed[place : place + length] = bytes(len(changed[place : place + length]))
    else:
        del changed[place:]
    return bytes(changed)


@pytest.mark.parametrize("how", ["flipped", "zeroed", "cut"])
def test_a_damaged_checkpoint_never_changes_the_result(
    how: str, tmp_path: Path, full_faults: bool, record_property: Record
) -> None:
    whole = denoise(tmp_path / "whole", Run())
    kept = tmp_path / "kept"
    with pytest.raises(Cancelled):
        denoise(kept, Cut(10))
    files = sorted(path.name for path in kept.iterdir())
    assert files == ["denoised.part", "denoised.pixels", "job.part"]
    draw, noted, refused = np.random.default_rng(1), 0, list[str]()
    tried = IN_FULL if full_faults else IN_SHORT
    for number in range(tried):
        again, notes = tmp_path / "again", []
        shutil.copytree(kept, again)
        path = again / files[number % len(files)]
        before = path.read_bytes()
        path.write_bytes(spoilt(before, how, draw))
        run = Run(lambda event, notes=notes: notes.append(event))
        try:
            assert np.array_equal(denoise(again, run), whole), (path.name, number)
        except CoreError as error:
            refused.append(str(error))
        warned = [event.text for event in notes if isinstance(event, Note) and event.warning]
        assert len(warned) <= 1, warned
        noted += bool(warned)
        shutil.rmtree(again)
    assert noted > tried // 3
    assert not any("\n" in sentence for sentence in refused)
    record_property("tried", tried)


def same_model(one: Denoiser, other: Denoiser) -> bool:
    states = [made.network.state_dict() for made in (one, other)]
    equal = all(bool((states[1][name] == value).all()) for name, value in states[0].items())
    return equal and one.settings == other.settings and one.card == other.card


@pytest.mark.parametrize("how", ["flipped", "zeroed", "cut"])
def test_a_damaged_model_is_refused_or_the_same(
    how: str, tmp_path: Path, full_faults: bool, record_property: Record
) -> None:
    path = save_denoiser(made(), tmp_path / "m.g2g")
    whole, whole_bytes = load_denoiser(path, device="cpu"), path.read_bytes()
    draw, refused = np.random.default_rng(2), list[str]()
    tried = IN_FULL if full_faults else IN_SHORT
    for _ in range(tried):
        path.write_bytes(spoilt(whole_bytes, how, draw))
        try:
            again = load_denoiser(path, device="cpu")
        except CoreError as error:
            refused.append(str(error))
        else:
            assert same_model(again, whole)
    assert len(refused) > tried // 4
    assert not any("\n" in sentence for sentence in refused)
    record_property("tried", tried)


@pytest.mark.parametrize("what", ["checkpoint", "part"])
def test_a_checkpoint_that_is_a_link_is_not_followed(what: str, tmp_path: Path) -> None:
    output, precious = tmp_path / "o.tif", tmp_path / "precious"
    precious.mkdir()
    (precious / "job.part").write_text("precious")
    folder = tmp_path / "o.tif.checkpoint"
    if what == "checkpoint":
        folder.symlink_to(precious)
    else:
        folder.mkdir()
        (folder / "job.part").symlink_to(precious / "job.part")
    for existing in (Existing(), Existing(resume=True), Existing(overwrite=True)):
        with pytest.raises(CoreError, match="link"), existing.checkpoint(output, Run()):
            pytest.fail("it began")
    output.touch()
    (precious / "finished.part").touch()
    (folder / "finished.part").touch()
    with pytest.raises(CoreError, match="link"):
        Existing(resume=True).is_finished(output)
    assert (precious / "job.part").read_text() == "precious"
