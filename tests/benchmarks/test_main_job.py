import runpy
from pathlib import Path

import pytest
import tifffile

from training_core.io.readers import open_stack

JOB = runpy.run_path(str(Path(__file__).with_name("main_job.py")))


def row(name, met=True):
    return JOB["Row"](name, "20.00 dB", "30.00 dB", 0.9, "29 dB", met, 61.4, 120.2, -0.01)


def test_a_row_is_a_line_of_the_table():
    line = str(row("fish", met=False))
    assert line == "| fish | 20.00 dB | 30.00 dB | 0.9000 | 29 dB | NO | 61 | 120 | -0.010 |"
    assert line.count("|") == JOB["HEAD"].count("|")


def test_rows_are_replaced_and_everything_else_stays():
    text = "# Benchmarks\n\n## Before\n\nkept\n\n## Main job\n\nold\n\n## After\n\nkept too\n"
    once = JOB["updated"](text, [row("fish"), row("ct")], "a machine")
    twice = JOB["updated"](once, [row("fish", met=False), row("bsd")], "another")
    assert twice.startswith("# Benchmarks\n\n## Before\n\nkept\n\n## Main job\n")
    assert twice.endswith("\n## After\n\nkept too\n")
    lines = [line for line in twice.splitlines() if line.startswith("| ")]
    assert lines == [JOB["HEAD"], str(row("fish", met=False)), str(row("ct")), str(row("bsd"))]
    assert "old" not in twice
    assert "a machine" not in twice
    assert JOB["updated"](twice, [row("bsd")], "another") == twice
    both = JOB["updated"](twice, [row("fish")], "another", "instant")
    assert both.startswith(twice.rstrip())
    assert "\n## Main job, instant\n" in both


@pytest.mark.shared_data
def test_each_set_scores_a_copy_as_no_better_than_the_noisy_images(tmp_path, monkeypatch):
    def copy(verb, *arguments):
        words = [str(a) for a in arguments]
        if verb == "train":
            assert open_stack(words[0]).shape == (400, 180, 180)
            return JOB["Answer"]({}, 1.0, 2.0)
        inputs, output = words[: words.index("--model" if verb == "denoise" else "--preset")], None
        output = Path(words[words.index("--output") + 1])
        outputs = []
        for source in inputs:
            target = output / Path(source).name if verb == "denoise" else output
            target.parent.mkdir(exist_ok=True)
            tifffile.imwrite(target, open_stack(source).pixels)
            outputs.append({"input": source, "output": str(target)})
        return JOB["Answer"]({"outputs": outputs}, 1.0, 2.0)

    names, all_68 = JOB["bsd"].__globals__, JOB["_noisy_bsd68"]
    monkeypatch.setitem(names, "g2g", copy)
    monkeypatch.setitem(names, "_noisy_bsd68", lambda folder: all_68(folder)[:6])
    noisy = {"fish": "22.88 dB", "mice": "24.32 dB", "widefield": "23.90 dB", "bsd": "20.17 dB"}
    for name, score in noisy.items():
        found = JOB["SETS"][name](tmp_path, "quick")
        assert (found.noisy, found.denoised) == (score, score)
        assert not found.met
        assert found.shift == 0
    ct = JOB["SETS"]["ct"](tmp_path, "quick")
    assert ct.denoised == ct.noisy + " (-0.0 %)"
    assert not ct.met
