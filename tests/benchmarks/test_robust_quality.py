import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import robust_quality
import robust_rows
from results import section
from robust_quality import Set
from robust_rows import kept_rows, means, row_from, short_label
from robust_tables import HEADS, SECTION, Outcome, updated

from training_core.errors import ModelError
from training_core.evaluation import benchmark as evaluation
from training_core.evaluation import classical, contenders, scores
from training_core.evaluation.datasets import EvaluationSet
from training_core.evaluation.protocols import SANE_MICROGRAPH
from training_core.evaluation.published_tables import TABLES, Table
from training_core.evaluation.scores import Bias, Cell, Mean, Row
from training_core.evaluation.set_files import TestImage
from training_core.settings import preset
from training_core.stack import Stack

BIAS = {
    "mean_shift_percent": 0.1,
    "slope_on_reference": 0.95,
    "slope": 0.97,
    "calibration": 1.03,
    "calibration_by_place": 1.01,
    "worst_bin_percent": -1.5,
}
TINY = Table(
    "tiny",
    "A block",
    "T",
    "micrograph",
    target=(99.0, 0.1),
    elsewhere={"FBI-Net": (32.29, None)},
)


def outcome(name="fish", **changes):
    rows = {
        "noisy": (22.86, 0.454),
        "Gaussian blur": (35.0, 0.99),  # sees the reference, and decides about nothing
        "NLM": (30.0, 0.89),
        "BM3D": (29.0, 0.9),
        "first estimate": (32.0, 0.89),
        "first estimate by dncnn-b": (31.5, 0.88),
        "round 0": (32.1, 0.88),
        "round 1": (32.3, 0.89),
        "round 1 with all passes": (32.6, 0.9),
        "ours": (32.55, 0.901),
    }
    usual = Outcome(
        name,
        "4",
        rows,
        ["round 0"],
        ["round 1 with all passes"],
        (0.05, 0.0),
        BIAS,
        left=0.031,
        wall_s=600.4,
        core_s=900.2,
        reach=(32.5, 0.9),
        ceiling=39.126,
        published="FBI-Net 32.29",
    )
    return replace(usual, **changes)


def with_ours(psnr, ssim, **changes):
    usual = outcome()
    return replace(usual, rows={**usual.rows, "ours": (psnr, ssim)}, **changes)


def test_what_is_met_needs_psnr_and_ssim_each_by_itself():
    assert outcome().reached() == (True, True)
    assert outcome().met
    assert with_ours(32.5, 0.9).reached() == (True, True)
    assert with_ours(32.49, 0.901).reached() == (False, True)
    assert with_ours(32.55, 0.899).reached() == (True, False)
    assert not with_ours(32.49, 0.901).met
    assert not with_ours(32.55, 0.8999).met
    assert outcome(reach=(32.5, None)).reached() == (True, None)


def test_every_blind_classical_row_is_to_be_beaten_in_both_scores():
    assert with_ours(30.0, 0.901).beats_classical() == (False, True)  # NLM has as much
    assert with_ours(32.55, 0.9).beats_classical() == (True, False)  # BM3D has as much
    assert with_ours(30.01, 0.9001).beats_classical() == (True, True)
    assert not with_ours(32.55, 0.9, reach=(None, None)).met


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (True, True, True)),
        ({"bias": BIAS | {"mean_shift_percent": -0.51}}, (False, True, True)),
        ({"bias": BIAS | {"calibration_by_place": 0.979}}, (True, False, True)),
        ({"left": 0.05}, (True, True, False)),
    ],
)
def test_brightness_and_noise_alone_are_limited(changes, expected):
    assert outcome(**changes).unbiased() == expected
    assert outcome(**changes).met == all(expected)


def test_time_and_the_blind_choice_are_limited():
    assert outcome(wall_s=1201.0).in_time() is False
    assert outcome(wall_s=3600.0, trainings=3).in_time() is True
    assert outcome(wall_s=1201.0, timed=False).in_time() is None
    assert not outcome(wall_s=1201.0).met
    assert not outcome(lost=(0.11, 0.0)).met


def test_ct_is_judged_by_its_error_alone():
    enough = outcome(errors=(45.0, 29.0), reach=(None, None))
    assert enough.reduction == pytest.approx(16 / 45)
    assert enough.reached() == (True, None)
    assert replace(enough, errors=(45.0, 29.3)).reached() == (False, None)
    quality = enough.lines()["Quality"]
    assert "| 32.55/.901 (RMSE 45.00 to 29.00 HU, -35.6%) | -35% | yes | - |" in quality


