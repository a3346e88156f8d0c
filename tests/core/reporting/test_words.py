"""What the card of a denoiser says in plain words."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from tests.support.made_up import QUICKEST, block, blurred_noise, stack
from training_core import pipeline
from training_core.noise.match import NoiseMatch
from training_core.reporting.words import origin, tell_card
from training_core.run import Note, Run
from training_core.settings import preset
from training_core.wording import harm

MATCH = NoiseMatch(1.01, 0.02, 0.03, 0.04)
FAR = NoiseMatch(1.02, 0.12, 0.08, 0.3)


def channel(match, generator="StationaryGenerator", patches=262):
    told = asdict(match) | {"score": match.score} if match else None
    return {"match": told, "generator": generator, "patches": patches}


def a_round(number, error, *warnings):
    return {"round": number, "error": error, "range": 0.009, "warnings": list(warnings)}


CARD = {
    "trained_on": ["cells.tif"],
    "seconds": 276.0,
    "preset": "quick",
    "settings": {"denoiser": {"rounds": 3}},
    "repeats": [],
    "noise": [channel(MATCH)],
    "first_estimate": {
        "chosen": "shrinkage",
    },
    "neighbours": {
        "axis": "T",
        "why": "Neighbouring frames help.",
        "errors": [0.04, 0.03, 0.02],
        "chosen": 2,
        "jumps": 1,
    },
    "chosen_round": 1,
    "rounds": [a_round(0, 0.04), a_round(1, 0.035), a_round(2, 0.03, "it takes structure")],
    "last_pass": {"share": 0.5, "errors": {"1.0": 0.034, "0.5": 0.031, "0.0": 0.033}},
}


def facts(**changes):
    card = json.loads(json.dumps(CARD | changes))  # as a model file keeps it
    return {fact.name: fact for fact in tell_card(card)}


def test_what_was_learned_and_chosen_is_told_in_the_order_of_the_work():
    told = facts()
    assert {name: (fact.value, fact.good) for name, fact in told.items()} == {
        "Learned noise": ("97 % match", True),
        "First estimate": ("classical filters", None),
        "Neighbouring frames": ("2 on each side", None),
        "Round": ("1 of 2", None),
        "Last pass": ("half taken", None),
    }
    assert told["First estimate"].meaning == "Filters that know the learned noise."
    assert told["Neighbouring frames"].meaning == "Neighbouring frames help."
    assert told["Round"].sentence == "1 of 2. No other round is clearly better."
    assert all(fact.meaning.endswith(".") for fact in told.values())


def test_the_figures_are_in_the_details():
    told = facts()
    assert told["Learned noise"].details == (
        "97 % match; std +1 %, correlation off by 2 %, spectrum by 3 %, kurtosis by 4 %.",
        "Learned from 262 smooth patches.",
    )
    assert told["Round"].details[1:] == (
        "Round 0: 4.0 % ± 0.9",
        "Round 1: 3.5 % ± 0.9",
        "Round 2: 3.0 % ± 0.9, but it takes structure",
        "Training ended after round 2 of 3.",
    )
    assert told["Last pass"].details[1:] == ("Taken: 3.4 %", "Half taken: 3.1 %", "Left out: 3.3 %")
    assert told["Neighbouring frames"].details[1:] == (
        "0 on each side: 4.0 %",
        "1 on each side: 3.0 %",
        "2 on each side: 2.0 %",
        "Frames are kept apart where the content jumps: 1 times.",
    )


def test_the_fall_back_to_real_patches_is_said():
    told = facts(noise=[channel(MATCH), channel(FAR, "ResampledNoise")])["Learned noise"]
    assert (told.value, told.good) == ("85 % match", False)
    assert told.meaning.startswith("The generator did not converge in 1 of 2 channels; re-sampled")
    assert told.details[2].startswith("Channel 2: 85 % match; std +2 %, correlation off by 12 %")


def test_noise_of_few_far_values_is_said_and_no_stand_in_for_what_was_learned_again():
    resampled = channel(FAR, "ResampledNoise")
    told = facts(noise=[resampled], heavy_tails=[1])["Learned noise"]
    assert (told.value, told.good) == ("from even areas", None)
    assert told.meaning.startswith("A few pixels hold most of the noise. How far off they are was")
    told = facts(noise=[channel(MATCH), resampled], heavy_tails=[2])["Learned noise"]
    assert (told.value, told.good) == ("97 % match", True)
    assert "aside to judge it. In channel 2 a few pixels hold most of the noise." in told.meaning


def test_what_was_not_trained_is_not_said_to_be():
    settings = {"denoiser": {"rounds": 0}, "noise_model": {"steps": 0}}
    told = facts(settings=settings, noise=[channel(MATCH, "MeasuredGenerator")])["Learned noise"]
    assert (told.value, told.good) == ("97 % match", True)
    assert told.meaning.startswith("Noise is drawn as it was measured")
    far = facts(settings=settings, noise=[channel(FAR, "MeasuredGenerator")])["Learned noise"]
    assert far.good is False
    assert "More steps" not in far.meaning
    assert origin(CARD | {"settings": settings, "preset": "instant", "seconds": 3.0}) == (
        "Not trained. The noise was measured in cells.tif in 3 s, preset instant."
    )


def test_an_average_of_noise_that_turns_is_no_good_match():
    told = facts(turning=True)["Learned noise"]
    assert (told.value, told.good) == ("an average of all places", False)
    assert "what is judged by it is judged poorly" in told.meaning


def test_measured_noise_that_stands_in_is_said():
    told = facts(noise=[channel(MATCH, "MeasuredGenerator")])["Learned noise"]
    assert (told.value, told.good) == ("97 % match", False)
    assert "; noise with the measured spectrum and histogram stands in for it." in told.meaning


@pytest.mark.parametrize(("match", "good"), [(MATCH, True), (FAR, False)])
def test_noise_that_is_unlike_the_real_noise_is_not_good(match, good):
    told = facts(noise=[channel(match)])["Learned noise"]
    assert told.good is good
    assert ("differs" in told.meaning) is not good


def test_the_published_training_has_nothing_to_judge_the_noise_by():
    card = {"noise": [channel(None, "NoiseGenerator")], "chosen_round": 3, "rounds": []}
    told = {fact.name: fact for fact in tell_card(card)}
    assert (told["Learned noise"].value, told["Learned noise"].good) == ("not judged", None)
    assert told["Round"].value == "3 of 3"
    assert len(told) == 2


def test_a_card_without_a_story_says_nothing():
    assert tell_card({"seed": 4, "rounds": [{"round": 1}]}) == []
    assert origin({}) == ""


def test_training_that_made_nothing_better_is_said():
    told = facts(chosen_round=0)["Round"]
    assert told.value == "none of 2"
    assert told.meaning.startswith("Training made nothing clearly better")


def test_where_nothing_was_trained_that_is_said():
    alone = [{"round": 0, "error": 0.1, "range": 0.01, "warnings": []}]
    settings = preset("instant").to_dict()
    told = facts(chosen_round=0, rounds=alone, settings=settings)["Round"]
    assert told.value == "no training"
    assert "preset instant" in told.meaning
    assert told.details[1:] == ("Round 0: 10.0 % ± 1.0",)


def test_a_chosen_round_with_a_warning_is_not_good():
    told = facts(chosen_round=2)["Round"]
    assert told.good is False
    assert told.meaning == (
        "Round 2, which is chosen, may do harm by the blind checks: it takes structure. "
        "Compare before and after closely."
    )
    not_chosen = "Round 2, which is not chosen, may do harm: it takes structure."
    assert harm(CARD["rounds"][2], 1) == not_chosen
    several = a_round(1, 1.2, "it leaves noise", "what it takes away follows the image")
    assert "it leaves noise; what it takes away follows the image." in harm(several, 1)


@pytest.mark.parametrize("chosen", [1, 2])
def test_models_that_tell_of_vetoes_are_told_as_those_that_warn(chosen):
    old = json.loads(json.dumps(CARD).replace('"warnings"', '"vetoes"'))
    assert facts(**old | {"chosen_round": chosen}) == facts(chosen_round=chosen)
    assert harm(old["rounds"][2], chosen) == harm(CARD["rounds"][2], chosen)


def test_first_estimate_and_neighbours_as_asked_for():
    neighbours = {"axis": "Z", "chosen": 1, "jumps": 0}
    told = facts(first_estimate={"chosen": "noisier2noise"}, neighbours=neighbours)
    assert told["First estimate"].sentence.endswith("with more noise.")
    turning = facts(first_estimate={"chosen": "noisier2noise", "turning": True})
    assert turning["First estimate"].sentence.endswith("noise as it is in each place.")
    assert told["Neighbouring frames"].sentence == (
        "1 on each side. They are averaged where they match, as asked for."
    )


def test_where_it_comes_from():
    blind = "Chosen blind, by an estimate of the error that is left."
    assert origin(CARD) == f"{blind} Trained on cells.tif in 5 min, preset quick."
    several = CARD | {"trained_on": ["a" * 40 + ".tif", "b.tif"], "repeats": ["b.tif", "c.tif"]}
    assert origin(several) == (
        f"Chosen by comparison with b.tif and c.tif. Trained on 2 stacks, the first {'a' * 16}..."
        f"{'a' * 8}.tif in 5 min, preset quick."
    )


SPOTS = {"kept": {"1": 0.2, "2": 0.5, "4": 0.9}, "half": 2.0, "sigma": 12.0}


def test_which_spots_are_lost_is_said():
    told = facts(faint_spots=[SPOTS | {"half": 1.0}, SPOTS])["Faint spots"]
    assert (told.value, told.good) == ("seen from 24 grey values on", None)
    assert "from 2.0 times the noise on" in told.meaning
    assert told.details[1] == (
        "Channel 2: Height that is left of spots, 1 times the noise: 20.0 %, "
        "2 times the noise: 50.0 %, 4 times the noise: 90.0 %."
    )
    kept = facts(faint_spots=[SPOTS | {"half": 1.0}])["Faint spots"]
    assert (kept.value, len(kept.details)) == ("kept", 1)
    lost = facts(faint_spots=[SPOTS | {"half": None}, SPOTS])["Faint spots"]
    assert (lost.value, lost.good) == ("lost", False)


@pytest.mark.trains
def test_a_real_training_tells_it_all():
    noisy = stack(block(72, 72, 200.0, 800.0) + 20.0 * blurred_noise((72, 72), 0.0, 0))
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, collaborate=True))
    notes = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    made = pipeline.train([noisy], settings, run=run).denoiser
    told = {fact.name: fact for fact in tell_card(json.loads(json.dumps(made.card)))}
    assert told.keys() == {
        "Learned noise",
        "First estimate",
        "Round",
        "Last pass",
        "Faint spots",
    }
    score = made.card["noise"][0]["match"]["score"]
    assert told["Learned noise"].value == f"{int(score)} % match"
    assert any(note.startswith(told["Last pass"].meaning) for note in notes)  # one text for both


def test_the_words_need_no_torch():
    code = "import sys, training_core.reporting.words; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "strange", [{"noise": 5}, {"noise": [{}]}, {"doubted": 5}, {"rounds": None}, {"last_pass": [1]}]
)
def test_of_a_story_that_was_tampered_with_nothing_is_believed(strange):
    (fact,) = tell_card(CARD | strange)
    assert (fact.value, fact.good) == ("not known", False)


@pytest.mark.parametrize("strange", [{"trained_on": "photographs"}, {"seconds": "x"}])
def test_the_origin_of_a_strange_story_is_not_told(strange):
    assert origin(CARD | strange) == ""
