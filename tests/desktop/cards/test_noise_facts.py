"""The noise in plain words: measured in the background, only the latest stack counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from g2g_desktop.cards.noise_facts import MEASURING, NoiseFacts
from g2g_desktop.jobs.job import Job
from g2g_desktop.widgets.theme import Theme
from training_core.reporting import noise_analysis
from training_core.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow


@pytest.fixture
def facts(qtbot: QtBot) -> NoiseFacts:
    made = NoiseFacts(Theme("light"))
    qtbot.addWidget(made)
    return made


def noisy(sigma: float, **more: object) -> Stack:
    noise = np.random.default_rng(1).normal(500.0, sigma, (192, 192))
    return Stack(noise.astype(np.float32), "YX", **more)


def test_the_noise_is_told_when_it_is_measured(facts: NoiseFacts, qtbot: QtBot) -> None:
    assert facts.isHidden()

    facts.show_stack(noisy(20.0))

    assert facts.words.text() == MEASURING
    assert not facts.isHidden()
    qtbot.waitUntil(lambda: not Job.any_running())
    assert facts.words.text().startswith("Noise of about 20 grey levels; neighbouring pixels are")
    assert "learned as it is" in facts.route.text()
    assert facts.warnings.isHidden()


def test_only_the_last_stack_is_told(facts: NoiseFacts, qtbot: QtBot) -> None:
    facts.show_stack(noisy(20.0))
    facts.show_stack(noisy(60.0))
    qtbot.waitUntil(lambda: not Job.any_running())
    told = tuple(f"Noise of about {sigma} " for sigma in (59, 60, 61))
    assert facts.words.text().startswith(told)

    facts.show_stack(None)
    assert facts.isHidden()
    assert not facts.analyses


def test_the_same_stack_is_measured_once(
    facts: NoiseFacts, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, asked = noisy(20.0), []
    measure = noise_analysis.analyse_noise

    def counted(*args: object, **more: object) -> object:
        asked.append(args)
        return measure(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(noise_analysis, "analyse_noise", counted)
    for _ in range(3):
        facts.show_stack(stack)
        qtbot.waitUntil(lambda: not Job.any_running())
    assert len(asked) == 1
    assert facts.words.text().startswith("Noise of about 20 ")


def test_channels_are_named_and_warnings_shown(facts: NoiseFacts, qtbot: QtBot) -> None:
    dim, bright = noisy(20.0).pixels, noisy(20.0).pixels * 2
    pixels = np.rint(np.stack([dim, bright])).clip(0, 1023).astype(np.uint16)
    facts.show_stack(Stack(pixels, "CYX", channels=("DAPI", "GFP")))
    qtbot.waitUntil(lambda: not Job.any_running())

    first, second = facts.words.text().splitlines()
    assert first.startswith("DAPI: Noise of about 20 ")
    assert second.startswith("GFP: ")
    assert "GFP: " in facts.warnings.text()
    assert "saturated at 1023" in facts.warnings.text()
    assert facts.route.text().count("learned as it is") <= 1


def test_a_failure_is_said_and_logged(
    facts: NoiseFacts,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr(noise_analysis, "analyse_noise", broken)
    facts.show_stack(noisy(20.0))
    qtbot.waitUntil(lambda: not Job.any_running())
    assert facts.words.text() == "The noise could not be measured."
    assert "no luck" in caplog.text


def test_opening_a_stack_tells_its_noise(
    window: MainWindow, stack_file: Path, qtbot: QtBot
) -> None:
    window.workflow.open([stack_file])
    qtbot.waitUntil(lambda: len(window.side.data.noise.analyses) == 1, timeout=20_000)
    assert window.side.data.noise.words.text().startswith("Noise of about ")
    qtbot.waitUntil(lambda: not Job.any_running(), timeout=20_000)
