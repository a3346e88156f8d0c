"""Axes are shown as chips; where nobody said what they are the window asks, once a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from g2g_desktop.batch.queue_tasks import Plan, denoise_file, train_model
from g2g_desktop.dialogs import dialogs
from g2g_desktop.model.session import State, Step
from g2g_desktop.preferences import load_preferences
from training_core.batch.targets import Input
from training_core.io.readers import open_stack
from training_core.run import Run
from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.cards.axis_chips import AxisChips
    from g2g_desktop.main_window import MainWindow

RNG = np.random.default_rng(4)
SEVEN = RNG.poisson(200, (7, 64, 64)).astype(np.uint16)


def plain(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, SEVEN, metadata=None)
    return path


@pytest.fixture
def show(window: MainWindow, qtbot: QtBot) -> Callable[[Path], AxisChips]:
    """Give what opens a file and waits for the pictures of its axes."""

    def opened(path: Path) -> AxisChips:
        chips, before = window.side.data.axes, window.session.stack
        window.commands.open_paths([path])
        qtbot.waitUntil(
            lambda: not any(window.session.stack is old for old in (None, before)),
            timeout=20_000,
        )
        return chips

    return opened


def texts(buttons: list) -> list[str]:  # type: ignore[type-arg]
    return [button.text() for button in buttons]


def test_what_nobody_says_is_asked_once_a_folder(
    window: MainWindow, show: Callable[[Path], AxisChips], tmp_path: Path, qtbot: QtBot
) -> None:
    chips = show(plain(tmp_path / "in" / "a.tif"))

    assert window.session.step is Step.DATA
    assert chips.question.text() == "Nothing says what its 7 images are. What are they?"
    assert texts(chips.chips) == ["I 7"]
    assert texts(chips.answers) == ["Depth", "Time", "Channels", "Separate"]
    qtbot.waitUntil(lambda: len(chips.pictures) == 5, timeout=20_000)
    assert [p.pixmap().width() for p in chips.pictures] == [56] * 5

    chips.answers[0].click()
    assert window.session.stack.axes == "ZYX"
    assert window.session.step is Step.PATCHES
    assert chips.question.isHidden()
    assert chips.answers == []
    assert load_preferences().axes_at(tmp_path / "in" / "a.tif") == {"IYX": "ZYX"}

    show(plain(tmp_path / "in" / "b.tif"))
    assert (window.session.stack.axes, window.session.stack.doubtful) == ("ZYX", False)
    show(plain(tmp_path / "elsewhere" / "a.tif"))
    assert window.session.stack.axes == "IYX"
    assert len(chips.answers) == 4


def test_numbered_files_are_guessed_and_asked(
    window: MainWindow, show: Callable[[Path], AxisChips], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, pixels in enumerate(SEVEN):
        tifffile.imwrite(folder / f"img_{number:03d}.tif", pixels, metadata=None)
    chips = show(folder)

    assert chips.question.text() == (
        "7 numbered files are read as slices of one volume. What are they?"
    )
    assert window.side.data.warnings.isHidden()  # which would say it again
    chips.answers[1].click()
    assert (window.session.stack.axes, window.session.stack.warnings) == ("TYX", ())
    assert open_stack(folder, axes=load_preferences().axes_at(folder)).axes == "TYX"


def test_a_chip_swaps_two_axes_and_the_result_is_asked_for(
    window: MainWindow,
    show: Callable[[Path], AxisChips],
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "two.tif"
    pixels = RNG.poisson(200, (2, 3, 64, 64)).astype(np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TZYX"})
    chips = show(path)
    assert texts(chips.chips) == ["T 2", "Z 3"]
    assert chips.question.isHidden()

    window.commands.train()
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=20_000)
    settings = window.session.settings
    asked: list[object] = []
    monkeypatch.setattr(dialogs, "confirm", lambda *words: asked.append(words[1]))
    depth = next(a for a in chips.chips[0].menu().actions() if a.text().endswith("Depth"))
    depth.trigger()
    assert (window.session.stack.axes, asked) == ("TZYX", ["Read the axes otherwise?"])

    monkeypatch.setattr(dialogs, "confirm", lambda *_: True)
    depth.trigger()
    assert window.session.stack.axes == "ZTYX"
    assert window.session.results.every == ()
    assert window.session.settings == settings
    assert texts(chips.chips) == ["Z 2", "T 3"]


def test_an_answer_that_changes_nothing_keeps_the_result(
    window: MainWindow, show: Callable[[Path], AxisChips], tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "four.npy"
    np.save(path, RNG.poisson(200, (2, 3, 64, 64)).astype(np.uint16))
    chips = show(path)
    asked = chips.question.text().replace("\N{NO-BREAK SPACE}", " ")
    assert asked == "Nothing says which axis is which. Are they T 2 · Z 3?"
    window.commands.train()
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=20_000)

    chips.answers[0].click()
    assert window.session.state is State.DONE
    assert not window.session.stack.doubtful
    assert window.session.stack.warnings == ()


def test_the_queue_knows_the_axes_of_the_folder_too(
    window: MainWindow, show: Callable[[Path], AxisChips], tmp_path: Path
) -> None:
    path = plain(tmp_path / "in" / "a.tif")
    show(path).answers[0].click()
    settings = preset("quick", patches=window.session.settings.patches)
    plan = Plan(settings, model=tmp_path / "one.g2g", train_on=(Input(path),))
    seen: list[str] = []

    def train(stacks: list, *_: object, **__: object) -> None:  # type: ignore[type-arg]
        seen.extend(stack.axes for stack in stacks)
        raise RuntimeError("seen")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training_core.pipeline.train", train)
        patched.setattr(
            "training_core.pipeline.denoise_stack", lambda stack, *_, **__: train([stack])
        )
        with pytest.raises(RuntimeError, match="seen"):
            train_model(plan, Run())
        with pytest.raises(RuntimeError, match="seen"):
            denoise_file([path], tmp_path / "out.tif", Plan(settings), False, Run())
    assert seen == ["ZYX", "ZYX"]
