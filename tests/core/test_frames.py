"""Frames that are made on request stand where an array would, and the memory stays flat."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.made_up import block, denoiser, noise_model, stack
from training_core import frames
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise import tile as tile_module
from training_core.denoise import tiled
from training_core.denoise.tiled import denoise
from training_core.errors import ShortageError
from training_core.export.writers import write_stack
from training_core.frames import FrameFile, MadeFrames, made_frames
from training_core.io.readers import open_stack
from training_core.run import Cancelled, Run
from training_core.stack import Stack, as_float32, cast_like
from training_core.unmeasured import measured

SHAPE = (2, 3, 4, 5)


def numbered() -> np.ndarray:
    return np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every stack be too large for the memory."""
    monkeypatch.setattr(frames, "HELD_BYTES", 0)
    monkeypatch.setattr(tiled, "HELD_BYTES", 0)


def on_request() -> MadeFrames:
    flat = numbered().reshape(-1, 4, 5)
    return MadeFrames(lambda index: flat[index], np.arange(6).reshape(2, 3), (4, 5), np.float32)


@pytest.mark.parametrize(
    "index",
    [
        0,
        (1, 2),
        (1, -1),
        (1, 2, 3),
        (1, 2, 3, 4),
        (slice(None), 1),
        (slice(None), slice(0, 3, 2)),
        (slice(None), [0, 2]),
        (0, 1, slice(1, 3), slice(None, 2)),
        (slice(None), 0, slice(1, 3)),
        (..., 2),
        (1, None, 0),
    ],
)
def test_parts_are_those_of_an_array(index: object) -> None:
    given, made = numbered(), on_request()
    assert np.array_equal(np.asarray(made[index]), given[index])


def test_the_whole_is_an_array_in_all_it_can_do() -> None:
    given, made = numbered(), on_request()
    assert (made.shape, made.dtype, made.ndim, made.size) == (SHAPE, np.float32, 4, given.size)
    assert (made.nbytes, len(made)) == (given.nbytes, 2)
    assert np.array_equal(np.asarray(made), given)
    assert np.array_equal(made + 1, given + 1)
    assert made.mean() == given.mean()
    assert np.array_equal(made.reshape(6, 4, 5), given.reshape(6, 4, 5))
    assert isinstance(made.reshape(6, 4, 5), MadeFrames)
    assert np.array_equal(made.reshape(-1), given.ravel())


def test_only_what_is_asked_for_is_made_and_the_last_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "HELD_BYTES", 40)
    asked: list[int] = []

    def make(index: int) -> np.ndarray:
        asked.append(index)
        return np.full((4, 5), index)

    made = made_frames(make, (9, 4, 5), np.uint8)
    assert asked == []
    assert made[3].dtype == np.uint8
    assert (made[3].max(), made[4].max(), made[3].max()) == (3, 4, 3)
    assert asked == [3, 4]


def test_a_small_stack_is_an_array_and_cancelling_ends_its_making() -> None:
    made = made_frames(lambda index: np.full((4, 5), index), (2, 4, 5), np.float32)
    assert isinstance(made, np.ndarray)
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        made_frames(lambda _: np.zeros((4, 5)), (2, 4, 5), np.float32, run)


def test_a_file_of_frames_gives_them_back_and_goes_with_its_owner() -> None:
    file = FrameFile(None, (3, 4, 5), np.dtype(np.float32))
    given = numbered().reshape(6, 4, 5)[:3]
    for index, frame in enumerate(given):
        file[index] = frame
    path, pixels = file.path, file.pixels((3, 4, 5))
    del file
    assert np.array_equal(np.asarray(pixels), given)
    assert path.exists()
    del pixels
    assert not path.exists()


def test_what_a_killed_process_left_is_removed_and_what_another_one_has_stays() -> None:
    file = FrameFile(None, (3, 4, 5), np.float32)
    file[0] = numbered().reshape(6, 4, 5)[0]
    left = file.path.with_name(".g2g-0123456789ab.part")
    left.write_bytes(b"of a process that was killed")
    other = FrameFile(None, (3, 4, 5), np.float32)
    assert not left.exists()
    assert other.path.parent == file.path.parent
    assert np.array_equal(file[0], numbered().reshape(6, 4, 5)[0])


