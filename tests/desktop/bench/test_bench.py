"""The bench in the real window, driven by mouse and keyboard, with stand-ins for the training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QStackedWidget

from g2g_desktop.bench import bench_tasks
from g2g_desktop.bench.bench_panel import BenchPanel
from g2g_desktop.bench.compare_view import DENOISED, NOISY
from g2g_desktop.dialogs import dialogs
from g2g_desktop.model.session import State
from tests.support.stand_ins import some_likeness
from training_core.run import Stage
from training_core.selection.faint_spots import FaintSpots
from training_core.stack import PixelSize, Stack
from training_core.trust.planted import PlantedDot
from training_core.trust.pure_noise import PureNoise
from training_core.trust.trust_map import TrustMap

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.bench.bench_page import BenchPage
    from g2g_desktop.bench.slices_tab import SlicesTab
    from g2g_desktop.main_window import MainWindow
    from g2g_desktop.viewer.image_pane import ImagePane
    from g2g_desktop.viewer.shapes import Shapes
    from training_core.place import PatchLocation
    from training_core.run import Run


@pytest.fixture
def done(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window with a result: half of every pixel."""
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    qtbot.waitUntil(lambda: bool(loaded.side.compare.quality.blind.findings), timeout=30_000)
    return loaded


@pytest.fixture
def bench(done: MainWindow) -> BenchPage:
    return done.centre.bench


def press(qtbot: QtBot, window: MainWindow, key: Qt.Key) -> None:
    qtbot.keyClick(window.centre.compare.left, key)
    QApplication.processEvents()


def click(qtbot: QtBot, button: object) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    QApplication.processEvents()


def test_the_picture_has_all_the_room_until_a_tab_is_opened(qtbot, bench: BenchPage) -> None:
    panel = bench.panel
    assert panel.pages.isHidden()
    assert not panel.buttons["Slices"].isVisible()  # no depth
    for name in ("Strength", "Measure", "Trust", "Noise"):
        click(qtbot, panel.buttons[name])
        assert (panel.current, panel.pages.isVisible()) == (name, True)
    click(qtbot, panel.buttons["Noise"])
    assert (panel.current, panel.pages.isVisible()) == ("", False)


def test_the_modes_are_actions_too(qtbot, done: MainWindow) -> None:
    view = done.centre.compare
    keys = {"residual": "4", "changed": "5", "blink": "3", "side": "2", "split": "1"}
    for mode, key in keys.items():
        assert done.menus.actions[mode].shortcut().toString() == key
        done.menus.actions[mode].trigger()
        assert view.mode == mode
        assert done.menus.actions[mode].isChecked()
    done.menus.actions["loupe"].trigger()
    assert view.loupe_tool.isChecked()


def test_keys_put_shapes_into_the_picture_and_measure_them(qtbot, done: MainWindow) -> None:
    bench = done.centre.bench
    for key in (Qt.Key.Key_L, Qt.Key.Key_R, Qt.Key.Key_Y):
        press(qtbot, done, key)
    measure = bench.panel.measure
    assert bench.panel.current == "Measure"
    assert measure.shapes.line is not None
    assert [len(corners) for corners in measure.shapes.regions] == [2, 3]
    measure.shapes.move_to(0, ((10.0, 20.0), (30.0, 40.0)))
    qtbot.waitUntil(lambda: measure.measured is not None and len(measure.measured.regions) == 2)
    qtbot.waitUntil(lambda: measure.table.item(0, 1) and measure.table.item(0, 1).text() == "400")
    raw = done.session.stack.raw_frame(0)[20:40, 10:30].astype(float)
    mean, total = (measure.table.item(0, column).text() for column in (2, 4))
    assert mean == f"{raw.mean():.4g} ± 0.25"  # noise of std 5 in each of 400 pixels
    assert total.replace("\N{NARROW NO-BREAK SPACE}", "").split(" ± ")[0] == f"{raw.sum():.0f}"
    assert float(measure.table.item(0, 3).text()) == pytest.approx(raw.mean() / 2, rel=0.01)
    assert [c.name for c in measure.profile.curves] == [NOISY, DENOISED]
    assert measure.histogram.curves[0].y.sum() == pytest.approx(400, abs=2)


