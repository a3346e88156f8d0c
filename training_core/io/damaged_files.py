"""What third-party readers raise on damaged files, and how it is said in a sentence."""

from __future__ import annotations

import lzma
import struct
import zlib

from pydicom.errors import BytesLengthException, InvalidDicomError

# Readers and decoders do not agree on a base class. MemoryError is among them because a damaged
# header may declare any size; a stack that is really too large is refused before it is read.
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
    BytesLengthException,
    InvalidDicomError,
)
LONGEST = 120


def brief(error: BaseException) -> str:
    """Give the first statement of an error, without the names of a library's objects."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return shown(text.split("> ")[-1].split(" - ")[0])


def shown(text: object) -> str:
    """Make a text from a file fit for a sentence: printable, one line, not too long."""
    return "".join(c for c in str(text) if c.isprintable())[:LONGEST].rstrip(".")
