"""Outputs are held against inputs, and tried, before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from training_core.batch.outputs import Existing, check_outputs, reserved
from training_core.cli.main import main
from training_core.errors import OutputError
from training_core.run import Run


def save(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).poisson(50, (96, 96)).astype(np.uint16)
    tifffile.imwrite(path, pixels)
    return path


@pytest.fixture
def stacks(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Give a stack, a hard link to it, and another stack."""
    stack = save(tmp_path / "a.tif")
    link = tmp_path / "link.tif"
    os.link(stack, link)
    return stack, link, save(tmp_path / "other.tif", 1)


@pytest.mark.parametrize(
    "command",
    [
        "run {a} --output {link} --overwrite",
        "run {a} {other} --output {folder} --overwrite",
        "run {a} --repeats {other} --output {other} --overwrite",
        "run {a} --output {folder}/x.tif --model {link} --overwrite",
        "train {a} {other} --model {other} --overwrite",
        "patches {a} --figure {link} --overwrite",
        "compare {a} {other} --figure {other} --overwrite",
        "compare {a} {a} --reference {other} --figure {other} --overwrite",
    ],
)
def test_no_input_is_ever_replaced(command, stacks, tmp_path, capsys):
    stack, link, other = stacks
    target = tmp_path / "out"
    target.mkdir()
    os.link(stack, target / "a_denoised.tif")  # what the batch would write is an input, too
    before = {path: path.read_bytes() for path in stacks}
    words = command.format(a=stack, link=link, other=other, folder=target)
    assert main(words.split()) == 2
    assert "which this command reads" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in stacks} == before
    assert [path.name for path in target.iterdir()] == ["a_denoised.tif"]


def test_a_file_in_a_folder_that_is_read_counts(tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    with pytest.raises(OutputError, match="would replace"):
        check_outputs([save(folder / "a.tif")], [folder])


def test_a_file_far_below_a_folder_that_is_read_counts_too(tmp_path):
    inside = tmp_path / "disc" / "DICOM" / "IM0001"
    inside.parent.mkdir(parents=True)
    inside.touch()
    with pytest.raises(OutputError, match="would replace"):
        check_outputs([inside], [tmp_path / "disc"])


def test_what_a_file_reads_beside_it_is_an_input_too(tmp_path: Path) -> None:
    header, pixels, slices = (tmp_path / n for n in ("a.nhdr", "a.tif", "DICOM"))
    header.write_text("NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\ndata file: a.tif\n\n")
    pixels.write_bytes(bytes(4))
    slices.mkdir()
    for path in (tmp_path / "DICOMDIR", slices / "IM1.dcm"):
        path.write_bytes(b"x")

    for output, given in ((pixels, header), (slices / "IM1.dcm", tmp_path / "DICOMDIR")):
        with pytest.raises(OutputError, match="would replace"):
            check_outputs([output], [given])


def test_the_other_files_of_an_ome_tiff_count_too(tmp_path):
    files = [tmp_path / f"{name}.ome.tif" for name in "ab"]
    for file in files:
        planes = "".join(
            f'<TiffData FirstT="{t}"><UUID FileName="{one.name}">urn:uuid:{t}</UUID></TiffData>'
            for t, one in enumerate(files)
        )
        about = f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org">{planes}</OME>'
        tifffile.imwrite(file, np.zeros((8, 8), np.uint16), description=about, metadata=None)
    free = tmp_path / "c.tif"
    free.touch()
    check_outputs([free], [files[0]])
    with pytest.raises(OutputError, match="would replace"):
        check_outputs([files[1]], [files[0]])


def test_what_cannot_be_written_is_said_before_any_work(stacks, tmp_path, capsys):
    (tmp_path / "file").touch()
    for output, words in (
        (tmp_path / "file" / "x.tif", "is a file and no folder"),
        (tmp_path / f"{'x' * 248}.tif", "bytes too long"),
    ):
        assert main(["run", str(stacks[0]), "--output", str(output)]) == 2
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.tif",
        "file",
        "link.tif",
        "other.tif",
    ]


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(OutputError, match="asked for twice"):
        check_outputs([tmp_path / "a.tif", tmp_path / "b" / ".." / "a.tif"], [])


