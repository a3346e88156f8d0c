"""What a TIFF file, or its maker in tags of its own, says of pixel size, interval and channels."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from training_core.formats.file_image import Channels, colour
from training_core.formats.source_file import DAMAGE
from training_core.formats.units import SECONDS, UNITS_UM, micrometres, plain, positive, seconds
from training_core.stack import PixelSize

Measured = tuple[Any, str]  # a value as it is noted, and its unit
UNKNOWN: Measured = (None, "")

# A resolution in the bare TIFF tags is nearly always meant for print (72 to 600 dpi); only pixels
# smaller than at 1000 dpi are taken for a microscope's.
LARGEST_PRINTED_UM = 25.4
# ImageJ with its defaults (1 pixel per cm or inch) means "not calibrated".
LARGEST_BELIEVED_UM = 5000.0

GATAN_UNITS, GATAN_SCALES = (65003, 65004, 65005), (65009, 65010, 65011)
SIGNED_OFFSET = -32768.0  # by which ImageJ keeps numbers with a sign
TESCAN = 50431
ILLUMINATION = "_IllumSetting_"  # of MetaMorph
ZEISS_WIDTH = 1024  # px of the picture whose pixel size Zeiss notes in metres

# With their units, and which one is meant where none is written.
OME_MEASURES = (
    *((f"PhysicalSize{axis}", UNITS_UM, "µm") for axis in "XYZ"),
    ("TimeIncrement", SECONDS, "s"),
)
CHANNEL_ATTRIBUTES = (
    "Name",
    "Color",
    "Fluor",
    "EmissionWavelength",
    "EmissionWavelengthUnit",
    "ExcitationWavelength",
    "ExcitationWavelengthUnit",
)


@dataclass(frozen=True)
class Calibration:
    """What the metadata say; `extra` is kept to be written again."""

    pixel_size: PixelSize = field(default_factory=PixelSize)
    time_step_s: float | None = None
    channels: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def value_unit_of(tif: Any) -> str:
    """Give the unit of the values, "HU" or "", as `write_stack` notes it inside its files."""
    text = f"{tif.pages[0].description} {(tif.imagej_metadata or {}).get('Info', '')}"
    noted = re.search(r'\\?"value_unit\\?": \\?"(HU)', html.unescape(text))
    return noted[1] if noted else ""


def calibrated(imagej: Mapping[str, Any], dtype: np.dtype[Any]) -> tuple[bool, str, str]:
    """Tell what a calibration curve of ImageJ makes of the values.

    Returns
    -------
    bool
        Whether stored values from 0 to 65535 mean -32768 to 32767.
    str
        The unit of the values, "HU" or "".
    str
        What to tell of a curve that is not applied; "" where there is none.
    """
    curve = [imagej.get(name) for name in ("cf", "c0", "c1")]
    unit = str(imagej.get("vunit", "")).strip()
    signed = curve == [0, SIGNED_OFFSET, 1]
    if imagej.get("cf") is None or signed:
        hounsfield = unit.upper() == "HU" and (signed or dtype.kind != "u")
        return signed and dtype == np.uint16, "HU" if hounsfield else "", ""
    straight = curve[0] == 0 and None not in curve
    shown = f" ({curve[1]:g} + {curve[2]:g} x value)" if straight else ""
    told = f"ImageJ shows its values by a calibration curve{shown}"
    return False, "", f"{told}; they are kept as they are stored."


def calibration_of(tif: Any, series: Any = None) -> tuple[str, Calibration]:
    """Give the family of an open TIFF file ("imagej", "ome" or "tiff") and its calibration.

    Of several images in OME metadata it is that of `series`; the first if None.
    Where the family says nothing of pixel sizes, the maker's own tags do.
    """
    kind, calibration = _family_of(tif, series)
    # A pixel size that comes from the resolution tags alone is meant for print.
    bare = kind == "tiff" and not (tif.is_shaped and tif.shaped_metadata)
    if calibration.pixel_size.x_um is not None and not bare:
        return kind, calibration
    note = makers_note(tif) or calibration
    return kind, replace(
        calibration,
        pixel_size=note.pixel_size,
        time_step_s=calibration.time_step_s or note.time_step_s,
        channels=calibration.channels or note.channels,
        extra=note.extra | calibration.extra,
    )


def _family_of(tif: Any, series: Any) -> tuple[str, Calibration]:
    page = tif.pages[0] if series is None else series.keyframe
    resolution, unit = tuple(page.resolution), int(page.resolutionunit)
    plain = plain_calibration(resolution, unit)
    # Micro-Manager writes both texts; the axes then come from OME, so the sizes must too.
    if tif.is_imagej and tif.series[0].kind != "ome":
        return "imagej", imagej_calibration(tif.imagej_metadata or {}, resolution)
    if "<OME" in tif.pages[0].description[:2000]:
        try:
            number = next((i for i, each in enumerate(tif.series) if each is series), 0)
            return "ome", ome_calibration(tif.ome_metadata or tif.pages[0].description, number)
        except ElementTree.ParseError:
            lost = "Its OME metadata are damaged: pixel size and channel names are not known."
            return "tiff", replace(plain, warnings=(lost,))
    if tif.is_shaped and tif.shaped_metadata:
        shaped = shaped_calibration(tif.shaped_metadata[0])
        known = shaped.pixel_size != PixelSize()
        return "tiff", shaped if known else replace(shaped, pixel_size=plain.pixel_size)
    return "tiff", plain


def plain_calibration(resolution: tuple[float, float], unit: int) -> Calibration:
    """Read the resolution tags (pixels per `unit`: 2 inch, 3 cm), where they are plausible."""
    um_per_unit = {2: 25_400.0, 3: 1e4}.get(unit)
    sizes = [um_per_unit / r if um_per_unit and r > 0 else None for r in resolution]
    x_um, y_um = (s if s is not None and s < LARGEST_PRINTED_UM else None for s in sizes)
    return Calibration(PixelSize(x_um, y_um))


def imagej_calibration(metadata: Mapping[str, Any], resolution: tuple[float, float]) -> Calibration:
    """Read the calibration of an ImageJ file: `unit`, `spacing`, `finterval` and the resolution.

    `yunit` and `zunit` are written where they are not that of x.
    """
    unit = metadata.get("unit", "")
    x, y, z = (UNITS_UM.get(plain(metadata.get(f"{a}unit", unit))) for a in ("", "y", "z"))
    x_um, y_um = (f / r if f and r > 0 else None for f, r in zip((x, y), resolution, strict=True))
    # Without a calibration `spacing` counts pixels, whatever the unit says.
    believed = x_um is not None and x_um < LARGEST_BELIEVED_UM
    z_um = positive(metadata.get("spacing"), z) if believed else None
    size = PixelSize(x_um, y_um, z_um) if believed else PixelSize()
    step_s = seconds(metadata.get("finterval"), metadata.get("tunit", "sec"))
    return Calibration(size, step_s, extra={"imagej": dict(metadata)})


def ome_calibration(xml: str, number: int = 0) -> Calibration:
    """Read an image of an OME-XML text, counted from 0.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        For text that is not XML.
    """
    root = ElementTree.fromstring(xml)
    images = root.findall(".//{*}Pixels")
    pixels = images[number] if number < len(images) else None
    if pixels is None:
        spread = "It is one file of an image that is spread over several; only this one is read."
        return Calibration(warnings=(spread,) if root.find("{*}BinaryOnly") is not None else ())
    channels = pixels.findall("{*}Channel")
    return _ome_attributes(
        pixels.attrib,
        tuple(c.get("Name", "") for c in channels),
        {"ome_channels": _shared_attributes(channels), "ome_xml": xml},
    )


def shaped_calibration(metadata: Mapping[str, Any]) -> Calibration:
    """Read what tifffile stores as JSON in a plain TIFF; the names are those of OME."""
    channels = metadata.get("Channel")
    names = channels.get("Name", ()) if isinstance(channels, dict) else ()
    return _ome_attributes(metadata, tuple(names), {})


def _ome_attributes(
    attributes: Mapping[str, Any], names: tuple[str, ...], extra: dict[str, Any]
) -> Calibration:
    known: list[float | None] = []
    unknown: dict[str, Any] = {}  # to be written again as it was
    for name, units, usual in OME_MEASURES:
        value, unit = attributes.get(name), attributes.get(f"{name}Unit", usual)
        known.append(positive(value, units.get(plain(unit))))
        if value is not None and plain(unit) not in units:
            unknown |= {name: value, f"{name}Unit": unit}
    extra = extra | ({"ome_unknown": unknown} if unknown else {})
    return Calibration(PixelSize(*known[:3]), known[3], names if any(names) else (), extra)


def _shared_attributes(channels: list[ElementTree.Element]) -> dict[str, list[str]]:
    """Give the attributes that every channel has, which is what can be written again."""
    return {
        name: [c.attrib[name] for c in channels]
        for name in CHANNEL_ATTRIBUTES
        if channels and all(name in c.attrib for c in channels)
    }


def makers_note(tif: Any) -> Calibration | None:
    """Give what the maker notes in an open TIFF file; None where no known maker does."""
    for read in MAKERS:
        try:
            note = read(tif)
        except DAMAGE:  # there is no such note, or it is damaged, which the image need not be
            continue
        if note and None not in (note.pixel_size.x_um, note.pixel_size.y_um):
            return note
    return None


def _noted(
    x: Measured,
    y: Measured,
    z: Measured = UNKNOWN,
    step: Measured = UNKNOWN,
    channels: tuple[str, ...] = (),
) -> Calibration:
    sizes = (micrometres(value, unit) for value, unit in (x, y, z))
    step_s = seconds(*step)
    return Calibration(PixelSize(*sizes), step_s, channels)


def _fei(tif: Any) -> Calibration:
    said = tif.fei_metadata
    if "PixelWidth" in said.get("Scan", {}):
        return _noted((said["Scan"]["PixelWidth"], "m"), (said["Scan"]["PixelHeight"], "m"))
    beam, image = said["IRBeam"], said["Image"]
    return _noted(
        (beam["HFW"] / image["ResolutionX"], "m"), (beam["VFW"] / image["ResolutionY"], "m")
    )


def _zeiss_sem(tif: Any) -> Calibration:
    said = tif.sem_metadata
    named = (said.get(key, ()) for key in ("ap_image_pixel_size", "ap_pixel_size"))
    size = next((tuple(value[1:]) for value in named if len(value) == 3), None)
    if size is None:
        size = (said[""][3] * ZEISS_WIDTH / tif.pages[0].imagewidth, "m")
    return _noted(size, size)


def _tescan(tif: Any) -> Calibration:
    said = tif.pages[0].tags.valueof(TESCAN)
    text = said.decode("latin-1") if isinstance(said, bytes) else str(said)
    sizes = dict(re.findall(r"PixelSize([XY])\s*=\s*([-+.\deE]+)", text))
    return _noted((sizes["X"], "m"), (sizes["Y"], "m"))


def _gatan(tif: Any) -> Calibration:
    tags = tif.pages[0].tags
    places = zip(GATAN_SCALES, GATAN_UNITS, strict=True)
    return _noted(*((tags.valueof(scale), tags.valueof(unit)) for scale, unit in places))


def _metamorph(tif: Any) -> Calibration | None:
    said = tif.stk_metadata
    if not said["SpatialCalibration"]:
        return None
    unit = said["CalibrationUnits"]
    steps = np.ravel(said.get("ZDistance", 0))
    # What lit the sample names its channel; else the image is called so.
    properties = [p for p in said.get("PlaneProperty", ()) if p.get("name") == ILLUMINATION]
    name = str(properties[0]["value"] if properties else said.get("Name", "")).strip()
    return _noted(
        (said["XCalibration"], unit),
        (said["YCalibration"], unit),
        (float(steps.mean()), unit),
        channels=(name,) if name else (),
    )


def _metaseries(tif: Any) -> Calibration | None:
    said = tif.metaseries_metadata["PlaneInfo"]
    if not said["spatial-calibration-state"]:
        return None
    unit = said["spatial-calibration-units"]
    return _noted((said["spatial-calibration-x"], unit), (said["spatial-calibration-y"], unit))


def _zeiss_lsm(tif: Any) -> Calibration:
    said = tif.lsm_metadata
    x, y, z = ((said[f"VoxelSize{axis}"], "m") for axis in "XYZ")
    shown = said.get("ChannelColors") or {}
    names = tuple(map(str, shown.get("ColorNames", ())))
    noted = _noted(x, y, z, (said.get("TimeIntervall"), "s"), names)
    colours = Channels(colours=[colour(each) for each in shown.get("Colors", ())])
    known = colours.noted(len(colours.colours))
    return replace(noted, extra={"ome_channels": known} if known else {})


def _olympus_sis(tif: Any) -> Calibration:
    said = tif.sis_metadata
    return _noted((said["pixelsizex"], "m"), (said["pixelsizey"], "m"))


def _olympus_fluoview(tif: Any) -> Calibration:
    said = {str(d[0]).lower(): d for d in tif.fluoview_metadata["Dimensions"]}
    x, y, z, step = (tuple(said.get(axis, ())[3:5]) or UNKNOWN for axis in ("x", "y", "z", "time"))
    return _noted(x, y, z, step)


def _tvips(tif: Any) -> Calibration:
    said = tif.tvips_metadata
    return _noted((said["PixelSizeX"], "nm"), (said["PixelSizeY"], "nm"))


def _micro_manager(tif: Any) -> Calibration:
    said = tif.micromanager_metadata["Summary"]
    size = (said.get("PixelSize_um"), "um")
    return _noted(size, size, (said.get("z-step_um"), "um"), (said.get("Interval_ms"), "ms"))


def _aperio(tif: Any) -> Calibration:
    said = tifffile.tifffile.svs_description_metadata(tif.pages[0].description)
    size = (said["MPP"], "um")
    return _noted(size, size)


MAKERS: tuple[Callable[[Any], Calibration | None], ...] = (
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
