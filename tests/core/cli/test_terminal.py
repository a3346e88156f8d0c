"""Progress is a bar with the time left on a terminal and a few lines elsewhere."""

from __future__ import annotations

import io

import pytest

import training_core.cli.terminal as module
from training_core.cli.terminal import Terminal
from training_core.costs import Span
from training_core.run import Note, Stage, StageFinished, StageStarted, StepsDone
from training_core.wording import between, duration


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_stage_steps_and_time_left():
    stream = FakeTerminal()
    terminal = Terminal(stream)

    terminal(StageStarted(Stage.ROUNDS, 200, "round 2"))
    terminal(StepsDone(Stage.ROUNDS, 50, 200, time_left=Span(185.0, 185.0)))
    shown = stream.getvalue()
    terminal(StageFinished(Stage.ROUNDS, 9.0))

    assert "Training the denoiser (round 2):  25%|" in shown
    assert "50/200" in shown
    assert "about 3 min left" in shown
    assert stream.getvalue().endswith("\r")  # the bar is wiped, not left behind


def test_elsewhere_there_is_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    terminal = Terminal(stream)

    for done in range(1, 11):
        terminal(StepsDone(Stage.DENOISE, done, 10, time_left=Span(40.0, 40.0)))

    lines = stream.getvalue().splitlines()
    assert lines[0] == "Denoising: 3 of 10, about 40 s left"
    assert 2 <= len(lines) <= 5


def test_notes_are_lines_and_warnings_say_so():
    stream = io.StringIO()
    terminal = Terminal(stream)

    terminal(Note("Stack 1 of 2: a.tif"))
    terminal(Note("b.tif is left out.", warning=True))

    assert stream.getvalue() == "Stack 1 of 2: a.tif\nWarning: b.tif is left out.\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.6, "60 s"),
        (125.0, "2 min"),
        (3600.0, "60 min"),
        (7900.0, "2 h 12 min"),
        (1.1e6, "13 days"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (40.0, 40.0, "about 40 s"),
        (40.0, 50.0, "about 45 s"),
        (20.0, 60.0, "20 to 60 s"),
        (60.0, 130.0, "60 s to 2 min"),
        (100.0, 300.0, "2 to 5 min"),
        (0.0, 30.0, "1 to 30 s"),
    ],
)
def test_what_is_uncertain_is_a_range(least: float, most: float, text: str):
    assert between(least, most) == text


def test_while_nothing_is_known_there_is_no_number():
    stream = FakeTerminal()
    terminal = Terminal(stream)
    terminal(StepsDone(Stage.ROUNDS, 1, 200))
    assert stream.getvalue().rstrip().endswith("measuring]")
