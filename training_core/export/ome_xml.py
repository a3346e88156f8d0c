"""The OME-XML of a result: its input's own where there is one, with how the pixels were made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import tifffile

NAMESPACE = "g2g-desktop/provenance"
SCHEMA = re.compile(r"\{http://www\.openmicroscopy\.org/Schemas/OME/(20[12]\d-\d\d)\}OME")
# What XML 1.0 has no place for, as a channel name of a damaged file may hold.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What says where in which file the pixels lie; it is written anew.
STORAGE = ("BinData", "TiffData", "MetadataOnly")
PIXELS = "{*}Image/{*}Pixels"
DESCRIPTION = "ImageDescription"  # the tag
STORED = ("BigEndian", "Interleaved", "DimensionOrder")
SIZES = ("SizeX", "SizeY", "SizeZ", "SizeC", "SizeT")
CALIBRATED = ("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ", "TimeIncrement")


def ome_xml(
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    axes: str,
    about: Mapping[str, Any],
    *,
    provenance: str,
    creator: str,
    uuid: str,
    kept: Mapping[str, Any],
    calibrated: bool,
) -> bytes:
    """Write the OME-XML of one image that lies in one file, plane after plane.

    Parameters
    ----------
    dtype, shape, axes
        Of the image; S is the last axis where samples of a pixel lie together.
    about
        What tifffile is told of it: names, sizes and units.
    provenance
        How the pixels were made, for an annotation.
    kept
        The metadata of the input; its own OME-XML is kept where its axes are those of the image.
    calibrated
        Whether the sizes and the interval of the input's own text still hold.
    """
    samples = shape[-1] if axes.endswith("S") else 1
    height, width = shape[-3:-1] if samples > 1 else shape[-2:]
    planes = int(np.prod(shape, dtype=np.int64)) // (height * width * samples)
    made = tifffile.OmeXml(Creator=creator, UUID=uuid)
    stored = (planes, 1, 1, height, width, samples)
    made.addimage(dtype, shape, stored, axes=axes, **_clean(about))
    root = ElementTree.fromstring(made.tostring())
    own = _own_image(kept, root)
    root = root if own is None else _merged(own, root, calibrated)
    _annotate(root, NO_XML.sub("", provenance))
    ElementTree.register_namespace("", root.tag[1:].partition("}")[0])
    text: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text


def kept_of(metadata: Mapping[str, Any]) -> list[str]:
    """Give what of the OME-XML in a stack's metadata comes back in an export, one line a fact.

    That is all but where the pixels lie, how large they are, and what `ome_xml` adds itself.
    """
    text = metadata.get("ome_xml")
    return list(_facts_of(text, int(metadata.get("ome_image", 0)))) if text else []


def without_image_names(text: str) -> str:
    """Leave the names of images, which often are those of files, out of an OME-XML text."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return text
    for image in root.findall("{*}Image"):
        image.attrib.pop("Name", None)
    return ElementTree.tostring(root, encoding="unicode")


def description_of(metadata: Mapping[str, Any]) -> str:
    """Give what a stack's metadata have in the place for a description."""
    said = str(metadata.get("tags", {}).get(DESCRIPTION, ""))
    if not said and "ome_xml" in metadata:
        root = _image_alone(metadata["ome_xml"], int(metadata.get("ome_image", 0)))
        said = "" if root is None else root.findtext("{*}Image/{*}Description") or ""
    # As it comes back: XML has one kind of line break.
    return NO_XML.sub("", said).replace("\r\n", "\n").replace("\r", "\n").strip()


@lru_cache(maxsize=4)  # a text may tell of twenty thousand planes, and is asked for several times
def _facts_of(text: str, number: int) -> tuple[str, ...]:
    root = _image_alone(text, number)
    if root is None:
        return ()
    ours = [part for part in root.iter() if part.get("Namespace") == NAMESPACE]
    named = {part.get("ID") for part in ours}
    refer = [r for r in root.iter() if _name(r) == "AnnotationRef" and r.get("ID") in named]
    _remove(root, [*ours, *refer])
    facts = [f"@{name}={value}" for name, value in root.attrib.items() if _lasts(name)]
    return tuple(facts + [fact for child in root for fact in _told(child, "")])


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _version(root: Element) -> str:
    """Give the version of the schema, such as "2016-06"."""
    known = SCHEMA.fullmatch(root.tag)
    return known[1] if known else ""


def _lasts(name: str) -> bool:
    return name not in ("UUID", "Creator") and not name.startswith("{")


