"""Nothing tells of the computer or the patient, nobody is called, and names are only shown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
import tifffile

from tests.core.io.test_size_limits import dicom
from tests.support.made_up import denoiser, kept_model, noise_model
from training_core import pipeline
from training_core.cli.main import main
from training_core.errors import InputError, printable
from training_core.export.writers import write_stack
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PATIENT = "Dolores Haze"
SCENE = np.kron(np.eye(2), np.full((64, 64), 90.0)) + 60
NOISY = np.random.default_rng(0).poisson(SCENE, (2, 128, 128)).astype(np.uint16)
TINY = (
    "noise_model.steps=2",
    "denoiser.network=compact",
    "denoiser.first_estimate=shrinkage",
    "denoiser.steps=2",
    "denoiser.rounds=1",
    "denoiser.area_mpx=0.01",
    "denoiser.neighbours=off",
    "denoiser.collaborate=false",
)
SET = [word for option in TINY for word in ("--set", option)]


def everything_in(folder: Path) -> bytes:
    """Give all bytes and names of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(str(p).encode() + p.read_bytes() for p in files)


@pytest.mark.parametrize("axes", ["TYX", "TZCYX"])
def test_no_file_tells_of_the_computer(tmp_path: Path, axes: str):
    shape = (2,) * (len(axes) - 2) + (16, 16)
    path = write_stack(Stack(np.zeros(shape, np.uint16), axes), tmp_path / "a.ome.tif")

    node = f"{uuid.getnode():012x}"
    content = path.read_bytes().decode("latin-1").lower()
    made = re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-(\d)[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", content)
    assert node not in content
    assert set(made) <= {"4"}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Give a folder of slices in which everything that may tell of a person does."""
    folder = tmp_path / "series"
    folder.mkdir()
    for number, frame in enumerate((*NOISY, NOISY[0])):
        path = folder / f"{number}.dcm"
        path.write_bytes(dicom("1.2.840.10008.1.2.1", 1, frame.tobytes(), frame.shape))
        data = pydicom.dcmread(path)
        for name in ("PatientName", "PatientID", "StudyDescription", "SeriesDescription"):
            setattr(data, name, PATIENT)
        data.InstitutionName = data.ReferringPhysicianName = PATIENT
        data.SOPInstanceUID = f"1.2.3.{number}"
        data.SeriesInstanceUID = f"1.2.{number // 2}"  # two are of one series, and one is not
        data.InstanceNumber = number
        data.save_as(path)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training give an untrained denoiser at once, with the names that it was made of."""
    made = denoiser(noise_model(), seed=0)

    def train(
        stacks: Sequence[Stack], *_: object, repeats: Sequence[Stack], **__: object
    ) -> object:
        names = {"trained_on": [s.name for s in stacks], "repeats": [s.name for s in repeats]}
        return SimpleNamespace(denoiser=replace(made, card=names))

    def denoise_stack(stack: Stack, *_: object, **__: object) -> object:
        trained = train([stack], repeats=[stack])
        return SimpleNamespace(denoised=stack, denoiser=trained.denoiser)

    monkeypatch.setattr(pipeline, "train", train)
    monkeypatch.setattr(pipeline, "denoise_stack", denoise_stack)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("named", [True, False])
def test_names_of_files_are_written_only_where_they_may_be(tmp_path: Path, named: bool):
    path, out = tmp_path / f"{PATIENT}.tif", tmp_path / "out"
    out.mkdir()
    tifffile.imwrite(path, NOISY, photometric="minisblack")
    hidden = [] if named else ["--no-source-names"]
    model = ["--model", str(out / "m.g2g")]
    own = ["--model", str(out / "own.g2g")]

    assert main(["train", str(path), *model, "--repeats", str(path), *hidden]) == 0
    assert main(["run", str(path), "--output", str(out / "a.tif"), *own, *hidden]) == 0
    assert main(["denoise", str(path), *model, "--output", str(out / "b.tif"), *hidden]) == 0

    assert {p.name: PATIENT.encode() in p.read_bytes() for p in out.iterdir()} == dict.fromkeys(
        ("a.tif", "b.tif", "m.g2g", "own.g2g"), named
    )


ODD = "a\x1b[31m\x07b\n\u202ec.tif"


def test_what_a_name_holds_is_shown_and_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / ODD
    tifffile.imwrite(path, NOISY[0])
    assert main(["info", str(path)]) == 0
    path.write_bytes(b"nothing of use")
    assert main(["info", str(path)]) == 2
    assert main(["info", str(path) + "x"]) == 2
    assert main(["denoise", str(path), "--model", str(path), "--output", str(path)]) == 2

    told = "".join(capsys.readouterr())
    assert all(c.isprintable() or c == "\n" for c in told)
    assert r"a\x1b[31m\x07b" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zelle Größe 細胞 µm", "Zelle Größe 細胞 µm"),
        ("\x9b2J", r"\x9b2J"),
        ("a\r\tb", r"a\r\tb"),
        ("\udcff", r"\udcff"),
    ],
)
def test_only_what_cannot_be_shown_is_escaped(text: str, shown: str):
    assert printable(text) == shown
    assert str(InputError(text)) == shown


