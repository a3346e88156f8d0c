"""Drafts become files whole or not at all, and those of dead processes are removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training_core.draft import draft, folder_draft, hold, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX")

WRITER = """
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from training_core.draft import draft
with draft(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


FOLDER_WRITER = WRITER.replace("import draft", "import folder_draft as draft").replace(
    "temporary.write_text", "(temporary / 'a').write_text"
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_draft_becomes_the_file_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    target.write_text("old")
    with pytest.raises(KeyError), draft(target) as temporary:
        raise KeyError(temporary.write_text("half"))
    assert (names(tmp_path), target.read_text()) == (["a.tif"], "old")
    with draft(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert (names(tmp_path), target.read_text()) == (["a.tif"], "new")


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / f"a.{'x' * 240}"
    with draft(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


@contextmanager
def writing(code: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that is in the middle of writing a path."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        yield writer


def test_what_a_killed_process_left_goes_and_what_one_at_work_has_stays(tmp_path: Path) -> None:
    with writing(WRITER, tmp_path / "a.tif") as writer:
        (held,) = names(tmp_path)
        remove_leftovers(tmp_path)
        assert names(tmp_path) == [held]
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    assert names(tmp_path) == [held]
    with draft(tmp_path / "b.tif") as temporary:
        temporary.write_text("b")
    assert names(tmp_path) == ["b.tif"]


def test_no_other_program_s_file_is_removed(tmp_path: Path) -> None:
    others = ".g2g-notes.tif", ".g2g-0123456789AB.tif", "g2g-0123456789ab.tif", ".g2g-0123456789ab"
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / "mine").write_text("mine")
    os.symlink(tmp_path / "mine", tmp_path / ".g2g-aaaaaaaaaaaa.tif")
    os.mkfifo(tmp_path / ".g2g-bbbbbbbbbbbb.tif")
    (tmp_path / ".g2g-cccccccccccc.tif").mkdir()
    (tmp_path / ".g2g-0123456789ab.tif").touch()
    before = names(tmp_path)
    remove_leftovers(tmp_path)
    assert set(before) - set(names(tmp_path)) == {".g2g-0123456789ab.tif"}
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_is_held_by_one(tmp_path: Path) -> None:
    with hold(tmp_path / "a") as first:
        assert first.fileno() > 0
        with pytest.raises(BlockingIOError):
            hold(tmp_path / "a")
    hold(tmp_path / "a").close()
    os.symlink(tmp_path / "a", tmp_path / "link")
    with pytest.raises(OSError, match="link"):
        hold(tmp_path / "link")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    with pytest.raises(KeyError), folder_draft(target) as folder:
        raise KeyError((folder / "half").write_text("half"))
    assert names(tmp_path) == []
    with folder_draft(target) as folder:
        (folder / "c").mkdir()
        (folder / "c" / "0").write_text("whole")
        assert not target.exists()
    assert (names(tmp_path), (target / "c" / "0").read_text()) == (["a.zarr"], "whole")


def test_a_folder_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    with pytest.raises(FileExistsError), folder_draft(target):
        target.mkdir()
    assert (names(tmp_path), names(target)) == (["a.zarr"], [])


def test_the_folder_of_a_killed_process_goes(tmp_path: Path) -> None:
    with writing(FOLDER_WRITER, tmp_path / "a.zarr") as writer:
        remove_leftovers(tmp_path)
        assert len(names(tmp_path)) == 2  # its lock and its folder
        writer.kill()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []
