"""What can go wrong, as sentences a biologist can act on."""

import unicodedata

LONGEST = 120  # of what a file says in a sentence


def printable(text: str) -> str:
    """Escape what a terminal would obey or does not show, as may be in the name of a file."""
    spaces = {c for c in text if unicodedata.category(c) == "Zs"}
    return "".join(c if c.isprintable() or c in spaces else ascii(c)[1:-1] for c in text)


def shown(text: object) -> str:
    """Make a text from a file fit for a sentence: printable, one line, not too long."""
    return "".join(c for c in str(text) if c.isprintable())[:LONGEST].rstrip(".")


class CoreError(Exception):
    """A failure with one clear sentence: what, which value, what to do.

    The command line prints it on stderr and exits with 2; the window shows it in a dialog.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(CoreError):
    """A file or stack that cannot be used as it is."""


class SettingsError(CoreError):
    """A setting outside its limits, or two settings that exclude each other."""


class UsageError(CoreError):
    """A command line that cannot be understood."""


class OutputError(CoreError):
    """A result that cannot be written where it was asked for."""


class BusyError(OutputError):
    """A result that somebody else makes at this moment."""


class ModelError(CoreError):
    """A model file that is damaged or does not fit the stack."""


class CheckpointError(CoreError):
    """A checkpoint that belongs to another job."""


class ShortageError(CoreError):
    """Too little memory, or too few files that may be open at once: no fault of a file."""


class ClusterError(CoreError):
    """A scheduler or workers that do not answer, are not alike, or were lost."""


class TooFewPatchesError(InputError):
    """No region of the stack is smooth enough to learn the noise from."""
