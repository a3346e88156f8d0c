"""The live preview of smooth patches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from g2g_desktop.viewer import patch_overlay
from g2g_desktop.viewer.patch_overlay import PatchPreview, outline_of
from g2g_desktop.viewer.stack_view import StackView
from training_core.patches.window_scores import coverage_map, score_windows
from training_core.settings import PatchSettings
from training_core.stack import Stack
from training_core.wording import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISHED = PatchSettings(strictness=0.3, patch_size_px=32, stride_px=8)


@pytest.fixture
def preview(qtbot) -> Iterator[PatchPreview]:
    made = PatchPreview()
    yield made
    made.close()


@pytest.fixture
def scored(monkeypatch) -> list[float]:
    """Note which frames are scored, by their first pixel."""
    calls: list[float] = []

    def noting(frame, settings, **more):
        calls.append(float(frame[0, 0]))
        return score_windows(frame, settings, **more)

    monkeypatch.setattr(patch_overlay, "score_windows", noting)
    return calls


def half_textured(frames: int = 1) -> Stack:
    """Flat noise on the left, a coarse pattern on the right; frame i begins with pixel i."""
    rng = np.random.default_rng(5)
    pixels = rng.normal(1000, 20, (frames, 256, 256)).astype(np.float32)
    blocks = np.kron(rng.uniform(0, 2000, (64, 32)), np.ones((4, 4)))
    pixels[:, :, 128:] += blocks
    pixels[:, 0, 0] = np.arange(frames)
    return Stack(pixels, "TYX")


def test_the_answer_is_that_of_the_core(qtbot, preview: PatchPreview) -> None:
    stack = half_textured()
    preview.set_settings(PUBLISHED)
    with qtbot.waitSignal(preview.ready) as heard:
        preview.set_stack(stack)
    coverage, count, fraction = heard.args
    chosen = score_windows(stack.frame(0), PUBLISHED).select(0.3)
    expected = coverage_map(chosen, 32, 8, (256, 256), preview.shrink)
    np.testing.assert_array_equal(coverage, expected)
    assert count == chosen.sum() > 100
    assert fraction == np.count_nonzero(expected) / expected.size
    assert np.count_nonzero(coverage[:, 170:]) == 0, "the texture is not smooth"


def test_strictness_alone_does_not_score_again(qtbot, preview, scored: list[float]) -> None:
    with qtbot.waitSignal(preview.ready):
        preview.set_stack(half_textured())
    counts = []
    for strictness in (0.02, 0.1, 0.5):
        with qtbot.waitSignal(preview.ready) as heard:
            preview.set_settings(PatchSettings(strictness=strictness))
        counts.append(heard.args[1])
    assert counts[0] < counts[1] <= counts[2]
    assert len(scored) == 1
    with qtbot.waitSignal(preview.ready):
        preview.set_settings(PatchSettings(strictness=0.5, stride_px=16))
    assert len(scored) == 2


def test_an_answer_to_an_old_question_is_dropped(qtbot, preview, monkeypatch) -> None:
    gate, begun = threading.Event(), threading.Event()

    def held(frame, settings, **more):
        begun.set()
        assert gate.wait(10)
        return score_windows(frame, settings, **more)

    monkeypatch.setattr(patch_overlay, "score_windows", held)
    heard: list[int] = []
    preview.ready.connect(lambda _coverage, count, _fraction: heard.append(count))
    stack = half_textured(4)
    stack.pixels[3] = 0  # nothing is smooth where there is no noise
    preview.set_settings(PUBLISHED)
    preview.set_stack(stack)
    assert begun.wait(10)
    for frame in (1, 2, 3):
        preview.set_frame(frame)
    with qtbot.waitSignal(preview.ready):
        gate.set()
    qtbot.wait(50)
    assert heard == [0], "only the last frame asked for is answered"


def test_a_frame_that_cannot_be_read_does_not_end_the_preview(qtbot, preview, monkeypatch) -> None:
    def unreadable(self: Stack, index: int) -> np.ndarray:
        if index == 0:
            raise OSError("the disk is gone")
        return half_textured().pixels[0]

    monkeypatch.setattr(Stack, "frame", unreadable)
    with qtbot.captureExceptions() as caught:
        preview.set_stack(half_textured(2))
        qtbot.waitUntil(lambda: len(caught) == 1)
    with qtbot.waitSignal(preview.ready):
        preview.set_frame(1)


def test_frames_passed_over_are_never_scored(qtbot, preview, scored: list[float]) -> None:
    preview.set_settings(PUBLISHED)
    preview.set_stack(half_textured(20))
    for frame in range(1, 20):
        preview.set_frame(frame)
    qtbot.waitUntil(lambda: scored[-1:] == [19.0])
    assert len(scored) <= 2


def test_the_view_gets_map_and_outlines_and_loses_them_with_its_frame(qtbot, preview) -> None:
    view = StackView()
    qtbot.addWidget(view)
    stack = half_textured(2)
    view.set_stack(stack)
    preview.attach(view)
    preview.set_settings(PUBLISHED)
    with qtbot.waitSignal(preview.ready) as heard:
        preview.set_stack(stack)
    np.testing.assert_array_equal(view.pane.overlay.image, heard.args[0])
    x, y = view.pane.outlines.getData()
    assert 12 <= len(x) < 6 * heard.args[1]  # of the union, not of each
    assert (np.nanmin(x), np.nanmin(y), np.nanmax(y)) == (0, 0, 256)
    assert np.nanmax(x) <= 128 + 32
    with qtbot.waitSignal(preview.ready):
        view.show_frame(1)
        assert view.pane.overlay.image is None
    assert view.pane.overlay.image is not None


def test_the_map_of_a_large_frame_is_small(preview: PatchPreview) -> None:
    preview._stack = Stack(np.broadcast_to(np.uint8(0), (2048, 1000)), "YX")
    assert preview.shrink == 4
    preview._stack = None


def test_nothing_is_said_without_a_stack_or_after_the_end(qtbot, preview: PatchPreview) -> None:
    with qtbot.assertNotEmitted(preview.ready, wait=80):
        preview.set_settings(PUBLISHED)
        preview.set_stack(half_textured())
        preview.close()


def test_the_outline_is_that_of_all_that_is_covered() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    mask[2, 4] = True
    outline = outline_of(mask, 8)
    assert outline is not None
    edges = {tuple(edge[:2].ravel() / 8) for edge in outline.reshape(-1, 3, 2)}
    assert edges == {
        (1, 1, 4, 1), (1, 3, 5, 3), (4, 2, 5, 2),  # level: left, y, right, y
        (1, 1, 1, 3), (4, 1, 4, 2), (5, 2, 5, 3),  # upright: x, top, x, bottom
    }  # fmt: skip
    assert np.isnan(outline[2::3]).all()
    dust = np.random.default_rng(0).random((400, 400)) < 0.3
    assert outline_of(dust, 8) is None


def test_the_patch_under_the_pointer_has_a_box_and_figures(qtbot, preview) -> None:
    view = StackView()
    qtbot.addWidget(view)
    view.resize(600, 500)
    view.show()
    stack = half_textured()
    view.set_stack(stack)
    preview.attach(view)
    preview.set_settings(PUBLISHED)
    with qtbot.waitSignal(preview.ready):
        preview.set_stack(stack)
    view.pane.hovered.emit((40, 60))
    x, y = view.patch_box.getData()
    assert (x.max() - x.min(), y.max() - y.min()) == (32, 32)
    assert (x.min(), y.min()) == (48, 24)  # that whose middle is nearest
    said = view.readout.splitlines()[1]
    window = stack.frame(0)[24:56, 48:80]
    assert said.startswith(f"Taken; mean {figure(window.mean())}, std {figure(window.std())}")
    assert said.endswith("0.3 allowed")
    view.pane.hovered.emit((40, 200))
    assert "Not taken: more uneven than the tolerance" in view.readout
    assert view.patch_box.getData()[0] is None or not len(view.patch_box.getData()[0])
    view.set_overlay_visible(False)
    view.pane.hovered.emit((40, 60))
    assert len(view.readout.splitlines()) == 1


def test_ct_is_searched_in_tissue(qtbot, preview) -> None:
    rng = np.random.default_rng(7)
    pixels = rng.normal(40, 30, (256, 256)).astype(np.float32)
    pixels[:128] = rng.normal(-1000, 10, (128, 256))
    with qtbot.waitSignal(preview.ready) as heard:
        preview.set_stack(Stack(pixels, "YX", value_unit="HU"))
    coverage = heard.args[0]
    rows = np.flatnonzero(coverage.any(axis=1)) / len(coverage)
    assert rows.min() > 0.4
    assert rows.size > 0.3 * len(coverage)
