"""What ends a command is one sentence, and of a batch the other stacks go on."""

from __future__ import annotations

import errno
import json
import os
import sys

import numpy as np
import pytest
import tifffile

from tests.support.made_up import kept_model
from training_core.batch import stacks as batch
from training_core.batch.reasons import foreseen, sentence
from training_core.cli.main import main
from training_core.cli.terminal import Terminal
from training_core.errors import InputError


def save(path, seed=0):
    tifffile.imwrite(path, np.random.default_rng(seed).poisson(50, (96, 96)).astype(np.uint16))
    return path


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("It has no pixels."), "It has no pixels."),
        (MemoryError(), "not enough memory"),
        (RuntimeError("std::bad_alloc"), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough mem"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
    ],
)
def test_a_shortage_is_no_fault_of_the_program(error, words):
    assert foreseen(error)
    assert words in sentence(error)


def test_a_fault_is_a_sentence_even_where_no_log_can_be_written(monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    assert not foreseen(ZeroDivisionError())
    assert sentence(ZeroDivisionError()).endswith("not of your files. Please report it.")


def test_a_fault_with_one_stack_does_not_cost_the_others(tmp_path, monkeypatch, capsys):
    for name in ("a.tif", "b.tif", "c.tif"):
        save(tmp_path / name)
    really = batch.open_noted

    def faulty(path, run, *asked):
        if path.name == "b.tif":
            raise ZeroDivisionError
        return really(path, run, *asked)

    monkeypatch.setattr(batch, "open_noted", faulty)
    stacks = [str(tmp_path / f"{name}.tif") for name in "abc"]
    output, model = tmp_path / "out", str(kept_model(tmp_path))
    command = ["denoise", *stacks, "--model", model, "--output", str(output), "--json"]
    assert main([*command, "--device", "cpu"]) == 3
    told = json.loads(capsys.readouterr().out)["outputs"]
    assert [bool(result["error"]) for result in told] == [False, True, False]
    assert "fault of the program (ZeroDivisionError)" in told[1]["error"]
    assert sorted(p.name for p in output.iterdir()) == ["a_denoised.tif", "c_denoised.tif"]


def test_dncnn_b_is_no_model_and_the_way_without_training_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.tif")
    line = ["denoise", "a.tif", "--model", "dncnn-b", "--output", "out.tif"]
    assert main(line) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].endswith("without training use g2g run --preset instant.")
    (tmp_path / "dncnn-b").write_text("a file of the user, and no model")
    assert main(line) == 2
    assert "dncnn-b is damaged or is no model file" in capsys.readouterr().err
    assert not (tmp_path / "out.tif").exists()


class Full:
    """A stream whose disk is full."""

    encoding = "utf-8"

    def write(self, _text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        pass

    def isatty(self):
        return False

    def fileno(self):
        raise OSError("a stream of a test")


def test_an_answer_that_cannot_be_written_is_said(tmp_path, monkeypatch, capsys):
    stack = save(tmp_path / "a.tif")
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["info", str(stack)]) == 2
    said = capsys.readouterr().err
    assert said == (
        "g2g: The answer cannot be written to standard output (No space left on device).\n"
    )
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["info", str(stack)]) == 2
    assert "Standard output is closed" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch, capsys):
    Terminal(Full()).say("Nobody reads this.")
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", str(save(tmp_path / "a.tif"))]) == 0
    assert "axes: YX" in capsys.readouterr().out
