"""The state of a computation as one file: safetensors with a JSON outline, never pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from training_core.draft import draft

# Nested dicts, lists and tuples of tensors, arrays and plain JSON values.
State = dict[str, Any]
UNREADABLE = (SafetensorError, OSError, ValueError, KeyError, TypeError)
UNWRITABLE = (SafetensorError, OSError)


def write_state(path: Path, state: State, fingerprint: str = "") -> None:
    """Write a state; a file that is there is replaced in one step, once the disk has the new one.

    The folder must exist. Keys of any dict may be numbers, as those of optimisers are. To read it,
    the fingerprint must be given again. Raises `OSError` or `SafetensorError` if it cannot be
    written; the file that was there stays.
    """
    tensors: dict[str, Tensor] = {}
    about = json.dumps({"outline": _outline(state, tensors), "fingerprint": fingerprint})
    metadata = {"g2g": about, "checksum": str(checksum(about, tensors))}
    with draft(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=metadata))


def read_state(path: Path, fingerprint: str = "") -> State | None:
    """Read a state, its tensors on the processor; None if it has another fingerprint.

    Raises
    ------
    SafetensorError, OSError, ValueError, KeyError, TypeError
        If the file is damaged.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        # Cloned to where torch itself would put them: an address can change the last bit of a sum.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if metadata["checksum"] != str(checksum(metadata["g2g"], tensors)):
        raise ValueError("its values have changed on the disk")
    about = json.loads(metadata["g2g"])
    if about["fingerprint"] != fingerprint:
        return None
    state: State = _filled(about["outline"], tensors)
    return state


def checksum(about: str, tensors: Mapping[str, Tensor]) -> int:
    """Give a number that changes with any bit of a text and of tensors in main memory."""
    found = zlib.crc32(about.encode())
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _outline(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Put tensors aside and give the rest as JSON, where every list is a kind and its items.

    A dict becomes pairs, since JSON would turn a key that is a number into text.
    """
    if isinstance(value, Tensor | np.ndarray):
        kind, name = "tensor" if isinstance(value, Tensor) else "array", str(len(tensors))
        tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(value)
        # Cloned: two tensors of a file must not share their memory.
        tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
        return [kind, name]
    if isinstance(value, dict):
        return ["dict", *([key, _outline(item, tensors)] for key, item in value.items())]
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, *(_outline(item, tensors) for item in value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot keep {type(value).__name__}")


def _filled(outline: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_outline`."""
    if not isinstance(outline, list):
        return outline
    kind, *items = outline
    if kind in ("tensor", "array"):
        tensor = tensors[items[0]]
        return tensor if kind == "tensor" else tensor.numpy()
    if kind == "dict":
        return {key: _filled(item, tensors) for key, item in items}
    filled = [_filled(item, tensors) for item in items]
    return filled if kind == "list" else tuple(filled)
