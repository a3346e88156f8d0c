"""A file with several images asks which one, with a picture of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize

from g2g_desktop.dialogs import image_picker
from g2g_desktop.dialogs.image_picker import ImagePicker
from tests.support import vendor_files as vendor
from training_core.io.previews import image_previews

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow

RNG = np.random.default_rng(8)
SMALL = RNG.poisson(200, (3, 40, 32)).astype(np.uint16)
LARGE = RNG.poisson(200, (64, 96)).astype(np.uint16)


def two_images(folder: Path) -> Path:
    path = folder / "two.lif"
    path.write_bytes(vendor.lif({"small": (SMALL, "ZYX"), "large": (LARGE, "YX")}))
    return path


def test_each_image_has_its_name_size_and_picture(tmp_path: Path, qtbot: QtBot) -> None:
    previews = image_previews(two_images(tmp_path))
    assert [(p.number, p.told) for p in previews] == [
        (1, "small (ZYX 3 x 40 x 32 uint16)"),
        (2, "large (YX 64 x 96 uint16)"),
    ]
    assert previews[0].picture is not None
    middle = previews[0].picture.astype(float)
    assert middle.shape == (40, 32)
    assert np.corrcoef(middle.ravel(), SMALL[1].ravel())[0, 1] > 0.98

    from PySide6.QtWidgets import QWidget

    parent = QWidget()
    qtbot.addWidget(parent)
    picker = ImagePicker("two.lif", previews, parent)
    assert picker.number == 1
    picker.list.setCurrentRow(1)
    assert picker.number == 2
    assert picker.list.item(1).text() == "2: large (YX 64 x 96 uint16)"
    assert picker.list.item(1).icon().actualSize(QSize(72, 72)).width() == 72


def test_the_window_opens_the_chosen_image(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def choose(_parent: object, name: str, previews: list[object]) -> int:
        asked.append((name, len(previews)))
        return 2

    monkeypatch.setattr(image_picker, "pick_image", choose)
    window.commands.open_paths([two_images(tmp_path)])
    qtbot.waitUntil(lambda: window.session.stack is not None, timeout=20_000)

    assert asked == [("two.lif", 2)]
    assert window.session.stack.series == "large"
    np.testing.assert_array_equal(window.session.stack.pixels, LARGE)


def test_each_image_that_was_chosen_is_on_the_list_by_itself(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [2, 1, 2]
    monkeypatch.setattr(image_picker, "pick_image", lambda *_: wanted.pop(0))
    file = two_images(tmp_path)

    def series() -> str:
        return window.session.stack.series if window.session.stack is not None else ""

    window.commands.open_paths([file])
    qtbot.waitUntil(lambda: series() == "large", timeout=20_000)
    window.commands.open_paths([file])
    qtbot.waitUntil(lambda: series() == "small", timeout=20_000)
    first, second = window.files.items
    assert [first.name, second.name] == ["two.lif, image 2", "two.lif, image 1"]
    assert window.files.current is second

    window.commands.files.open_item(first)  # which is known, and not asked again
    qtbot.waitUntil(lambda: series() == "large", timeout=20_000)
    assert window.files.current is first
    window.commands.open_paths([file])
    qtbot.waitUntil(lambda: not wanted, timeout=20_000)
    qtbot.waitUntil(lambda: not window.workflow.is_busy, timeout=20_000)
    assert window.files.items == [first, second]
    assert series() == "large"


def test_nothing_is_opened_where_no_image_is_chosen(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(image_picker, "pick_image", lambda *_: asked.append(1))
    window.commands.open_paths([two_images(tmp_path)])
    qtbot.waitUntil(lambda: bool(asked), timeout=20_000)

    assert window.session.stack is None
