"""Repeats: further exposures of the scene of a stack. They choose, and nothing learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from training_core.errors import InputError
from training_core.run import SILENT, Run
from training_core.stack import Stack

MOST = 2
SAME_BRIGHTNESS = 0.02  # of the mean; beyond, the estimated errors are off by more than noise


def check_repeats(stacks: Sequence[Stack], repeats: Sequence[Stack], run: Run = SILENT) -> None:
    """Check that repeats are further exposures of the only stack.

    Raises
    ------
    InputError
        If there is more than one stack or more than two repeats, or if a repeat has another shape
        or is a copy.
    """
    if not repeats:
        return
    if len(stacks) != 1:
        raise InputError(
            f"Repeats are further exposures of one stack, but there are {len(stacks)} stacks; "
            "give one."
        )
    if len(repeats) > MOST:
        raise InputError(f"There are {len(repeats)} repeats; give one or two, after the stack.")
    for repeat in repeats:
        _check_shape(stacks[0], repeat)
    for one, other in combinations([*stacks, *repeats], 2):
        _check_copy(one, other)
    for repeat in repeats:
        _note_brightness(stacks[0], repeat, run)


def _check_shape(stack: Stack, repeat: Stack) -> None:
    for what, mine, theirs in (
        ("pixels", _lengths(stack), _lengths(repeat)),
        ("axes", stack.axes, repeat.axes),
        ("the unit", stack.value_unit or "none", repeat.value_unit or "none"),
    ):
        if mine != theirs:
            raise InputError(
                f"{repeat.name} cannot be a repeat of {stack.name}: it has {what} {theirs} instead "
                f"of {mine}; give an exposure of the same scene, taken alike."
            )


def _lengths(stack: Stack) -> str:
    return " x ".join(map(str, stack.shape))


def _check_copy(stack: Stack, repeat: Stack) -> None:
    for index in range(stack.frame_count):
        if np.array_equal(stack.raw_frame(index), repeat.raw_frame(index)):
            raise InputError(
                f"Frame {index + 1} of {repeat.name} is identical to that of {stack.name}: it is "
                "a copy and no further exposure; give another file."
            )


def _note_brightness(stack: Stack, repeat: Stack, run: Run) -> None:
    mine, theirs = (
        float(np.mean([np.mean(of.frame(i), dtype=np.float64) for i in range(of.frame_count)]))
        for of in (stack, repeat)
    )
    if abs(theirs - mine) > SAME_BRIGHTNESS * abs(mine):
        run.note(
            f"The mean of {repeat.name} is {theirs:.4g}, that of {stack.name} {mine:.4g}; where "
            "brightness changed between the exposures, a repeat chooses less surely.",
            warning=True,
        )
