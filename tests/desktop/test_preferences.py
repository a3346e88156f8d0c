from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from g2g_desktop import paths
from g2g_desktop.paths import checkpoints_dir, home, log_file, resource, user_data_dir
from g2g_desktop.preferences import Preferences, load_preferences, save_preferences


def test_what_was_saved_is_read_again() -> None:
    saved = Preferences(("a.tif", "b.tif"), "dark", "00ff", "out", axes=(("in", "IYX", "ZYX"),))
    save_preferences(saved)
    assert load_preferences() == saved


def test_without_a_file_every_value_has_its_default() -> None:
    assert load_preferences() == Preferences()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'"text"',
        b"\x00\xff",
        b"\xff\xfe{\x00",
        b"NaN",
        b"[" * 200_000,
        b'{"theme": ' * 50_000,
        b" " * 2**21 + b'{"theme": "dark"}',
        b'{"theme": {"dark": 1}, "recent": "a.tif", "geometry": [1], "export_folder": 5}',
        b'{"recent": ["a\\u0000b", "\\ud800", null, ["a"], {}], "geometry": "zz"}',
        b'{"geometry": "\\ud800", "theme": "\\ud800", "export_folder": "\\ud800"}',
        b'{"recent": [' + b'"' + b"x" * 20_000 + b'"]}',
        b'{"axes": {"in": "ZYX"}}',
        b'{"axes": [["in", "IYX"], ["in", "IYX", "ZZYX"], ["in", "YX", "ZYX"], ["in", 1, "ZYX"]]}',
    ],
)
def test_a_damaged_file_costs_only_comfort(damage: bytes) -> None:
    (user_data_dir() / "preferences.json").write_bytes(damage)
    assert load_preferences() == Preferences()


def test_what_is_no_file_is_not_read() -> None:
    path = user_data_dir() / "preferences.json"
    path.mkdir()
    assert load_preferences() == Preferences()
    save_preferences(Preferences(theme="dark"))  # logged, and the window goes on
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # which would be waited for
        assert load_preferences() == Preferences()


def test_of_very_many_recent_files_the_first_are_kept() -> None:
    stored = {"recent": [f"{number}.tif" for number in range(5000)]}
    (user_data_dir() / "preferences.json").write_text(json.dumps(stored), encoding="utf-8")
    assert load_preferences().recent == tuple(f"{n}.tif" for n in range(8))


@pytest.mark.parametrize("place", ["/dev/null/user", "~/user", "user"])
def test_without_a_home_everything_is_elsewhere(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    paths._elsewhere.cache_clear()
    monkeypatch.setattr("appdirs.user_data_dir", lambda *_, **__: place)
    save_preferences(Preferences(theme="dark"))
    assert load_preferences().theme == "dark"
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("g2g-desktop-")
    assert checkpoints_dir().is_relative_to(made)
    paths._elsewhere.cache_clear()


def test_a_folder_that_cannot_be_written_to_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    paths._elsewhere.cache_clear()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert user_data_dir().parent.name.startswith("g2g-desktop-")
    assert log_file().parent.is_relative_to(user_data_dir().parent)
    paths._elsewhere.cache_clear()


def test_without_a_home_one_begins_where_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", absent)
    assert home() == Path.cwd()


def test_the_valid_part_of_a_damaged_file_is_kept() -> None:
    stored = {"recent": ["a.tif", 5], "theme": "pink", "geometry": 7, "unknown": 1}
    (user_data_dir() / "preferences.json").write_text(json.dumps(stored), encoding="utf-8")
    assert load_preferences() == Preferences(recent=("a.tif",))


def test_recent_files_are_few_unique_and_newest_first() -> None:
    preferences = Preferences()
    for number in range(12):
        preferences = preferences.with_recent(Path(f"{number}.tif"))
    preferences = preferences.with_recent(Path("7.tif"))
    assert preferences.recent == tuple(f"{n}.tif" for n in (7, 11, 10, 9, 8, 6, 5, 4))


def test_the_folders_of_the_user_are_made(tmp_path: Path) -> None:
    assert user_data_dir().is_dir()
    assert log_file().parent.is_dir()
    assert user_data_dir().is_relative_to(os.environ["XDG_DATA_HOME"])


def test_resources_are_there() -> None:
    for name in ("theme.qss", "icons/app.svg", "samples/ct_noisy.tif"):
        assert resource(name).is_file()
