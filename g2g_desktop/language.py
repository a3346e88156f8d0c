"""The language of the window: what its English sentences are in another one.

The program makes its sentences in English, and the files it writes keep them so. Only where the
window shows one, `tr` gives it in the language of the window. A catalogue names each sentence as
the code has it, with `{0}`, `{1}`... for what is put in. So what is shown is read back: which of
the known sentences it is, and what was put in, which may be a sentence itself.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from .paths import resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LANGUAGES = {"en": "English", "de": "Deutsch"}
_GAP = re.compile(r"\{(\d+)\}")
_MARKUP = re.compile(r"(<[^>]+>|&#?\w+;)")
# Where texts are put together: ends of sentences and lines, and what stands between parts.
_JOINT = re.compile(r"(?<=[.?!])\s+|[:;,]\s+|\s+[·→–—]\s+|\n+|\s*\(|\)|\.$")
_MOST_JOINTS = 12  # of a text, beyond which it is a list or a file
_UNITS = r"[µnm]?m|px|s|min|h|[kMG]?B|HU|dB|[xyXYZTCI]|bit|std|SNR|CNR|PSNR|SSIM|nan|inf"
_FIGURES = re.compile(rf"(?:\d++(?:\.\d++)*+(?:e[+-]\d++)?|(?:{_UNITS})\b|\W)*+")
_POINT = re.compile(r"(?<![\d.])(\d+)\.(?=\d+(?!\.?\d))")


class Reading(NamedTuple):
    """A text in the other language, and how many of its letters were not understood."""

    text: str
    unknown: int


class _Sentence(NamedTuple):
    """A sentence with gaps: how it is recognised, and what it is in the other language."""

    pattern: re.Pattern[str]
    surest: str  # the longest piece of it, which is quickly looked for
    meant: str


class Language:
    """What the sentences of a catalogue, by the English ones, are in another language."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        self._whole = {said: meant for said, meant in catalogue.items() if not _GAP.search(said)}
        gapped = [said for said in catalogue if said not in self._whole]
        self._gapped = [_sentence(s, catalogue[s]) for s in sorted(gapped, key=len, reverse=True)]
        self.read = lru_cache(maxsize=4096)(self._read)

    def _read(self, text: str) -> Reading:
        """Read an English text so that the least of it is not understood.

        What no sentence of the catalogue is, such as the name of a file, stays as it is; figures
        get the comma.
        """
        if _FIGURES.fullmatch(text):
            return Reading(_POINT.sub(r"\1,", text), 0)
        best = Reading(text, sum(map(str.isalpha, text)))
        for reading in self._readings(text):
            if reading.unknown < best.unknown:
                best = reading
            if not best.unknown:
                break
        return best

    def _readings(self, text: str) -> Iterator[Reading]:
        """Give the ways to read a text: as one sentence, and as several that were joined."""
        if text in self._whole:
            yield Reading(self._whole[text], 0)
        if text != text.strip():
            yield self._joined(re.split(r"(^\s+|\s+$)", text))
            return
        if _MARKUP.search(text):
            yield self._joined(_MARKUP.split(text))
            return
        yield from self._as_sentence(text)
        # What begins a sentence here may stand inside of one there, and the reverse.
        for reading in self._as_sentence(text[0].swapcase() + text[1:]):
            first = reading.text[:1].upper() if text[0].isupper() else reading.text[:1]
            yield Reading(first + reading.text[1:], reading.unknown)
        joints = list(_JOINT.finditer(text))
        for joint in joints if len(joints) <= _MOST_JOINTS else ():
            yield self._joined((text[: joint.start()], joint[0], text[joint.end() :]))

    def _as_sentence(self, text: str) -> Iterator[Reading]:
        if text in self._whole:
            yield Reading(self._whole[text], 0)
        for sentence in self._gapped:
            if sentence.surest in text and (found := sentence.pattern.fullmatch(text)):
                put_in = [self.read(part) for part in found.groups()]
                meant = sentence.meant.format(*(part.text for part in put_in))
                yield Reading(meant, sum(part.unknown for part in put_in))

    def _joined(self, parts: Sequence[str]) -> Reading:
        kept = [_MARKUP.fullmatch(part) or not part.strip() for part in parts]
        read = [
            Reading(part, 0) if keep else self.read(part)
            for part, keep in zip(parts, kept, strict=True)
        ]
        return Reading("".join(one.text for one in read), sum(one.unknown for one in read))


def _sentence(said: str, meant: str) -> _Sentence:
    pieces = _GAP.split(said)[::2]
    pattern = "(.+?)".join(map(re.escape, pieces))
    return _Sentence(re.compile(pattern, re.DOTALL), max(pieces, key=len), meant)


_spoken: Language | None = None  # None is English, which needs no reading


def choose_language(code: str) -> None:
    """Let the window speak one of `LANGUAGES` from now on; what is shown already stays."""
    global _spoken
    _spoken = None if code == "en" else Language(catalogue(code))


def catalogue(code: str) -> dict[str, str]:
    """Read the sentences of a language by the English ones."""
    sentences: dict[str, str] = json.loads(resource(f"languages/{code}.json").read_text("utf-8"))
    return sentences


def tr(text: str) -> str:
    """Give an English text of the window in its language."""
    return text if _spoken is None else _spoken.read(text).text