def test_a_folder_without_permission_is_said(tmp_path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied"):
        check_outputs([tmp_path / "a.tif"], [])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    "command",
    [
        "info {pipe}",
        "run {pipe} --output {out}",
        "denoise {a} --model {pipe} --output {out}",
        "compare {a} {pipe}",
    ],
)
def test_a_named_pipe_is_refused_and_not_waited_for(command, stacks, tmp_path, capsys):
    pipe = tmp_path / "pipe.tif"
    os.mkfifo(pipe)
    words = command.format(a=stacks[0], pipe=pipe, out=tmp_path / "x.tif")
    assert main(words.split()) == 2
    assert "pipe.tif is n" in capsys.readouterr().err


def test_a_fault_of_the_program_is_one_sentence_and_a_log(stacks, monkeypatch, capsys):
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr("training_core.cli.commands.open_noted", faulty)
    assert main(["info", str(stacks[0])]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "fault of the program (ZeroDivisionError)" in said
    log = Path(said.rpartition(" with ")[2].rstrip(".\n"))
    assert "in the middle" in log.read_text()
    log.unlink()


HOLDER = """
import sys
from contextlib import suppress
from pathlib import Path
from training_core.batch.outputs import reserved
with reserved(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX")
def test_of_two_commands_on_one_output_the_second_is_refused(stacks, tmp_path, capsys):
    stack = stacks[0]
    output, model = tmp_path / "new" / "out.tif", tmp_path / "new" / "m.g2g"
    for held in (output, model):
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(held)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == b"holding\n"
            for more in ([], ["--resume"], ["--overwrite"]):
                command = ["run", str(stack), "--output", str(output), "--model", str(model)]
                assert main([*command, *more]) == 2
                said = capsys.readouterr().err
                assert f"Process {first.pid}, started 2" in said
                assert f"is making {held} at this moment" in said
                assert said.count("\n") == 1
            first.kill()
    # Of a killed process only the lock is left, which holds nobody up and is removed.
    assert [path.name[:5] for path in output.parent.iterdir()] == [".g2g-"]
    with reserved(output):
        pass
    check_outputs([output], [])
    assert not list(output.parent.iterdir())


def test_a_folder_made_for_an_output_goes_with_it(tmp_path):
    output = tmp_path / "a" / "b" / "out.tif"
    with reserved(output):
        assert output.parent.is_dir()
    assert not list(tmp_path.iterdir())
    with reserved(output):
        output.touch()
    assert list(output.parent.iterdir()) == [output]


def test_what_is_made_elsewhere_is_decided_about_once(tmp_path: Path) -> None:
    output = tmp_path / "out.tif"
    Existing().settle(output)
    assert Existing().begun(output) == Existing()
    keep(output)  # by a worker that was lost
    for existing in (Existing(), Existing(overwrite=True), Existing(resume=True)):
        assert existing.begun(output) == Existing(resume=True)
    with pytest.raises(OutputError, match="keeps an interrupted job"):
        Existing().settle(output)
    Existing(resume=True).settle(output)
    assert Existing(overwrite=True).begun(output) == Existing(resume=True)
    Existing(overwrite=True).settle(output)  # what an older command left
    assert Existing(overwrite=True).begun(output) == Existing(overwrite=True)

    output.write_bytes(b"whole")  # and its worker was lost before it could say so
    assert Existing().begun(output).is_finished(output)
    assert Existing(overwrite=True).begun(output) == Existing(overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        Existing().settle(output)


def keep(output: Path) -> None:
    with suppress(KeyboardInterrupt), Existing().checkpoint(output, Run()) as checkpoint:
        checkpoint.claim({"seed": 1})
        raise KeyboardInterrupt
