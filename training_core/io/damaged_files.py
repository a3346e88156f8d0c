"""What third-party readers raise on damaged files, and how it is said in a sentence."""

from __future__ import annotations

import errno
import lzma
import struct
import tokenize
import zlib

from pydicom.errors import BytesLengthException, InvalidDicomError

from training_core.errors import ShortageError

# Readers and decoders do not agree on a base class.
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    SyntaxError,
    OSError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
    BytesLengthException,
    InvalidDicomError,
)
LONGEST = 120


def brief(error: BaseException) -> str:
    """Give the first statement of an error, without the names of a library's objects.

    Raises
    ------
    ShortageError
        When it says nothing of the file, but that memory or file handles are used up.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        raise ShortageError(
            "Too many files are open at once for this system; close other programs, or raise the "
            "limit (ulimit -n)."
        ) from error
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        raise ShortageError(
            "There is not enough free memory to read this; close other programs, or open a part "
            "of it."
        ) from error
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return shown(text.split("> ")[-1].split(" - ")[0])


def shown(text: object) -> str:
    """Make a text from a file fit for a sentence: printable, one line, not too long."""
    return "".join(c for c in str(text) if c.isprintable())[:LONGEST].rstrip(".")