def test_frames_lie_in_the_cache_of_the_user_and_need_room_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert FrameFile(None, (3, 4, 5), np.float32).path.parent == tmp_path / "g2g-desktop"
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    elsewhere = FrameFile(None, (3, 4, 5), np.float32).path
    assert elsewhere.parent == Path(tempfile.gettempdir())
    with pytest.raises(ShortageError, match=r"takes 3518437\.2 GB, and .* has no room"):
        FrameFile(None, (2**11, 2**20, 2**14 * 100), np.dtype("u1"))


def test_a_disk_that_takes_no_more_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    file = FrameFile(tmp_path / "a file" / "frames", (1, 4, 5), np.float32)
    with pytest.raises(ShortageError, match="cannot take the frames that are made"):
        file[0] = np.zeros((4, 5))


def scene(frames_: int = 3) -> Stack:
    noise = 20.0 * np.random.default_rng(1).standard_normal((frames_, 64, 64))
    return stack(np.rint(block(64, 64, 200, 800) + noise).astype(np.uint16), "TYX")


@pytest.mark.parametrize("kept", [False, True])
def test_frame_by_frame_the_result_is_that_in_memory(
    kept: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given, model = scene(), denoiser(noise_model())
    held = denoise(given, model)
    request.getfixturevalue("large")
    checkpoint = Checkpoint(tmp_path / "kept") if kept else Checkpoint(None)
    streamed = denoise(given, model, checkpoint=checkpoint)
    assert not isinstance(streamed.pixels, np.ndarray)
    assert np.array_equal(np.asarray(streamed.pixels), held.pixels)
    for cast in (lambda made: cast_like(made, given), as_float32):
        assert np.array_equal(np.asarray(cast(streamed).pixels), np.asarray(cast(held).pixels))


def test_a_streamed_result_goes_on_where_it_was_interrupted(large: None, tmp_path: Path) -> None:
    given, model, asked = scene(), denoiser(noise_model()), 0
    whole = np.asarray(denoise(given, model, tile_px=32).pixels)

    class Stops(Run):
        def check(self) -> None:
            nonlocal asked
            asked += 1
            if asked == 9:
                raise Cancelled

    with pytest.raises(Cancelled):
        denoise(given, model, tile_px=32, run=Stops(), checkpoint=Checkpoint(tmp_path))
    made = denoise(given, model, tile_px=32, checkpoint=Checkpoint(tmp_path))
    assert np.array_equal(np.asarray(made.pixels), whole)


def test_a_tile_that_is_cancelled_inside_loses_none_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given, model, made = scene(), denoiser(noise_model()), 0
    tile = tile_module.denoise_tile

    def cancelled_inside(*args: Any, **more: Any) -> np.ndarray:
        nonlocal made
        made += 1
        if made == 7:
            raise Cancelled
        return tile(*args, **more)

    monkeypatch.setattr(tile_module, "denoise_tile", cancelled_inside)
    with pytest.raises(Cancelled):
        denoise(given, model, tile_px=32, checkpoint=Checkpoint(tmp_path))
    denoise(given, model, tile_px=32, checkpoint=Checkpoint(tmp_path))
    assert made == 7 + 6  # of 12, and the one that was not finished again


def test_hot_pixels_are_told_after_an_interruption_as_without_one(
    large: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = scene(3).pixels.copy()
    pixels[:, 5:60:11, 5:60:11] = 60_000  # 25 in each frame
    given, model, notes, made = stack(pixels, "TYX"), denoiser(noise_model()), list[str](), 0
    tile = tile_module.denoise_tile

    def cancelled_once(*args: Any, **more: Any) -> np.ndarray:
        nonlocal made
        made += 1
        if made == 9:  # in the last frame
            raise Cancelled
        return tile(*args, **more)

    monkeypatch.setattr(tile_module, "denoise_tile", cancelled_once)
    run = Run(lambda event: notes.append(getattr(event, "text", "")))
    with pytest.raises(Cancelled):
        denoise(given, model, tile_px=32, run=run, checkpoint=Checkpoint(tmp_path))
    assert not any("hot or dead" in note for note in notes)
    denoise(given, model, tile_px=32, run=run, checkpoint=Checkpoint(tmp_path))
    assert next(note for note in notes if "hot or dead" in note).startswith("75 hot or dead pixels")


def test_neighbours_in_time_of_a_stack_of_several_depths_are_made_once(large: None) -> None:
    noise = 20.0 * np.random.default_rng(1).standard_normal((4, 6, 64, 64))
    pixels = np.rint(block(64, 64, 200, 800) + noise).astype(np.uint16)
    given, model = stack(pixels, "TZYX"), replace(denoiser(noise_model()), neighbours=1)
    held = denoise(stack(pixels, "TZYX"), model)
    made: list[int] = []

    def make(index: int) -> np.ndarray:
        made.append(index)
        return pixels.reshape(24, 64, 64)[index]

    given = given.with_pixels(made_frames(make, pixels.shape, pixels.dtype))
    assert np.array_equal(np.asarray(denoise(given, model).pixels), np.asarray(held.pixels))
    assert max(Counter(made).values()) <= 5  # looked for jumps, padding and hot pixels as well


def test_kept_frames_are_taken_over_where_the_checkpoint_can_take_no_more(
    large: None, tmp_path: Path
) -> None:
    given, model = scene(), denoiser(noise_model())
    whole = np.asarray(denoise(given, model, checkpoint=Checkpoint(tmp_path)).pixels)
    again = Checkpoint(tmp_path)
    assert again.part("denoised").load() is not None
    again.working = False  # as on a full disk
    made = denoise(given, model, checkpoint=again)
    assert np.array_equal(np.asarray(made.pixels), whole)


def test_a_streamed_result_is_written_without_being_in_memory(large: None, tmp_path: Path) -> None:
    given = scene(6)
    made = denoise(given, denoiser(noise_model()))
    read = []
    made.pixels.read = lambda: read.append(1)  # type: ignore[method-assign]
    path = write_stack(made, tmp_path / "out.tif")
    assert read == []
    assert open_stack(path).shape == (6, 64, 64)


def test_no_more_frames_are_remembered_than_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "HELD_BYTES", 3 * 80)
    asked: list[int] = []

    def make(index: int) -> np.ndarray:
        asked.append(index)
        return np.full((4, 5), index, np.float32)

    made = made_frames(make, (9, 4, 5), np.float32)
    for index in (0, 1, 2, 2, 1, 0, 3, 0):
        assert made[index].max() == index
    assert asked == [0, 1, 2, 3]
    for index in (1, 3, 2):
        made[index]
    assert asked == [0, 1, 2, 3, 2]


def test_mended_frames_are_the_same_on_request(request: pytest.FixtureRequest) -> None:
    pixels = scene().pixels.copy()
    pixels[1, :20] = 0  # padding
    held = measured(stack(pixels, "TYX")).pixels
    request.getfixturevalue("large")
    assert np.array_equal(np.asarray(measured(stack(pixels, "TYX")).pixels), held)


MEMORY = """
import resource, sys
from dataclasses import replace
import numpy as np
from training_core import frames
from training_core.compute.device import limit_threads
from training_core.denoise import tiled
from tests.support.made_up import Identity, denoiser, noise_model
from training_core.stack import Stack

frames.HELD_BYTES = tiled.HELD_BYTES = 2**20
count = int(sys.argv[1])
draw = np.random.default_rng(0)
shape = (count, 256, 256)
noise = [draw.normal(500, 20, shape[1:]).astype(np.uint16) for _ in range(2)]
pixels = frames.made_frames(lambda index: noise[index % 2], shape, np.uint16)
model = replace(denoiser(noise_model(), collaborate=False), network=Identity())
made = tiled.denoise(Stack(pixels, "TYX"), model, tile_px=256)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is asked of POSIX")
def test_the_memory_stays_flat_from_10_to_80_frames() -> None:
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(count)],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[2],
            ).stdout
        )
        for count in (10, 80)
    ]
    assert peaks[1] < peaks[0] + 10 * 1024  # kB; 70 frames more would be 18 MB in float32