def test_a_profile_has_a_band_and_the_scale_of_the_stack(qtbot, done: MainWindow) -> None:
    measure = done.centre.bench.panel.measure
    click(qtbot, done.centre.bench.panel.buttons["Measure"])
    click(qtbot, measure.line_button)
    measure.shapes.move_to(-1, ((10.0, 40.5), (50.0, 40.5)))
    measure.width_box.setValue(5)
    raw = done.session.stack.raw_frame(0).astype(float)
    band = raw[38:43].mean(axis=0)

    def drawn() -> None:
        curves = measure.profile.curves
        assert len(curves) == 2
        # The line begins between two pixels.
        assert curves[0].y == pytest.approx((band[9:50] + band[10:51]) / 2)
        assert curves[0].x[-1] == pytest.approx(4.0)  # 40 px of 0.1 µm

    qtbot.waitUntil(drawn)


def test_a_region_is_dragged_nudged_and_removed(qtbot, done: MainWindow) -> None:
    press(qtbot, done, Qt.Key.Key_R)
    measure, pane = done.centre.bench.panel.measure, done.centre.compare.left
    measure.shapes.move_to(0, ((20.0, 20.0), (40.0, 30.0)))
    start, stop = pane.to_widget(25, 25).toPoint(), pane.to_widget(35, 45).toPoint()
    viewport = pane.viewport()
    qtbot.mouseMove(viewport, start)
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    for share in (0.3, 0.6, 1.0):
        qtbot.wait(20)  # of faster moves pyqtgraph takes no notice
        qtbot.mouseMove(viewport, start + (stop - start) * share)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=stop)
    (left, top), (right, bottom) = measure.shapes.regions[0]
    assert (left, top) == (pytest.approx(30, abs=1), pytest.approx(40, abs=1))
    assert (right - left, bottom - top) == (20, 10)
    qtbot.waitUntil(lambda: measure.table.rowCount() == 1)
    measure.table.selectRow(0)
    qtbot.keyClick(measure.table, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert measure.shapes.regions[0][0][0] == pytest.approx(left + 1)
    qtbot.keyClick(measure.table, Qt.Key.Key_Delete)
    assert measure.shapes.regions == ()
    press(qtbot, done, Qt.Key.Key_L)
    click(qtbot, measure.clear_button)
    assert measure.shapes.line is None


def test_figures_are_copied_and_saved(qtbot, done: MainWindow, tmp_path, monkeypatch) -> None:
    measure = done.centre.bench.panel.measure
    press(qtbot, done, Qt.Key.Key_R)
    press(qtbot, done, Qt.Key.Key_L)
    qtbot.waitUntil(lambda: measure.table.rowCount() == 1 and bool(measure.profile.curves))
    click(qtbot, measure.copy_button)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:4] == ["Region", "Pixels", "Mean raw", "± noise"]
    assert lines[2].split("\t") == ["Distance, px", NOISY, DENOISED]
    target = tmp_path / "figures.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    click(qtbot, measure.save_button)
    assert target.read_text("utf-8").splitlines() == [line.replace("\t", ",") for line in lines]


def test_no_more_than_eight_regions(qtbot, done: MainWindow) -> None:
    shapes: Shapes = done.centre.bench.panel.measure.shapes
    for _ in range(10):
        shapes.add("rectangle")
    assert len(shapes.regions) == 8


