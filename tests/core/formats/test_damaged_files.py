"""What libraries and files say fits into a sentence."""

from __future__ import annotations

import zlib

import pytest
import tifffile

from training_core.errors import shown
from training_core.formats.source_file import DAMAGE, brief


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("<tifffile.TiffPage 0 @8> missing data.\nmore"), "missing data"),
        (ValueError("less than expected (1 vs 2) - the dataset may be corrupted"), "less than exp"),
        (IndexError(), "IndexError"),
    ],
)
def test_the_first_statement_of_an_error(error: Exception, text: str):
    assert brief(error).startswith(text)
    assert brief(error).count("\n") == 0


def test_what_a_file_says_is_printable_and_short():
    assert shown("CT\x00\x07\nhead") == "CThead"
    assert len(shown("x" * 5000)) == 120


@pytest.mark.parametrize("raised", [zlib.error, tifffile.TiffFileError, EOFError])
def test_errors_of_decoders_count_as_damage(raised: type[Exception]):
    assert issubclass(raised, DAMAGE)
