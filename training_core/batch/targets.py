"""The stacks of a batch and where their results go: beside them or into a folder, no two alike."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from training_core.errors import OutputError

SUFFIX = "_denoised"
LONGEST_IMAGE = 60  # characters of its name in that of a result


@dataclass(frozen=True, slots=True)
class Input:
    """One stack of a command: a file or folder, and which of its images, by number or name."""

    path: Path
    series: str | None = None
    image: str = ""  # added to the name of its result

    @property
    def name(self) -> str:
        """What the user calls it."""
        return f"{self.path.name}, {self.image}" if self.image else self.path.name

    @property
    def told(self) -> str:
        """Where it lies, and which image it is."""
        return f"{self.path}, {self.image}" if self.image else str(self.path)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Where results go: into `folder` (None: beside each stack), named with a `suffix`.

    `mirrored` keeps the folders below the one that all stacks have in common.
    """

    folder: Path | None = None
    suffix: str = SUFFIX
    mirrored: bool = False

    def targets(self, paths: Sequence[Path], images: Sequence[str] | None = None) -> list[Path]:
        """Name the results, no two alike; `images` as in `target_paths`.

        Raises
        ------
        OutputError
            When two results would have one name, or a suffix is no part of a file name.
        """
        if not re.fullmatch(r"[^/\\:*?\"<>|\0]*", self.suffix):
            raise OutputError(f"{self.suffix!r} cannot be a part of a file name; choose another.")
        if self.folder is not None and not self.mirrored:
            return [self.folder / name for name in _distinct_names(paths, self.suffix, images)]
        given = list(zip(paths, _added(paths, images), strict=True))
        targets = [self._place(path, paths) / self._named(path, 0, image) for path, image in given]
        counts = Counter(_folded(target) for target in targets)
        return [
            target.with_name(self._named(path, 1, image)) if counts[_folded(target)] > 1 else target
            for (path, image), target in zip(given, targets, strict=True)
        ]

    def _named(self, path: Path, length: int, image: str) -> str:
        return f"{_name(path, length)}{image}{self.suffix}.tif"

    def _place(self, path: Path, paths: Sequence[Path]) -> Path:
        parent = Path(os.path.abspath(path)).parent
        if self.folder is None:
            return parent
        try:
            common = os.path.commonpath([Path(os.path.abspath(one)).parent for one in paths])
            return self.folder / parent.relative_to(common)
        except ValueError:  # on two drives of Windows
            return self.folder


def _folded(path: Path) -> str:
    # Many systems take A and a for one name, and letters with their accents apart.
    return normalize("NFC", str(path)).casefold()


def target_paths(
    paths: Sequence[Path], output: Path, images: Sequence[str] | None = None
) -> list[Path]:
    """Name the outputs: `output` itself for one stack, else NAME_denoised.tif in that folder.

    `images` are added to the names of files of which several images are denoised. Raises
    `OutputError` when there is one file name for several stacks, or two results would have one
    name.
    """
    from training_core.export.writers import MANY_FILES, suffix_of  # loads decoders

    if output == Path("-"):
        raise OutputError("A result is a file and cannot go to standard output; give it a name.")
    # A series of slices is a folder with the name of a file.
    is_file = bool(output.suffix) and (not output.is_dir() or suffix_of(output) in MANY_FILES)
    if len(paths) == 1 and is_file:
        return [output]
    if len(paths) == 1 and output.exists() and not output.is_dir():
        raise OutputError(f"{output.name} is a file without an ending, such as .tif; add one.")
    if output.is_file() or (is_file and suffix_of(output)):
        raise OutputError(f"{output.name} is one file for {len(paths)} stacks; name a folder.")
    return [output / name for name in _distinct_names(paths, SUFFIX, images)]


def _distinct_names(paths: Sequence[Path], suffix: str, images: Sequence[str] | None) -> list[str]:
    """Name the results of stacks that go into one folder."""
    # a.tif and a.png, or one/a.tif and two/a.tif: a longer name tells them apart.
    whole = [Path(os.path.abspath(path)) for path in paths]  # a link keeps its name
    added = _added(paths, images)
    for length in range(1 + max((len(path.parts) for path in whole), default=1)):
        names = [
            f"{_name(path, length)}{image}{suffix}.tif"
            for path, image in zip(whole, added, strict=True)
        ]
        if len({_folded(Path(name)) for name in names}) == len(names):
            return names
    raise OutputError("Two of the stacks have the same name in the same folder; give each once.")


def _name(path: Path, length: int) -> str:
    """Name a result: 0 without the suffix, 1 with it, more with folders before that."""
    if not length:
        return path.name if path.is_dir() else re.sub(r"(?i)\.ome$", "", path.stem)
    folders = path.parent.parts[1:]
    return "_".join((*folders[max(len(folders) + 1 - length, 0) :], path.name.replace(".", "_")))


def _added(paths: Sequence[Path], images: Sequence[str] | None) -> list[str]:
    """Give what the images add to the names of the results."""
    return [f"_{_plain(image)}" if image else "" for image in images or [""] * len(paths)]


def _plain(image: str) -> str:
    """Make the name of an image fit for that of a file, on every system."""
    return re.sub(r"[^\w.+-]+", "-", image).strip("-.")[:LONGEST_IMAGE]