def test_the_strength_is_live_and_then_that_of_the_result(qtbot, done: MainWindow) -> None:
    bench, session = done.centre.bench, done.session
    click(qtbot, bench.panel.buttons["Strength"])
    result, shown = bench.panel.result, done.centre.compare
    assert result.slider.value() == 100
    noisy, made = session.stack.raw_frame(0), session.denoised.raw_frame(0)
    before = session.denoised
    result.slider.setFocus()
    for _ in range(3):
        qtbot.keyClick(result.slider, Qt.Key.Key_PageDown)
    expected = noisy + 0.7 * (made.astype(float) - noisy)
    assert shown.left.second.image == pytest.approx(expected, abs=1)
    assert result.grain.text() == "30 % of what denoising removes stays as grain."
    assert session.denoised is before  # not yet
    qtbot.waitUntil(lambda: session.denoised is not before)
    assert session.denoised.raw_frame(0) == pytest.approx(expected, abs=1)
    assert session.denoiser.card["kept_noise"] == pytest.approx(0.3)
    assert session.settings.denoiser.kept_noise == pytest.approx(0.3)
    assert not session.is_stale
    result.percent.setValue(100)
    qtbot.waitUntil(lambda: session.denoiser.card["kept_noise"] == 0.0)
    assert np.array_equal(session.denoised.raw_frame(0), made)


def test_a_changed_strength_is_not_exported_yet(qtbot, done: MainWindow, tmp_path: Path) -> None:
    session = done.session
    session.set_exported(tmp_path / "x.tif")
    done.centre.bench.panel.result.slider.setValue(40)
    qtbot.waitUntil(lambda: session.exported is None)
    assert "has not been exported" in session.unsaved


def test_the_pictures_of_a_training_can_be_gone_through(qtbot, done: MainWindow) -> None:
    result, view = done.centre.bench.panel.result, done.centre.compare
    assert result.rounds.isEnabled()
    click(qtbot, done.centre.bench.panel.buttons["Strength"])
    result.rounds.setFocus()
    qtbot.keyClick(result.rounds, Qt.Key.Key_Home)
    assert result.round_name.text() == "First look, before training"
    assert view.first_box.currentText() == "In training"
    assert view.left.image.max() == 0  # as the stand-in made it
    qtbot.keyClick(result.rounds, Qt.Key.Key_Right)
    assert result.round_name.text() == "Round 1 of 1"
    assert view.left.image.max() == 1
    qtbot.keyClick(result.rounds, Qt.Key.Key_End)
    assert (view.first_box.currentText(), view.second_box.currentText()) == (NOISY, DENOISED)
    assert "In training" not in view.sources


def test_pictures_of_another_stack_are_forgotten(
    qtbot, done: MainWindow, small_stack: Stack
) -> None:
    result = done.centre.bench.panel.result
    assert result.rounds.isEnabled()
    done.session.set_stack(small_stack)
    done.session.set_denoised(small_stack)
    assert not result.rounds.isEnabled()


def test_a_reference_is_shown_and_kept_with_another_strength(qtbot, done: MainWindow) -> None:
    stack, view = done.session.stack, done.centre.compare
    reference = Stack(np.asarray(stack.pixels) + np.uint16(7), stack.axes)
    done.workflow.reference_read.emit(reference)
    assert "Reference" in view.sources
    assert view.second_box.findText("Reference") >= 0
    done.centre.bench.panel.result.slider.setValue(50)
    qtbot.waitUntil(lambda: "kept_noise" in done.session.denoiser.card)
    assert "Reference" in view.sources
    quality = done.side.compare.quality
    qtbot.waitUntil(lambda: bool(quality.reference.findings), timeout=30_000)
    other = Stack(np.zeros((5, 5)), "YX")
    done.workflow.reference_read.emit(other)
    assert view.sources["Reference"] is reference


def test_the_result_before_another_training_can_be_compared(qtbot, done: MainWindow) -> None:
    first = done.session.denoised
    done.commands.do("train")
    qtbot.waitUntil(lambda: done.session.denoised is not first)
    qtbot.waitUntil(lambda: done.session.state is State.DONE)
    assert done.centre.compare.sources["Earlier result"] is first


