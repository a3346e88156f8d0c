from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from g2g_desktop.model.session import Activity, Failure, Session, State, Step
from g2g_desktop.model.view_state import Badge, Page, duration_text, view_state
from tests.support.stand_ins import FakeDenoiser
from training_core.patches.smooth_patches import SmoothPatches, Verdict
from training_core.reporting.findings import Finding, Judgement, Level, Trust
from training_core.reporting.likeness import Likeness
from training_core.settings import PatchSettings, preset

if TYPE_CHECKING:
    from typing import Literal

    from training_core.stack import Stack


def patches(level: Literal["green", "amber", "red"]) -> SmoothPatches:
    import numpy as np

    locations = np.zeros((4, 3), np.int32)
    return SmoothPatches(
        locations, np.zeros(4), 32, 8, None, 60, 0.2, Verdict(level, "Some sentence.")
    )


@pytest.mark.parametrize(
    ("activity", "page", "buttons"),
    [
        (Activity.LOADING, Page.LOADING, ("cancel", "")),
        (Activity.TRAINING, Page.TRAINING, ("stop_and_keep", "cancel")),
        (Activity.STOPPING, Page.TRAINING, ("stop_and_keep", "cancel")),
        (Activity.CANCELLING, Page.TRAINING, ("cancel", "")),
        (Activity.DENOISING, Page.TRAINING, ("cancel", "")),
    ],
)
def test_each_activity_has_its_page_and_buttons(
    activity: Activity, page: Page, buttons: tuple[str, str], small_stack: Stack
) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.begin(activity, Step.TRAIN)
    view = view_state(session)
    assert (view.page, (view.next_action, view.other_action)) == (page, buttons)
    assert view.busy
    assert view.headline == f"{activity}..."
    assert view.level is Level.NEUTRAL


def test_at_rest_there_is_always_one_allowed_next_button(small_stack: Stack) -> None:
    session = Session()
    views = [view_state(session)]
    session.set_stack(small_stack)
    views.append(view_state(session))
    session.set_denoiser(FakeDenoiser(session.settings))
    session.set_denoised(small_stack)
    views.append(view_state(session))
    session.set_exported(Path("out.tif"))
    views.append(view_state(session))
    assert [v.next_action for v in views] == ["open", "train", "export", "open"]
    assert all(v.next_action in v.allowed for v in views)
    assert [v.page for v in views] == [Page.START, Page.STACK, Page.COMPARE, Page.COMPARE]


