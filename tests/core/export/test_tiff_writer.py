"""What is written is in the family of the input, equal when read back, and whole or absent."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import training_core.export.writers as module
from training_core.errors import OutputError
from training_core.export import tiff_writer
from training_core.export.writers import check_room, room_for, write_stack
from training_core.io.readers import open_stack
from training_core.run import Cancelled, Run, StepsDone
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RNG = np.random.default_rng(5)


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(0, 120, shape).astype(dtype)


def settings_in(text: str) -> dict[str, object]:
    return json.loads(text[text.index("{") :])


def ome_stack() -> Stack:
    return Stack(
        noise(2, 3, 4, 20, 30),
        "TZCYX",
        PixelSize(0.1083, 0.1083, 0.3),
        ("DAPI", "GFP", "µ", "mCherry"),
        1.5,
        kind="ome",
        metadata={"ome_channels": {"Color": ["255", "65280", "-1", "16711680"]}},
    )


def test_ome_in_ome_out(tmp_path: Path):
    stack = ome_stack()

    path = write_stack(stack, tmp_path / "out.ome.tif", description={"seed": 3})
    again = open_stack(path)

    assert (again.kind, again.axes, again.dtype) == ("ome", "TZCYX", np.uint16)
    np.testing.assert_array_equal(again.pixels, stack.pixels)
    assert again.pixel_size == stack.pixel_size
    assert (again.channels, again.time_step_s) == (stack.channels, 1.5)
    assert again.metadata["ome_channels"]["Color"] == ["255", "65280", "-1", "16711680"]


def test_settings_are_inside_the_ome_file(tmp_path: Path):
    path = write_stack(ome_stack(), tmp_path / "a.tif", description={"seed": 3, "note": "<µ>"})

    with tifffile.TiffFile(path) as tif:
        ome = tifffile.xml2dict(tif.ome_metadata)["OME"]
        assert tif.pages[0].software.startswith("g2g desktop")
        assert tif.pages[0].photometric.name == "MINISBLACK"
    note = ome["StructuredAnnotations"]["CommentAnnotation"]
    assert note["Namespace"] == "g2g-desktop/provenance"
    assert ome["Image"]["AnnotationRef"]["ID"] == note["ID"]
    assert settings_in(note["Value"]) == {"note": "<µ>", "seed": 3}
    assert ome["Image"]["Pixels"]["PhysicalSizeXUnit"] == "µm"


def test_imagej_in_imagej_out_with_its_display(tmp_path: Path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    luts = [np.stack([np.arange(256, dtype=np.uint8) * (i == j) for j in range(3)]) for i in (0, 1)]
    tifffile.imwrite(
        source,
        noise(3, 2, 2, 20, 30),
        imagej=True,
        resolution=(10.0, 10.0),
        metadata={
            "axes": "TZCYX",
            "unit": "um",
            "spacing": 0.5,
            "finterval": 2.0,
            "mode": "composite",
            "LUTs": luts,
            "Ranges": (1.0, 90.0, 2.0, 80.0),
            "Info": "microscope = A1",
            "cf": 0,
            "c0": -32768.0,
            "c1": 1.0,
            "vunit": "Gray Value",
            "Labels": [f"label {i}" for i in range(12)],
        },
    )
    stack = open_stack(source)

    write_stack(stack, target, description={"seed": 3})
    with tifffile.TiffFile(target) as tif:
        kept = tif.imagej_metadata
    again = open_stack(target)

    assert (again.kind, again.axes, again.pixel_size) == ("imagej", "TZCYX", stack.pixel_size)
    assert again.time_step_s == 2.0
    np.testing.assert_array_equal(again.pixels, stack.pixels)
    assert (kept["mode"], kept["Ranges"]) == ("composite", (1.0, 90.0, 2.0, 80.0))
    np.testing.assert_array_equal(kept["LUTs"], luts)
    assert kept["Labels"][7] == "label 7"
    assert (kept["cf"], kept["c0"], kept["c1"], kept["vunit"]) == (0, -32768.0, 1.0, "Gray Value")
    assert kept["Info"].startswith("microscope = A1\ng2g desktop")
    assert settings_in(kept["Info"]) == {"seed": 3}


def test_the_lookup_table_of_an_imagej_channel_is_kept(tmp_path: Path):
    source = tmp_path / "in.tif"
    table = RNG.integers(0, 2**16, (3, 256)).astype(np.uint16)
    pixels = noise(3, 20, 30, dtype="uint8")
    tifffile.imwrite(source, pixels, imagej=True, colormap=table, metadata={"axes": "ZYX"})

    path = write_stack(open_stack(source), tmp_path / "out.tif")

    with tifffile.TiffFile(path) as tif:
        np.testing.assert_array_equal(tif.pages[0].colormap, table)
        np.testing.assert_array_equal(tif.asarray(), pixels)
        assert tif.series[0].axes == "ZYX"


def test_an_imagej_stack_of_unnamed_images_stays_one(tmp_path: Path):
    stack = Stack(noise(5, 20, 30), "IYX", kind="imagej", metadata={"imagej": {"min": 2.0}})

    again = open_stack(write_stack(stack, tmp_path / "a.tif"))

    assert (again.kind, again.axes, again.shape) == ("imagej", "IYX", (5, 20, 30))
    assert again.metadata["imagej"]["min"] == 2.0


@pytest.mark.parametrize(
    ("dtype", "family"),
    [
        ("uint8", "imagej"),
        ("float32", "imagej"),
        ("float64", "ome"),
        ("uint32", "ome"),
        ("uint64", "tiff"),
        ("int64", "tiff"),
        ("float16", "tiff"),
    ],
)
def test_the_family_holds_as_far_as_it_knows_the_dtype(tmp_path: Path, dtype: str, family: str):
    size = PixelSize(0.2, 0.3, 1.5)
    stack = Stack(noise(4, 20, 30, dtype=dtype), "ZYX", size, kind="imagej")

    again = open_stack(write_stack(stack, tmp_path / "a.tif"))

    assert (again.kind, again.dtype, again.axes) == (family, np.dtype(dtype), "ZYX")
    assert again.pixel_size.z_um == 1.5
    np.testing.assert_array_equal(again.pixels, stack.pixels)


@pytest.mark.parametrize("axes", ["YX", "IYX", "TYX", "CZYX", "ZCTYX", "TIYX", "ITZCYX"])
@pytest.mark.parametrize("kind", ["tiff", "imagej"])
def test_any_order_of_axes_comes_back(tmp_path: Path, axes: str, kind: str):
    shape = [*[2, 3, 2, 4][: len(axes) - 2], 17, 19]
    stack = Stack(noise(*shape), axes, kind=kind, time_step_s=0.5 if "T" in axes else None)

    again = open_stack(write_stack(stack, tmp_path / "a.tif"))

    assert again.axes == axes
    np.testing.assert_array_equal(again.pixels, stack.pixels)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("dicom", "int16"), ("imagej", "int16"), ("x", "int64")]
)
def test_hounsfield_units_are_known_again(tmp_path: Path, kind: str, dtype: str):
    stack = Stack(noise(20, 30, dtype=dtype) - 1024, "YX", value_unit="HU", kind=kind)

    again = open_stack(write_stack(stack, tmp_path / "a.tif", description={"input": "ct"}))

    assert again.value_unit == "HU"
    np.testing.assert_array_equal(again.pixels, stack.pixels)
    plain = replace(stack, value_unit="")
    assert open_stack(write_stack(plain, tmp_path / "b.tif")).value_unit == ""


@pytest.mark.parametrize("count", [3, 4])
def test_three_or_four_frames_are_no_colours(tmp_path: Path, count: int):
    path = write_stack(Stack(noise(count, 20, 30, dtype="uint8"), "ZYX"), tmp_path / "a.tif")

    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].axes == "ZYX"
        assert tif.pages[0].samplesperpixel == 1


def test_a_very_large_stack_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiff_writer, "CLASSIC_BYTES", 1000)
    stack = Stack(noise(4, 20, 30), "ZYX", kind="imagej")

    path = write_stack(stack, tmp_path / "a.tif")

    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
        np.testing.assert_array_equal(tif.asarray(), stack.pixels)


def test_an_inverted_display_stays_inverted(tmp_path: Path):
    stack = Stack(noise(20, 30), "YX", metadata={"photometric": "miniswhite"})

    again = open_stack(write_stack(stack, tmp_path / "a.tif"))

    assert again.metadata["photometric"] == "miniswhite"
    np.testing.assert_array_equal(again.pixels, stack.pixels)


def test_resolution_for_print_is_kept_though_it_is_no_pixel_size(tmp_path: Path):
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, noise(20, 30), resolution=(300, 300), resolutionunit="INCH")

    path = write_stack(open_stack(source), tmp_path / "out.tif")

    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].resolution == (300, 300)
        assert tif.pages[0].resolutionunit.name == "INCH"


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_text("mine")

    with pytest.raises(OutputError, match="exists already"):
        write_stack(ome_stack(), path)
    assert path.read_text() == "mine"

    write_stack(ome_stack(), path, overwrite=True)
    assert open_stack(path).shape == (2, 3, 4, 20, 30)


def test_the_noisy_stack_is_never_overwritten(tmp_path: Path):
    path = write_stack(ome_stack(), tmp_path / "a.tif")
    before = path.read_bytes()

    with pytest.raises(OutputError, match="is the noisy stack itself"):
        write_stack(open_stack(path), path, overwrite=True)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.png", "choose a name that ends in .tif"),
        ("missing/a.tif", "There is no folder"),
        ("folder.tif", "is a folder"),
    ],
)
def test_names_that_cannot_be_written(tmp_path: Path, name: str, sentence: str):
    (tmp_path / "folder.tif").mkdir()

    with pytest.raises(OutputError, match=sentence):
        write_stack(ome_stack(), tmp_path / name)

    assert [p.name for p in tmp_path.iterdir()] == ["folder.tif"]


@pytest.mark.parametrize("phase", [0.2, 0.8], ids=["writing", "comparing"])
def test_cancelling_leaves_no_file(tmp_path: Path, phase: float):
    def cancel(event: object) -> None:
        if isinstance(event, StepsDone) and event.done >= phase * event.total:
            run.cancel()

    run = Run(cancel)
    run.tick_due = lambda: True  # type: ignore[method-assign]

    with pytest.raises(Cancelled):
        write_stack(ome_stack(), tmp_path / "a.tif", run=run)

    assert list(tmp_path.iterdir()) == []


def read_again(monkeypatch: pytest.MonkeyPatch, change: Callable[[Stack], Stack]) -> None:
    """Let every file be read again as another than it is."""
    changed = [
        replace(w, read=lambda path, read=w.read: change(read(path))) for w in (module.WRITERS)
    ]
    monkeypatch.setattr(module, "WRITERS", tuple(changed))


def test_a_file_that_reads_back_differently_is_kept_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def misread(stack: Stack) -> Stack:
        pixels = np.array(stack.pixels)
        pixels[1, 2, 3, 4, 5] += 1
        return stack.with_pixels(pixels)

    read_again(monkeypatch, misread)
    for kept in ("differs_a.tif", "differs-2_a.tif"):
        with pytest.raises(OutputError, match=f"its pixels differed .* kept as {kept}"):
            write_stack(ome_stack(), tmp_path / "a.tif")
    assert {p.name for p in tmp_path.iterdir()} == {"differs_a.tif", "differs-2_a.tif"}


def test_wrong_axes_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read_again(monkeypatch, lambda stack: replace(stack, axes="ZTCYX"))

    with pytest.raises(OutputError, match="its axes differed"):
        write_stack(ome_stack(), tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pixel_size": PixelSize(0.1, 0.1083, 0.3)}, "pixel size"),
        ({"channels": ("DAPI", "GFP", "u", "mCherry")}, "channel names"),
        ({"time_step_s": None}, "frame interval"),
        ({"metadata": {}}, "channel colours"),
    ],
)
def test_lost_metadata_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], told: str
):
    read_again(monkeypatch, lambda stack: replace(stack, **change))  # type: ignore[arg-type]

    with pytest.raises(OutputError, match=f"its {told} differed"):
        write_stack(ome_stack(), tmp_path / "a.tif")


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", fail)

    with pytest.raises(OutputError, match=r"a\.tif cannot be written: .*No space left"):
        write_stack(ome_stack(), tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared_data
@pytest.mark.parametrize("folder", ["formats/imagej", "formats/ome_tiff", "stacks"])
def test_real_files_come_back_as_tifffile_reads_them(
    shared_data: Path, tmp_path: Path, folder: str
):
    for source in sorted((shared_data / folder).glob("*.tif*")):
        stack = open_stack(source)
        path = write_stack(stack, tmp_path / f"{source.stem}.out.tif")

        with tifffile.TiffFile(source) as one, tifffile.TiffFile(path) as two:
            first, second = one.series[0], two.series[0]
            assert second.shape == first.shape, source.name
            assert second.dtype == first.dtype, source.name
            assert second.axes.replace("Q", "I") == first.axes.replace("Q", "I"), source.name
            np.testing.assert_array_equal(second.asarray(), first.asarray(), source.name)


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stack = Stack(noise(3, 20, 30), "ZYX")
    assert room_for(stack) == 3 * 20 * 30 * 2
    assert room_for(stack, as_float=True) == 3 * 20 * 30 * 4
    monkeypatch.setattr(module, "HELD_BYTES", 1000)  # then its frames lie on the disk meanwhile
    assert room_for(stack) == 3 * 20 * 30 * (2 + 4)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=2000))
    told = "out.tif needs 3.6 kB and its disk has 2 kB left; make room or choose another disk."
    with pytest.raises(OutputError, match=told):
        write_stack(stack, tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []
    check_room(tmp_path / "out.tif", 2000)