def fake_map(stack, denoiser, index, place: PatchLocation, count: int, run: Run) -> TrustMap:
    run.start(Stage.DENOISE, count)
    run.progress(Stage.DENOISE, count, count)
    image = stack.frame(index)[place.slices].astype(float)
    marked = np.zeros(image.shape, bool)
    marked[10:30, 10:30] = True
    ones = np.ones_like(image)
    return TrustMap(image, ones, 2 * ones, 3 * ones, marked, marked | (image > image.mean()))


def test_a_trust_map_is_made_shown_and_hatched(qtbot, done: MainWindow, monkeypatch) -> None:
    monkeypatch.setattr(bench_tasks, "trust_map", fake_map)
    bench = done.centre.bench
    trust, hatch = bench.panel.trust, bench.judging.hatch
    click(qtbot, bench.panel.buttons["Trust"])
    trust.copies.setCurrentIndex(2)
    click(qtbot, trust.map_button)
    qtbot.waitUntil(lambda: trust.band.isVisible())
    assert "±3.0 grey values" in trust.words.text()
    assert "Hatched" in trust.words.text()
    assert hatch.isVisible()
    assert hatch.image[10:30, 10:30].any()
    assert not hatch.image[40:].any()
    press(qtbot, done, Qt.Key.Key_4)
    assert not hatch.isVisible()
    press(qtbot, done, Qt.Key.Key_1)
    assert hatch.isVisible()
    done.centre.compare.show_frame(1)
    assert not hatch.isVisible()
    done.centre.compare.show_frame(0)
    click(qtbot, bench.panel.buttons["Trust"])
    assert not hatch.isVisible()
    bench.panel.result.slider.setValue(50)
    qtbot.waitUntil(lambda: "kept_noise" in done.session.denoiser.card)
    assert trust.band.isHidden()  # it was of another result


def test_where_texture_is_like_noise_the_map_says_so(qtbot, done: MainWindow, monkeypatch) -> None:
    monkeypatch.setattr(bench_tasks, "trust_map", fake_map)
    channels = (replace(done.session.made_by.channels[0], doubted=True),)
    doubted = replace(done.session.made_by, channels=channels)
    done.session.results = done.session.results.changed(denoiser=doubted)
    trust = done.centre.bench.panel.trust
    click(qtbot, done.centre.bench.panel.buttons["Trust"])
    click(qtbot, trust.map_button)
    qtbot.waitUntil(lambda: trust.words.text().startswith("Texture and noise are alike"))


def test_a_trust_map_can_be_stopped_and_tells_why_there_is_none(
    qtbot, done: MainWindow, monkeypatch
) -> None:
    def slow(*given: object) -> None:
        run: Run = given[-1]
        while True:
            run.check()

    def broken(*_: object) -> None:
        raise ValueError("no luck")

    trust = done.centre.bench.panel.trust
    click(qtbot, done.centre.bench.panel.buttons["Trust"])
    monkeypatch.setattr(bench_tasks, "trust_map", slow)
    click(qtbot, trust.map_button)
    assert trust.map_button.text() == "Stop"
    click(qtbot, trust.map_button)
    assert trust.map_button.text() == "Make the map"
    monkeypatch.setattr(bench_tasks, "trust_map", broken)
    click(qtbot, trust.map_button)
    qtbot.waitUntil(lambda: "no luck" in trust.words.text())


def test_a_click_plants_a_dot(qtbot, done: MainWindow, monkeypatch) -> None:
    asked: list[tuple[object, float]] = []

    def fake(stack, denoiser, index, at, size_px, run) -> PlantedDot:
        asked.append((at, size_px))
        pictures = np.zeros((5, 48, 48))
        return PlantedDot(FaintSpots((0.1, 0.3, 0.7, 0.9, 1.0), 5.0), pictures, pictures)

    monkeypatch.setattr(bench_tasks, "plant_dot", fake)
    trust, pane = done.centre.bench.panel.trust, done.centre.compare.left
    where = pane.to_widget(30.5, 60.5).toPoint()
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert asked == []
    click(qtbot, done.centre.bench.panel.buttons["Trust"])
    click(qtbot, trust.plant_button)
    where = pane.to_widget(30.5, 60.5).toPoint()
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.waitUntil(lambda: bool(asked))
    assert asked[0] == ((60, 30), pytest.approx(3.1 / 2.355))
    qtbot.waitUntil(lambda: trust.thumbs[4][1].isVisible())
    assert "from 1.4 times the noise on, 7.1 grey values" in trust.dot_words.text()


