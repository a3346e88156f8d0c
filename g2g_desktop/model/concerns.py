"""What speaks against going on, found in one place: bar, cards and badges say the worst of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_core.reporting.findings import Level, Trust

from .session import Session, Step
from .wording import axes_question

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_TRUST = {Trust.SAFE: Level.GREEN, Trust.LOOK: Level.AMBER, Trust.NO: Level.RED}
_OF_VERDICT = {"green": Level.GREEN, "amber": Level.AMBER, "red": Level.RED}
_WORST_FIRST = (Level.RED, Level.AMBER)


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that the user should know before going on.

    `action` is the id of what helps, "" where nothing in the window does; `short` fits the bar.
    """

    step: Step
    level: Level
    sentence: str
    action: str = ""
    short: str = ""


def concerns(session: Session) -> tuple[Concern, ...]:
    """Give all that speaks against going on, the worst first; of equals the earliest step."""
    found = [*_of_the_stack(session), *_of_the_way(session)]
    return tuple(sorted(found, key=lambda one: _WORST_FIRST.index(one.level)))


def worst_of(session: Session, step: Step) -> Level:
    """Give the level of the worst concern of a step; green where there is none."""
    return next((one.level for one in concerns(session) if one.step is step), Level.GREEN)


def _of_the_stack(session: Session) -> Iterator[Concern]:
    stack, patches = session.stack, session.patches
    if stack is None:
        return
    if session.problem:
        yield Concern(Step.DATA, Level.RED, session.problem, "open")
    elif stack.doubtful:
        short = "Nothing says what the axes of this file are; see Data."
        yield Concern(Step.DATA, Level.AMBER, axes_question(stack), short=short)
    elif stack.warnings:
        short = "Something about this file needs a look; see Data."
        yield Concern(Step.DATA, Level.AMBER, "\n".join(stack.warnings), short=short)
    if patches is not None and not session.problem:
        level = _OF_VERDICT[patches.verdict.level]
        if level is not Level.GREEN:
            action = "apply_remedy" if session.has_remedy else ""
            yield Concern(Step.PATCHES, level, patches.verdict.sentence, action)


def _of_the_way(session: Session) -> Iterator[Concern]:
    failure, result = session.failure, session.result
    if failure is not None and failure.step is not None:
        short = f"{failure.step.value} did not work; the reason is above."
        yield Concern(failure.step, Level.RED, failure.sentence, short=short)
    if session.model_waits and session.alike is not None:
        whole = session.alike.whole
        if whole is not None and whole.level in _WORST_FIRST:
            yield Concern(Step.TRAIN, whole.level, whole.meaning, "train")
    if session.is_stale:
        told = "The settings changed since this result was made."
        yield Concern(Step.TRAIN, Level.AMBER, told, "train")
    if result is not None and result.judgement is not None:
        level = _OF_TRUST[result.judgement.trust]
        if level in _WORST_FIRST:
            trust, reason = result.judgement.trust.value, result.judgement.reason
            first = reason.split(". ")[0].rstrip(".")
            yield Concern(Step.COMPARE, level, f"{trust}. {reason}", short=f"{trust}. {first}.")