def _told(element: Element, path: str) -> Iterator[str]:
    """Tell of an element and what is in it, where it says more than that there are pixels."""
    name = _name(element)
    if name in STORAGE or (name in ("StructuredAnnotations", "LightPath") and not len(element)):
        return
    here, text = f"{path}/{name}", (element.text or "").strip()
    left_out = (*STORED, *SIZES, *CALIBRATED, "Type", "SignificantBits", "ID")
    units = tuple(f"{each}Unit" for each in CALIBRATED)
    shown = {k: v for k, v in element.attrib.items() if k not in (*left_out, *units)}
    if name == "Channel":
        shown.pop("SamplesPerPixel", None)
    if text or shown:
        yield " ".join((here, text, *(f"{k}={v}" for k, v in sorted(shown.items()))))
    for child in element:
        yield from _told(child, here)


def _clean(about: Any) -> Any:
    """Leave out of texts what XML cannot hold."""
    if isinstance(about, str):
        return NO_XML.sub("", about)
    if isinstance(about, Mapping):
        return {name: _clean(value) for name, value in about.items()}
    return [_clean(value) for value in about] if isinstance(about, (list, tuple)) else about


def _own_image(kept: Mapping[str, Any], made: Element) -> Element | None:
    """Give the input's own OME element with its one image; None where that is not this image.

    It is not where planes are missing, or where an axis has no name, which an annotation tells.
    """
    text = kept.get("ome_xml")
    root = _image_alone(text, int(kept.get("ome_image", 0))) if text else None
    if root is None or made.find("{*}StructuredAnnotations") is not None:
        return None
    pixels, ours = root.find(PIXELS), made.find(PIXELS)
    if pixels is None or ours is None:
        return None
    same = all(pixels.get(name) == ours.get(name) for name in SIZES)
    alike = len(pixels.findall("{*}Channel")) == len(ours.findall("{*}Channel"))
    return root if same and alike else None


def _image_alone(text: str, number: int) -> Element | None:
    """Read an OME-XML text and leave out all images but one, and what refers to them."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    images = root.findall("{*}Image")
    if SCHEMA.fullmatch(root.tag) is None or number >= len(images):
        return None
    others = images[:number] + images[number + 1 :]
    named = {image.get("ID") for image in others}
    refer = [r for r in root.iter() if r.tag.endswith("}ImageRef") and r.get("ID") in named]
    _remove(root, [*others, *refer])
    return root


def _remove(root: Element, gone: Sequence[Element]) -> None:
    """Take elements out, wherever they are."""
    for parent in list(root.iter()):
        for child in list(parent):
            if any(child is each for each in gone):
                parent.remove(child)


def _merged(root: Element, made: Element, calibrated: bool) -> Element:
    """Give the input's own text, with the pixels of the result in the place of its own."""
    pixels, ours = root.find(PIXELS), made.find(PIXELS)
    assert pixels is not None  # `_own_image` sees to it
    assert ours is not None
    space = root.tag.partition("}")[0] + "}"
    root.set("UUID", made.attrib["UUID"])
    root.set("Creator", made.attrib["Creator"])
    if pixels.get("Type") != ours.get("Type"):
        pixels.attrib.pop("SignificantBits", None)
    for name in ("BigEndian", "Interleaved"):
        pixels.attrib.pop(name, None)
    for name in ("Type", "DimensionOrder", "Interleaved"):
        if name in ours.attrib:
            pixels.set(name, ours.attrib[name])
    with_units = _version(root) >= "2015"  # before that the units were fixed
    for name in () if calibrated else CALIBRATED:
        for attribute in (name, f"{name}Unit"):
            pixels.attrib.pop(attribute, None)
            if attribute in ours.attrib and (with_units or attribute == name):
                pixels.set(attribute, ours.attrib[attribute])
    _remove(pixels, [child for child in pixels if _name(child) in STORAGE])
    stored = ours.find("{*}TiffData")
    assert stored is not None
    place = len(pixels.findall("{*}Channel"))
    pixels.insert(place, Element(f"{space}TiffData", stored.attrib))
    return root


def _annotate(root: Element, provenance: str) -> None:
    """Add how the pixels were made, as an annotation of the image."""
    space = root.tag.partition("}")[0] + "}"
    if _version(root) < "2016":  # annotations had a schema of their own
        space = space.replace("/OME/", "/SA/")
    annotations = root.find("{*}StructuredAnnotations")
    image = root.find("{*}Image")
    assert image is not None
    if annotations is None:
        annotations = Element(f"{space}StructuredAnnotations")
        root.insert(list(root).index(image) + 1, annotations)
    taken = {part.get("ID") for part in root.iter()}
    number = next(n for n in range(len(taken) + 1) if f"Annotation:g2g-{n}" not in taken)
    identity = f"Annotation:g2g-{number}"
    note = SubElement(annotations, f"{space}CommentAnnotation", ID=identity, Namespace=NAMESPACE)
    SubElement(note, f"{space}Value").text = provenance
    SubElement(image, f"{space}AnnotationRef", ID=identity)