def test_the_lines_of_a_set():
    lines = outcome(lost=(0.12, 0.0)).lines()
    assert lines["Quality"] == (
        "| fish | 4 | 22.86/.454 | 35.00/.990 | 30.00/.890 | - | - | 29.00/.900 | - | - | - | "
        "32.55/.901 | 32.50/.900 | yes | yes | yes | yes | 39.13 | FBI-Net 32.29 |"
    )
    assert lines["The blind choice"] == (
        "| fish | 32.00/.890, dncnn-b: 31.50/.880 | 0: 32.10/.880, 1: 32.30/.890 | "
        "1: 32.60/.900 | round 0 | 32.55/.901 | round 1 with all passes | 0.12 | 0.0000 | NO |"
    )
    assert lines["Brightness, noise alone, time"] == (
        "| fish | +0.10 | -1.50 | 0.950 | 0.970 | 1.030 | 1.010 | 3.1 | "
        "yes | yes | yes | 600 | 900 | yes |"
    )
    for heading, line in lines.items():
        assert line.count("|") == HEADS[heading].count("|")


def test_without_a_training_there_is_one_line_and_no_verdict():
    rows = {name: row for name, row in outcome().rows.items() if name in ("noisy", "NLM")}
    classical_only = Outcome("fish", "4", rows, reach=(32.5, 0.9))
    assert list(classical_only.lines()) == ["Quality"]
    assert classical_only.lines()["Quality"].count("| - | - | - | - |") == 2
    assert not classical_only.met


def test_lines_are_replaced_in_order_and_everything_else_stays():
    text = "# Benchmarks\n\n## Before\n\nkept\n\n## Robust mode\n\nold\n\n## After\n\nkept too\n"
    order = ["widefield-b", "fish", "mice"]
    once = updated(text, [outcome("mice"), outcome("fish (quick)")], "a note", order)
    twice = updated(once, [outcome("fish"), outcome("mice", wall_s=7.0)], "another", order)
    assert twice.startswith("# Benchmarks\n\n## Before\n\nkept\n\n## Robust mode\n\nanother\n")
    assert twice.endswith("\n## After\n\nkept too\n")
    body = section(twice, SECTION)
    first = [line.split("|")[1].strip() for line in body.splitlines() if line.startswith("| ")]
    assert first == ["set", "fish", "fish (quick)", "mice"] * 3
    assert "| 7 | 900 | yes |" in body
    assert "old" not in body
    assert updated(twice, [outcome("fish")], "another", order) == twice


def row(label, *psnrs, method="g2g"):
    cells = tuple(Cell(f"i{n}", "sane", psnr, psnr / 100, None) for n, psnr in enumerate(psnrs))
    return Row(method, label, "measured", "", {"sane": Mean.of(cells)} if cells else {}, cells)


def test_rows_of_several_trainings_are_one_row():
    rows = [
        row("G2G balanced, round 1 (chosen blind)", 30.0, 31.0),
        row("G2G balanced, round 1 (last)", 35.0),
        row("G2G balanced, result", 40.0),
        row("G2G balanced, round 2 with all passes"),
    ]
    assert means(rows, short_label) == {
        "round 1": (pytest.approx(32), pytest.approx(0.32)),
        "ours": (40.0, 0.4),
    }


def test_rows_without_training_are_made_once_and_again_when_their_code_changes(
    tmp_path, monkeypatch
):
    made = []

    def make(method):
        made.append(method)
        cells = () if method == "bm3d" else (Cell("a", "sane", 30.0, 0.9),)
        known = {"sane": Mean.of(cells)} if cells else {}
        return [Row(method, method.upper(), "measured", "How.", known, cells, seconds=0.5)]

    first = kept_rows(tmp_path, "set", {"seed": 0}, make)
    assert made == list(robust_rows.WITHOUT_TRAINING)
    assert kept_rows(tmp_path, "set", {"seed": 0}, make) == first
    assert made[8:] == ["bm3d"]  # nothing was kept of it
    assert first[0] == make("noisy")[0]
    made.clear()
    kept_rows(tmp_path, "set", {"seed": 1}, make)
    assert made == list(robust_rows.WITHOUT_TRAINING)
    made.clear()
    code = robust_rows._code
    monkeypatch.setattr(
        robust_rows, "_code", lambda modules: code(modules) + "new" * ("noise/anscombe" in modules)
    )
    kept_rows(tmp_path, "set", {"seed": 1}, make)
    assert made == ["bm3d"]


