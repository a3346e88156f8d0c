"""What makers of microscopes note of pixel size and frame interval in tags of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from .damaged_files import DAMAGE

Measured = tuple[Any, str]  # a value as it is noted, and its unit
UNKNOWN: Measured = (None, "")

GATAN_UNITS, GATAN_SCALES = (65003, 65004, 65005), (65009, 65010, 65011)
TESCAN = 50431
ZEISS_WIDTH = 1024  # px of the picture whose pixel size Zeiss notes in metres


@dataclass(frozen=True)
class MakersNote:
    """Pixel size and frame interval, each with its unit, and names of channels."""

    x: Measured = UNKNOWN
    y: Measured = UNKNOWN
    z: Measured = UNKNOWN
    step: Measured = UNKNOWN
    channels: tuple[str, ...] = ()


def makers_note(tif: Any) -> MakersNote | None:
    """Give what the maker notes in an open TIFF file; None where no known maker does."""
    for read in READERS:
        try:
            note = read(tif)
        except DAMAGE:  # of the note, not of the image
            continue
        if note is not None and note.x[0]:
            return note
    return None


def _fei(tif: Any) -> MakersNote | None:
    said = tif.fei_metadata
    if not said:
        return None
    if "PixelWidth" in said.get("Scan", {}):
        return MakersNote((said["Scan"]["PixelWidth"], "m"), (said["Scan"]["PixelHeight"], "m"))
    beam, image = said["IRBeam"], said["Image"]
    return MakersNote(
        (beam["HFW"] / image["ResolutionX"], "m"), (beam["VFW"] / image["ResolutionY"], "m")
    )


def _zeiss_sem(tif: Any) -> MakersNote | None:
    said = tif.sem_metadata
    if not said:
        return None
    named = (said.get(key, ()) for key in ("ap_image_pixel_size", "ap_pixel_size"))
    size = next((tuple(value[1:]) for value in named if len(value) == 3), None)
    if size is None:
        size = (said[""][3] * ZEISS_WIDTH / tif.pages[0].imagewidth, "m")
    return MakersNote(size, size)


def _tescan(tif: Any) -> MakersNote | None:
    said = tif.pages[0].tags.valueof(TESCAN)
    text = said.decode("latin-1") if isinstance(said, bytes) else str(said)
    sizes = dict(re.findall(r"PixelSize([XY])\s*=\s*([-+.\deE]+)", text))
    return MakersNote((sizes["X"], "m"), (sizes["Y"], "m"))


def _gatan(tif: Any) -> MakersNote | None:
    tags = tif.pages[0].tags
    axes = [
        (tags.valueof(scale), str(tags.valueof(unit)))
        for scale, unit in zip(GATAN_SCALES, GATAN_UNITS, strict=True)
    ]
    return MakersNote(*axes)


def _metamorph(tif: Any) -> MakersNote | None:
    said = tif.stk_metadata
    if not said or not said.get("SpatialCalibration"):
        return None
    unit = said["CalibrationUnits"]
    steps = np.ravel(said.get("ZDistance", 0))
    return MakersNote(
        (said["XCalibration"], unit), (said["YCalibration"], unit), (float(steps.mean()), unit)
    )


def _metaseries(tif: Any) -> MakersNote | None:
    said = (tif.metaseries_metadata or {}).get("PlaneInfo", {})
    if not said.get("spatial-calibration-state"):
        return None
    unit = said["spatial-calibration-units"]
    return MakersNote((said["spatial-calibration-x"], unit), (said["spatial-calibration-y"], unit))


def _zeiss_lsm(tif: Any) -> MakersNote | None:
    said = tif.lsm_metadata
    if not said:
        return None
    x, y, z = ((said[f"VoxelSize{axis}"], "m") for axis in "XYZ")
    names = (said.get("ChannelColors") or {}).get("ColorNames", ())
    return MakersNote(x, y, z, (said.get("TimeIntervall"), "s"), tuple(map(str, names)))


def _olympus_sis(tif: Any) -> MakersNote | None:
    said = tif.sis_metadata
    return said and MakersNote((said["pixelsizex"], "m"), (said["pixelsizey"], "m"))


def _olympus_fluoview(tif: Any) -> MakersNote | None:
    said = {str(d[0]).lower(): d for d in (tif.fluoview_metadata or {}).get("Dimensions", ())}
    x, y, z, step = (tuple(said.get(axis, ())[3:5]) or UNKNOWN for axis in ("x", "y", "z", "time"))
    return MakersNote(x, y, z, step)


def _tvips(tif: Any) -> MakersNote | None:
    said = tif.tvips_metadata
    return said and MakersNote((said["PixelSizeX"], "nm"), (said["PixelSizeY"], "nm"))


def _micro_manager(tif: Any) -> MakersNote | None:
    said = (tif.micromanager_metadata or {}).get("Summary", {})
    size = (said.get("PixelSize_um"), "um")
    return MakersNote(size, size, (said.get("z-step_um"), "um"), (said.get("Interval_ms"), "ms"))


def _aperio(tif: Any) -> MakersNote | None:
    page = tif.pages[0]
    if not page.is_svs:
        return None
    size = (tifffile.tifffile.svs_description_metadata(page.description)["MPP"], "um")
    return MakersNote(size, size)


READERS: tuple[Callable[[Any], MakersNote | None], ...] = (
    _fei,
    _zeiss_sem,
    _tescan,
    _gatan,
    _metamorph,
    _metaseries,
    _zeiss_lsm,
    _olympus_sis,
    _olympus_fluoview,
    _tvips,
    _micro_manager,
    _aperio,
)
