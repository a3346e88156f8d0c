from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from g2g_desktop import other_programs
from g2g_desktop.dialogs.programs_dialog import ProgramsDialog
from g2g_desktop.other_programs import found_programs, hand_over, own_environment
from g2g_desktop.preferences import Preferences, load_preferences, save_preferences

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is a program on POSIX")


def program(path: Path) -> Path:
    """Put a program there that writes down what it was called with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\nprintf "%s" "$1" > "$1.opened"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a home and a search path with nothing in them."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setattr(other_programs, "_usual_places", lambda: iter([home, home / "Desktop"]))
    return home


def test_programs_are_found_on_the_path_in_the_usual_folders_and_where_the_user_said(
    empty_computer: Path, tmp_path: Path
) -> None:
    nothing = Preferences()
    assert found_programs(nothing) == {}

    fiji = program(empty_computer / "Desktop" / "Fiji.app" / "ImageJ-linux64")
    mac = program(empty_computer / "napari.app" / "Contents/MacOS" / "napari")
    assert found_programs(nothing) == {"Fiji": fiji, "napari": mac}

    on_path = program(empty_computer / "bin" / "napari")
    assert found_programs(nothing)["napari"] == on_path

    own = program(tmp_path / "elsewhere" / "ImageJ-linux64")
    said = replace(nothing, fiji=str(own.parent), napari=str(tmp_path / "gone"))
    assert found_programs(said) == {"Fiji": own}  # what the user said is not guessed over
    save_preferences(said)
    assert load_preferences() == said


def test_a_file_is_handed_over(tmp_path: Path, qtbot: QtBot) -> None:
    file = tmp_path / "a µ b.ome.tif"
    file.touch()
    opened = tmp_path / f"{file.name}.opened"

    assert hand_over(program(tmp_path / "fiji"), file)

    qtbot.waitUntil(lambda: opened.exists() and opened.read_text() == str(file))
    assert not hand_over(tmp_path / "gone", file)


def test_another_program_gets_no_libraries_of_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/usr/own"}
    assert own_environment(bundle) == {}
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert own_environment(bundle) == {"LD_LIBRARY_PATH": "/usr/own"}
    assert own_environment({"LD_LIBRARY_PATH": "/bundle"}) == {"LD_LIBRARY_PATH": ""}


def test_the_dialog_shows_what_is_found_and_gives_what_was_entered(
    empty_computer: Path, qtbot: QtBot
) -> None:
    fiji = program(empty_computer / "Fiji.app" / "fiji")
    dialog = ProgramsDialog(Preferences(theme="dark"))
    qtbot.addWidget(dialog)
    assert dialog.fiji.placeholderText() == f"Found: {fiji}"
    assert dialog.napari.placeholderText() == "Not found"

    dialog.napari.setText(" /opt/mine/napari ")

    assert dialog.answer == Preferences(theme="dark", napari="/opt/mine/napari")
