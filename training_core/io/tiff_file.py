"""An open TIFF file: with the other files of its set, the images in it, and pages decoded."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

import numpy as np
import tifffile

from training_core.errors import InputError
from training_core.formats.inner_size import IN_TIFF, refuse_larger
from training_core.formats.source_file import DAMAGE, FileMark, damage
from training_core.stack import Pixels

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COMPANION = ".companion.ome"
REDUCED = 1  # a bit of NewSubfileType: a smaller copy of another page
MOST_PLANES = 1_000_000
# Tags that say how the pixels of a page lie in the file: width, height, bits, compression, meaning
# of black, samples, planes, predictor, tiles, format of numbers.
STORED_IN_ONE_WAY = frozenset((256, 257, 258, 259, 262, 277, 284, 317, 322, 323, 338, 339))


def images_in(tif: Any) -> list[Any]:
    """Give the images of an open file in their order, without smaller copies of one."""
    if not tif.series:
        return []
    main, others = main_series(tif.series)
    own = [s for s in others if not int(s.keyframe.subfiletype) & REDUCED]
    return sorted([main, *own], key=lambda series: int(series.keyframe.index))


@contextmanager
def tiff_log() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of printing it."""
    lines: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        return False  # goes no further

    logger = logging.getLogger("tifffile")  # it logs what it should raise, to stderr by default
    logger.addFilter(keep)
    try:
        yield lines
    finally:
        logger.removeFilter(keep)


@contextmanager
def opened_tiff(path: Path) -> Iterator[Any]:
    """Give a TIFF file of tifffile's, which is closed at the end.

    Raises
    ------
    InputError
        When its list of pages cannot be read.
    """
    with damage(f"{path.name} is damaged: its list of images cannot be read"), _open(path) as tif:
        yield tif


def _open(path: Path) -> Any:
    """Open a file with the OME metadata that hold for it, if they can be followed."""
    companion = path if path.name.lower().endswith(COMPANION) else None
    if companion:
        path = _first_of(companion)
    tif = tifffile.TiffFile(path)
    try:
        companion = companion or _companion_of(tif, path.parent)
        if companion:
            tif.close()
            tif = tifffile.TiffFile(path, omexml=companion.read_text("utf-8"))
        if _misleads(tif, path.parent):
            tif.close()
            tif = tifffile.TiffFile(path, is_ome=False)
        _drop_bad_counts(tif)
        if tif.series and tif.series[0].kind == "uniform" and not _are_alike(tif):
            tif.is_uniform = False  # tifffile looks at four of the pages only
            del tif.series
    except BaseException:
        tif.close()
        raise
    return tif


