"""The stack gives frames in native order, and intensities come back exactly."""

from __future__ import annotations

import numpy as np
import pytest

from training_core.errors import InputError
from training_core.run import Note, Run
from training_core.stack import IntensityRange, Stack, cast, check_trainable, tell_flaws


def test_frames_count_over_all_axes_last_fastest():
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    stack = Stack(pixels, "TCYX")

    assert stack.frame_count == 6
    np.testing.assert_array_equal(stack.raw_frame(4), pixels[1, 1])
    assert [stack.channel_of(i) for i in range(6)] == [0, 1, 2, 0, 1, 2]


def test_a_foreign_byte_order_is_hidden():
    pixels = np.arange(20, dtype=">u2").reshape(4, 5)
    stack = Stack(pixels, "YX")

    assert stack.dtype == np.dtype(np.uint16)
    assert stack.dtype.isnative
    assert stack.raw_frame(0).dtype.isnative
    np.testing.assert_array_equal(stack.raw_frame(0), np.arange(20).reshape(4, 5))


def test_other_pixels_must_have_the_same_shape():
    stack = Stack(np.zeros((4, 5), np.uint8), "YX", channels=("a",))

    assert stack.with_pixels(np.ones((4, 5), np.float32)).channels == ("a",)
    with pytest.raises(ValueError, match=r"\(5, 4\)"):
        stack.with_pixels(np.ones((5, 4)))


def test_the_range_is_that_of_the_whole_stack():
    pixels = np.stack([np.full((8, 8), v, np.uint16) for v in (10, 10, 50)])

    intensity = Stack(pixels, "ZYX").intensity

    assert (intensity.offset, intensity.scale) == (10.0, 40.0)


def test_few_bright_pixels_on_nothing_set_the_range():
    frame = np.zeros((200, 200), np.float32)
    frame[101, 101] = 50.0

    assert Stack(frame, "YX").intensity == IntensityRange(0.0, 50.0)
    assert Stack(frame * 0, "YX").intensity == IntensityRange(0.0, 1.0)


def test_casting_rounds_half_to_even_and_counts_what_it_clips():
    pixels, clipped = cast(np.array([-3.0, 0.5, 1.5, 254.6, 300.0]), np.dtype(np.uint8))

    assert pixels.tolist() == [0, 0, 2, 255, 255]
    assert clipped == 2


@pytest.mark.parametrize(("dtype", "highest"), [("int64", 2**63 - 1024), ("uint64", 2**64 - 2048)])
def test_casting_far_too_much_to_64_bits_does_not_wrap(dtype: str, highest: int):
    pixels, clipped = cast(np.array([1e30]), np.dtype(dtype))

    assert int(pixels[0]) == highest
    assert clipped == 1


def test_a_constant_stack_cannot_be_learned_from():
    constant = Stack(np.full((2, 32, 32), 1000, np.uint16), "ZYX")

    with pytest.raises(InputError, match="Every pixel of stack has the value 1000"):
        check_trainable(constant)

    constant.pixels[1, 3, 4] = 999
    check_trainable(constant)


def test_frames_smaller_than_a_patch_cannot_be_learned_from():
    with pytest.raises(InputError, match=r"512 x 5 pixels; at least 16 x 16"):
        check_trainable(Stack(np.arange(5 * 512).reshape(5, 512), "YX"))


NOISY_PHOTOGRAPHS = np.array([[[-43.0, 290.0]]], np.float32)


@pytest.mark.parametrize(
    ("stacks", "offset", "scale"),
    [
        ([Stack(np.full((4, 4), 9, np.uint8), "YX")], 0.0, 255.0),
        ([Stack(NOISY_PHOTOGRAPHS, "IYX", white=255.0)] * 2, 0.0, 255.0),
        ([Stack(NOISY_PHOTOGRAPHS, "ZYX", value_unit="HU")], -1000.0, 2000.0),
    ],
)
def test_the_published_units_do_not_depend_on_the_values(stacks, offset, scale):
    assert IntensityRange.published(stacks) == IntensityRange(offset, scale)


def test_the_published_units_are_measured_over_all_stacks_where_white_is_unknown():
    levels = np.arange(1001, dtype=np.uint16).reshape(7, 143).repeat(2, 0).repeat(2, 1)
    dark, bright = Stack(levels, "YX"), Stack(levels + np.uint16(3000), "YX")
    eight_bit = Stack(np.zeros((14, 286), np.uint8), "YX")

    one = IntensityRange.published([dark])
    both = IntensityRange.published([dark, bright])
    assert (one.offset, one.offset + one.scale) == pytest.approx((1.0, 999.0))
    assert (both.offset, both.offset + both.scale) == pytest.approx((2.0, 3998.0), abs=0.01)
    assert IntensityRange.published([bright, dark]) == both
    mixed = IntensityRange.published([eight_bit, bright])
    assert mixed.offset + mixed.scale == pytest.approx(3998.0, abs=0.01)


def test_a_result_of_no_use_is_never_given_without_a_word() -> None:
    noisy = np.random.default_rng(0).poisson(50, (4, 16, 16)).astype(np.uint16)
    noisy[3] = 7  # blank: nothing to denoise
    given, result = Stack(noisy, "TYX"), np.full(noisy.shape, 50.0, np.float32)
    result[0] = noisy[0] + 0.3  # which the file's integers do not show
    result[1] = np.linspace(40, 60, 256).reshape(16, 16)
    notes: list[Note] = []
    run = Run(lambda event: notes.append(event) if isinstance(event, Note) else None)
    tell_flaws(given.with_pixels(result), given, run)
    assert all(note.warning for note in notes)
    assert [note.text.partition(";")[0] for note in notes] == [
        "1 of 4 frames of the result are constant",
        "1 of 4 frames of the result are those of the input",
    ]
    result[1, 3, 3] = np.inf
    notes.clear()
    tell_flaws(given.with_pixels(result), given, run)
    assert notes[0].text.startswith("1 of 4 frames of the result hold pixels that are no numbers")


@pytest.mark.parametrize(("mean", "told"), [(0.3, "a mean of 0 in place of 0.3"), (40.3, "")])
def test_a_mean_that_whole_numbers_cannot_hold_is_told(mean: float, told: str) -> None:
    noisy = np.random.default_rng(0).poisson(mean, (2, 64, 64)).astype(np.uint8)
    made = np.full(noisy.shape, mean, np.float32)
    made[:, 0, 0] = 0
    for as_float in (False, True):
        notes: list[str] = []
        run = Run(lambda event, notes=notes: notes.append(event.text))
        tell_flaws(Stack(made, "TYX"), Stack(noisy, "TYX"), run, as_float=as_float)
        said = [note for note in notes if "whole numbers" in note]
        assert len(said) == bool(told and not as_float)
        assert all(told in note for note in said)


def test_pixels_that_were_no_numbers_may_stay_so() -> None:
    noisy = np.random.default_rng(0).normal(size=(2, 16, 16))
    noisy[0, 2:5], noisy[1] = np.nan, np.nan
    result = noisy / 2
    tell_flaws(Stack(result, "TYX"), Stack(noisy, "TYX"), Run(pytest.fail))
