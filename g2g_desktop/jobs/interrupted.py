"""Trainings that a crash interrupted: where they are kept, and which of them fits a stack."""

from __future__ import annotations

import json
import logging
import shutil
import time
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile

from g2g_desktop.model.session import Interrupted, KeptRun
from g2g_desktop.paths import checkpoints_dir
from training_core.draft import draft
from training_core.errors import SettingsError
from training_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.run import Run
    from training_core.stack import Stack

MOST_KEPT = 3
MOST_DAYS = 14
_DAY_SECONDS = 86_400
_GONE = "removed-"
_ABOUT, _MOST_BYTES = "about.json", 2**24
_LOG = logging.getLogger(__name__)


def tell_about(folder: Path, files: Sequence[Path], series: int | None, title: str) -> None:
    """Write down what the training in a folder is of, for who wants to go on with it later."""
    about = {"files": [str(file) for file in files], "series": series, "title": title}
    try:
        folder.mkdir(exist_ok=True)
        with draft(folder / _ABOUT) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")
    except OSError as error:
        _LOG.warning("What the training in %s is of is not written down: %s", folder, error)


def kept_runs(run: Run) -> list[KeptRun]:
    """List the interrupted trainings of all stacks, the latest first."""
    run.check()
    read = (_kept_run(folder, written) for folder, written in _interrupted_folders().items())
    known = [one for one in read if one is not None]
    return sorted(known, key=lambda one: one.when, reverse=True)[:MOST_KEPT]


def _kept_run(folder: Path, written: float) -> KeptRun | None:
    """Read what a folder says of itself; None where it does not, or nothing was learned yet."""
    path = folder / _ABOUT
    if not (path.is_file() and any(folder.glob("*.part"))):
        return None
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
        files = tuple(Path(str(name)) for name in told["files"])
        series = None if told["series"] is None else int(told["series"])
        when = datetime.fromtimestamp(written)
        return KeptRun(folder, files, series, str(told["title"]), when) if files else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        _LOG.warning("What the training in %s is of cannot be read: %s", folder, error)
        return None


def find_interrupted(stack: Stack, run: Run, wanted: Path | None = None) -> Interrupted | None:
    """Find the latest interrupted training of a stack, or the one in the folder that is `wanted`.

    Those that are old or too many are removed.
    """
    found = _interrupted_folders()
    folders = sorted(found, key=found.__getitem__, reverse=True)
    for folder in folders[MOST_KEPT:]:
        remove_unused(folder)
    if wanted in folders[:MOST_KEPT]:
        folders = [wanted]
    if not folders:
        return None  # the usual case, in which neither torch nor the pixels are needed
    from training_core.compute.checkpoint import FORMAT, JOB, Checkpoint, describe_job

    run.check()
    wanted = describe_job([stack], Settings())["stacks"]
    for folder in folders[:MOST_KEPT]:
        kept = Checkpoint(folder).read(JOB)
        if kept is None or kept["format"] != FORMAT or kept["job"].get("stacks") != wanted:
            continue
        try:
            settings = Settings.from_dict(kept["job"]["settings"])
        except SettingsError:  # another version of the program wrote them
            continue
        when = datetime.fromtimestamp(found[folder])
        return Interrupted(folder, settings, when, kept["seconds"])
    return None


def remove(folder: Path) -> None:
    """Remove the folder of a training, for whoever has its lock.

    It is out of the way at once; its files, which may take the disk a while, go in a thread.
    """
    gone = folder.parent / f"{_GONE}{folder.name}"
    try:
        folder.rename(gone)
    except OSError:  # there is none, or it cannot be moved
        gone = folder
    Thread(target=shutil.rmtree, args=(gone,), kwargs={"ignore_errors": True}).start()


def remove_unused(folder: Path) -> None:
    """Remove an interrupted training, unless a window has gone on with it."""
    lock = lock_of(folder)
    if lock.tryLock(0):
        remove(folder)
        lock.unlock()


def _interrupted_folders() -> dict[Path, float]:
    """Give the folders no window works in, with when they were written; remove those too old."""
    found = {}
    for folder in (path for path in checkpoints_dir().iterdir() if path.is_dir()):
        if folder.name.startswith(_GONE):  # the program ended before all of it was removed
            shutil.rmtree(folder, ignore_errors=True)
            continue
        lock = lock_of(folder)
        if not lock.tryLock(0):
            continue
        written = _written(folder) if folder.exists() else 0.0
        if time.time() - written > MOST_DAYS * _DAY_SECONDS:
            remove(folder)
        else:
            found[folder] = written
        lock.unlock()
    return found


def _written(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)


def lock_of(folder: Path) -> QLockFile:
    """Give the lock that tells other windows of a training under way; that of a crash is void."""
    lock = QLockFile(f"{folder}.lock")
    lock.setStaleLockTime(0)  # age says nothing, a training may take days; a dead process does
    return lock