def test_a_row_is_read_back_as_it_was_but_for_its_bias():
    one = row("NLM", 30.0, 31.0, method="nlm")
    biased = replace(one, cells=tuple(replace(c, bias=Bias(*BIAS.values())) for c in one.cells))
    for each in (one, biased):
        assert row_from(json.loads(json.dumps(asdict(each)))) == one


def missing(device):
    raise ModelError("The weights are missing.")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Give the words of a command whose only set is made up and trained in a moment."""
    clean = np.full((64, 64), 60.0)
    clean[21:, :21] = 160.0
    rng = np.random.default_rng(0)
    frames = [(clean + rng.normal(0, 20, clean.shape)).astype(np.float32) for _ in range(2)]
    stacks = [Stack(frame, "YX") for frame in frames]
    tests = tuple(TestImage(f"tiny_{n}", s, clean) for n, s in enumerate(stacks))
    made_up = EvaluationSet(lambda: list(stacks), tests, SANE_MICROGRAPH, "Two images.")
    usual = preset("quick", device="cpu")
    quickest = replace(
        usual,
        patches=replace(usual.patches, patch_size_px=16, stride_px=4),
        noise_model=replace(usual.noise_model, steps=4, batch=4),
        denoiser=replace(
            usual.denoiser,
            first_estimate="shrinkage",
            width=8,
            depth=3,
            rounds=1,
            steps=8,
            batch=4,
            crop_px=32,
        ),
    )
    results = tmp_path / "results.md"
    results.write_text("# Benchmarks\n", encoding="utf-8")
    monkeypatch.setitem(TABLES, "tiny", TINY)
    monkeypatch.setattr(
        robust_quality, "SETS", {"tiny": Set(("tiny", "tiny"), published="G2G 32.73")}
    )
    for module in (robust_quality, evaluation):
        monkeypatch.setattr(module, "load_table", lambda table, data, name, seed: made_up)
    monkeypatch.setattr(robust_quality, "settings_for", lambda *_, **__: quickest)
    monkeypatch.setattr(robust_quality, "read_results", lambda: results.read_text("utf-8"))
    monkeypatch.setattr(
        robust_quality, "write_results", lambda text: results.write_text(text, "utf-8")
    )
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    monkeypatch.setattr(contenders, "load_dncnn_b", missing)
    monkeypatch.setattr(scores, "FLAT_PX", 64)
    words = ["--only", "tiny", "--data", str(tmp_path), "--output", str(tmp_path / "out")]
    return words, results


@pytest.mark.trains
def test_the_command_from_end_to_end(tiny, monkeypatch, capsys, tmp_path):
    words, results = tiny
    assert robust_quality.main([*words, "--classical"]) == 0
    before = capsys.readouterr().out.splitlines()
    assert before[1].startswith("| tiny | 4 | 22.")  # sigma 20; two trainings on the same images
    assert results.read_text("utf-8") == "# Benchmarks\n"
    kept = sorted(path.name for path in (tmp_path / "out" / "classical").iterdir())
    assert kept == [f"tiny-{m}.json" for m in ("blur", "nlm", "noisy", "tv", "wavelet")]
    assert robust_quality.main(words) == 1  # 99 dB are not reached
    text = section(results.read_text("utf-8"), SECTION)
    lines = [line for line in text.splitlines() if line.startswith("| tiny")]
    assert [line.count("|") for line in lines] == [head.count("|") for head in HEADS.values()]
    assert "| 99.00/.100 | NO | yes |" in lines[0]
    assert float(lines[0].split(" | ")[-2]) > 45  # the reference is as bright as the noisy images
    assert lines[0].endswith("| G2G 32.73, FBI-Net 32.29 |")
    assert "1: " in lines[1]
    monkeypatch.setattr(robust_quality, "evaluate", None)  # nothing is measured again
    assert robust_quality.main([*words, "--resume"]) == 1
    assert section(results.read_text("utf-8"), SECTION) == text


def test_a_set_that_is_not_there_is_named(capsys):
    with pytest.raises(SystemExit):
        robust_quality.main(["--only", "fishes"])
    assert "there is no set 'fishes'; choose from widefield-b, " in capsys.readouterr().err
