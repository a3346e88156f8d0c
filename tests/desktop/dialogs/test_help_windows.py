from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QFileDialog

from g2g_desktop.dialogs.help_windows import DiagnosticsDialog, GuideWindow
from g2g_desktop.paths import guide

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from pytestqt.qtbot import QtBot


def test_the_guide_opens_every_page_from_the_disk(qtbot: QtBot) -> None:
    window = GuideWindow(guide())
    qtbot.addWidget(window)
    assert "Guide" in window.page.toPlainText()
    for page in guide().glob("*.md"):
        window.page.setSource(QUrl.fromLocalFile(str(page)))
        title = page.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        assert window.page.toPlainText().startswith(title)
    window.page.home()
    assert window.page.source().fileName() == "index.md"


def test_the_report_is_saved_as_it_was_shown_and_only_when_asked(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.txt"
    dialog = DiagnosticsDialog("== Versions ==\nµ 1\n", str(tmp_path))
    qtbot.addWidget(dialog)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    dialog._on_save()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    dialog._on_save()
    assert target.read_text("utf-8") == dialog.field.toPlainText() == "== Versions ==\nµ 1\n"


def test_a_folder_that_cannot_be_written_to_is_told(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = DiagnosticsDialog("report", str(tmp_path))
    qtbot.addWidget(dialog)
    target = str(tmp_path / "none" / "report.txt")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (target, ""))
    dialog._on_save()
    assert dialog.about.text().startswith(f"{target} cannot be written (No such file")