# The window as it starts, opens the first of two series and is closed again.
WINDOW = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QDialog
from g2g_desktop.__main__ import main
from g2g_desktop.main_window import MainWindow
shown = MainWindow.show
def show(self):
    shown(self)
    self.poll = QTimer(interval=50)
    self.poll.timeout.connect(lambda: look(self))
    self.poll.start()
def look(window):
    asked = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
    if asked:
        asked[0].accept()
    elif window.session.stack is not None:
        window.close()
MainWindow.show = show
sys.exit(main(sys.argv[1:]))
"""
G2G = "import sys; from training_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
CALLS = "trace=socket,socketpair,connect,bind,sendto,sendmsg"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("what", ["info", "denoise", "window"])
def test_the_system_is_never_asked_for_a_network(what: str, series: Path, tmp_path: Path):
    model, out = kept_model(tmp_path), str(tmp_path / "a.tif")
    denoise = [G2G, "denoise", str(series), "--model", str(model), "--output", out]
    command = {"info": [G2G, "info", str(series)], "denoise": denoise}
    program = command.get(what, [WINDOW, str(series)])
    asked = tmp_path / "asked.txt"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", CALLS, "-o", asked, sys.executable, "-c", *program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # Those of one machine alone, by which processes and the desktop talk.
    families = set(re.findall(r"socket(?:pair)?\((\w+)", asked.read_text()))
    assert families <= {"AF_UNIX", "AF_LOCAL"}


GUARD = """
import sys
from training_core.cli.main import main
opened = []
def watch(event, arguments):
    if event == "socket.__new__" and int(arguments[1]) != 1 or event == "socket.getaddrinfo":
        opened.append((event, arguments))
sys.addaudithook(watch)
code = main(sys.argv[1:])
assert not opened, opened
sys.exit(code)
"""


@pytest.mark.trains
@pytest.mark.skipif(os.name == "nt", reason="families of sockets have other numbers there")
def test_nobody_is_called_and_no_output_tells_of_the_patient(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["run", str(series), "--output", str(out / "a.tif"), "--preset", "quick", *SET]

    done = subprocess.run(
        [sys.executable, "-c", GUARD, *arguments, "--model", str(out / "m.g2g"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert main(["info", str(series)]) == 0
    assert main(["compare", str(series), str(out / "a.tif"), "--figure", str(out / "a.png")]) == 0

    told = "".join((done.stdout, done.stderr, *capsys.readouterr()))
    assert "It holds 2 images, and number" in told
    everything = everything_in(out) + told.encode()
    for part in (PATIENT, *PATIENT.split()):
        assert part.encode() not in everything
