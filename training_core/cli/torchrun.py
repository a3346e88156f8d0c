"""The command as one of the processes of torchrun: the first does the job, the others help it."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager, nullcontext

from training_core.errors import UsageError

TRAINS = ("run", "train")


def _started() -> bool:
    """Whether torchrun has started this process and others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1


def helps() -> bool:
    """Whether this process is to help another one."""
    return _started() and os.environ["RANK"] != "0"


def help_first() -> int:
    """Take part in the trainings of the first process; give the exit code."""
    from training_core.compute import several

    with several.joined():
        several.help_first()
    return 0


def joined(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """Give the context in which this process, the first one, shares its trainings with the others.

    Raises
    ------
    UsageError
        If the command trains nothing here.
    """
    if not _started():
        return nullcontext()
    if arguments.command not in TRAINS or getattr(arguments, "scheduler", None):
        raise UsageError(
            "torchrun shares the training of g2g run and g2g train between its processes; start "
            "anything else, and anything with --scheduler, without it."
        )
    from training_core.compute import several

    return several.joined()
