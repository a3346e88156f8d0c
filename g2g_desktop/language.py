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
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .paths import resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LANGUAGES = {"en": "English", "de": "Deutsch"}
_GAP = re.compile(r"\{(\d+)\}")
_MARKUP = re.compile(r"(<[^>]+>|&#?\w+;)")
# Where texts are put together, the plainest first: lines and ends of sentences, then parts of one.
_ENDS = re.compile(r"\n+|\s+·\s+"), re.compile(r"(?<=[.?!])\s+")
_JOINTS = re.compile(r"[:;,]\s+|\s+[→–—]\s+|\s*\(|\)|\.$|\s+(?=\d+$)|(?<=\d)\s+(?=[^\W\d]{3})")
_CONNECTING = frozenset({"about", "and", "is", "of", "or", "to"})
_MOST_JOINTS = 12  # of a text, beyond which it is a list or a file
_UNITS = r"[µnm]?m|px|s|min|h|[kMG]?B|HU|dB|[xyXYZTCI]|std|SNR|CNR|PSNR|SSIM|nan|inf"
_FIGURES = re.compile(rf"(?:\d++(?:\.\d++)*+(?:e[+-]\d++)?|(?:{_UNITS})\b|\W)*+")
_POINT = re.compile(r"(?<![\d.])(\d+)\.(?=\d+(?!\.?\d))")


class Reading(NamedTuple):
    """A text in the other language, and how many of its letters were not understood."""

    text: str
    unknown: int


class _Sentence(NamedTuple):
    """A sentence with gaps: how it is recognised, and what it is in the other language.

    Where it says the same word between gaps as they do, the first of the `patterns` looks for it
    early and the other late.
    """

    patterns: tuple[re.Pattern[str], ...]
    surest: str  # the longest piece of it, which is quickly looked for
    connects: bool  # and says nothing by itself, so what it connects must be understood
    meant: str


class Language:
    """What the sentences of a catalogue, by the English ones, are in another language."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        self._whole = {said: meant for said, meant in catalogue.items() if not _GAP.search(said)}
        gapped = [said for said in catalogue if said not in self._whole]
        made = [_sentence(said, catalogue[said]) for said in sorted(gapped, key=len, reverse=True)]
        self._gapped = sorted(made, key=lambda one: one.connects)
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
        for ends in _ENDS:
            yield from self._cut(text, ends)
        yield from self._as_sentence(text)
        # What begins a sentence here may stand inside of one there, and the reverse.
        for reading in self._as_sentence(text[0].swapcase() + text[1:]):
            first = reading.text[:1].upper() if text[0].isupper() else reading.text[:1]
            yield Reading(first + reading.text[1:], reading.unknown)
        yield from self._cut(text, _JOINTS)

    def _cut(self, text: str, where: re.Pattern[str]) -> Iterator[Reading]:
        joints = list(where.finditer(text))
        for joint in joints if len(joints) <= _MOST_JOINTS else ():
            yield self._joined((text[: joint.start()], joint[0], text[joint.end() :]))

    def _as_sentence(self, text: str) -> Iterator[Reading]:
        if text in self._whole:
            yield Reading(self._whole[text], 0)
        for sentence in self._gapped:
            for pattern in sentence.patterns if sentence.surest in text else ():
                if (found := pattern.fullmatch(text)) is not None:
                    put_in = [self.read(part) for part in found.groups()]
                    unknown = sum(part.unknown for part in put_in)
                    if not (unknown and sentence.connects):
                        meant = sentence.meant.format(*(part.text for part in put_in))
                        yield Reading(meant, unknown)

    def _joined(self, parts: Sequence[str]) -> Reading:
        kept = [_MARKUP.fullmatch(part) or not part.strip() for part in parts]
        read = [
            Reading(part, 0) if keep else self.read(part)
            for part, keep in zip(parts, kept, strict=True)
        ]
        return Reading("".join(one.text for one in read), sum(one.unknown for one in read))


def _sentence(said: str, meant: str) -> _Sentence:
    pieces = _GAP.split(said)[::2]
    connects = all(word in _CONNECTING for word in re.findall(r"[^\W\d_]+", "".join(pieces)))
    patterns = []
    for lazy in ("?", "") if len(pieces) > 2 else ("?",):
        pattern = re.escape(pieces[0])
        for before, after in pairwise(pieces):
            # What is put in right behind a word may be nothing, as " in 2 of 3 channels".
            least = "*" if before[-1:].isalpha() else "+"
            pattern += f"(.{least}{lazy}){re.escape(after)}"
        patterns.append(re.compile(pattern, re.DOTALL))
    return _Sentence(tuple(patterns), max(pieces, key=len), connects, meant)


_code = "en"
_spoken: Language | None = None  # None is English, which needs no reading


def choose_language(code: str) -> None:
    """Let the window speak one of `LANGUAGES` from now on; what is shown already stays."""
    global _code, _spoken
    _code = code
    _spoken = None if code == "en" else Language(catalogue(code))


def spoken() -> str:
    """Give the code of the language that the window speaks."""
    return _code


def catalogue(code: str) -> dict[str, str]:
    """Read the sentences of a language by the English ones."""
    sentences: dict[str, str] = json.loads(resource(f"languages/{code}.json").read_text("utf-8"))
    return sentences


def tr(text: str) -> str:
    """Give an English text of the window in its language."""
    return text if _spoken is None else _spoken.read(text).text
