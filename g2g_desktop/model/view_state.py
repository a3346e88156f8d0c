"""What the window shows, decided in one place from the session alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training_core.wording import between

from .actions import allowed_actions
from .session import State, Step

if TYPE_CHECKING:
    from .session import Session


class Page(StrEnum):
    """What fills the middle of the window."""

    START = "start"
    LOADING = "loading"
    STACK = "stack"
    TRAINING = "training"
    COMPARE = "compare"


class Badge(StrEnum):
    """How far a step is."""

    WAITING = "not yet"
    NEXT = "next"
    RUNNING = "in progress"
    DONE = "done"
    ATTENTION = "needs attention"
    FAILED = "failed"


@dataclass(frozen=True)
class ViewState:
    """One picture of the whole window; equal pictures need no repainting.

    `next_action` is the one obvious button, `other_action` the quieter one beside it ("" for none).
    """

    state: State
    page: Page
    step: Step
    badges: dict[Step, Badge]
    allowed: frozenset[str]
    next_action: str
    other_action: str
    headline: str
    busy: bool
    first_look: bool


_BUSY = {
    State.LOADING,
    State.TRAINING,
    State.STOPPING,
    State.CANCELLING,
    State.DENOISING,
    State.EXPORTING,
}
_STEP_OF = {
    State.LOADING: Step.DATA,
    State.TRAINING: Step.TRAIN,
    State.STOPPING: Step.TRAIN,
    State.CANCELLING: Step.TRAIN,
    State.DENOISING: Step.TRAIN,
    State.EXPORTING: Step.EXPORT,
}
_BUTTONS = {
    State.EMPTY: ("open", ""),
    State.LOADING: ("cancel", ""),
    State.TRAINING: ("stop_and_keep", "cancel"),
    State.STOPPING: ("stop_and_keep", "cancel"),
    State.CANCELLING: ("cancel", ""),
    State.DENOISING: ("cancel", ""),
    State.EXPORTING: ("cancel", ""),
}


def view_state(session: Session) -> ViewState:
    """Derive what to show from the session, which is not changed."""
    state = session.state
    next_action, other_action = _buttons(session)
    return ViewState(
        state=state,
        page=_page(session),
        step=session.step,
        badges={step: _badge(step, session) for step in Step},
        allowed=allowed_actions(session),
        next_action=next_action,
        other_action=other_action,
        headline=_headline(session),
        busy=state in _BUSY,
        first_look=bool(session.first_look) and state is State.READY,
    )


def duration_text(seconds: float) -> str:
    """Say a duration as people do: "40 s", "6 min", "2 h 10 min", "3 days"."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    if hours >= 48:
        return f"{round(seconds / 86_400)} days"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _page(session: Session) -> Page:
    if session.state in (State.EMPTY, State.LOADING):
        return Page.START if session.state is State.EMPTY else Page.LOADING
    if session.step is Step.TRAIN and session.state in _BUSY:
        return Page.TRAINING
    if session.step in (Step.COMPARE, Step.EXPORT) and session.denoised is not None:
        return Page.COMPARE
    return Page.STACK


def _badge(step: Step, session: Session) -> Badge:
    if session.failure is not None and session.failure.step is step:
        return Badge.FAILED
    if session.state in _BUSY and _STEP_OF[session.state] is step:
        return Badge.RUNNING
    return {
        Step.DATA: _data_badge,
        Step.PATCHES: _patches_badge,
        Step.TRAIN: _train_badge,
        Step.COMPARE: _compare_badge,
        Step.EXPORT: _export_badge,
    }[step](session)


def _data_badge(session: Session) -> Badge:
    if session.stack is None:
        return Badge.NEXT
    return Badge.ATTENTION if session.stack.warnings else Badge.DONE


def _patches_badge(session: Session) -> Badge:
    if session.patches is None:
        return Badge.WAITING
    return Badge.DONE if session.patches.verdict.level == "green" else Badge.ATTENTION


def _train_badge(session: Session) -> Badge:
    if session.is_stale:
        return Badge.ATTENTION
    if session.denoised is not None:
        return Badge.DONE
    return Badge.WAITING if session.stack is None else Badge.NEXT


def _compare_badge(session: Session) -> Badge:
    if session.denoised is None:
        return Badge.WAITING
    return Badge.ATTENTION if session.quality_warns else Badge.DONE


def _export_badge(session: Session) -> Badge:
    if session.exported is not None:
        return Badge.DONE
    return Badge.WAITING if session.denoised is None else Badge.NEXT


def _buttons(session: Session) -> tuple[str, str]:
    state = session.state
    if state is State.READY:
        return ("train", "denoise" if session.denoiser is not None else "first_look")
    if state is State.DONE:
        if session.step in (Step.PATCHES, Step.TRAIN) and session.is_stale:
            return ("train", "export")
        return ("open" if session.exported else "export", "save_model")
    return _BUTTONS[state]


def _headline(session: Session) -> str:
    if session.activity:
        return f"{session.activity}..."
    if session.failure is not None:
        return session.failure.sentence
    if session.state is State.DONE:
        return _done_headline(session)
    if session.state is State.EMPTY:
        waits = f"{session.model_name} is open. " if session.model_name else ""
        return f"{waits}Open a noisy stack to begin."
    expected = session.expected_time
    if expected is None:
        return "Ready to train."
    told = between(expected.least, expected.most, duration_text)
    return f"Ready to train.\nTraining takes {told} here."


def _done_headline(session: Session) -> str:
    if session.is_stale:
        return "The settings changed since this result was made."
    if session.exported is not None:
        return f"Exported as {session.exported.name}."
    return "Denoised. Compare, then export."
