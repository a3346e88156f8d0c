from itertools import count

import paper_speed
import pytest
import torch
import turns
from paper_speed import PLAIN, Row
from results import RESULTS

from training_core.networks.published import DnCNN

CPU = torch.device("cpu")


def row(float32, target=2.0):
    return Row("a step", {"float32": float32, "bfloat16": 0.5, PLAIN: 4.0}, 0.5, target)


def test_a_row_says_how_much_faster_and_whether_that_is_enough():
    head, line = paper_speed.HEAD, str(row(1.6))
    assert line == (
        "| a step | 4 s | 1.6 s, 0.312 TFLOP/s | 2.50 | 0.5 s, 1 TFLOP/s | 8.00 | 2.0 | yes |"
    )
    assert line.count("|") == head.count("|")
    assert not row(2.1).met
    assert str(row(2.1)).endswith("| NO |")
    assert "| - | - |" in str(Row("x", {"float32": 1.0, PLAIN: 4.0}, 0.5, 2.0))


def test_works_take_turns_there_and_back(monkeypatch):
    done, ticks = [], count()
    monkeypatch.setattr(turns, "_clock", lambda device: float(next(ticks)))
    works = {name: lambda name=name: done.append(name) for name in "abc"}
    taken = {name: turns.clocked(work, CPU, loops=2) for name, work in works.items()}
    seconds = turns.take_turns(taken, 2)
    assert "".join(done) == "aabbccccbbaa" * 2
    assert seconds == dict.fromkeys("abc", 0.5)


def test_peak_is_that_of_the_faster_library():
    seconds = {"a": 3.0, "float32 product": 2.0, "float32 convolution": 0.5}
    assert turns.peaks(seconds, 10_000) == {"float32": 4.0}
    assert seconds == {"a": 3.0}
    works = turns.products(16, CPU)
    product, convolution = works["float32 product"](), works["float32 convolution"]()
    assert torch.allclose(convolution.reshape(16, 16), product, atol=1e-5)


def test_tflop_are_those_of_the_convolutions():
    image = torch.zeros(1, 1, 20, 30)
    products = (2 * 8 + 15 * 8 * 8) * 9 * 20 * 30
    assert turns.tera(lambda: DnCNN(17, 8)(image)) == pytest.approx(2e-12 * products)


def test_every_comparison_runs(capsys):
    before = RESULTS.read_text(encoding="utf-8")
    assert paper_speed.main(["--smoke", "--device", "cpu"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert lines[0] == paper_speed.HEAD
    names = [line.split(" | ")[0] for line in lines[1:]]
    assert names == [
        "| adversarial step, batch 2",
        "| step of a round, batch 2, with its pairs",
        "| DnCNN-17 on 64 x 64",
    ]
    assert RESULTS.read_text(encoding="utf-8") == before
