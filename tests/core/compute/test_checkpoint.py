"""Parts of a checkpoint come back as they were, belong to one job, and are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training_core.compute import checkpoint as checkpoints
from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint, describe_job, difference
from training_core.errors import CheckpointError
from training_core.run import Cancelled, Note, Run
from training_core.settings import preset
from training_core.stack import Stack

STEP = {"step": 3}


def opened(folder: Path | None, notes: list[Note] | None = None, **more: Any) -> Checkpoint:
    found: list[Note] = [] if notes is None else notes
    run = Run(lambda event: found.append(event) if isinstance(event, Note) else None)
    return Checkpoint(folder, run=run, **more)


def same(one: Any, other: Any) -> bool:
    """Compare to the last bit, types and keys included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor | np.ndarray):
        a, b = torch.as_tensor(one), torch.as_tensor(other)
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def an_optimiser_at_work() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, betas=(0.0, 0.9))
    network(torch.randn(2, 1, 8, 8)).square().sum().backward()
    optimiser.step()
    return network, optimiser


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    network, optimiser = an_optimiser_at_work()
    both = torch.arange(12.0).reshape(3, 4)
    state = {
        "network": dict(network.state_dict()),
        "optimiser": optimiser.state_dict(),
        "draw": torch.Generator().manual_seed(5).get_state(),
        "numpy": np.random.default_rng(5).bit_generator.state,  # numbers of 128 bits
        "plain": [1, -2.5, True, None, "µm", float("inf"), (1, (2, [])), {}, {"": {7: "seven"}}],
        "views": [both[:, 1], both[:, 2], both.T, both[:0]],
        "types": [both.bfloat16(), both.double(), both > 3, both.long(), torch.tensor(2.0)],
        "arrays": [np.arange(3, dtype=np.uint16), np.zeros((0, 5)), np.array(2.0)],
    }
    part = opened(tmp_path / "kept").part("all")
    part.save(state)
    again = part.load()
    assert again is not None
    assert [key for key in state if not same(again[key], state[key])] == []
    assert list(again["optimiser"]["state"]) == [0, 1, 2, 3]

    other, its_optimiser = an_optimiser_at_work()
    other.load_state_dict(again["network"])
    its_optimiser.load_state_dict(again["optimiser"])
    assert same(its_optimiser.state_dict(), optimiser.state_dict())


def test_what_is_loaded_can_be_changed(tmp_path: Path) -> None:
    part = opened(tmp_path).part("a")
    part.save({"array": np.zeros(3), "tensor": torch.zeros(3)})
    state = part.load()
    assert state is not None
    state["array"] += 1
    state["tensor"] += 1
    assert same(part.load(), {"array": np.zeros(3), "tensor": torch.zeros(3)})


def test_objects_are_refused_not_pickled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"cannot keep .*Path"):
        opened(tmp_path).part("a").save({"path": tmp_path})


