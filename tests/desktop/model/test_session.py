from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from g2g_desktop.model.session import Activity, ExpectedTime, Failure, Session, State, Step
from tests.support.stand_ins import FakeDenoiser
from training_core.costs import Span
from training_core.settings import PatchSettings, preset
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from training_core.stack import Stack

ANYTHING: Any = object()
MINUTE = ExpectedTime(Span(60.0, 60.0), {})


@pytest.fixture
def session(small_stack: Stack) -> Session:
    """Give a session that has everything."""
    made = Session()
    made.set_stack(small_stack)
    made.set_patches(ANYTHING)
    made.set_denoiser(FakeDenoiser(made.settings))
    made.set_denoised(small_stack)
    made.set_exported(Path("out.tif"))
    made.set_expected_time(MINUTE)
    return made


def test_at_rest_the_state_is_what_there_is(small_stack: Stack) -> None:
    session = Session()
    assert session.state is State.EMPTY
    session.set_stack(small_stack)
    assert session.state is State.READY
    session.set_denoiser(FakeDenoiser(session.settings))
    session.set_denoised(small_stack)
    assert session.state is State.DONE


@pytest.mark.parametrize("activity", [a for a in Activity if a is not Activity.IDLE])
def test_an_activity_is_the_state(session: Session, activity: Activity) -> None:
    session.begin(activity)
    assert session.state.name == activity.name
    session.end()
    assert session.state is State.DONE


def test_another_strength_is_another_model_and_not_on_disk(
    session: Session, small_stack: Stack
) -> None:
    session.set_model_saved(Path("model.g2g"))
    made = session.denoiser
    kept = replace(session.settings.denoiser, kept_noise=0.5)
    weaker = FakeDenoiser(replace(session.settings, denoiser=kept))
    blended = small_stack.with_pixels(small_stack.pixels // 2)

    session.set_strength(blended, weaker)

    assert (session.denoised, session.exported) == (blended, None)
    assert session.result.as_made == (small_stack, made)
    assert (session.denoiser, session.model_saved, session.saved_as) == (weaker, False, "")
    assert session.settings == weaker.settings
    assert not session.is_stale


def test_the_strength_of_a_result_leaves_another_model_alone(
    session: Session, small_stack: Stack
) -> None:
    other, before = FakeDenoiser(preset("quick")), session.settings
    session.set_denoiser(other, "other.g2g")
    kept = replace(before.denoiser, kept_noise=0.5)
    session.set_strength(small_stack, FakeDenoiser(replace(before, denoiser=kept)))
    assert session.denoiser is other
    assert session.model_saved
    assert session.made_by.settings.denoiser.kept_noise == 0.5


def test_a_new_stack_forgets_all_but_the_model(session: Session, small_stack: Stack) -> None:
    denoiser = session.denoiser
    session.set_stack(small_stack)
    left = (session.patches, session.expected, session.denoised, session.exported)
    assert left == (None, None, None, None)
    assert session.denoiser is denoiser


def test_new_patch_settings_forget_the_patches_and_make_the_result_stale(session: Session) -> None:
    session.set_patch_settings(PatchSettings(strictness=0.2))
    assert session.patches is None
    assert session.expected == MINUTE
    assert session.denoised is not None
    assert session.is_stale


def test_other_new_settings_keep_the_patches(session: Session) -> None:
    session.set_settings(replace(session.settings, seed=5))
    assert session.patches is ANYTHING
    assert session.expected is None
    assert session.is_stale


def test_a_training_shows_how_long_the_next_one_takes(session: Session) -> None:
    session.set_denoiser(FakeDenoiser(session.settings))
    assert session.expected is None  # it is asked again


def test_equal_settings_change_nothing(session: Session) -> None:
    heard: list[int] = []
    session.changed.connect(lambda: heard.append(1))
    session.set_settings(preset("balanced"))
    assert heard == []
    assert session.expected == MINUTE


def test_a_model_from_a_file_is_never_stale(session: Session) -> None:
    session.set_denoiser(FakeDenoiser(preset("quick")), "cells.g2g")
    assert session.stack is not None
    session.set_denoised(session.stack)
    assert not session.is_stale


def test_pixel_size_is_corrected_in_stack_and_result(session: Session) -> None:
    session.set_pixel_size(PixelSize(0.2, 0.2))
    assert session.stack is not None
    assert session.denoised is not None
    assert session.stack.pixel_size == session.denoised.pixel_size == PixelSize(0.2, 0.2)
    assert session.patches is ANYTHING


def test_a_result_is_unsaved_until_it_is_exported(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    assert session.unsaved == ""
    session.set_denoiser(FakeDenoiser(session.settings))
    assert session.unsaved == "The trained model has not been saved and would be lost."
    session.set_denoised(small_stack)
    assert session.unsaved == "The denoised stack has not been exported and would be lost."
    session.set_exported(Path("out.tif"))
    assert session.unsaved == ""


def test_a_model_from_a_file_needs_no_saving(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.set_denoiser(FakeDenoiser(session.settings), "from_file.g2g")
    assert session.unsaved == ""


def test_a_failure_stays_until_the_next_job(session: Session) -> None:
    session.end(Failure(Step.TRAIN, "No."))
    assert session.failure == Failure(Step.TRAIN, "No.")
    session.begin(Activity.TRAINING)
    assert session.failure is None


def test_every_change_is_said_once(session: Session, small_stack: Stack) -> None:
    heard: list[int] = []
    session.changed.connect(lambda: heard.append(1))
    session.set_stack(small_stack)
    session.set_denoised(small_stack)
    session.show(Step.TRAIN)
    assert len(heard) == 3


def test_any_change_of_settings_can_be_taken_back(session: Session) -> None:
    first = session.settings
    session.set_settings(preset("quick"))
    session.history._changed = 0.0  # a while later
    session.set_patch_settings(PatchSettings(strictness=0.3))
    session.undo()
    assert session.settings == preset("quick")
    session.undo()
    assert (session.settings, session.can_undo, session.can_redo) == (first, False, True)
    session.redo()
    session.redo()
    assert session.settings.patches.strictness == 0.3
    assert not session.can_redo


def test_a_slider_that_moves_is_one_change(session: Session) -> None:
    first = session.settings
    for strictness in (0.1, 0.2, 0.3):
        session.set_patch_settings(PatchSettings(strictness=strictness))
    session.undo()
    assert session.settings == first


def test_settings_of_one_stack_are_not_carried_to_the_next_unseen(
    session: Session, small_stack: Stack
) -> None:
    session.set_patch_settings(PatchSettings(strictness=0.3))
    session.set_stack(small_stack)
    assert session.settings == preset("balanced")
    session.undo()  # but they are one step away
    assert session.settings.patches.strictness == 0.3


def test_results_of_one_stack_are_kept_and_chosen(session: Session, small_stack: Stack) -> None:
    first = session.denoised
    second = small_stack.with_pixels(small_stack.pixels // 2)
    session.set_denoised(second)
    assert session.several
    assert (session.denoised, session.exported) == (second, None)
    session.choose_result(session.results.chosen + 1)
    assert (session.denoised, session.exported) == (first, Path("out.tif"))
    session.set_stack(small_stack)
    assert not session.results.every


def test_a_change_of_settings_clears_what_failed_before(session: Session) -> None:
    session.end(Failure(Step.TRAIN, "Found 13 patches."))
    session.set_patch_settings(PatchSettings(strictness=0.3))
    assert session.failure is None
