"""What a page of a TIFF file says beside its pixels, to be shown and written again as it was."""

from __future__ import annotations

from typing import Any

import tifffile

# Written again as they are; the first is that of a plain file alone.
KEPT_TAGS = ("ImageDescription", "DocumentName", "Make", "Model", "DateTime", "Artist", "Copyright")
# Of Zeiss, FEI twice and TESCAN: a text, each letter a byte.
NOTES_OF_MICROSCOPES, MOST_NOTED = (34118, 34680, 34682, 50431), 2**20


def colours_of_page(page: Any) -> str:
    """Name what the samples of a pixel are; "" where they are no colours."""
    photometric = getattr(page.photometric, "name", "")
    if photometric in ("MINISBLACK", "MINISWHITE", "PALETTE"):
        return ""
    # tifffile gives RGB for the YCbCr of JPEG.
    return {"YCBCR": "RGB", "SEPARATED": "CMYK"}.get(photometric, photometric)


def kept_of_page(page: Any, own: bool) -> dict[str, Any]:
    """Give what is needed to show and print the result as the file was.

    `own` says that its description is that of a program, and written anew.
    """
    kept: dict[str, Any] = {
        "resolution": tuple(page.resolution),
        "resolutionunit": int(page.resolutionunit),
    }
    if int(page.photometric) == 0:
        kept["photometric"] = "miniswhite"
    if page.colormap is not None:
        kept["colormap"] = page.colormap
    colours = colours_of_page(page)
    if page.samplesperpixel > 1 and colours:
        kept["colours"] = colours
    found = {"tags": _said(page, own), "microscope": _microscope(page)}
    return kept | {name: said for name, said in found.items() if said}


def _said(page: Any, own: bool) -> dict[str, str]:
    """Give what plain tags say of image, camera and photographer."""
    names = KEPT_TAGS[1:] if own or "<OME" in page.description else KEPT_TAGS
    said = {name: str(page.tags.valueof(tifffile.TIFF.TAGS[name], "")) for name in names}
    return {name: text for name, text in said.items() if text.strip()}


def _microscope(page: Any) -> dict[int, bytes]:
    """Give what an electron microscope noted of itself and the image, by numbers of tags."""
    file, noted = page.parent.filehandle, {}
    for tag in (page.tags.get(number) for number in NOTES_OF_MICROSCOPES):
        if tag is not None and 0 < tag.count <= MOST_NOTED:
            file.seek(tag.valueoffset)
            noted[int(tag.code)] = bytes(file.read(tag.count))
    return noted
