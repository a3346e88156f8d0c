"""Volumes and containers that libraries can write: MRC, HDF5, OME-Zarr, NIfTI, NRRD."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_core.errors import InputError
from training_core.io.readers import list_images, list_inputs, open_stack

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(5)
VOLUME = RNG.integers(0, 4000, (4, 20, 24)).astype(np.uint16)
SERIES = RNG.integers(0, 4000, (2, 3, 4, 20, 24)).astype(np.uint16)


def sizes(stack: Any) -> tuple[float | None, ...]:
    return stack.pixel_size.x_um, stack.pixel_size.y_um, stack.pixel_size.z_um


@pytest.mark.parametrize(("kind", "axes"), [("volume", "ZYX"), ("stack", "IYX")])
def test_mrc_volumes_and_image_stacks(tmp_path: Path, kind: str, axes: str):
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(VOLUME)
        file.set_volume() if kind == "volume" else file.set_image_stack()
        file.voxel_size = (3.0, 4.0, 5.0)

    stack = open_stack(tmp_path / "a.mrc")

    assert (stack.axes, stack.kind) == (axes, "mrc")
    np.testing.assert_array_equal(stack.pixels, VOLUME)
    assert sizes(stack)[:2] == pytest.approx((3e-4, 4e-4))


def test_mrc_that_is_cut_off(tmp_path: Path):
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(VOLUME)
    whole = (tmp_path / "a.mrc").read_bytes()

    (tmp_path / "a.mrc").write_bytes(whole[:-1])
    assert "only 3 of them are whole; 1 are missing" in open_stack(tmp_path / "a.mrc").warnings[0]
    (tmp_path / "a.mrc").write_bytes(whole[:1500])
    with pytest.raises(InputError, match="cut off or damaged"):
        open_stack(tmp_path / "a.mrc")


def test_hdf5_gives_each_dataset_with_its_axes_and_size(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("exchange/data", data=SERIES, chunks=True, compression="gzip")
        data.attrs["axes"] = "t:c:z:y:x"
        data.attrs["element_size_um"] = [0.5, 0.2, 0.1]
        file["exchange/theta"] = np.arange(4.0)
        file["dark"] = VOLUME

    images = list_images(tmp_path / "a.h5")
    assert [(i.name, i.axes) for i in images] == [("dark", "IYX"), ("exchange/data", "TCZYX")]
    stack = open_stack(tmp_path / "a.h5")
    assert stack.series == "exchange/data"
    assert sizes(stack) == (0.1, 0.2, 0.5)
    np.testing.assert_array_equal(stack.raw_frame(17), SERIES[1, 1, 1])
    np.testing.assert_array_equal(open_stack(tmp_path / "a.h5", series="dark").pixels, VOLUME)


@pytest.mark.parametrize("order", ["TZYXC", "TCZYX", "CTXYZ", "YXC", "XYC"])
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_hdf5_of_ilastik_in_any_order(tmp_path: Path, order: str, packed: str | None):
    h5py = pytest.importorskip("h5py")
    lead = [axis for axis in "TCZ" if axis in order]
    pixels = SERIES[tuple(slice(None) if axis in order else 0 for axis in "TCZ")]
    names = [*lead, "Y", "X"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = pixels.transpose([names.index(axis) for axis in order])
        data = file.create_dataset("exported_data", data=stored, chunks=True, compression=packed)
        tags = [{"key": axis.lower(), "typeFlags": 2, "resolution": 0} for axis in order]
        data.attrs["axistags"] = json.dumps({"axes": tags})

    stack = open_stack(tmp_path / "a.h5")

    assert (stack.warnings, stack.guess) == ((), "")
    got = np.asarray(stack.pixels).transpose([stack.axes.index(axis) for axis in names])
    np.testing.assert_array_equal(got, pixels)


def test_hdf5_with_one_channel_last_and_damaged_tags(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        tags = [{"key": axis} for axis in "zyxc"]
        file.create_dataset("a", data=VOLUME[..., None]).attrs["axistags"] = json.dumps(
            {"axes": tags}
        )
        file.create_dataset("b", data=VOLUME[:2]).attrs["axistags"] = '{"axes": [3]'

    last = open_stack(tmp_path / "a.h5", series="a")

    assert last.axes == "ZYX"
    np.testing.assert_array_equal(last.pixels, VOLUME)
    np.testing.assert_array_equal(open_stack(tmp_path / "a.h5", series="b").pixels, VOLUME[:2])


def test_matlab_counts_columns_first(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["image"] = VOLUME[0].T
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")

    np.testing.assert_array_equal(open_stack(tmp_path / "a.mat").pixels, VOLUME[0])


def test_imaris_without_the_rest_of_its_blocks(tmp_path: Path):
    h5py = pytest.importorskip("h5py")

    def characters(text: str) -> np.ndarray:
        return np.array(list(text), "S1")

    with h5py.File(tmp_path / "a.ims", "w") as file:
        for t, c in np.ndindex(2, 3):
            group = file.create_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}")
            group["Data"] = np.pad(SERIES[t, c], ((0, 4), (0, 12), (0, 8)))
            for axis, n in zip("ZYX", SERIES.shape[2:], strict=True):
                group.attrs[f"ImageSize{axis}"] = characters(str(n))
        image = file.create_group("DataSetInfo/Image")
        image.attrs["Unit"] = characters("um")
        for axis, n in enumerate((24, 20, 4)):
            image.attrs[f"ExtMin{axis}"] = characters("1")
            image.attrs[f"ExtMax{axis}"] = characters(str(1 + n * (axis + 1) * 0.1))
        for c, name in enumerate("ABC"):
            file.create_group(f"DataSetInfo/Channel {c}").attrs["Name"] = characters(name)

    stack = open_stack(tmp_path / "a.ims")

    assert (stack.axes, stack.channels) == ("TCZYX", ("A", "B", "C"))
    np.testing.assert_array_equal(stack.pixels, SERIES)
    assert sizes(stack) == pytest.approx((0.1, 0.2, 0.3))


def ome(version: str) -> dict[str, Any]:
    units = {"t": "second", "z": "micrometer", "y": "nanometer", "x": "micrometer"}
    multiscales = {
        "name": "cells",
        "axes": [{"name": a} | ({"unit": units[a]} if a in units else {}) for a in "tczyx"],
        "datasets": [
            {
                "path": "full",
                "coordinateTransformations": [{"type": "scale", "scale": [2, 1, 0.5, 200, 0.1]}],
            }
        ],
    }
    said = {"multiscales": [multiscales], "omero": {"channels": [{"label": n} for n in "ABC"]}}
    return {"ome": {"version": version} | said} if version == "0.5" else said


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_alone_in_the_layout_of_bioformats2raw_and_in_a_plate(
    tmp_path: Path, version: str
):
    zarr = pytest.importorskip("zarr")
    form = 3 if version == "0.5" else 2
    folder = tmp_path / "a.zarr"
    group = zarr.open_group(str(folder), mode="w", zarr_format=form)
    group.create_array("full", shape=SERIES.shape, chunks=(1, 1, 2, 20, 24), dtype="uint16")[:] = (
        SERIES
    )
    group.attrs.update(ome(version))
    series = zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=form)
    layout = {"bioformats2raw.layout": 3}
    series.attrs.update({"ome": layout} if form == 3 else layout)
    plate = zarr.open_group(str(tmp_path / "c.zarr"), mode="w", zarr_format=form)
    wells = {"plate": {"wells": [{"path": "A/1"}]}}
    plate.attrs.update({"ome": wells} if form == 3 else wells)
    well = plate.create_group("A/1")
    inside = {"well": {"images": [{"path": "0"}]}}
    well.attrs.update({"ome": inside} if form == 3 else inside)
    for place in ("b.zarr/0", "b.zarr/1", "c.zarr/A/1/0"):
        shutil.copytree(folder, tmp_path / place)

    for path, name, count in (
        (folder, "cells", 1),
        (tmp_path / "b.zarr", "1/cells", 2),
        (tmp_path / "c.zarr", "A/1/0/cells", 1),
    ):
        assert len(list_images(path)) == count
        stack = open_stack(path, series=name)
        assert (stack.axes, stack.channels, stack.time_step_s) == ("TCZYX", ("A", "B", "C"), 2.0)
        assert sizes(stack) == pytest.approx((0.1, 0.2, 0.5))
        np.testing.assert_array_equal(stack.pixels, SERIES)
    assert list_inputs(folder) == [folder]


def test_blocks_of_zarr_that_have_no_file_are_counted(tmp_path: Path):
    zarr = pytest.importorskip("zarr")
    array = zarr.open_array(
        str(tmp_path / "a.zarr"), mode="w", shape=(4, 20, 24), chunks=(1, 20, 24), dtype="u2"
    )
    array[1:3] = VOLUME[1:3]

    stack = open_stack(tmp_path / "a.zarr")

    assert stack.warnings == ("2 of its 4 blocks have no file and read as 0.",)
    np.testing.assert_array_equal(stack.pixels[1:3], VOLUME[1:3])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_is_scaled_and_in_micrometres(tmp_path: Path, name: str):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(VOLUME.T.astype(np.int16), np.diag([0.1, 0.2, 0.5, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / name)

    stack = open_stack(tmp_path / name)

    assert (stack.axes, stack.dtype) == ("ZYX", np.int16)
    np.testing.assert_array_equal(stack.pixels, VOLUME)
    assert sizes(stack) == pytest.approx((100.0, 200.0, 500.0))

    scaled = nibabel.Nifti1Image(VOLUME.T * 0.5 - 3, np.eye(4))
    scaled.header.set_data_dtype(np.int16)
    nibabel.save(scaled, tmp_path / name)
    stack = open_stack(tmp_path / name)
    assert stack.dtype == np.float32
    np.testing.assert_allclose(stack.pixels, VOLUME * 0.5 - 3, atol=0.05)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
def test_nrrd_packed_or_not_in_one_file_or_two(tmp_path: Path, name: str, encoding: str):
    nrrd = pytest.importorskip("nrrd")
    header = {"spacings": [0.1, 0.2, 0.5], "units": ["um", "um", "um"], "encoding": encoding}
    nrrd.write(str(tmp_path / name), VOLUME, header, index_order="C")

    stack = open_stack(tmp_path / name)

    assert (stack.axes, stack.dtype) == ("ZYX", np.uint16)
    np.testing.assert_array_equal(stack.pixels, VOLUME)
    assert sizes(stack) == pytest.approx((0.1, 0.2, 0.5))


def test_nrrd_colours_and_a_header_that_names_what_lies_elsewhere(tmp_path: Path):
    nrrd = pytest.importorskip("nrrd")
    colours = RNG.integers(0, 255, (20, 24, 3)).astype(np.uint8)
    header = {"kinds": ["RGB-color", "domain", "domain"], "encoding": "raw"}
    nrrd.write(str(tmp_path / "a.nrrd"), colours, header, index_order="C")
    stack = open_stack(tmp_path / "a.nrrd")
    assert (stack.axes, stack.channels) == ("CYX", ("Red", "Green", "Blue"))
    np.testing.assert_array_equal(stack.pixels, colours.transpose(2, 0, 1))

    text = (
        "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 24 20\nencoding: raw\ndata file: ../x.raw\n\n"
    )
    (tmp_path / "b.nhdr").write_text(text)
    with pytest.raises(InputError, match="no file beside it"):
        open_stack(tmp_path / "b.nhdr")


def test_metadata_of_ome_zarr_can_be_kept_as_json(tmp_path: Path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("full", shape=SERIES.shape, dtype="uint16")[:] = SERIES
    group.attrs.update(ome("0.4"))

    kept = open_stack(tmp_path / "a.zarr").metadata["omero"]

    assert json.loads(json.dumps(kept))["channels"][1]["label"] == "B"
