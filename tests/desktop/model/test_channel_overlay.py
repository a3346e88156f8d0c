from __future__ import annotations

import numpy as np
import pytest

from g2g_desktop.model.channel_overlay import (
    COLOURS,
    channel_titles,
    colours_of_channels,
    frames_of_channels,
    laid_over,
)
from training_core.stack import Stack

MAGENTA, GREEN = COLOURS["Magenta"], COLOURS["Green"]


def stack_of(count: int, **more: object) -> Stack:
    return Stack(np.zeros((count, 4, 5), np.uint16), "CYX", **more)


def test_without_a_word_of_the_file_channels_are_magenta_and_green() -> None:
    assert colours_of_channels(stack_of(2)) == [MAGENTA, GREEN]
    assert len(set(colours_of_channels(stack_of(8)))) == 8


@pytest.mark.parametrize(
    "metadata",
    [
        {"ome_channels": {"Color": ["65535", "-16776961"]}},  # blue, and red with its sign
        {"omero": {"channels": [{"color": "0000FF"}, {"color": "ff0000"}]}},
        {"imagej": {"LUTs": [np.outer((0, 0, 1), range(256)), np.outer((1, 0, 0), range(256))]}},
    ],
)
def test_the_colours_of_the_file_are_taken(metadata: dict[str, object]) -> None:
    assert colours_of_channels(stack_of(2, metadata=metadata)) == [(0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize("colours", [["-1", "-1"], ["255", "65535"], ["65535"]])
def test_colours_that_tell_no_channels_apart_are_not(colours: list[str]) -> None:
    stack = stack_of(2, metadata={"ome_channels": {"Color": colours}})
    assert colours_of_channels(stack) == [MAGENTA, GREEN]


def test_a_picture_keeps_its_own_colours() -> None:
    stack = stack_of(3, metadata={"colours": "RGB"})
    assert colours_of_channels(stack) == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def test_channels_are_named_by_the_file_or_by_number() -> None:
    assert channel_titles(stack_of(2, channels=("DAPI", "GFP"))) == ["DAPI", "GFP"]
    assert channel_titles(stack_of(2, channels=("DAPI",))) == ["Channel 1", "Channel 2"]


@pytest.mark.parametrize(
    ("axes", "shape", "index", "frames"),
    [("ZCYX", (3, 2), 3, [2, 3]), ("CZYX", (2, 3), 4, [1, 4]), ("TZCYX", (2, 2, 3), 7, [6, 7, 8])],
)
def test_the_channels_of_one_place(
    axes: str, shape: tuple[int, ...], index: int, frames: list[int]
) -> None:
    assert frames_of_channels(Stack(np.zeros((*shape, 4, 4)), axes), index) == frames


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_each_channel_adds_its_colour_by_its_own_contrast(dtype: type) -> None:
    first = np.array([[0, 50, 100], [100, 0, 120]], dtype)
    second = np.array([[0, 0, 0], [20, 20, 40]], dtype)
    made = laid_over([(first, (0.0, 100.0), MAGENTA), (second, (20.0, 40.0), GREEN)])
    assert [f"{value:08X}" for value in made.ravel()] == [
        "FF000000", "FF7F007F", "FFFF00FF", "FFFF00FF", "FF000000", "FFFFFFFF",
    ]  # fmt: skip


def test_many_bright_channels_are_white_and_nothing_flows_over() -> None:
    full = np.full((2, 2), 255, np.uint8)
    made = laid_over([(full, (0.0, 1.0), (255, 255, 255))] * 50)
    assert (made == 0xFFFFFFFF).all()


def test_what_is_not_a_number_is_black() -> None:
    image = np.array([[np.nan, np.inf, 1.0]], np.float32)
    made = laid_over([(image, (0.0, 1.0), GREEN)])
    assert made.tolist() == [[0xFF000000, 0xFF00FF00, 0xFF00FF00]]
