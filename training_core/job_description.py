"""What a job is about: what decides its result, to tell one from another."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .settings import Settings
    from .stack import Stack


def describe_job(
    stacks: Sequence[Stack], settings: Settings, repeats: Sequence[Stack] = ()
) -> dict[str, Any]:
    """Give what decides the result of a training, for `Checkpoint.claim`."""
    digests = {"stacks": [_digest(stack) for stack in stacks], "settings": settings.to_dict()}
    return digests | {"repeats": [_digest(repeat) for repeat in repeats]}


def describe_denoising(stack: Stack, model: Path) -> dict[str, Any]:
    """Give what decides the result of denoising with a model file, or with a bundled model."""
    digest = sha256(model.read_bytes()).hexdigest() if model.is_file() else str(model)
    return {"stacks": [_digest(stack)], "model": digest}


def _digest(stack: Stack) -> str:
    """Give a digest of the pixels and of what else of a stack training looks at."""
    about = [stack.axes, stack.shape, stack.dtype.str, stack.value_unit]
    digest = sha256(json.dumps(about).encode())
    for index in range(stack.frame_count):
        digest.update(np.ascontiguousarray(stack.raw_frame(index)).data)
    return digest.hexdigest()


ABSENT = "absent"  # stands for what only the other job has, which is not None


def difference(kept: Any, asked: Any, name: str = "") -> str:
    """Name the first difference between two jobs; empty if there is none."""
    if kept == asked:
        return ""
    if name in ("stacks", "model", "repeats"):
        return f"it is about another {name.rstrip('s')}"
    if not (isinstance(kept, dict) and isinstance(asked, dict)):
        return f"{name} was {kept}, not {asked}"
    each = (
        difference(kept.get(key, ABSENT), asked.get(key, ABSENT), key.replace("_", " "))
        for key in {**kept, **asked}
    )
    return next(filter(None, each), f"{name or 'it'} differs")