def _are_alike(tif: Any) -> bool:
    """Whether all pages of a file are stored in one way, by the entries of their lists of tags."""
    file, form, found = tif.filehandle, tif.tiff, set()
    if struct.calcsize(form.tagheaderformat) != form.tagsize:  # the lists of Hamamatsu's slides
        return True
    for page in tif.series[0].pages:
        file.seek(page.offset)
        (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        tags = struct.iter_unpack(form.tagheaderformat, file.read(count * form.tagsize))
        # Several values lie elsewhere, and the entry says where.
        kept = ((code, kind, n, n == 1 and value) for code, kind, n, value in tags)
        found.add(tuple(tag for tag in kept if tag[0] in STORED_IN_ONE_WAY))
    return len(found) == 1


def _drop_bad_counts(tif: Any) -> None:
    """Take out of ImageJ's text what should count planes and is no whole number."""
    said = (tif.imagej_metadata if tif.is_imagej else None) or {}
    for name in ("images", "frames", "slices", "channels"):
        if not isinstance(said.get(name, 1), int):
            del said[name]


def _companion_of(tif: Any, folder: Path) -> Path | None:
    """Give the text beside a file that has its OME metadata, where its own say no more."""
    with suppress(ElementTree.ParseError):
        only = ElementTree.fromstring(tif.ome_metadata or "<none/>").find("{*}BinaryOnly")
        name = "" if only is None else only.get("MetadataFile", "")
        if name and name == Path(name).name and (folder / name).is_file():
            beside = folder / name
            return beside if beside.suffix.lower() == ".ome" else None
    return None


def _first_of(companion: Path) -> Path:
    """Give the first image file that a text of OME metadata names and that is there."""
    names = _file_names(ElementTree.fromstring(companion.read_text("utf-8")).iter())
    there = [companion.parent / n for n in sorted(names) if _is_beside(n, companion.parent)]
    first = next((path for path in there if path.is_file()), None)
    if first is None:
        raise InputError(f"None of the images that {companion.name} names is beside it.")
    return first


def _misleads(tif: Any, folder: Path) -> bool:
    """Whether OME metadata name what is no TIFF of the same folder, or more planes than can be.

    Nothing is followed then, and no memory taken for planes that are not there.
    """
    try:
        parts = list(ElementTree.fromstring(tif.ome_metadata or "<none/>").iter())
    except ElementTree.ParseError:
        return False  # tifffile does not follow these either
    return not all(_is_beside(name, folder) for name in _file_names(parts)) or any(
        math.prod(_counts(part.attrib)) > MOST_PLANES for part in parts
    )


def _file_names(parts: Iterable[ElementTree.Element]) -> set[str]:
    return {name for part in parts if (name := part.get("FileName"))}


def files_of_set(path: Path) -> list[Path]:
    """Give the files that an OME-TIFF of several names; none of what cannot be read."""
    with (
        suppress(InputError, ElementTree.ParseError, *DAMAGE),
        tiff_log(),
        opened_tiff(path) as tif,
    ):
        parts = ElementTree.fromstring(tif.ome_metadata or "<none/>").iter()
        named = [path.parent / name for name in sorted(_file_names(parts))]
        beside = [p for p in path.parent.glob(f"*{COMPANION}") if named]
        return [*named, *(p for p in beside if path.name in p.read_text("utf-8", "replace"))]
    return []


def _counts(attributes: Mapping[str, str]) -> Iterator[int]:
    for name in ("SizeT", "SizeZ", "SizeC", "PlaneCount", "NumPlanes"):
        with suppress(ValueError):  # no number: tifffile refuses it
            yield int(attributes.get(name, 1))


def _is_beside(name: str, folder: Path) -> bool:
    path = folder / name
    if name != path.name or not path.is_file():
        return name == path.name and not path.exists()  # tifffile says what is missing
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


@dataclass
class TiffPages:
    """The pages of an image in a file that stays open, in the other files of its set, too."""

    tif: Any
    pages: Sequence[Any]
    marks: Mapping[str, FileMark]

    @classmethod
    def of(cls, path: Path, number: int | None) -> Self:
        """Open a file for the pages of its image of a number; None for the main one."""
        with tiff_log():
            tif = _open(path)
            series = main_series(tif.series)[0] if number is None else images_in(tif)[number]
            pages = list(series.pages)
            files = {p.parent.filehandle.path for p in pages if p is not None}
        return cls(tif, pages, {name: FileMark.of(Path(name)) for name in files})

    def __post_init__(self) -> None:
        self.page = lru_cache(1)(self._page)  # the samples of a page are asked for one by one

    def _page(self, number: int) -> Pixels:
        page = self.pages[number]
        if not is_stored(page):
            raise ValueError(f"page {number + 1} ends behind the file")
        self.marks[page.parent.filehandle.path].check()
        with tiff_log():
            return pixels_of(page)

    def close(self) -> None:
        """Close the file."""
        self.tif.close()


def pixels_of(page: Any) -> Pixels:
    """Decode a page, which may lie in another file of a set of OME-TIFFs."""
    file = page.parent.filehandle
    elsewhere = file.closed
    try:
        if elsewhere:
            file.open()
        _refuse_larger_inside(page)
        return np.asarray(page.asarray())
    finally:
        if elsewhere:
            file.close()


def main_series(every: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Give the image that a file is about, and the others in it.

    A file may begin with a preview, and pages of one movie may be stored in different ways, which
    makes them images of their own for tifffile. A list of pages of one size and type is one image;
    else it is the one with most pixels, no reduced copy if there is another.
    """
    whole = [s for s in every if len(s.keyframe.shape) > 1 and all(s.shape)]
    if not whole:
        raise ValueError("none of its pages has a width and a height")
    full = [s for s in whole if not int(s.keyframe.subfiletype) & REDUCED] or whole
    plain = all(len(s.shape) - len(s.keyframe.shape) <= 1 and not s.is_multifile for s in full)
    if len(full) > 1 and plain and len({(s.keyframe.shape, s.dtype) for s in full}) == 1:
        pages = [page for s in full for page in s.pages]
        page = full[0].keyframe
        joined = tifffile.TiffPageSeries(
            pages, (len(pages), *page.shape), page.dtype, f"I{page.axes}", kind="generic"
        )
        return joined, [s for s in whole if s not in full]
    main = max(full, key=lambda series: series.size)  # the first of several
    return main, [s for s in whole if s is not main]


def _refuse_larger_inside(page: Any) -> None:
    """Raise ValueError where a strip or tile holds a picture far larger than it is itself."""
    held = IN_TIFF.get(int(page.compression))
    if held is None:
        return
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        file.seek(offset)
        if count:
            refuse_larger(held, file.read(count), math.prod(page.chunks))


def is_stored(page: Any) -> bool:
    """Whether the bytes of a page lie inside its file."""
    if page is None or not page.dataoffsets:
        return False
    # tifffile would fill a missing piece with zeros, which look like a black image.
    pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
    return all(offset + count <= page.parent.filehandle.size for offset, count in pieces)
