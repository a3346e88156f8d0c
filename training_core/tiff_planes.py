"""The planes of a TIFF image that are whole: mapped where they can be, else decoded one by one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .damage import DAMAGE, brief
from .errors import InputError
from .run import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .run import Run
    from .stack import Pixels

# Nothing unpacks to more than this many times its size (LZW and zstd of a constant come closest).
MOST_EXPANSION = {5: 4_000, 8: 1_100, 32946: 1_100, 32773: 130}
MOST_EXPANSION_OTHERWISE = 50_000
SMALL_BYTES = 64 * 2**20  # no danger, whatever the header says
PADDING_BYTES = 16  # writers align what follows the pixels
MOST_PLANES = 1_000_000


def memory_bytes() -> float:
    """Give the memory of this machine; infinity where the system does not say."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True, eq=False)
class Planes:
    """The planes of an image that are whole.

    Attributes
    ----------
    pixels
        (planes, *shape of a page), in the dtype and, where mapped, the byte order of the file.
    declared
        How many planes the file says it has.
    whole
        Which of them are in `pixels`.
    """

    pixels: Pixels
    declared: int
    whole: list[int]


class PlaneReader:
    """Finds the whole planes of the first image of an open TIFF file.

    Parameters
    ----------
    path, tif
        The file, and tifffile's view of it.
    imagej
        Its ImageJ header; empty for others.
    log
        What tifffile logged while it looked for pages.
    """

    def __init__(self, path: Path, tif: Any, imagej: Mapping[str, Any], log: list[str]) -> None:
        self.path = path
        self.tif = tif
        self.log = log
        self.size = path.stat().st_size
        self.series = tif.series[0]
        self.page = self.series.keyframe
        # Bio-Formats counts the samples of a colour page as images.
        alone = self.page.samplesperpixel == 1
        self.imagej_count = int(imagej.get("images", 1)) if alone else 1

    def read(self, run: Run) -> Planes:
        """Give the whole planes, or raise `InputError` where there is none."""
        mapped = self.series.dataoffset is not None
        planes = self._mapped() if mapped else self._decoded(run)
        return Planes(planes.pixels, max(planes.declared, self.imagej_count), planes.whole)

    def _mapped(self) -> Planes:
        """Map the planes of uncompressed data that lies in one piece."""
        shape, dtype = self.page.shape, self._file_dtype
        count = int(np.prod(self.series.shape, dtype=object) // np.prod(shape, dtype=object))
        offset = self.series.dataoffset
        plane_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        # Mapping beyond the end of a cut file would crash the process at the first access.
        there = (self.size - offset) // plane_bytes
        if there < 1:
            raise self._too_short()
        declared = count
        if len(self.tif.pages) == 1:  # behind several pages there is no image data
            declared = max(count, self.imagej_count, self._count_up_to_lost_page(plane_bytes))
        whole = min(declared, there)
        pixels = np.memmap(self.path, dtype, "r", offset, (whole, *shape))
        return Planes(pixels, declared, list(range(whole)))

    def _count_up_to_lost_page(self, plane_bytes: int) -> int:
        """Count the planes before the second page of a cut file, which lies behind all pixels."""
        lost = re.search(r"invalid page offset (\d+)", "\n".join(self.log))
        if lost is None:
            return 1
        planes, rest = divmod(int(lost[1]) - self.series.dataoffset, plane_bytes)
        return planes if rest < PADDING_BYTES and planes < MOST_PLANES else 1

    @property
    def _file_dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.series.dtype)
        return dtype.newbyteorder(self.tif.byteorder)

    def _decoded(self, run: Run) -> Planes:
        """Read the planes one by one and keep those that are whole."""
        pages = list(self.series.pages)
        self._refuse_impossible(pages)
        pixels = np.empty((len(pages), *self.page.shape), self.series.dtype)
        whole: list[int] = []
        for index, page in enumerate(pages):
            run.check()
            if self._stored(page):
                self._decode(page, index, pixels, whole)
            if run.tick_due():
                run.progress(Stage.READ, index + 1, len(pages))
        if not whole:
            raise self._too_short()
        # Most files are whole: no second copy for them.
        kept = pixels if len(whole) == len(pages) else pixels[whole]
        return Planes(kept, len(pages), whole)

    def _decode(self, page: Any, index: int, pixels: Pixels, whole: list[int]) -> None:
        file = page.parent.filehandle
        elsewhere = file.closed  # in another file of a set of OME-TIFFs
        try:
            if elsewhere:
                file.open()
            pixels[index] = page.asarray()
        except DAMAGE as error:
            if len(self.series.pages) == 1:
                raise InputError(
                    f"The image in {self.path.name} is damaged and cannot be decoded "
                    f"({brief(error)})."
                ) from error
        else:
            whole.append(index)
        finally:
            if elsewhere:
                file.close()

    def _stored(self, page: Any) -> bool:
        """Whether the bytes of a page lie inside its file."""
        if page is None or not page.dataoffsets:
            return False
        size = page.parent.filehandle.size
        # tifffile would fill a missing piece with zeros, which look like a black image.
        pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
        return all(offset + count <= size for offset, count in pieces)

    def _refuse_impossible(self, pages: list[Any]) -> None:
        """Refuse a header that declares more than its file can hold, before memory is taken."""
        declared = int(np.prod((len(pages), *self.page.shape), dtype=object))
        declared *= np.dtype(self.series.dtype).itemsize
        stored = sum(
            min(sum(p.databytecounts), p.parent.filehandle.size) for p in pages if p is not None
        )
        compression = int(self.page.compression)
        most = 8 if compression == 1 else MOST_EXPANSION.get(compression, MOST_EXPANSION_OTHERWISE)
        if declared > SMALL_BYTES and declared > most * stored:
            raise self._too_short()
        if declared > memory_bytes():
            raise InputError(
                f"{self.path.name} needs {declared / 2**30:.0f} GB of memory, which this machine "
                "does not have; save it as an uncompressed ImageJ or OME-TIFF, which is read in "
                "pieces."
            )

    def _too_short(self) -> InputError:
        shape = " x ".join(str(n) for n in reversed(self.series.shape))
        return InputError(
            f"{self.path.name} declares an image of {shape} pixels ({self.series.dtype}), but the "
            f"file is cut off or damaged: in its {self.size:,} bytes no plane is whole."
        )
