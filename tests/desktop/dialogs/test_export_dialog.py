from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt

from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog, suggested_target
from g2g_desktop.jobs.tasks import ExportChoice
from g2g_desktop.paths import resource

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from training_core.stack import Stack


@pytest.fixture
def dialog(qtbot: QtBot, small_stack: Stack, tmp_path: Path) -> ExportDialog:
    made = ExportDialog(small_stack, tmp_path / "out.tif")
    qtbot.addWidget(made)
    return made


def test_by_default_the_data_type_of_the_input_stays(dialog: ExportDialog, tmp_path: Path) -> None:
    dialog.accept()
    assert dialog.choice == ExportChoice(tmp_path / "out.tif", "same", overwrite=False)
    dialog.names.setChecked(False)
    assert not dialog.choice.names
    assert "(16 bit)" in dialog.same.text()


def test_return_exports(dialog: ExportDialog, qtbot: QtBot) -> None:
    dialog.open()
    with qtbot.waitSignal(dialog.accepted):
        qtbot.keyClick(dialog.path, Qt.Key.Key_Return)


def test_the_size_follows_the_data_type(dialog: ExportDialog) -> None:
    assert "36.9 kB" in dialog.facts.text()  # 2 x 96 x 96 x 2 bytes
    dialog.float32.click()
    assert "73.7 kB" in dialog.facts.text()
    assert dialog.choice.dtype == "float32"


def test_clipped_pixels_are_said_where_they_count(
    qtbot: QtBot, small_stack: Stack, tmp_path: Path
) -> None:
    clipped = "7 pixels were clipped to the range of uint16."
    dialog = ExportDialog(small_stack, tmp_path / "out.tif", (clipped,))
    qtbot.addWidget(dialog)
    assert clipped in dialog.facts.text()
    dialog.float32.click()
    assert clipped not in dialog.facts.text()


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a.tif", "a.tif"),
        ("a", "a.ome.tif"),
        ("a.TIFF", "a.TIFF"),
        ("a.b ", "a.b.ome.tif"),
        ("a.ome.zarr", "a.ome.zarr"),
    ],
)
def test_the_name_always_says_the_format(
    typed: str, name: str, dialog: ExportDialog, tmp_path: Path
) -> None:
    dialog.path.setText(str(tmp_path / typed))
    assert dialog.choice.path == tmp_path / name


def test_an_existing_file_is_replaced_only_when_the_user_says_so(
    dialog: ExportDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.tif").touch()
    questions: list[str] = []
    answers = iter([False, True])

    def answer(_parent: object, _title: str, text: str, _yes: str) -> bool:
        questions.append(text)
        return next(answers)

    monkeypatch.setattr(dialogs, "confirm", answer)
    dialog.accept()
    assert dialog.result() == 0
    dialog.accept()
    assert dialog.result() == 1
    assert dialog.choice.overwrite
    assert "out.tif exists" in questions[0]


def test_the_suggested_name_is_beside_the_input_or_where_the_last_export_went(
    small_stack: Stack, tmp_path: Path
) -> None:
    stack = replace(small_stack, source=Path("data") / "cells.ome.tif")
    assert suggested_target(stack, "") == Path("data") / "cells_denoised.ome.tif"
    assert suggested_target(stack, str(tmp_path)) == tmp_path / "cells_denoised.ome.tif"
    gone = suggested_target(stack, str(tmp_path / "gone"))
    assert gone == Path("data") / "cells_denoised.ome.tif"
    imagej = replace(stack, kind="imagej", axes="ZYX")
    assert suggested_target(imagej, "") == Path("data") / "cells_denoised.tif"
    sample = replace(small_stack, source=resource("samples/ct_noisy.tif"))
    assert suggested_target(sample, "") == Path.home() / "ct_noisy_denoised.ome.tif"


def test_format_and_name_follow_each_other(dialog: ExportDialog, tmp_path: Path) -> None:
    names = [dialog.format.itemText(index) for index in range(dialog.format.count())]
    assert names == ["OME-TIFF (.ome.tif)", "OME-Zarr (.ome.zarr)"]

    dialog.format.setCurrentIndex(1)
    dialog.format.activated.emit(1)

    assert dialog.choice.path == tmp_path / "out.ome.zarr"
    assert "A folder of tiles" in dialog.about.text()
    dialog.path.setText(str(tmp_path / "b.tif"))
    dialog.path.editingFinished.emit()
    assert dialog.format.currentText() == "OME-TIFF (.ome.tif)"


def test_what_is_lost_is_said_before_and_what_cannot_be_is_not_accepted(
    qtbot: QtBot, small_stack: Stack, tmp_path: Path
) -> None:
    plane = replace(small_stack, pixels=small_stack.pixels[0], axes="YX", time_step_s=None)
    dialog = ExportDialog(plane, tmp_path / "out.png")
    qtbot.addWidget(dialog)
    assert dialog.format.currentText() == "PNG (.png)"
    assert dialog.lost.text() == "PNG cannot keep the pixel size."
    assert not dialog.compression.isEnabled()

    dialog.float32.click()
    dialog.accept()

    assert "its pixels are float32" in dialog.lost.text()
    assert dialog.result() == 0
    dialog.path.setText(str(tmp_path / "gone" / "out.ome.tif"))
    dialog.accept()
    assert "There is no folder" in dialog.lost.text()
    assert dialog.result() == 0


def test_the_compression_is_that_of_the_box(dialog: ExportDialog) -> None:
    assert dialog.choice.compression == "none"
    dialog.compression.setCurrentIndex(2)
    assert dialog.choice.compression == "zstd"
