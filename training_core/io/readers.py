"""Open a file, a folder of slices or several files as one stack; refuse the rest in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np

from training_core.errors import InputError
from training_core.formats.file_image import FileImage
from training_core.formats.nrrd import files_of_nrrd
from training_core.formats.ome_zarr import is_zarr
from training_core.formats.source_file import check_size
from training_core.frames import made_frames
from training_core.run import SILENT, Run, Stage
from training_core.stack import Stack

from .formats import (
    SUFFIXES,
    dicom_images,
    foreign,
    images_of,
    is_dicom,
    open_chosen,
    open_file,
)
from .not_finite import finite
from .numbered_files import FEWEST, NumberedFiles, are_neighbours, numbered_files
from .tiff_file import files_of_set

DISC_LIST = "DICOMDIR"  # on a disc from a hospital, what is on it
MOST_ON_A_DISC = 100_000
MOST_OF_OTHERS = 5000  # files that are looked at before a folder is taken to hold no DICOM
MOST_NAMED = 8  # of the files that are left out
PLANES_LOOKED_AT = 8


def open_stack(
    source: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    series: int | str | None = None,
    axes: str | Mapping[str, str] | None = None,
    run: Run = SILENT,
) -> Stack:
    """Open a stack.

    A file is one stack. A folder of DICOM slices, or several files of one shape (in a folder or
    given as a list), is one stack too; files are sorted by name, DICOM slices by position.

    Parameters
    ----------
    source
        A file, a folder, or files.
    series
        Of a file that holds several images the number, from 1 on, or the name of one (see
        `list_images`); the largest if None.
    axes
        What the axes are where the file or the names of files say it wrongly, such as "TZYX"; or,
        of a folder where that is known, what those that are read are: {"IYX": "ZYX"}.
    run
        Hears how far reading is, and may stop it.

    Returns
    -------
    Stack
        Pixels in their own dtype and values, read when they are asked for. Black-and-white
        pixels become uint8; NaN and infinity become the median of their frame. What was missing or
        changed is said in `warnings`.

    Raises
    ------
    InputError
        For anything that cannot be opened, with what to do about it.
    """
    many = isinstance(source, Sequence) and not isinstance(source, str)
    paths = [Path(p) for p in source] if many else [Path(source)]  # type: ignore[union-attr,arg-type]
    if not paths:
        raise InputError("No file was given.")
    run.start(Stage.READ, len(paths))
    with _readable(*paths):
        stack = _usable(_open(paths, run, series), run)
    run.finish(Stage.READ)
    meant = axes.upper() if isinstance(axes, str) else (axes or {}).get(stack.axes)
    return stack.with_axes(meant) if meant else stack


def list_images(path: str | PathLike[str], *, run: Run = SILENT) -> Sequence[FileImage]:
    """List the images of a file, without reading them; none where files are joined to one stack.

    Raises
    ------
    InputError
        For what cannot be opened.
    """
    one = Path(path)
    with _readable(one):
        if one.is_file() or is_zarr(one):
            return images_of(one, run)
        slices = _series_files(one)
        return dicom_images(slices, one, run) if slices else []


def list_inputs(path: str | PathLike[str]) -> list[Path]:
    """List the stacks at a path: the file itself, a folder of DICOM slices, or a folder's files.

    Files of formats that cannot be read are listed too, so that they are not passed over in
    silence; sub-folders count where they hold DICOM slices. Numbered images that are one volume or
    one film are one stack: the folder.
    """
    folder = Path(path)
    with _readable(folder):
        if not folder.is_dir() or is_zarr(folder) or _series_files(folder):
            return [folder]
        inputs = _inside(folder)
        return [folder] if are_planes(inputs) else inputs


def _inside(folder: Path) -> list[Path]:
    """List what can be opened in a folder; where nothing can, the DICOM folders further down."""
    inside = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=_natural)
    inputs = _once_a_set([p for p in inside if _lists(p)]) or sorted(
        {p.parent for p in _dicom_below(folder)}
    )
    if not inputs:
        raise InputError(f"The folder {folder.name} holds no images that can be opened.")
    return inputs


def _once_a_set(paths: list[Path]) -> list[Path]:
    """Keep one file of each OME-TIFF that lies in several; it opens the whole."""
    kept, others = [], set[Path]()
    for path in paths:
        if path in others:
            continue
        kept.append(path)
        if ".ome" in path.name.lower() and path.is_file():
            others.update(files_of_set(path))
    return kept


def are_planes(paths: list[Path]) -> bool:
    """Whether files are numbered planes of one stack: by their names, or by what they show.

    What is damaged among them says nothing; whoever joins them names it.
    """
    try:
        numbered = numbered_files([p for p in paths if p.is_file() and not foreign(p)])
    except InputError:
        return False  # each for itself
    if numbered is None or len(numbered.paths) < FEWEST:
        return False
    if numbered.refusal:
        return True  # which whoever joins them says
    if numbered.named and numbered.axes == "I":
        return False
    last = len(numbered.paths) - 1
    looked_at = np.unique(np.linspace(0, last - 1, min(last, PLANES_LOOKED_AT)).astype(int))
    pairs = []
    for index in looked_at:
        with suppress(InputError):
            pairs.append([open_file(p, SILENT) for p in numbered.paths[index : index + 2]])
    if not pairs or any(stack.axes != "YX" for pair in pairs for stack in pair):
        return False
    alike = sum(are_neighbours(one.pixels, other.pixels) for one, other in pairs)
    return numbered.named or 2 * alike >= len(pairs)


def _lists(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path) or bool(_series_files(path))
    return path.name.lower().endswith(SUFFIXES) or bool(foreign(path))


def _open(paths: list[Path], run: Run, series: int | str | None) -> Stack:
    if len(paths) == 1 and paths[0].name.upper() == DISC_LIST and paths[0].is_file():
        return _open_folder(paths[0].absolute().parent, run, series)
    paths = _once_a_set(paths) if len(paths) > 1 else paths
    if len(paths) > 1:
        return _open_several(paths, paths[0].parent, run, series)
    if paths[0].is_dir() and not is_zarr(paths[0]):
        return _open_folder(paths[0], run, series)
    return open_file(paths[0], run, series)


def files_read(path: Path) -> list[Path]:
    """Give what is read where a path is opened: all below a folder, what a file names beside it."""
    if path.name.upper() == DISC_LIST:
        path = path.absolute().parent
    if path.is_dir():
        return [path, *path.rglob("*")]
    return [path, *files_of_set(path), *files_of_nrrd(path)] if path.is_file() else [path]


def _open_folder(folder: Path, run: Run, series: int | str | None) -> Stack:
    slices = _series_files(folder)
    if slices:
        return open_chosen(dicom_images(slices, folder, run), folder.name, run, series)
    inputs = _inside(folder)
    files = [p for p in inputs if is_zarr(p) or (p.is_file() and not foreign(p))]
    slices = [p for below in inputs if below.is_dir() for p in _series_files(below)]
    if slices and not files:
        return open_chosen(dicom_images(slices, folder, run), folder.name, run, series)
    if not files:
        raise InputError(f"The folder {folder.name} holds several stacks; open them one by one.")
    if len(files) > 1:
        return _open_several(files, folder, run, series)
    return open_file(files[0], run, series)


def _open_several(
    paths: list[Path], folder: Path, run: Run, series: int | str | None = None
) -> Stack:
    """Join files of one shape along a new axis; damaged ones are left out and named."""
    paths = sorted(paths, key=_natural)
    if all(is_dicom(p) for p in paths):
        return open_chosen(dicom_images(paths, folder, run), folder.name, run, series)
    if series is not None:
        raise InputError(
            f"{len(paths)} files are opened as one stack; an image of one of them is chosen where "
            "that is opened alone."
        )
    numbered = numbered_files(paths)
    if numbered and numbered.refusal:
        raise InputError(numbered.refusal)
    paths = list(numbered.paths) if numbered else paths
    stacks: list[Stack] = []
    left_out: list[str] = []
    for done, path in enumerate(paths, 1):
        run.check()
        try:
            stacks.append(open_file(path, SILENT))
            if len(stacks) == 1:  # before all of them are in memory
                whole = (len(paths), *stacks[0].shape)
                check_size(folder.name, whole, stacks[0].dtype, None)
        except InputError as error:
            left_out.append(str(error))
        run.progress(Stage.READ, done, len(paths))
    if not stacks:
        raise InputError(left_out[0])
    return _join(stacks, folder, left_out, numbered)


def _join(
    stacks: list[Stack], folder: Path, left_out: list[str], numbered: NumberedFiles | None
) -> Stack:
    first = stacks[0]
    for other in stacks[1:]:
        if (other.shape, other.dtype) != (first.shape, first.dtype):
            raise InputError(
                f"{other.name} is {_describe(other)} but {first.name} is {_describe(first)}; "
                "only files of one size and type make one stack."
            )
    if "I" in first.axes:
        # A second unnamed axis could not be told from the first in any file.
        raise InputError(f"{first.name} is a stack itself; open one such file at a time.")
    notes = _shared_notes(stacks)
    if left_out:
        more = len(left_out) - MOST_NAMED
        rest = f" And {more} more." if more > 0 else ""
        told = " ".join(left_out[:MOST_NAMED])
        notes.insert(0, f"{len(left_out)} files are left out: {told}{rest}")
    if len(stacks) == 1:
        return replace(first, source=folder, warnings=tuple(notes))
    axes = numbered.axes_before(first.axes) if numbered else ""
    shape: tuple[int, ...] = (len(stacks),)
    guess = ""
    if numbered and axes:
        notes[:0] = filter(None, (numbered.read_as, numbered.note))
        guess = "" if numbered.named else numbered.read_as
        if len(axes) > 1 and left_out:
            raise InputError(f"Its numbered files have {len(axes)} axes, and {left_out[0]}")
        shape = numbered.shape if len(axes) > 1 else shape
    return replace(
        first,
        pixels=np.stack([s.pixels for s in stacks]).reshape(*shape, *first.shape),
        axes=f"{axes or 'I'}{first.axes}",
        source=folder,
        warnings=tuple(notes),
        guess=guess,
    )


def _shared_notes(stacks: list[Stack]) -> list[str]:
    """Say once what holds for all files, and of which file the rest holds."""
    files: dict[str, list[str]] = {}
    for stack in stacks:
        for note in stack.warnings:
            files.setdefault(note, []).append(stack.name)
    return [
        note if len(names) == len(stacks) else f"{', '.join(names[:3])}: {note}"
        for note, names in files.items()
    ]


def _describe(stack: Stack) -> str:
    return f"{' x '.join(str(n) for n in reversed(stack.shape))} pixels of {stack.dtype}"


def _usable(stack: Stack, run: Run) -> Stack:
    """Give real, finite pixels; refuse what has none."""
    kind = stack.dtype.kind
    if kind == "b":
        note = "Its pixels are black or white (1 bit) and are read as 0 and 1."
        pixels = made_frames(stack.raw_frame, stack.shape, np.uint8)
        return replace(stack, pixels=pixels, warnings=(*stack.warnings, note))
    if kind == "c":
        raise InputError(
            f"{stack.name} has complex pixels; save their magnitude as an image and open that."
        )
    if kind not in "uif":
        raise InputError(f"{stack.name} has pixels of type {stack.dtype}; numbers are needed.")
    return finite(stack, run) if kind == "f" else stack


@contextmanager
def _readable(*paths: Path) -> Iterator[None]:
    """Say in a sentence what the system refuses: no such file, no permission, a bad disk."""
    try:
        for path in paths:
            if not path.exists():
                raise InputError(f"There is no file or folder {path}.")
            if path.is_dir() and path.resolve().parent == path.resolve():
                raise InputError(f"{path} is a whole disk; open the folder that the images are in.")
            if not path.is_file() and not path.is_dir():  # a pipe would be waited for
                raise InputError(f"{path} is neither a file nor a folder.")
        yield
    except OSError as error:
        name = str(error.filename or paths[0])[-80:]
        raise InputError(f"{name} cannot be opened ({error.strerror or error}).") from error


def _series_files(folder: Path) -> list[Path]:
    """List the DICOM files of a folder, where they are what it holds and not a few among others."""
    files = sorted((p for p in folder.iterdir() if p.is_file()), key=_natural)
    if any(p.name.upper() == DISC_LIST for p in files):
        return _dicom_below(folder)  # a disc: pictures beside belong to its viewer
    dicom = [p for p in files if is_dicom(p)]
    others = sum(map(_lists, set(files).difference(dicom)))
    return dicom if len(dicom) >= others else []


def _dicom_below(folder: Path) -> list[Path]:
    """List the DICOM files anywhere below a folder, as far as a disc reaches."""
    found = []
    files = islice((p for p in folder.rglob("*") if p.is_file()), MOST_ON_A_DISC)
    for number, path in enumerate(files):
        if path.name.upper() != DISC_LIST and is_dicom(path):
            found.append(path)
        if not found and number > MOST_OF_OTHERS:
            break
    return sorted(found)


SIGNED = re.compile(r"((?:(?<![^\W_])(?<!-)-)?\d+)")  # a minus behind a letter or digit joins


def _natural(path: Path) -> list[str | int]:
    """Sort t2 before t10, and t_-1 before both."""
    parts = SIGNED.split(path.name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]
