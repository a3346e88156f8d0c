"""What the window shows, decided in one place from the session alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training_core.reporting.findings import Level
from training_core.wording import between

from .actions import allowed_actions, blocked_actions
from .concerns import concerns, worst_of
from .session import State, Step

if TYPE_CHECKING:
    from training_core.settings import PatchSettings

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

    `next_action` is the one obvious button, `other_action` the quieter one beside it ("" for none);
    `first_action` stands before both;
    `headline` says where things stand, and `level` how serious that is. `texts` are what buttons
    are called where it depends, `blocked` why they cannot be used just now.
    """

    state: State
    page: Page
    step: Step
    badges: dict[Step, Badge]
    allowed: frozenset[str]
    blocked: dict[str, str]
    next_action: str
    other_action: str
    first_action: str
    level: Level
    headline: str
    texts: dict[str, str]
    busy: bool
    first_look: bool


_BUSY = {
    State.LOADING,
    State.TRAINING,
    State.PAUSED,
    State.STOPPING,
    State.CANCELLING,
    State.DENOISING,
    State.EXPORTING,
}
_STEP_OF = {
    State.LOADING: Step.DATA,
    State.TRAINING: Step.TRAIN,
    State.PAUSED: Step.TRAIN,
    State.STOPPING: Step.TRAIN,
    State.CANCELLING: Step.TRAIN,
    State.DENOISING: Step.TRAIN,
    State.EXPORTING: Step.EXPORT,
}
_BUTTONS = {
    State.EMPTY: ("open", ""),
    State.LOADING: ("cancel", ""),
    State.TRAINING: ("stop_and_keep", "cancel"),
    State.PAUSED: ("stop_and_keep", "cancel"),
    State.STOPPING: ("stop_and_keep", "cancel"),
    State.CANCELLING: ("cancel", ""),
    State.DENOISING: ("cancel", ""),
    State.EXPORTING: ("cancel", ""),
}


def view_state(session: Session) -> ViewState:
    """Derive what to show from the session, which is not changed."""
    state = session.state
    next_action, other_action = _buttons(session)
    level, headline = _headline(session)
    return ViewState(
        state=state,
        page=_page(session),
        step=session.step,
        badges={step: _badge(step, session) for step in Step},
        allowed=allowed_actions(session),
        blocked=blocked_actions(session),
        next_action=next_action,
        other_action=other_action,
        first_action="pause" if state in (State.TRAINING, State.PAUSED) else "",
        level=level,
        headline=headline,
        texts=_texts(session),
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
    return Page.COMPARE if session.compares else Page.STACK


def _badge(step: Step, session: Session) -> Badge:
    """Give how far a step is; what speaks against it comes before that."""
    if session.state in _BUSY and _STEP_OF[session.state] is step:
        return Badge.RUNNING
    level = worst_of(session, step)
    if level is Level.RED:
        return Badge.FAILED
    if level is Level.AMBER:
        return Badge.ATTENTION
    return {
        Step.DATA: _data_badge,
        Step.PATCHES: _patches_badge,
        Step.TRAIN: _train_badge,
        Step.COMPARE: _compare_badge,
        Step.EXPORT: _export_badge,
    }[step](session)


def _data_badge(session: Session) -> Badge:
    return Badge.NEXT if session.stack is None else Badge.DONE


def _patches_badge(session: Session) -> Badge:
    return Badge.WAITING if session.patches is None else Badge.DONE


def _train_badge(session: Session) -> Badge:
    if session.denoised is not None:
        return Badge.DONE
    return Badge.NEXT if session.can_train else Badge.WAITING


def _compare_badge(session: Session) -> Badge:
    judged = session.result is not None and session.result.judgement is not None
    return Badge.DONE if judged else Badge.WAITING


def _export_badge(session: Session) -> Badge:
    if session.exported is not None:
        return Badge.DONE
    return Badge.WAITING if session.denoised is None else Badge.NEXT


def _buttons(session: Session) -> tuple[str, str]:
    state = session.state
    if state is State.READY:
        return _buttons_before(session)
    if state is State.DONE:
        if session.model_waits:
            return ("denoise", "train")
        if session.step in (Step.PATCHES, Step.TRAIN) and session.is_stale:
            return ("train", "export")
        return ("open" if session.exported else "export", "train")
    return _BUTTONS[state]


def _buttons_before(session: Session) -> tuple[str, str]:
    """Give the buttons while there is no result: the remedy first where something is wrong."""
    if session.problem:
        return ("open", "")
    if session.has_remedy and worst_of(session, Step.PATCHES) is Level.RED:
        return ("apply_remedy", "train" if session.can_train else "")
    if session.model_waits:
        suits = session.alike is not None and session.alike.level is Level.GREEN
        return ("denoise", "train") if suits else ("train", "denoise")
    return ("train", "first_look")


def _texts(session: Session) -> dict[str, str]:
    """Give what buttons are called now, where that is not always the same."""
    texts = {"train": "Train again"} if session.results.every else {}
    if session.state is State.PAUSED:
        texts["pause"] = "Go on"
    advised = session.patches.verdict.remedy if session.patches is not None else None
    if advised is not None:
        texts["apply_remedy"] = remedy_text(session.settings.patches, advised)
    return texts


def remedy_text(now: PatchSettings, advised: PatchSettings) -> str:
    """Say what a remedy changes: "Use 24 px, stride 4"."""
    if advised.strictness is None and now.strictness is not None:
        return "Choose automatically"
    if advised.strictness != now.strictness:
        return f"Use tolerance {advised.strictness:g}"
    return f"Use {advised.patch_size_px} px, stride {advised.stride_px}"


def _headline(session: Session) -> tuple[Level, str]:
    """Give the sentence of the bar, and how serious it is."""
    if session.activity:
        return Level.NEUTRAL, f"{session.activity}..."
    if session.state is State.EMPTY:
        waits = f"{session.model_name} is open. " if session.model_name else ""
        return Level.NEUTRAL, f"{waits}Open a noisy stack to begin."
    after = _after(session)
    against = concerns(session)
    if not against:
        return Level.NEUTRAL, after
    worst = against[0]
    said = worst.short or worst.sentence
    # What is red is not softened by what could be done all the same.
    return worst.level, said if worst.level is Level.RED else f"{said}\n{after}"


def _after(session: Session) -> str:
    """Say what can be done next."""
    if session.state is State.DONE:
        if session.exported is not None:
            return f"Exported as {session.exported.name}."
        return "Denoised. Compare, then export."
    if session.model_waits:
        return f"Use {model_title(session)}, or train on this stack?"
    if session.patches is None:
        return "Looking for smooth patches..."
    return f"Ready to train.\n{_time(session)}"


def model_title(session: Session) -> str:
    """Name the model that is open: its file, or what it was trained on."""
    if session.model_name or session.denoiser is None:
        return session.model_name or "the model"
    names = session.denoiser.card.get("trained_on")
    return f"the model of {names[0]}" if isinstance(names, list) and names else "the model"


def _time(session: Session) -> str:
    if session.expected is None:
        return "Time: measuring..."
    now = session.expected.now
    if now is None:
        return "How long it takes is measured with the first job on this computer."
    return f"Training takes {between(now.least, now.most, duration_text)} here."