def test_the_random_state_of_torch_comes_back_too(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        part = opened(tmp_path).part("a")
        part.save(STEP)
        drawn = torch.rand(3)
        part.load()
        assert torch.equal(torch.rand(3), drawn)


def test_nothing_is_there_before_something_is_saved(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path / "deep" / "kept")
    assert checkpoint.part("a").load() is None
    assert not checkpoint.exists
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []
    checkpoint.part("a").save(STEP)
    assert checkpoint.exists


def test_without_a_folder_nothing_is_kept() -> None:
    part = NO_CHECKPOINT.part("a")
    part.save(STEP)
    assert part.load() is None
    assert not part.due()
    assert not NO_CHECKPOINT.exists


def test_removing_takes_only_what_it_wrote(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path / "kept")
    checkpoint.part("a").save(STEP)
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    checkpoint.remove()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine.txt"]
    (tmp_path / "kept" / "mine.txt").unlink()
    checkpoint.part("a").save(STEP)
    checkpoint.part("a").drop()
    assert checkpoint.part("a").load() is None
    checkpoint.remove()
    assert not (tmp_path / "kept").exists()


def test_the_job_is_removed_last_and_one_file_in_use_stays_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = opened(tmp_path / "kept")
    for name in "abcz":
        checkpoint.part(name).save(STEP)
    unlink, removed = Path.unlink, []

    def locked(path: Path, **more: Any) -> None:
        removed.append(path.name)
        if path.name == removed[0]:
            raise PermissionError(path)
        unlink(path, **more)

    monkeypatch.setattr(Path, "unlink", locked)
    checkpoint.remove()
    assert len(removed) == 5
    assert removed[-1] == "job.part"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == removed[:1]


def test_a_part_is_due_once_per_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    part = opened(tmp_path, every_s=30.0).part("a")
    saved: list[float] = []

    def state() -> dict[str, int]:
        saved.append(now)
        return STEP

    for _ in range(100):
        now += 1
        part.check(Run(), state)
    assert saved == [130.0, 160.0, 190.0]


def test_cancelling_saves_before_it_leaves(tmp_path: Path) -> None:
    run = Run()
    part = opened(tmp_path, every_s=1e9).part("a")
    part.check(run, lambda: STEP)
    assert part.load() is None
    run.cancel()
    with pytest.raises(Cancelled):
        part.check(run, lambda: STEP)
    assert part.load() == STEP


def test_a_cancelled_job_that_is_discarded_saves_nothing(tmp_path: Path) -> None:
    run = Run()
    part = opened(tmp_path, every_s=1e9, save_cancelled=False).part("a")

    def make(number: int) -> torch.Tensor:
        raise Cancelled

    with pytest.raises(Cancelled):
        part.collect(4, make, run)
    run.cancel()
    with pytest.raises(Cancelled):
        part.check(run, lambda: STEP)
    assert list(tmp_path.iterdir()) == []


def test_collecting_goes_on_with_what_was_made(tmp_path: Path) -> None:
    run, made = Run(), []

    def make(number: int) -> torch.Tensor:
        if number == 2 and not made.count(2):
            made.append(2)
            raise Cancelled  # in the middle of the third
        made.append(number)
        return torch.full((2, 3), float(number)).T

    part = opened(tmp_path, every_s=1e9).part("a")
    with pytest.raises(Cancelled):
        part.collect(4, make, run)
    assert [float(image[0, 0]) for image in part.collect(4, make, run)] == [0, 1, 2, 3]
    assert made == [0, 1, 2, 2, 3]
    assert len(part.collect(4, make, run)) == 4
    assert made == [0, 1, 2, 2, 3]


def test_cancelled_before_an_image_what_was_collected_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, part, saved = Run(), opened(tmp_path, every_s=1e9).part("a"), []
    monkeypatch.setattr(part, "save", lambda state, _pixels=None: saved.append(len(state["made"])))

    def make(number: int) -> torch.Tensor:
        run.cancel()
        return torch.zeros(3)

    with pytest.raises(Cancelled):
        part.collect(4, make, run)
    assert saved == [1]


def a_stack(value: int = 0) -> Stack:
    pixels = np.arange(96, dtype=np.uint16).reshape(2, 6, 8)
    pixels[1, 2, 3] += value
    return Stack(pixels, "ZYX")


def test_parts_of_another_job_are_refused(tmp_path: Path) -> None:
    settings = preset("quick", seed=4)
    first = opened(tmp_path)
    first.claim(describe_job([a_stack()], settings))
    first.part("a").save(STEP)

    again = opened(tmp_path)
    again.claim(describe_job([a_stack()], preset("quick", seed=4)))
    assert again.part("a").load() == STEP
    for stacks, other, reason in [
        ([a_stack(1)], settings, "it is about another stack"),
        ([a_stack(), a_stack()], settings, "it is about another stack"),
        ([a_stack().with_pixels(a_stack().pixels.astype(np.int32))], settings, "another stack"),
        ([a_stack()], preset("quick", seed=5), "seed was 4, not 5"),
        ([a_stack()], preset("balanced", seed=4), "preset was quick, not balanced"),
    ]:
        with pytest.raises(CheckpointError, match=reason):
            opened(tmp_path).claim(describe_job(stacks, other))

    unclaimed = opened(tmp_path)
    assert unclaimed.part("a").load() is None  # never used for what it was not made for


def test_a_setting_that_only_one_of_two_jobs_has_is_named() -> None:
    assert difference({"a": 1}, {"a": 1}) == ""
    assert difference({}, {"tile_px": None}) == "tile px was absent, not None"
    assert difference({"of": {"tile_px": None}}, {"of": {}}) == "tile px was None, not absent"
    assert difference({}, {"a": "absent"}) == "it differs"


def test_an_older_program_s_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path).part("a").save(STEP)
    monkeypatch.setattr(checkpoints, "FORMAT", checkpoints.FORMAT + 1)
    with pytest.raises(CheckpointError, match="another version of the program"):
        opened(tmp_path).claim({})


def test_time_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    first = opened(tmp_path)
    first.claim({})
    now = 50.0
    first.part("a").save(STEP)
    now = 1000.0
    second = opened(tmp_path)
    second.claim({})
    now = 1007.0
    assert second.seconds_before == 50.0
    second.part("a").save(STEP)
    third = opened(tmp_path)
    third.claim({})
    assert third.seconds_before == 57.0


def test_starting_anew_forgets_only_when_the_job_begins(tmp_path: Path) -> None:
    opened(tmp_path).part("a").save(STEP)
    checkpoint = opened(tmp_path, anew=True)
    assert checkpoint.exists
    checkpoint.claim({"another": "job"})
    assert not checkpoint.begun
    assert [path.name for path in tmp_path.iterdir()] == ["job.part"]


