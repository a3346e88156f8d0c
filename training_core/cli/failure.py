"""A failure as one sentence; a fault of the program is kept for who mends it."""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback

from training_core.errors import CoreError
from training_core.io.damaged_files import shown
from training_core.io.tiff_writer import program

REFUSALS = ("EACCES", "EPERM", "ENAMETOOLONG", "ENOTDIR", "ELOOP")  # of a path that was given
SHORTAGES = ("ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EROFS", "EIO")


def is_foreseen(error: Exception) -> bool:
    """Whether files, settings or what the system has left are the reason, not the program."""
    return bool(_reason(error))


def sentence(error: Exception) -> str:
    """Say what went wrong; of what nobody foresaw the details go into a log file."""
    return _reason(error) or _fault(error)


def _reason(error: Exception) -> str:
    """Say what was foreseen; "" where nobody did."""
    if isinstance(error, CoreError):
        return str(error)
    if isinstance(error, OSError):
        kind = errno.errorcode.get(error.errno or 0)
        if kind in REFUSALS:
            path = shown(error.filename or "A file")
            return f"{path} cannot be used ({error.strerror}); choose another."
        if kind in SHORTAGES:
            return f"The system has no more of what is needed: {error.strerror}."
    if _is_out_of_memory(error):
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


def _is_out_of_memory(error: Exception) -> bool:
    if "torch" not in sys.modules:  # who has not loaded it has no error of it
        return isinstance(error, MemoryError)
    from training_core.compute.device import out_of_memory

    return out_of_memory(error)
