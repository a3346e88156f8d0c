"""What is passed on of a result or a fault tells neither of the patient nor of the computer."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtWidgets import QApplication, QFileDialog

from g2g_desktop import commands
from g2g_desktop.dialogs.help_windows import DiagnosticsDialog
from g2g_desktop.model.session import State
from tests.support.ct_slices import ct_slice, save_slices

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore

PATIENT = "Dolores Haze"
SAID = dict.fromkeys(
    (
        "PatientName",
        "PatientID",
        "StudyDescription",
        "SeriesDescription",
        "InstitutionName",
        "ReferringPhysicianName",
    ),
    PATIENT,
)
NOISY = np.random.default_rng(0).normal(1000, 20, (2, 128, 128)).astype(np.uint16)


def slices(folder: Path) -> Path:
    """Write a series whose folder and tags name a patient."""
    made = [ct_slice(frame, 5.0 * z, **SAID) for z, frame in enumerate(NOISY)]
    return save_slices(folder / PATIENT, made)


def imagej(folder: Path) -> Path:
    """Write a stack of ImageJ whose name, Info and labels name a patient."""
    path = folder / f"{PATIENT}.tif"
    said = {"axes": "TYX", "Info": f"Patient = {PATIENT}", "Labels": [PATIENT, PATIENT]}
    tifffile.imwrite(path, NOISY, imagej=True, metadata=said)
    return path


@pytest.mark.parametrize("write", [slices, imagej])
def test_what_is_passed_on_names_no_patient_and_no_computer(
    write, window: MainWindow, core: FakeCore, qtbot: QtBot, tmp_path: Path, monkeypatch
) -> None:
    source = write(tmp_path)
    core.card = {"patches": 12, "trained_on": [source.name, f"{PATIENT} 2.tif"]}
    session = window.session
    window.commands.open_paths([source])
    qtbot.waitUntil(lambda: session.patches is not None, timeout=60_000)
    window.commands.do("train")
    qtbot.waitUntil(lambda: session.state is State.DONE)
    assert PATIENT in session.stack.name
    told = f"3 hot or dead pixels of {session.stack.name}. {PATIENT} 2.tif differs from it."
    session.set_denoised(session.denoised, (told,))
    qtbot.waitUntil(lambda: bool(window.side.compare.quality.blind.findings), timeout=30_000)

    html, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    for path in (html, pdf):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, p=path: (str(p), ""))
        window.centre.bench.files.report()
    page = re.sub('data:image/png;base64,[^"]*', "", html.read_text("utf-8"))  # letters by chance
    assert "3 hot or dead pixels of STACK. STACK differs from it." in page
    assert "g2g run STACK --output STACK_denoised.tif" in page

    nobody(page)
    # What it is called and who made it, in whichever of the two ways; words are drawn as glyphs.
    for written in ("latin-1", "utf-16-be"):
        nobody(pdf.read_bytes().decode(written, "replace"))
    nobody(report_of_a_fault(window, source, tmp_path, monkeypatch))


def report_of_a_fault(window: MainWindow, source: Path, folder: Path, monkeypatch) -> str:
    """Give what the window would save of a log in which everything names the patient."""
    log = folder / "log.txt"
    program = folder / PATIENT / "g2g_desktop" / PATIENT.split()[0]
    log.write_text(
        f"2026-11-30 08:29:54,165 WARNING qt: {source} could not be drawn\n"
        "2026-11-30 08:29:55,001 ERROR g2g_desktop: Nobody expected this\n"
        "Traceback (most recent call last):\n"
        f'  File "{program}/training_core/io/readers.py", line 45, in open_stack\n'
        f'    stack = open_file("{source}")\n'
        f'  File "{program}/numpy/core.py", line 7, in load\n'
        f"ValueError: {source} is broken\n",
        "utf-8",
    )
    monkeypatch.setattr(commands, "log_file", lambda: log)
    window.commands.do("diagnostics")
    shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, DiagnosticsDialog)]
    report = shown[-1].field.toPlainText()
    shown[-1].close()
    assert "  training_core/io/readers.py, line 45, in open_stack" in report
    return report


def nobody(text: str) -> None:
    """Fail where a text names the patient, or the computer by its address."""
    node = f"{uuid.getnode():012x}"
    pairs = [node[n : n + 2] for n in range(0, 12, 2)]
    for part in (PATIENT, *PATIENT.split(), node, ":".join(pairs), "-".join(pairs)):
        assert part.lower() not in text.lower()
