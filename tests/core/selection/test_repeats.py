"""Repeats: what is refused, what is told, and that they choose and teach nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.made_up import QUICKEST, block, blurred_noise, stack
from training_core.errors import InputError
from training_core.pipeline import train
from training_core.run import Note, Run
from training_core.training.material import check_repeats


def exposure(seed, shape=(72, 72), factor=1.0):
    clean = block(*shape[-2:], 200.0, 800.0)
    noisy = factor * clean + 20 * blurred_noise(shape, 0.0, seed)
    return stack(np.rint(noisy).astype(np.uint16), "ZYX"[-len(shape) :])


def named(made, name):
    return replace(made, source=Path(name))


A = named(exposure(0), "a.tif")


@pytest.mark.parametrize(
    ("stacks", "repeats", "sentence"),
    [
        ([A, A], [exposure(1)], "there are 2 stacks"),
        ([A], [exposure(1), exposure(2), exposure(3)], "There are 3 repeats"),
        (
            [A],
            [named(exposure(1, (72, 60)), "b.tif")],
            "b.tif cannot .* 72 x 60 instead of 72 x 72",
        ),
        ([A], [replace(exposure(1), value_unit="HU")], "has the unit HU instead of none"),
        ([A], [named(exposure(0), "b.tif")], "Frame 1 of b.tif is identical to that of a.tif"),
        ([A], [exposure(1), exposure(1)], "Frame 1 of stack is identical"),
    ],
)
def test_what_is_no_repeat_is_refused_in_a_sentence(stacks, repeats, sentence):
    with pytest.raises(InputError, match=sentence):
        check_repeats(stacks, repeats)


def test_a_single_identical_frame_is_found():
    one, other = exposure(0, (3, 40, 40)), exposure(1, (3, 40, 40))
    check_repeats([one], [other])
    other.pixels[2] = one.pixels[2]
    with pytest.raises(InputError, match="Frame 3"):
        check_repeats([one], [other])


@pytest.mark.parametrize(("factor", "told"), [(1.0, 0), (0.95, 1)])
def test_another_brightness_is_told(factor, told):
    events = []
    check_repeats([A], [exposure(1, factor=factor)], Run(events.append))
    notes = [event for event in events if isinstance(event, Note)]
    assert len(notes) == told
    assert all(note.warning and "brightness changed" in note.text for note in notes)


@pytest.mark.trains
def test_repeats_choose_and_teach_nothing():
    learned = [
        train([A], QUICKEST, repeats=[exposure(n) for n in range(1, 1 + count)])
        for count in range(3)
    ]
    cards = [one.denoiser.card for one in learned]
    assert [len(card["repeats"]) for card in cards] == [0, 1, 2]
    assert len({card["rounds"][1]["error"] for card in cards}) == 3
    last = [one.history[1].state_dict() for one in learned[:2]]
    assert all((last[0][name] == last[1][name]).all() for name in last[0])
