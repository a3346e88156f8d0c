from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from g2g_desktop.model.actions import ACTIONS, QUEUE_WORKS, allowed_actions, blocked_actions
from g2g_desktop.model.session import Activity, Session, State
from g2g_desktop.paths import resource
from tests.support.stand_ins import FakeDenoiser

if TYPE_CHECKING:
    from g2g_desktop.main_window import MainWindow
    from training_core.stack import Stack

ALWAYS = {"language_system", "language_en", "language_de"}
ALWAYS |= {"quit", "theme_system", "theme_light", "theme_dark", "guide", "shortcuts", "show_log"}
ALWAYS |= {"diagnostics", "about", "programs", "batch", "show_files"}
OPEN = {"open", "open_folder", "open_model"}
LOOK = {"fit", "actual_size", "auto_contrast", "invert"}
REST = LOOK | {"show_patches", "pixel_size", "close", "train"}
MODEL = {"save_model", "model_info"}
RESULT = {
    "export", "report", "copy_command", "copy_methods", "split", "side", "blink", "residual",
    "changed", "loupe", "measure_line", "measure_rectangle", "measure_polygon",
}  # fmt: skip

ALLOWED = {
    State.EMPTY: ALWAYS | OPEN,
    State.LOADING: ALWAYS | {"cancel"},
    State.READY: ALWAYS | OPEN | REST | {"first_look"},
    State.TRAINING: ALWAYS | LOOK | {"pause", "stop_and_keep", "cancel"},
    State.PAUSED: ALWAYS | LOOK | {"pause", "stop_and_keep", "cancel"},
    State.STOPPING: ALWAYS | LOOK | {"cancel"},
    State.CANCELLING: ALWAYS | LOOK,
    State.DENOISING: ALWAYS | LOOK | {"cancel"},
    State.DONE: ALWAYS | OPEN | REST | MODEL | RESULT | {"denoise"},
    State.EXPORTING: ALWAYS | LOOK | {"cancel"},
}


def session_in(state: State, stack: Stack) -> Session:
    """Give a session in a state, with what a session in that state has."""
    session = Session()
    if state not in (State.EMPTY, State.LOADING):
        session.set_stack(stack)
    if state in (State.DONE, State.EXPORTING):
        session.set_denoiser(FakeDenoiser(session.settings))
        session.set_denoised(stack)
    if state.name in Activity.__members__:
        session.begin(Activity[state.name])
    assert session.state is state
    return session


@pytest.mark.parametrize("state", State)
def test_each_state_allows_these_actions_and_no_others(state: State, small_stack: Stack) -> None:
    assert allowed_actions(session_in(state, small_stack)) == ALLOWED[state]


@pytest.mark.parametrize("state", State)
def test_nothing_is_trained_beside_the_queue(state: State, small_stack: Stack) -> None:
    session = session_in(state, small_stack)
    session.set_queue_works(True)
    alone = {"train", "resume", "denoise"}
    assert allowed_actions(session) == ALLOWED[state] - alone
    assert blocked_actions(session) == dict.fromkeys(alone, QUEUE_WORKS)
    session.set_queue_works(False)
    assert allowed_actions(session) == ALLOWED[state]
    assert not blocked_actions(session)


@pytest.mark.parametrize("state", [State.EMPTY, State.READY])
def test_a_model_opens_further_ways(state: State, small_stack: Stack) -> None:
    session = session_in(state, small_stack)
    session.set_denoiser(FakeDenoiser(session.settings))
    further = MODEL | ({"denoise"} if state is State.READY else set())
    assert allowed_actions(session) == ALLOWED[state] | further


def test_no_key_means_two_things() -> None:
    keys = Counter(key for spec in ACTIONS for key in spec.shortcuts)
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_action_has_a_command_and_its_icon(window: MainWindow) -> None:
    assert set(window.commands.by_id) == {spec.id for spec in ACTIONS}
    for spec in ACTIONS:
        assert not spec.icon or resource(f"icons/{spec.icon}.svg").is_file()


def test_an_action_not_allowed_does_nothing(window: MainWindow) -> None:
    window.commands.do("export")
    window.commands.do("train")
    assert window.session.state is State.EMPTY


def test_menus_are_enabled_as_the_state_says(window: MainWindow, small_stack: Stack) -> None:
    for state in State:
        window.menus.show_allowed(allowed_actions(session_in(state, small_stack)))
        enabled = {name for name, action in window.menus.actions.items() if action.isEnabled()}
        assert enabled == ALLOWED[state]
