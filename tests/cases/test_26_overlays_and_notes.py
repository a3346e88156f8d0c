"""What was drawn and written in Fiji is in the result byte for byte, and our note below."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from training_core.export.writers import write_stack
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path

NOTES = "Objective: 63\u00d7 / 1.4 \u2013 Immersion \u00d6l\nStage = 12.5 \u00b5m"


def roi(top: int, left: int, bottom: int, right: int) -> bytes:
    head = b"Iout" + struct.pack(">hbbhhhhh", 227, 1, 0, top, left, bottom, right, 0)
    return head + bytes(128 - len(head))


def test_annotations_come_back(tmp_path: Path):
    path = tmp_path / "annotated.tif"
    pixels = np.random.default_rng(26).poisson(80, (4, 48, 64)).astype(np.uint16)
    tifffile.imwrite(
        path,
        pixels,
        imagej=True,
        resolution=(1 / 0.108, 1 / 0.108),
        metadata={
            "axes": "ZYX",
            "unit": "um",
            "spacing": 0.3,
            "min": 40.0,
            "max": 160.0,
            "ROI": roi(5, 6, 20, 30),
            "Overlays": [roi(1, 1, 9, 9), roi(30, 30, 40, 50)],
            "Labels": [f"z = {z} \u00b5m" for z in range(4)],
            "Properties": ["owner", "M\u00fcller"],
            "Info": NOTES,
        },
    )

    result = write_stack(open_stack(path), tmp_path / "out.tif", description={"seed": 3})

    with tifffile.TiffFile(path) as one, tifffile.TiffFile(result) as two:
        given, kept = one.imagej_metadata or {}, two.imagej_metadata or {}
    assert kept.pop("Info").startswith(f"{NOTES}\ng2g desktop ")
    assert given.pop("Info") == NOTES
    assert kept == given
    assert kept["ROI"] == roi(5, 6, 20, 30)
    assert kept["Overlays"] == [roi(1, 1, 9, 9), roi(30, 30, 40, 50)]
    assert (kept["unit"], kept["spacing"], kept["min"], kept["max"]) == ("um", 0.3, 40.0, 160.0)
