"""The fluorescence set FMD (Zhang et al., CVPR 2019) as raw frames with the mean of 50 for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .dataset import Scene, pictures_in, read_gray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class Found(NamedTuple):
    """What is there of an image type: scenes, and names and counts of what was left out."""

    scenes: list[Scene]
    repeated: list[str]
    too_few: list[str]


def read_scenes(fmd: Path, image_type: str, average: int) -> Found:
    """Read every field of an image type as means of `average` raw frames.

    Parameters
    ----------
    fmd
        Folder with TYPE/raw/FIELD and TYPE/gt/FIELD/avg50.png, or with test_mix/raw/TYPE_N.png and
        test_mix/gt/TYPE.png.
    image_type
        Such as "WideField_BPAE_B".
    average
        Frames that follow one another are averaged, none twice, and rounded to their dtype; a mean
        bears the number of its first frame.

    Returns
    -------
    Found
        The scenes; the frames left out because they repeat an earlier one; and the fields left out
        because they have fewer than `average` frames, as "FIELD (frames)".
    """
    found = Found([], [], [])
    for name, raw, reference in _fields(fmd, image_type):
        frames, repeated = _different(name, raw)
        found.repeated.extend(repeated)
        if len(frames) < average:
            found.too_few.append(f"{name} ({len(frames)})")
        else:
            found.scenes.append(Scene(_means(frames, average), read_gray(reference)))
    return found


def _fields(fmd: Path, image_type: str) -> Iterator[tuple[str, list[Path], Path]]:
    """Give name, raw frames and reference of each field."""
    raw, gt = (fmd / image_type / part for part in ("raw", "gt"))
    if raw.is_dir():
        for field in sorted(raw.iterdir(), key=lambda p: (len(p.name), p.name)):
            yield f"{image_type}_{field.name}", pictures_in(field), gt / field.name / "avg50.png"
        return
    mix = fmd / "test_mix"
    if any((mix / "raw").glob(f"{image_type}_*")):
        frames = pictures_in(mix / "raw", lambda name: name.startswith(f"{image_type}_"))
        yield image_type, frames, mix / "gt" / f"{image_type}.png"


def _different(field: str, paths: list[Path]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Give the frames that differ from all before them, numbered, and the names of the others."""
    seen: set[bytes] = set()
    frames, repeated = {}, []
    for number, path in enumerate(paths, 1):
        frame = read_gray(path)
        if frame.tobytes() in seen:
            repeated.append(f"{field}_{number}")
        else:
            seen.add(frame.tobytes())
            frames[f"{field}_{number}"] = frame
    return frames, repeated


def _means(frames: dict[str, NDArray[Any]], average: int) -> dict[str, NDArray[Any]]:
    names, pixels = list(frames), list(frames.values())
    return {
        names[i]: np.rint(np.mean(pixels[i : i + average], axis=0)).astype(pixels[i].dtype)
        for i in range(0, len(names) - average + 1, average)
    }
