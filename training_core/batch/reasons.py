"""Why a stack failed, in a sentence; of a fault of the program the details are kept in a file."""

from __future__ import annotations

import errno
import tempfile
import traceback

from training_core.compute.memory import out_of_memory
from training_core.errors import CoreError, shown
from training_core.resources import program

REFUSALS = ("EACCES", "EPERM", "ENAMETOOLONG", "ENOTDIR", "ELOOP")  # of a path that was given
SHORTAGES = ("ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EROFS", "EIO")


def sentence(error: Exception) -> str:
    """Say what went wrong; of what nobody foresaw the details go into a log file."""
    return foreseen(error) or _fault(error)


def foreseen(error: Exception) -> str:
    """Say what of files, settings or the system is the reason; "" where it is the program."""
    if isinstance(error, CoreError):
        return str(error)
    if isinstance(error, OSError):
        kind = errno.errorcode.get(error.errno or 0)
        if kind in REFUSALS:
            path = shown(error.filename or "A file")
            return f"{path} cannot be used ({error.strerror}); choose another."
        if kind in SHORTAGES:
            return f"The system has no more of what is needed: {error.strerror}."
    if out_of_memory(error):
        return "There is not enough memory for this stack; try a smaller part of it."
    return ""


def _fault(error: Exception) -> str:
    fault = f"This is a fault of the program ({type(error).__name__}), not of your files."
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="g2g-fault-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            log.write(f"{program()}\n{''.join(traceback.format_exception(error))}")
    except OSError:  # not even that can be written
        return f"{fault} Please report it."
    return f"{fault} Please report it with {log.name}."
