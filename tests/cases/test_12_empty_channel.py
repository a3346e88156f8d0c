"""Case 12: a channel or frame that holds nothing is left as it is, and the others are denoised."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.support.made_up import INSTANT, QUICKEST, stack
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.suited import suited_to
from training_core.denoise.tiled import denoise
from training_core.errors import InputError
from training_core.pipeline import denoise_stack
from training_core.reporting.noise_analysis import analyse_noise
from training_core.run import Note, Run
from training_core.stack import cast_like

SIDE = 96


def scene() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return 60 + 400 * np.exp(-((x - 40) ** 2 + (y - 50) ** 2) / 600)


def dyes(blank):
    """Give three dyes with photon noise of gain 1; in the middle one there is only `blank`."""
    rng = np.random.default_rng(12)
    pixels = np.stack([rng.poisson(scene()), np.zeros((SIDE, SIDE)), rng.poisson(scene()[::-1])])
    pixels[1] = blank
    return stack(pixels.astype(np.uint16), "CYX")


def told(notes: list[str]) -> Run:
    return Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)


@cache
def trained():
    notes: list[str] = []
    return denoise_stack(dyes(100), QUICKEST, run=told(notes)), notes


def errors(pixels) -> list[float]:
    return [
        float(np.sqrt(np.square(pixels[n] - scene()[::s]).mean())) for n, s in ((0, 1), (2, -1))
    ]


@pytest.mark.trains
def test_the_blank_channel_comes_back_and_the_others_are_denoised():
    outcome, notes = trained()
    given = dyes(100)
    made = cast_like(outcome.denoised, given).pixels
    assert np.array_equal(made[1], given.pixels[1])
    for before, after in zip(errors(given.pixels.astype(float)), errors(made), strict=True):
        assert after < 0.5 * before
    assert len([note for note in notes if note.startswith("Channel 2 of stack holds hardly")]) == 1
    gains = [noise["gain"] for noise in outcome.denoiser.card["noise"]]
    assert gains == pytest.approx([1, 1], rel=0.25)


@pytest.mark.trains
def test_a_kept_model_leaves_a_dye_that_it_never_saw(tmp_path):
    kept = load_denoiser(save_denoiser(trained()[0].denoiser, tmp_path / "m.g2g"), device="cpu")
    live = dyes(np.random.default_rng(0).poisson(scene() + 90))
    notes: list[str] = []
    made = denoise(live, suited_to(kept, live, told(notes)))
    assert np.array_equal(made.pixels[1], live.pixels[1])
    assert ["nothing for a channel" in note for note in notes] == [True]
    suited_to(kept, dyes(100), told(notes))  # blank again
    assert len(notes) == 1


@pytest.mark.parametrize("kind", ["zeros", "saturated", "hot", "one step"])
def test_whatever_a_blank_channel_holds_the_bundled_network_works(kind):
    blank = np.full((SIDE, SIDE), {"saturated": 65535, "zeros": 0}.get(kind, 100))
    rng = np.random.default_rng(1)
    if kind in ("hot", "one step"):
        blank[rng.random((SIDE, SIDE)) < 0.005] += 1 if kind == "one step" else 900
    given = dyes(blank)
    made = cast_like(denoise_stack(given, INSTANT).denoised, given).pixels
    for before, after in zip(errors(given.pixels.astype(float)), errors(made), strict=True):
        assert after < 0.7 * before
    if kind in ("zeros", "saturated"):
        assert np.array_equal(made[1], given.pixels[1])


@pytest.mark.trains
def test_blank_frames_among_others_come_back():
    pixels = np.random.default_rng(12).poisson(np.stack([scene()] * 3)).astype(np.uint16)
    pixels[0], pixels[2] = 0, 4000
    made = denoise_stack(stack(pixels, "TYX"), QUICKEST).denoised.pixels
    assert np.array_equal(made[[0, 2]], pixels[[0, 2]])
    before, after = (np.square(i[1] - scene()).mean() for i in (pixels, made))
    assert after < 0.5 * before


def test_a_stack_that_is_blank_altogether_is_refused():
    pixels = np.zeros((2, 3, 64, 64), np.uint16)
    pixels[:, 1], pixels[1, 2] = 100, 65535
    with pytest.raises(InputError, match="Every frame of stack has one value throughout"):
        denoise_stack(stack(pixels, "ZCYX"), QUICKEST)


def test_the_analysis_says_what_becomes_of_it():
    first, blank, last = analyse_noise(dyes(100))
    assert "left as it is" in blank.sentence
    assert [one.noise.gain for one in (first, last)] == pytest.approx([1, 1], rel=0.25)
