"""What a report of a fault needs to know of a computer: no names of files, no pixels."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training_core.settings import Settings

PROGRAM = "g2g-desktop"
LAST_LINES = 400
LEFT_OUT = "(text left out)"
_ENTRY = re.compile(r"(\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ [\w.]+): ")
_FRAME = re.compile(
    r'  File "(?:.*[/\\])?((?:training_core|g2g_desktop)[/\\][\w/\\]*\.py)", (line \d+), in (\w+)$'
)
_OTHER_FRAME = re.compile(r'  File ".*", (line \d+), in ([\w<>]+)$')
_RAISED = re.compile(r"([\w.]+(?:Error|Exception|Interrupt|Cancelled|Warning))(?::|$)")


def diagnostics(device: str, settings: Settings, log: str) -> str:
    """Write the report: versions, device, settings, and the log without what may name somebody.

    Parameters
    ----------
    device
        What is computed on, in words; "" where that is not known yet.
    log
        The text of the log file. Kept are time, level and place of each entry, and of an error its
        kind and the lines of the program it went through; never its sentence, which may have the
        name of a file in it, and that of a patient.
    """
    parts = {
        "Versions": "\n".join(f"{name} {number}" for name, number in versions().items()),
        "Device": device or "not known yet",
        "Settings": json.dumps(settings.to_dict(), indent=2),
        "Log": without_texts(log) or "empty",
    }
    return "\n\n".join(f"== {title} ==\n{text}" for title, text in parts.items()) + "\n"


def versions() -> dict[str, str]:
    """Give the versions of the program, of the system, and of each package it asks for."""
    found = {
        "Python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    try:
        asked = [one for one in requires(PROGRAM) or () if "extra ==" not in one]
    except PackageNotFoundError:  # run from a folder of sources
        return found
    for name in (PROGRAM, *(re.split(r"[^\w.-]", one)[0] for one in asked)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "is missing"
    return found


def without_texts(log: str) -> str:
    """Give the last lines of a log with only what cannot hold a name of the user's."""
    kept: list[str] = []
    for line in log.splitlines()[-LAST_LINES:]:
        if entry := _ENTRY.match(line):
            kept.append(f"{entry[1]}: {LEFT_OUT}")
        elif (frame := _FRAME.match(line)) and _is_ours(frame[1]):
            kept.append(f"  {frame[1]}, {frame[2]}, in {frame[3]}")
        elif frame := _OTHER_FRAME.match(line):
            kept.append(f"  elsewhere, {frame[1]}, in {frame[2]}")
        elif raised := _RAISED.match(line):
            kept.append(f"  {raised[1]}")
    return "\n".join(kept)


def _is_ours(path: str) -> bool:
    """Tell whether it is a module of ours; folders of a user may be called as our packages are."""
    name = re.sub(r"[/\\]", ".", path.removesuffix(".py")).removesuffix(".__init__")
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