def test_noise_alone_stands_beside_the_result(qtbot, done: MainWindow, monkeypatch) -> None:
    def fake(stack, denoiser, index, place, run) -> PureNoise:
        shape = (place.height, place.width)
        rng = np.random.default_rng(0)
        return PureNoise(rng.normal(100, 10, shape), np.full(shape, 100.0), 100.0)

    monkeypatch.setattr(bench_tasks, "made_of_noise", fake)
    view, result = done.centre.compare, done.centre.bench.panel.result
    click(qtbot, done.centre.bench.panel.buttons["Strength"])
    click(qtbot, result.pure_button)
    qtbot.waitUntil(lambda: view.mode == "side")
    names = [pane.captions[Qt.AlignmentFlag.AlignLeft] for pane in view.panes]
    assert names == [NOISY, DENOISED, "Noise alone", "Noise alone, denoised"]
    assert view.panes[3].image.max() == 100
    assert result.pure_words.text().startswith("Of noise alone 0 %")


def test_the_noise_tab_compares_when_it_is_opened(qtbot, done: MainWindow, monkeypatch) -> None:
    monkeypatch.setattr(bench_tasks, "likeness", lambda *_: some_likeness())
    noise = done.centre.bench.panel.noise
    click(qtbot, done.centre.bench.panel.buttons["Noise"])
    qtbot.waitUntil(lambda: "looks like the real noise: 99 % alike" in noise.words.text())
    assert all(plot.curves for plot in noise.plots)
    assert noise.strength.curves[0].dots


def test_the_report_is_a_page_with_pictures_and_words(
    qtbot, done: MainWindow, tmp_path, monkeypatch
) -> None:
    for name, start in (("page.pdf", b"%PDF"), ("page.html", b"<!DOCTYPE html>")):
        target = tmp_path / name
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, t=target: (str(t), ""))
        click(qtbot, done.centre.bench.panel.report_button)
        assert target.read_bytes().startswith(start)
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert pdf.count(b"/Type /Page\n") == 1
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2
    for part in ("Result of denoising", "GAN2GAN", "Mean brightness", "g2g run", "Preset"):
        assert part in page, part
    assert done.strip.message.text() == "Written as page.html."


def test_words_for_a_paper_and_the_command_are_copied(qtbot, done: MainWindow) -> None:
    done.menus.actions["copy_methods"].trigger()
    assert "Images were denoised blindly with g2g desktop" in QGuiApplication.clipboard().text()
    done.menus.actions["copy_command"].trigger()
    text = QGuiApplication.clipboard().text()
    assert text.startswith("g2g run ")
    assert "--preset balanced" in text


def crossing(slices: SlicesTab, pane: ImagePane) -> tuple[float, float] | None:
    """Give where the lines over a picture cross; None where they are not shown."""
    cross = slices.crosses[pane]
    if not (cross.upright.isVisible() and cross.level.isVisible()):
        return None
    return cross.upright.value(), cross.level.value()


