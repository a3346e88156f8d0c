from dataclasses import replace

import paper_in_time
import pytest
from paper_in_time import HEAD, TITLE, is_better, line_of, ours_in, shortened
from results import section
from robust_quality import SETS
from robust_tables import updated
from test_robust_quality import outcome, row

from training_core.evaluation.published_tables import TABLES
from training_core.evaluation.scores import Report
from training_core.settings import preset

TABLE = TABLES["fmd-confocal-fish"]


def report(paper=(30.0, 31.0), noisy=(22.0, 23.0), available=2):
    rows = (row("noisy", *noisy, method="noisy"), row("G2G paper, result", *paper))
    return Report(
        TABLE, (), rows, ("i0", "i1"), available, (), preset("paper"), {}, "processor", 90.4
    )


def test_only_the_length_differs_from_the_published_method():
    paper, made = TABLE.paper, shortened(TABLE, 60)
    game = replace(made.noise_model, steps=9600, batch=64)
    rounds = replace(made.denoiser, steps=4800, batch=128)
    assert (made.noise_model.steps, made.denoiser.steps) == (60, 120)
    assert replace(made, noise_model=game, denoiser=rounds, device=paper.device) == paper


def test_the_line_of_a_set_has_the_means_of_all_its_trainings():
    told = line_of("fish", 60, [report(), report((33.0, 34.0), available=5)], (32.97, 0.911))
    assert told == "| fish | 4 of 7 | 60, 120 | 22.50/.225 | 32.00/.320 | 32.97/.911 | 181 |"
    assert line_of("fish", 60, [report(())], None).endswith("| 22.50/.225 | - | - | 90 |")


@pytest.mark.parametrize(
    ("paper", "ours", "better"),
    [
        ("30.00/.900", "32.97/.911", False),
        ("33.00/.900", "32.97/.911", True),
        ("30.00/.912", "32.97/.911", True),
        ("-", "32.97/.911", False),
        ("30.00/.900", "-", False),
    ],
)
def test_paper_mode_is_better_where_one_of_its_scores_is(paper, ours, better):
    assert is_better(f"| fish | 4 | 60, 120 | 22.50/.225 | {paper} | {ours} | 181 |") == better


def test_lines_stand_beside_those_of_robust_mode_and_others_stay(monkeypatch, tmp_path, capsys):
    results = {"text": updated("# Benchmarks\n", [outcome("mice")], "a note", list(SETS))}
    monkeypatch.setattr(paper_in_time, "read_results", lambda: results["text"])
    monkeypatch.setattr(paper_in_time, "write_results", lambda text: results.update(text=text))
    monkeypatch.setattr(paper_in_time, "reports_of", lambda name, given: [report()])
    assert ours_in(results["text"], "mice") == (32.55, 0.901)
    assert ours_in(results["text"], "fish") is None
    assert paper_in_time.main(["--only", "mice", "--data", str(tmp_path)]) == 0
    assert "| 30.50/.305 | 32.55/.901 | 90 |" in capsys.readouterr().out
    monkeypatch.setattr(paper_in_time, "reports_of", lambda name, given: [report((40.0, 41.0))])
    assert paper_in_time.main(["--only", "fish,mice", "--data", str(tmp_path)]) == 1
    table = [text for text in section(results["text"], TITLE).splitlines() if text[:1] == "|"]
    assert table[0] == HEAD
    assert [text.split(" | ")[0] for text in table[2:]] == ["| fish", "| mice"]
    assert "## Robust mode" in results["text"]
