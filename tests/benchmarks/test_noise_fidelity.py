import runpy
from pathlib import Path

import numpy as np
import pytest

from training_core.noise.match import NoiseShape, compare_noise

JOB = runpy.run_path(str(Path(__file__).with_name("noise_fidelity.py")))


def row(name, seed=1):
    made, real = (
        np.random.default_rng(s).standard_normal((40, 32, 32)).astype(np.float32) for s in (seed, 0)
    )
    shapes = NoiseShape(made), NoiseShape(real)
    return JOB["Row"](name, 40, "held-out patches", *shapes, compare_noise(made, real))


def test_a_row_is_a_line_of_the_table():
    line = str(row("WideField_BPAE_G"))
    assert line.startswith("| WideField_BPAE_G | 40 | held-out patches | 1.000 | ")
    assert line.endswith("| yes |")
    assert line.count("|") == JOB["HEAD"].count("|")


def test_the_rows_of_a_set_are_replaced_and_everything_else_stays():
    text = "# Benchmarks\n\n## Before\n\nkept\n\n## After\n\nkept too\n"
    once = JOB["updated"](text, "FISH", [row("FISH"), row("FISH")], "quick")
    other = JOB["updated"](once, "MICE", [row("MICE")], "quick")
    twice = JOB["updated"](other, "FISH", [row("FISH", 2)], "quick")
    lines = [line for line in twice.splitlines() if line.startswith("| ")][1:]
    assert lines == [str(row("MICE")), str(row("FISH", 2))]
    assert "\n\n## Before\n\nkept\n\n## After\n\nkept too\n" in twice


def test_true_noise_is_measured_against_what_the_model_says():
    noise = 2 * np.random.default_rng(3).standard_normal((20, 32, 32))

    class Model:
        @staticmethod
        def curve(clean):
            return np.full(clean.shape, 4.0)

    unit, strengths = JOB["_truth"](noise, np.zeros_like(noise), Model)
    assert unit.std() == pytest.approx(1.0, abs=0.01)
    assert strengths.mean() == pytest.approx(0.5, abs=0.01)
    assert JOB["_tiles"](np.zeros((70, 96))).shape == (6, 32, 32)