def test_slices_have_the_true_scale_of_depth(qtbot, bench: BenchPage, done: MainWindow) -> None:
    pixels = np.random.default_rng(0).normal(100, 5, (4, 64, 96)).astype(np.float32)
    stack = Stack(pixels, "ZYX", PixelSize(0.5, 0.5, 2.0))
    session = done.session
    session.set_stack(stack)
    session.set_denoised(stack.with_pixels(pixels + 1))
    slices = bench.panel.slices
    click(qtbot, bench.panel.buttons["Slices"])
    qtbot.waitUntil(lambda: slices.xz.image is not None and slices.xz.image.shape == (4, 96))
    slices.at_y.setValue(7)
    slices.at_x.setValue(11)
    qtbot.waitUntil(lambda: np.array_equal(slices.xz.image, pixels[:, 7] + 1))
    qtbot.waitUntil(lambda: np.array_equal(slices.yz.image, pixels[:, :, 11] + 1))
    qtbot.waitUntil(lambda: crossing(slices, slices.yz) is not None)
    assert slices.xz.frame_rect.height() == 16  # 4 frames of 2 µm at 0.5 µm a pixel
    assert crossing(slices, done.centre.compare.left) == (11.5, 7.5)
    assert crossing(slices, slices.xz) == (11.5, 2.0)  # in the middle of the first frame
    assert crossing(slices, slices.yz) == (7.5, 2.0)
    done.centre.compare.show_frame(2)
    qtbot.waitUntil(lambda: crossing(slices, slices.xz) == (11.5, 10.0))
    done.centre.compare.show_frame(0)
    slices.which.setCurrentIndex(1)
    qtbot.waitUntil(lambda: np.array_equal(slices.xz.image, pixels[:, 7]))
    pane = done.centre.compare.left
    where = pane.to_widget(3.5, 5.5).toPoint()
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert (slices.at_x.value(), slices.at_y.value()) == (3, 5)
    qtbot.waitUntil(lambda: crossing(slices, pane) == (3.5, 5.5))
    click(qtbot, bench.panel.buttons["Slices"])
    assert crossing(slices, pane) is None


def test_every_control_of_the_bench_has_a_name(bench: BenchPage) -> None:
    from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QSpinBox

    for name in ("Strength", "Measure", "Trust", "Noise"):
        bench.panel.open(name)
        for kind in (QAbstractButton, QAbstractSlider, QComboBox, QSpinBox):
            for control in bench.panel.findChildren(kind):
                if control.isVisible() and control.focusPolicy() != Qt.FocusPolicy.NoFocus:
                    text = getattr(control, "text", str)()
                    assert control.accessibleName() or text, control


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    given = (QPointF(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    window.dropEvent(QDropEvent(*given, Qt.KeyboardModifier.NoModifier))


def test_a_stack_dropped_on_a_result_is_offered_as_reference(
    qtbot, done: MainWindow, stack_file: Path, monkeypatch
) -> None:
    answers = [dialogs.Dropped.NOTHING, dialogs.Dropped.REFERENCE]
    monkeypatch.setattr(dialogs, "ask_dropped", lambda *_: answers.pop(0))
    drop(done, stack_file)
    assert "Reference" not in done.centre.compare.sources
    drop(done, stack_file)
    qtbot.waitUntil(lambda: "Reference" in done.centre.compare.sources)
    assert done.session.state is State.DONE
    qtbot.waitUntil(lambda: bool(done.side.compare.quality.reference.findings), timeout=30_000)


@pytest.mark.parametrize("width", [240, 291, 900])
def test_the_name_of_every_tab_is_whole(width: int, done: MainWindow, qtbot: QtBot) -> None:
    holder = QStackedWidget()  # as the window, it may be narrower than what is in it would like
    qtbot.addWidget(holder)
    panel = BenchPanel(done.centre.compare)
    holder.addWidget(panel)
    holder.setMinimumWidth(100)
    holder.resize(width, 300)
    holder.show()
    buttons = [*panel.buttons.values(), panel.report_button]
    qtbot.waitUntil(lambda: all(button.width() >= button.sizeHint().width() for button in buttons))
    assert panel.width() == width
    assert len({button.y() for button in buttons}) == (1 if width == 900 else 2)
    assert buttons[0].x() == 0
    assert [b.x() for b in buttons if b.y() == buttons[0].y()] == sorted(
        b.x() for b in buttons if b.y() == buttons[0].y()
    )
