"""CT gets the authors' variant of the paper preset, and only CT, and only that preset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_up import stack
from training_core.run import Note, Run
from training_core.settings import preset
from training_core.training.as_published import for_stacks

PAPER = preset("paper", seed=3, device="cpu", precision="float32")


def ct(unit="HU"):
    return stack(np.zeros((8, 8), np.int16), value_unit=unit)


def test_the_untouched_paper_preset_becomes_that_for_ct():
    notes = []
    made = for_stacks(PAPER, [ct(), ct()], Run(notes.append))
    assert made.patches.strictness == 0.15
    assert (made.denoiser.network, made.denoiser.batch) == ("unet", 4)
    assert made.denoiser.steps == 20_500 // 4 * 30
    assert replace(made, patches=PAPER.patches, denoiser=PAPER.denoiser) == PAPER
    assert [type(note) for note in notes] == [Note]
    assert for_stacks(made, [ct()]) == made  # what was done once stays


@pytest.mark.parametrize(
    ("settings", "unit"),
    [
        (PAPER, ""),
        (preset("quick"), "HU"),
        (replace(PAPER, denoiser=replace(PAPER.denoiser, rounds=7)), "HU"),
    ],
)
def test_everything_else_stays_as_it_was_asked_for(settings, unit):
    notes = []
    assert for_stacks(settings, [ct(unit)], Run(notes.append)) == settings
    assert not notes
