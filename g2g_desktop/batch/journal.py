"""What is left of a queue, on disk, so that a crash costs no more than the file at work."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2g_desktop.paths import user_data_dir
from training_core.batch.targets import Input, Pattern
from training_core.draft import draft, hold, release
from training_core.errors import SettingsError
from training_core.settings import Settings

from .file_list import FileItem, FileState
from .queue_tasks import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 2**24
_STRANGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class Journal:
    """The file of this window's queue; one that no window holds was left by a crash."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._held: BinaryIO | None = None

    def write(self, plan: Plan, items: Sequence[FileItem]) -> None:
        """Write down what is planned and how far it is, whole or not at all."""
        try:
            if self._file is None:
                self._take(_folder() / f"{datetime.now():%Y%m%d-%H%M%S-%f}.json")
            assert self._file is not None
            told = {"plan": _plain_plan(plan), "files": [_plain_item(item) for item in items]}
            with draft(self._file) as temporary:
                temporary.write_text(json.dumps(told), encoding="utf-8")
        except OSError as error:
            _LOG.warning("The queue could not be written down: %s", error)

    def remove(self) -> None:
        """Remove it: the queue has come to its end."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Leave it to the next start of the program."""
        if self._file is not None and self._held is not None:
            release(self._held, _lock(self._file))
        self._file = self._held = None

    def find(self) -> tuple[Plan, list[FileItem]] | None:
        """Take over the latest queue that a crash left, if there is one."""
        for path in sorted(_folder().glob("*.json"), reverse=True):
            try:
                self._take(path)
            except OSError:  # another window works on it
                continue
            try:
                with path.open("rb") as file:
                    told = json.loads(file.read(_MOST_BYTES))
                items = [_item(one) for one in told["files"]]
                return _plan(told["plan"]), items
            except (*_STRANGE, SettingsError) as error:
                _LOG.warning("A queue that was left cannot be read: %s", error)
                self.remove()
        return None

    def _take(self, file: Path) -> None:
        self._held = hold(_lock(file))
        self._file = file


def _lock(file: Path) -> Path:
    return file.with_suffix(".lock")


def _folder() -> Path:
    folder = user_data_dir() / "queues"
    folder.mkdir(exist_ok=True)
    return folder


def _plain_plan(plan: Plan) -> dict[str, Any]:
    return {
        "settings": plan.settings.to_dict(),
        "model": _text(plan.model),
        "train_on": [[str(one.path), one.series] for one in plan.train_on],
        "pattern": asdict(plan.pattern) | {"folder": _text(plan.pattern.folder)},
        "overwrite": plan.overwrite,
        "as_float": plan.as_float,
    }


def _plan(told: dict[str, Any]) -> Plan:
    pattern = told["pattern"]
    return Plan(
        settings=Settings.from_dict(told["settings"]),
        model=_path(told["model"]),
        train_on=tuple(Input(Path(name), series) for name, series in told["train_on"]),
        pattern=Pattern(_path(pattern["folder"]), pattern["suffix"], bool(pattern["mirrored"])),
        overwrite=bool(told["overwrite"]),
        as_float=bool(told["as_float"]),
    )


def _plain_item(item: FileItem) -> dict[str, Any]:
    return {
        "paths": [str(path) for path in item.paths],
        "image": item.image,
        "state": item.state.name,
        "reason": item.reason,
        "output": _text(item.output),
        "model": item.model,
        "seconds": item.seconds,
        "begun": item.state is FileState.RUNNING,
    }


def _item(told: dict[str, Any]) -> FileItem:
    state = FileState[told["state"]]
    return FileItem(
        tuple(Path(name) for name in told["paths"]),
        told.get("image"),
        FileState.WAITING if state is FileState.RUNNING else state,
        reason=str(told["reason"]),
        output=_path(told["output"]),
        model=str(told.get("model", "")),
        seconds=float(told["seconds"]),
        begun=bool(told["begun"]),
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
