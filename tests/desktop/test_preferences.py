from __future__ import annotations

import json
from pathlib import Path

import pytest

from g2g_desktop.paths import log_file, resource, user_data_dir
from g2g_desktop.preferences import Preferences, load_preferences, save_preferences


def test_what_was_saved_is_read_again() -> None:
    saved = Preferences(("a.tif", "b.tif"), "dark", "00ff", "out")
    save_preferences(saved)
    assert load_preferences() == saved


def test_without_a_file_every_value_has_its_default() -> None:
    assert load_preferences() == Preferences()


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", '"text"', "\x00\xff"])
def test_a_damaged_file_costs_only_comfort(damage: str) -> None:
    (user_data_dir() / "preferences.json").write_text(damage, encoding="utf-8")
    assert load_preferences() == Preferences()


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
    assert user_data_dir().is_relative_to(tmp_path)


def test_resources_are_there() -> None:
    for name in ("theme.qss", "icons/app.svg", "samples/ct_noisy.tif"):
        assert resource(name).is_file()
