"""Several DICOM images at each position are times or measurements, never one flat list."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.support.ct_slices import ct_slice, save_slices
from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path

TIMES, PLACES = 3, 4


def image(t: int, z: int, **said: Any) -> Dataset:
    """Make a slice whose square holds 60 HU, 100 more at each time and 10 more at each position."""
    hu = np.full((40, 48), 40.0)
    hu[10:30, 10:30] = 60 + 100 * t + 10 * z
    noise = np.random.default_rng([t, z]).normal(0, 10, hu.shape)
    return ct_slice(np.rint(hu + noise + 1024).astype(np.uint16), 5.0 * z, **said)


def said_by(keyword: str, t: int, z: int) -> dict[str, Any]:
    """Give what headers say of the time where only `keyword` tells it."""
    return {
        "TemporalPositionIndex": {"TemporalPositionIndex": t + 1},
        "AcquisitionNumber": {"AcquisitionNumber": t + 1},
        "TriggerTime": {"TriggerTime": 40.0 * t + 0.3 * z},  # never quite the same
        "AcquisitionTime": {"AcquisitionTime": f"1159{56 + 2 * t:02d}.5"},
        "ContentTime": {"ContentTime": f"1200{10 * t + z:02d}.000000"},
        "nothing": {},
    }[keyword]


def assert_in_order(pixels: np.ndarray) -> None:
    for t, z in itertools.product(range(pixels.shape[0]), range(pixels.shape[1])):
        assert pixels[t, z, 12:28, 12:28].mean() == pytest.approx(60 + 100 * t + 10 * z, abs=3)


@pytest.mark.parametrize("numbering", ["time after time", "position after position"])
@pytest.mark.parametrize(
    "keyword",
    [
        "TemporalPositionIndex",
        "AcquisitionNumber",
        "TriggerTime",
        "AcquisitionTime",
        "ContentTime",
        "nothing",
    ],
)
def test_times_at_each_position_are_an_axis_of_their_own(
    tmp_path: Path, keyword: str, numbering: str
):
    pairs = list(itertools.product(range(TIMES), range(PLACES)))
    if numbering == "position after position":
        pairs.sort(key=lambda pair: pair[1])
    slices = [
        image(t, z, InstanceNumber=n, **said_by(keyword, t, z)) for n, (t, z) in enumerate(pairs, 1)
    ]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.shape) == ("TZYX", (TIMES, PLACES, 40, 48))
    assert stack.pixel_size.z_um == 5000
    assert_in_order(stack.pixels)
    guessed = "What lies at one position is read as times, in the order of its numbers."
    assert stack.warnings == ((guessed,) if keyword == "nothing" else ())


def test_the_time_between_them_is_that_of_the_clock(tmp_path: Path):
    clock = [said_by("AcquisitionTime", t, 0) for t in range(TIMES)]
    slices = [image(t, z, **clock[t]) for t in range(TIMES) for z in range(2)]

    assert open_stack(save_slices(tmp_path, slices)).time_step_s == 2.0


def test_a_time_that_lacks_a_position_is_left_out_and_told(tmp_path: Path):
    every = itertools.product(range(TIMES), range(PLACES))
    there = [(t, z) for t, z in every if (t, z) != (2, 1)]
    slices = [image(t, z, **said_by("TemporalPositionIndex", t, z)) for t, z in there]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.shape) == ("TZYX", (2, PLACES, 40, 48))
    assert_in_order(stack.pixels)
    assert "3 of its images are left out" in stack.warnings[0]


def test_a_missing_position_is_told_for_all_times(tmp_path: Path):
    slices = [
        image(t, z, **said_by("AcquisitionNumber", t, z)) for t in range(TIMES) for z in (0, 1, 3)
    ]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.shape, stack.pixel_size.z_um) == ("TZYX", (TIMES, 3, 40, 48), None)
    assert "5 to 10 mm apart" in stack.warnings[0]


def test_a_copy_of_a_file_is_read_once(tmp_path: Path):
    slices = [image(0, z) for z in range(3)]

    stack = open_stack(save_slices(tmp_path, [*slices, slices[1]]))

    assert (stack.axes, stack.shape, stack.pixel_size.z_um) == ("ZYX", (3, 40, 48), 5000)
    assert stack.warnings == ("1 of its images are there twice and are read once.",)


def test_an_image_that_was_sent_again_does_not_undo_the_volume(tmp_path: Path):
    again = image(0, 1, InstanceNumber=9)

    stack = open_stack(save_slices(tmp_path, [again, *(image(0, z) for z in range(PLACES))]))

    assert (stack.axes, stack.shape, stack.pixel_size.z_um) == ("ZYX", (PLACES, 40, 48), 5000)
    assert_in_order(stack.pixels[None])
    assert "1 of its images are left out" in stack.warnings[0]


def test_times_within_one_enhanced_file(tmp_path: Path):
    frames = [(t, z) for z in range(PLACES) for t in range(TIMES)]
    groups = []
    for t, z in frames:
        content, plane, group = Dataset(), Dataset(), Dataset()
        content.TemporalPositionIndex = t + 1
        content.FrameAcquisitionDateTime = f"20240105120{t}00.25"
        plane.ImagePositionPatient = [0, 0, 5.0 * z]
        group.FrameContentSequence, group.PlanePositionSequence = [content], [plane]
        groups.append(group)
    plane, shared = Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [plane]
    pixels = np.stack([np.frombuffer(image(t, z).PixelData, "<u2") for t, z in frames])
    whole = ct_slice(
        pixels.reshape(-1, 40, 48),
        ImagePositionPatient=None,
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared],
    )

    stack = open_stack(save_slices(tmp_path, [whole]))

    assert (stack.axes, stack.shape) == ("TZYX", (TIMES, PLACES, 40, 48))
    assert (stack.pixel_size.z_um, stack.time_step_s) == (5000, 60)
    assert_in_order(stack.pixels)


def test_echoes_are_channels_and_no_times(tmp_path: Path):
    slices = [image(t, z, EchoTime=4.6 * (t + 1)) for t in range(2) for z in range(PLACES)]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.time_step_s) == ("ZCYX", None)
    assert_in_order(stack.pixels.swapaxes(0, 1))


def test_times_at_one_position_are_a_film(tmp_path: Path):
    slices = [image(t, 0, **said_by("AcquisitionTime", t, 0)) for t in (2, 0, 1)]

    stack = open_stack(save_slices(tmp_path, slices))

    assert (stack.axes, stack.time_step_s) == ("TYX", 2.0)
    assert_in_order(stack.pixels[:, None])


@pytest.mark.parametrize("said", [{"FrameTime": 40}, {"FrameTimeVector": [0, 40, 40, 40]}])
def test_the_frames_of_a_cine_are_times(tmp_path: Path, said: dict[str, Any]):
    frames = np.random.default_rng(6).integers(900, 1200, (4, 40, 48), dtype=np.uint16)

    stack = open_stack(save_slices(tmp_path, [ct_slice(frames, ImagePositionPatient=None, **said)]))

    assert (stack.axes, stack.time_step_s) == ("TYX", 0.04)
    np.testing.assert_array_equal(stack.pixels, frames.astype(int) - 1024)


def test_a_position_that_is_no_number_is_none(tmp_path: Path):
    slices = [image(0, z, InstanceNumber=z + 1) for z in range(3)]
    slices[1].ImagePositionPatient = [0, 0, float("nan")]

    stack = open_stack(save_slices(tmp_path / "series", slices[::-1]))

    assert stack.warnings == ("Slices without a position are ordered by their number.",)
    means = stack.pixels[:, 12:28, 12:28].mean(axis=(1, 2))
    assert means.tolist() == pytest.approx([60, 70, 80], abs=3)