def test_a_slow_disk_is_not_written_to_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slow(*_: object) -> None:
        nonlocal now
        now += 10.0

    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoints, "write_state", slow)
    part = opened(tmp_path, every_s=30.0).part("a")
    part.save(STEP)  # two files, 20 s
    now += 179
    assert not part.due()
    now += 1
    assert part.due()


@pytest.mark.parametrize("damage", ["half", "empty", "a bit", "a digit", "text"])
def test_a_damaged_part_is_left_out_with_a_note(tmp_path: Path, damage: str) -> None:
    notes: list[Note] = []
    checkpoint = opened(tmp_path, notes)
    checkpoint.part("a").save({"weights": torch.ones(1000), "step": 3})
    path = tmp_path / "a.part"
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-100] ^= 4
    spoilt = {"half": whole[: len(whole) // 2], "empty": b"", "a bit": changed, "text": b"{}" * 99}
    spoilt["a digit"] = whole.replace(rb"\"step\", 3", rb"\"step\", 7")
    assert spoilt[damage] != whole
    path.write_bytes(bytes(spoilt[damage]))

    assert checkpoint.part("a").load() is None
    assert [note.warning for note in notes] == [True]
    assert "a.part is damaged and left out" in notes[0].text
    checkpoint.part("a").save(STEP)
    assert checkpoint.part("a").load() == STEP


def test_a_damaged_job_part_does_not_matter(tmp_path: Path) -> None:
    job = describe_job([a_stack()], preset("quick"))
    first = opened(tmp_path)
    first.claim(job)
    first.part("a").save(STEP)
    (tmp_path / "job.part").write_bytes(b"")

    second = opened(tmp_path)
    second.claim(job)
    assert second.part("a").load() == STEP


def test_a_full_disk_ends_checkpoints_with_one_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[Note] = []
    checkpoint = opened(tmp_path, notes, every_s=0.0)
    part = checkpoint.part("a")
    part.save(STEP)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        part.save({"step": 4})
        part.save({"step": 5})
    assert len(notes) == 1
    assert notes[0].warning
    assert "No space left on device" in notes[0].text
    assert not part.due()
    assert part.load() == STEP  # what was there is whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.part", "job.part"]


def test_on_a_full_disk_the_last_good_part_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = opened(tmp_path)
    running, finished = checkpoint.part("steps"), checkpoint.part("round")
    running.save(STEP)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    finished.save({"round": 1})
    running.drop()
    assert finished.load() is None
    assert running.load() == STEP


def test_a_folder_that_cannot_be_made_is_one_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    notes: list[Note] = []
    checkpoint = opened(tmp_path / "file" / "kept", notes)
    checkpoint.part("a").save(STEP)
    checkpoint.part("b").save(STEP)
    assert len(notes) == 1
    assert not checkpoint.exists


def test_a_part_is_never_taken_for_another_one(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    checkpoint.part("round-1").save({"round": 1})
    (tmp_path / "round-2.part").write_bytes((tmp_path / "round-1.part").read_bytes())
    assert checkpoint.part("round-1").load() == {"round": 1}
    assert checkpoint.part("round-2").load() is None


def test_the_shape_of_a_tensor_is_under_the_checksum(tmp_path: Path) -> None:
    notes: list[Note] = []
    part = opened(tmp_path, notes).part("a")
    part.save({"weights": torch.ones(12, 34)})
    path = tmp_path / "a.part"
    for one, other in ((b"[12,34]", b"[34,12]"), (b'"F32"', b'"I32"')):
        whole = path.read_bytes()
        assert one in whole
        path.write_bytes(whole.replace(one, other))
        assert part.load() is None
        path.write_bytes(whole)
    assert len(notes) == 2
    assert part.load() is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("odd", ["link", "pipe", "hard link", "folder", "hidden link"])
def test_what_no_checkpoint_wrote_is_refused_and_not_followed(tmp_path: Path, odd: str) -> None:
    kept, mine = tmp_path / "kept", tmp_path / "mine"
    mine.write_text("mine")
    opened(kept).part("a").save(STEP)
    make = {
        "link": lambda: os.symlink(mine, kept / "b.part"),
        "pipe": lambda: os.mkfifo(kept / "b.part"),
        "hard link": lambda: os.link(mine, kept / "denoised.pixels"),
        "folder": lambda: (kept.rename(tmp_path / "real"), os.symlink(tmp_path / "real", kept)),
        "hidden link": lambda: os.symlink(mine, kept / ".b.part"),
    }
    make[odd]()
    with pytest.raises(CheckpointError, match="not used; remove it"):
        opened(kept).claim({})
    assert mine.read_text() == "mine"