def test_new_settings_after_a_result_offer_to_train_again(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.set_denoiser(FakeDenoiser(session.settings))
    session.set_denoised(small_stack)
    session.set_settings(preset("quick"))
    session.show(Step.TRAIN)
    view = view_state(session)
    assert (view.next_action, view.other_action) == ("train", "export")
    assert view.badges[Step.TRAIN] is Badge.ATTENTION
    assert "settings changed" in view.headline


@pytest.mark.parametrize(
    ("level", "badge"),
    [("green", Badge.DONE), ("amber", Badge.ATTENTION), ("red", Badge.FAILED)],
)
def test_the_patches_badge_is_the_verdict(
    level: Literal["green", "amber", "red"], badge: Badge, small_stack: Stack
) -> None:
    session = Session()
    session.set_stack(small_stack)
    assert view_state(session).badges[Step.PATCHES] is Badge.WAITING
    session.set_patches(patches(level))
    assert view_state(session).badges[Step.PATCHES] is badge


def test_the_compare_badge_warns_where_a_check_does(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    assert view_state(session).badges[Step.COMPARE] is Badge.WAITING
    session.set_denoiser(FakeDenoiser(session.settings))
    session.set_denoised(small_stack)
    assert view_state(session).badges[Step.COMPARE] is Badge.WAITING  # it is being measured
    for trust, badge in zip(Trust, (Badge.DONE, Badge.ATTENTION, Badge.FAILED), strict=True):
        session.set_judgement(Judgement(trust, "Some reason."))
        view = view_state(session)
        assert view.badges[Step.COMPARE] is badge
        assert (trust.value in view.headline) is (badge is not Badge.DONE)
    session.set_denoised(small_stack)  # another result is judged anew
    assert view_state(session).badges[Step.COMPARE] is Badge.WAITING


def test_the_preview_is_the_quiet_button_until_there_is_a_model(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    assert not view_state(session).first_look  # before its patches are found
    session.set_first_look(True)
    view = view_state(session)
    assert (view.next_action, view.other_action) == ("train", "first_look")
    assert (view.page, view.step, view.first_look) == (Page.STACK, Step.PATCHES, True)
    session.set_denoiser(FakeDenoiser(session.settings), "cells.g2g")
    view = view_state(session)
    assert (view.next_action, view.other_action) == ("train", "denoise")  # until it is compared
    assert "Use cells.g2g, or train on this stack?" in view_state(session).headline
    assert "first_look" in view_state(session).allowed
    session.set_alike(Likeness())
    assert view_state(session).next_action == "denoise"
    other = Finding("Kind of image", "CT", Level.RED, "Another kind.")
    session.set_alike(Likeness((other,)))
    view = view_state(session)
    assert (view.next_action, view.badges[Step.TRAIN]) == ("train", Badge.FAILED)
    assert view.level is Level.RED
    session.set_denoised(small_stack)
    assert not view_state(session).first_look  # a result is what the window shows


def test_a_failure_marks_its_step_and_is_the_headline(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.end(Failure(Step.TRAIN, "The disk is full."))
    view = view_state(session)
    assert view.badges[Step.TRAIN] is Badge.FAILED
    assert view.headline == "Train did not work; the reason is above."
    assert view.next_action == "train"


def test_badges_follow_the_way(small_stack: Stack) -> None:
    session = Session()
    assert list(view_state(session).badges.values())[:3] == [
        Badge.NEXT,
        Badge.WAITING,
        Badge.WAITING,
    ]
    session.set_stack(small_stack)
    session.set_patches(patches("green"))
    assert list(view_state(session).badges.values()) == [
        Badge.DONE,
        Badge.DONE,
        Badge.NEXT,
        Badge.WAITING,
        Badge.WAITING,
    ]
    session.begin(Activity.TRAINING, Step.TRAIN)
    assert view_state(session).badges[Step.TRAIN] is Badge.RUNNING


def test_the_view_state_leaves_the_session_alone(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    heard: list[int] = []
    session.changed.connect(lambda: heard.append(1))
    assert view_state(session) == view_state(session)
    assert heard == []
    assert session.state is State.READY


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "5 s"),
        (41, "40 s"),
        (58, "1 min"),
        (355, "6 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (172_700, "47 h 58 min"),
        (734_930, "9 days"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_nothing_is_ready_where_nothing_can_be_learned(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.set_problem("Every pixel has the value 7; there is no noise to learn from.")
    view = view_state(session)
    assert (view.level, view.headline) == (Level.RED, session.problem)
    assert (view.next_action, view.badges[Step.DATA]) == ("open", Badge.FAILED)
    assert not {"train", "denoise"} & view.allowed


def test_the_remedy_of_a_red_verdict_is_the_next_button(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    advised = PatchSettings(patch_size_px=24, stride_px=4)
    found = patches("red")
    session.set_patches(replace(found, verdict=replace(found.verdict, remedy=advised)))
    view = view_state(session)
    assert (view.next_action, view.other_action) == ("apply_remedy", "")
    assert view.texts["apply_remedy"] == "Use 24 px, stride 4"
    assert "train" not in view.allowed  # it could only fail


def test_a_file_that_could_not_be_opened_is_no_fault_of_the_stack(small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.set_patches(patches("green"))
    before = view_state(session)
    session.end(Failure(None, "bad.tif is damaged."))
    assert view_state(session) == before
