"""A tiny benchmark from end to end: trials, contenders, training, report, command, cancelling."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import QUICKEST, block, noise_model, stack
from tests.support.made_up import denoiser as made_up_denoiser
from training_core.cli.main import main
from training_core.costs import LAST_PASS, PAIRS
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tiled import denoise
from training_core.errors import InputError, ModelError, SettingsError, TooFewPatchesError
from training_core.evaluation import benchmark as evaluation
from training_core.evaluation import classical, contenders, scores
from training_core.evaluation.benchmark import (
    Request,
    choose_trials,
    settings_for,
    try_out,
    usual_methods,
)
from training_core.evaluation.contenders import (
    METHODS,
    Contender,
    Contest,
    bundled_contenders,
    classical_contenders,
    g2g_contenders,
)
from training_core.evaluation.datasets import EvaluationSet
from training_core.evaluation.protocols import PUBLISHED, SANE
from training_core.evaluation.published_tables import TABLES, Table
from training_core.evaluation.set_files import TestImage
from training_core.networks.published import paper_network
from training_core.noise.anscombe import Stabiliser
from training_core.patches import smooth_patches
from training_core.pipeline import Outcome
from training_core.run import SILENT, Note, Run, Stage, StageStarted, StepsDone
from training_core.training.report import Learned
from training_core.training.round import RoundTraining

CPU = torch.device("cpu")
TINY = Table(
    "tiny", "Three blocks", "T", "micrograph", published={"G2G": (30.0, 0.8)}, target=(99.0, None)
)


def made_up_image(number, shift=0.0):
    clean = block(64, 64, 60.0, 160.0)
    noisy = clean + np.random.default_rng(number).normal(shift, 20, clean.shape)
    return TestImage(f"field_{number}", stack(noisy, dtype=np.float32), clean)


def made_up_set(protocol, shift=0.0, count=3):
    tests = tuple(made_up_image(number, shift) for number in range(count))
    frames = np.stack([test.noisy.pixels for test in tests])
    return EvaluationSet(
        lambda: [stack(frames, "IYX")], tests, protocol, f"{count} made-up images."
    )


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Register a table whose set is made up and whose presets train in a moment."""
    sets = {"published": made_up_set(PUBLISHED), "sane": made_up_set(SANE)}
    monkeypatch.setitem(TABLES, "tiny", TINY)
    monkeypatch.setattr(evaluation, "load_table", lambda table, data, name, seed: sets[name])
    monkeypatch.setattr(evaluation, "preset", lambda name, **changes: QUICKEST)
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    monkeypatch.setattr(scores, "FLAT_PX", 64)
    return ["evaluate", "tiny", "--data", str(tmp_path), "--output", str(tmp_path / "out")]


@pytest.fixture
def trial():
    test = made_up_image(0)
    return Contest("field_0", test.noisy, {"sane": test.clean}, "micrograph")


def request(limit=None):
    return Request(TINY, None, QUICKEST, ("published", "sane"), METHODS, limit)


def test_images_that_are_the_same_in_both_protocols_are_run_once():
    sets = {"published": made_up_set(PUBLISHED), "sane": made_up_set(SANE)}
    trials = choose_trials(sets, request())
    assert [trial.name for trial in trials] == ["field_0", "field_1", "field_2"]
    assert all(set(trial.references) == {"published", "sane"} for trial in trials)


def test_images_that_differ_are_run_for_each_protocol():
    sets = {"published": made_up_set(PUBLISHED), "sane": made_up_set(SANE, shift=5.0)}
    trials = choose_trials(sets, request())
    assert [list(trial.references) for trial in trials] == [["published"], ["sane"]] * 3


def test_a_limit_takes_images_from_all_over_the_set():
    trials = choose_trials({"sane": made_up_set(SANE, count=9)}, request(limit=3))
    assert [trial.name for trial in trials] == ["field_0", "field_4", "field_8"]
    assert len(choose_trials({"sane": made_up_set(SANE)}, request(limit=50))) == 3


def test_a_trial_is_float_so_that_nothing_is_rounded():
    counts = TestImage("a", stack(np.full((8, 8), 7), dtype=np.uint8), np.full((8, 8), 7.0))
    found = EvaluationSet(lambda: [], (counts,), SANE, "")
    (trial,) = choose_trials({"sane": found}, request())
    assert trial.noisy.dtype == np.float32
    assert trial.values.dtype == np.float64


def test_only_the_blur_sees_the_reference(monkeypatch):
    monkeypatch.setattr(classical, "find_spec", lambda name: name)
    rows = classical_contenders("micrograph")
    assert [c.label for c in rows if c.sees_reference] == ["Gaussian blur"]
    assert [c.label for c in rows][-2:] == ["BM3D", "GAT + BM3D"]
    assert all(c.apply is not None for c in rows)
    assert "GAT + BM3D" not in [c.label for c in classical_contenders("natural")]


@pytest.mark.parametrize(
    ("kind", "protocol", "window"),
    [
        ("ct", "sane", (-160, 240)),
        ("ct", "published", (-1000, 1000)),
        ("natural", "sane", (-np.inf, np.inf)),
    ],
)
def test_the_blur_is_tuned_on_the_score_of_the_protocol(monkeypatch, trial, kind, protocol, window):
    seen = []
    monkeypatch.setattr(classical, "tuned_blur", lambda *given: seen.append(given[2]))
    (blur,) = [c for c in classical_contenders(kind) if c.method == "blur"]
    blur.apply(replace(trial, kind=kind, references={protocol: trial.values}), SILENT)
    assert seen == [window]


def test_without_its_package_bm3d_is_named_but_not_run(monkeypatch):
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    missing = [c for c in classical_contenders("micrograph") if c.apply is None]
    assert [c.label for c in missing] == ["BM3D", "GAT + BM3D"]
    assert "not installed" in missing[0].how


def test_without_weights_dncnn_b_is_named_but_not_run(monkeypatch):
    def missing(device):
        raise ModelError("missing")

    monkeypatch.setattr(contenders, "load_dncnn_b", missing)
    (row,) = bundled_contenders("natural", CPU)
    assert (row.label, row.apply, row.how) == ("DnCNN-B", None, "Weights missing.")


@pytest.mark.parametrize("kind", ["micrograph", "ct"])
def test_our_bundled_network_has_a_row_without_training(monkeypatch, trial, kind):
    asked = []

    def denoised(stack, settings, run):
        asked.append((stack, settings.preset, settings.device))
        return Outcome(stack.with_pixels(stack.pixels + 1), None)

    monkeypatch.setattr(contenders, "denoise_stack", denoised)
    row = bundled_contenders(kind, CPU)[1]
    assert (row.method, row.label) == ("instant", "instant")
    np.testing.assert_allclose(row.apply(trial, SILENT), trial.values + 1, rtol=1e-6)
    assert asked == [(trial.noisy, "instant", "cpu")]


@pytest.mark.parametrize(
    ("kind", "unit", "black", "white"), [("natural", "", 0, 255), ("ct", "HU", -1000, 1000)]
)
def test_dncnn_b_gets_black_at_0_and_white_at_1_and_gives_its_result_back(
    monkeypatch, trial, kind, unit, black, white
):
    trial = replace(trial, noisy=replace(trial.noisy, value_unit=unit))
    seen = []

    class Brighter(torch.nn.Conv2d):
        def forward(self, image):
            seen.append(float(image.mean()))
            return image + 0.1

    monkeypatch.setattr(contenders, "load_dncnn_b", lambda device: Brighter(1, 1, 1))
    plain = bundled_contenders(kind, CPU)[0]
    assert ("1000 HU" in plain.how) == (kind == "ct")
    made = plain.apply(trial, SILENT)
    assert seen == [pytest.approx((trial.values.mean() - black) / (white - black), rel=1e-5)]
    np.testing.assert_allclose(made, trial.values + 0.1 * (white - black), atol=1e-3)


def test_each_round_has_a_row_of_its_own_network(trial):
    card = {"chosen_round": 0, "first_estimate": {"chosen": "shrinkage"}}
    denoiser = replace(made_up_denoiser(noise_model(), mean=100.0, spread=50.0), card=card)
    other = made_up_denoiser(noise_model(), seed=1).network
    history = {0: denoiser.network, 1: other}
    rows = list(g2g_contenders(Learned(denoiser, history, first_channels=denoiser.channels)))
    assert [row.label for row in rows] == [
        "G2G balanced, first estimate",
        "G2G balanced, round 0 (chosen blind)",
        "G2G balanced, round 1 (last)",
        "G2G balanced, round 1 with all passes",
        "G2G balanced, result",
    ]
    assert [row.competes for row in rows] == [False, True, True, False, True]
    images = [row.apply(trial, SILENT) for row in rows]
    image = torch.from_numpy(trial.noisy.frame(0))
    for made, network in zip(images[1:3], history.values(), strict=True):
        one = replace(denoiser, network=network)
        alone = one.network_pass(image, denoiser.channels[0]).numpy()
        np.testing.assert_allclose(made, alone, atol=1e-3)
    assert np.abs(images[2] - images[1]).max() > 0.1
    assert np.abs(images[4] - images[1]).max() > 0.1  # the collaborative pass follows
    passed = denoise(trial.noisy, replace(denoiser, network=other)).raw_frame(0)
    np.testing.assert_array_equal(images[3], passed)


def test_of_the_rounds_only_the_blind_choice_and_the_last_compete():
    denoiser = replace(made_up_denoiser(noise_model()), card={"chosen_round": 1})
    learned = Learned(denoiser, dict.fromkeys(range(4), denoiser.network))
    rows = [row for row in g2g_contenders(learned) if ", round" in row.label]
    assert [row.competes for row in rows] == [False, True, False, True, False, False, False]
    assert [row.label[14:] for row in rows[4:]] == [f"round {n} with all passes" for n in (0, 2, 3)]


def test_the_first_estimate_is_that_of_the_training(trial):
    card = {"chosen_round": 1, "first_estimate": {"chosen": "noisier2noise"}}
    denoiser = replace(made_up_denoiser(noise_model(), mean=100.0, spread=50.0), card=card)
    before = Channel(noise_model())  # of which the first estimates were made
    asked = []

    def adding(noisy):
        asked.append(noisy.channel)
        return noisy.image + 2

    learned = Learned(denoiser, {1: denoiser.network}, adding, (before,))
    first = next(iter(g2g_contenders(learned)))
    assert first.label == "G2G balanced, first estimate"
    np.testing.assert_allclose(first.apply(trial, SILENT), trial.values + 2, rtol=1e-5)
    assert asked == [before]
    # As after an interruption: it is not learned for each image.
    resumed = next(iter(g2g_contenders(replace(learned, first_estimate=None))))
    assert (resumed.apply, "interrupted" in resumed.how) == (None, True)


def test_round_0_of_paper_mode_is_generator_g2(trial):
    paper = settings_for(TINY, "paper", seed=0, device="cpu")
    unit = noise_model(stabiliser=Stabiliser(scale=255.0))
    g2 = paper_network("dncnn", 3, sigmoid=True).eval()
    denoiser = Denoiser(g2, (Channel(unit),), paper, CPU, {"chosen_round": 0})
    rows = list(g2g_contenders(Learned(denoiser, {0: g2})))
    assert rows[0].label == "G2G paper, round 0 (chosen blind, last)"
    assert rows[0].how == "Generator g2."
    with torch.no_grad():
        expected = g2(torch.from_numpy(trial.noisy.frame(0) / 255)[None, None])[0, 0].numpy() * 255
    np.testing.assert_allclose(rows[0].apply(trial, SILENT), expected, atol=0.01)


def test_paper_mode_differs_between_tables_and_keeps_seed_and_device():
    mayo = settings_for(TABLES["ct-mayo"], "paper", seed=3, device="cpu")
    assert (mayo.denoiser.network, mayo.seed, mayo.device) == ("unet", 3, "cpu")
    assert settings_for(TINY, "quick", seed=4, device="cpu").seed == 4


def test_costly_rows_are_left_out_unless_asked_for():
    assert set(METHODS) - set(usual_methods("natural")) == {"first-estimate", "oracle"}
    assert set(METHODS) - set(usual_methods("micrograph")) == {"oracle"}


def test_scores_are_those_of_the_protocols_and_seconds_are_measured():
    sets = {"published": made_up_set(PUBLISHED), "sane": made_up_set(SANE)}
    trials = choose_trials(sets, request())
    noisy = Contender("noisy", "noisy", "As it came.", lambda trial, run: trial.values)
    none = Contender("bm3d", "BM3D", "Not installed.", None)
    events = []
    protocols = {"published": PUBLISHED, "sane": SANE}
    (row, empty), examples = try_out([noisy, none], trials, protocols, CPU, Run(events.append))
    assert row.bias("sane").mean_shift_percent == 0
    expected = [SANE.score(trial.values, trial.references["sane"]) for trial in trials]
    got = [(c.psnr, c.ssim) for c in row.cells if c.protocol == "sane"]
    assert got == [(score.psnr, score.ssim) for score in expected]
    assert row.means["sane"].psnr == pytest.approx(np.mean([score.psnr for score in expected]))
    assert (empty.cells, empty.means, empty.seconds) == ((), {}, None)
    last = [event for event in events if isinstance(event, StepsDone)][-1]
    assert (last.done, last.total) == (6, 6)
    assert [example.name for example in examples] == ["field_0", "field_1", "field_2"]
    assert torch.get_num_threads() >= 1


@pytest.mark.parametrize("error", [InputError, ValueError])
def test_a_method_that_fails_on_an_image_has_an_empty_row(error):
    def fail_once(trial, run):
        if trial.name == "field_1":
            raise error("It cannot be done.")
        return trial.values

    noisy = Contender("noisy", "noisy", "As it came.", lambda trial, run: trial.values)
    failing = Contender("nlm", "NLM", "Averages.", fail_once)
    events = []
    trials = choose_trials({"sane": made_up_set(SANE)}, request())
    found = try_out([failing, noisy], trials, {"sane": SANE}, CPU, Run(events.append))
    empty, row = found[0]
    reason = "It failed on field_1: It cannot be done."
    assert (empty.cells, empty.means, empty.seconds, empty.how) == ((), {}, None, reason)
    assert len(row.cells) == 3
    assert Note(f"NLM has no row. {reason}", warning=True) in events


def test_what_nobody_expects_ends_the_tryout():
    def fail(trial, run):
        raise RuntimeError("It cannot be done.")

    failing = Contender("nlm", "NLM", "", fail)
    trials = choose_trials({"sane": made_up_set(SANE)}, request())
    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="cannot be done"):
        try_out([failing], trials, {"sane": SANE}, CPU)
    assert torch.get_num_threads() == threads


@pytest.mark.trains
def test_the_command_from_end_to_end(tiny, tmp_path, capsys):
    code = main([*tiny, "--preset", "quick"])
    text = capsys.readouterr().out
    folder = tmp_path / "out"
    assert code == 0
    assert "3 of 3 test images" in text
    assert "does not pass the target (99.00 dB)" in text
    assert text.rstrip().endswith(f"Written to {folder}.")
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.md", "scores.csv", "field_0.png", "field_1.png", "field_2.png"}
    read = list(csv.DictReader(io.StringIO((folder / "scores.csv").read_text())))
    means = {
        r["method"]: float(r["psnr_db"])
        for r in read
        if (r["image"], r["protocol"], r["source"]) == ("mean", "sane", "measured")
    }
    assert means["noisy"] == pytest.approx(20 * math.log10(255 / 20), abs=0.3)
    assert means["NLM"] > means["noisy"] + 5
    assert means["G2G quick, result"] > means["noisy"] + 5
    assert "G2G quick, first estimate" in means
    assert any(label.startswith("G2G quick, round 0") for label in means)
    assert "The best of our rows, picked by the reference, is G2G quick, " in text
    assert "Our result moves the mean of an image by at most" in text
    left = float(text.partition("Of learned noise on a constant ")[2].partition(" %")[0])
    assert 0 < left < 100
    cells = [r for r in read if r["method"] == "G2G quick, result" and r["image"] != "mean"]
    assert all(0.7 < float(cell["slope"]) < 1.1 for cell in cells)
    assert all(abs(float(cell["mean_shift_percent"])) < 2 for cell in cells)


def test_json_and_no_second_report_in_the_same_place(tiny, capsys):
    command = [*tiny, "--methods", "noisy,tv,bm3d", "--protocol", "sane", "--limit", "2"]
    assert main([*command, "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert (table["table"], table["images"], table["available"]) == ("tiny", 2, 3)
    rows = {row["method"]: row for row in table["rows"]}
    assert rows["TV (Chambolle)"]["scores"]["sane"]["psnr"] > 27
    assert set(table["findings"].values()) == {None}  # nothing was trained
    assert rows["BM3D"]["scores"] == {}
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize("error", [TooFewPatchesError, SettingsError])
def test_without_a_training_the_other_rows_are_still_there(tiny, monkeypatch, capsys, error):
    def train(*arguments, **more):
        raise error("It cannot be trained.")

    monkeypatch.setattr(evaluation, "train", train)
    assert main([*tiny, "--methods", "noisy,g2g", "--json"]) == 0
    captured = capsys.readouterr()
    rows = {row["method"]: row for row in json.loads(captured.out)["tables"][0]["rows"]}
    assert rows["G2G quick, result"]["how"] == "It cannot be trained."
    assert rows["noisy"]["scores"]["sane"]["psnr"] > 20
    assert "G2G could not be trained" in captured.err


def cancel_in(monkeypatch, stage):
    emit = Run.emit

    def cancel(self, event):
        emit(self, event)
        if isinstance(event, StageStarted) and event.stage is stage:
            self.cancel()

    monkeypatch.setattr(Run, "emit", cancel)


@pytest.mark.parametrize(
    ("stage", "methods"),
    [
        pytest.param(Stage.ROUNDS, "noisy,g2g", marks=pytest.mark.trains),
        (Stage.EVALUATE, "noisy,nlm"),
    ],
)
def test_a_cancelled_evaluation_leaves_nothing(tiny, tmp_path, monkeypatch, capsys, stage, methods):
    cancel_in(monkeypatch, stage)
    assert main([*tiny, "--methods", methods]) == 130
    told = capsys.readouterr().err
    assert told.endswith("Cancelled.\n")
    kept = ["out.checkpoint"] if "g2g" in methods else []  # of the training, to go on with
    assert [path.name for path in tmp_path.iterdir()] == kept
    # Paper mode takes weeks on a processor, so the time is said before anything is trained.
    assert ("Time of training and evaluating: measuring." in told) == ("g2g" in methods)


@pytest.mark.trains
def test_an_interrupted_evaluation_goes_on_with_its_training(tiny, tmp_path, monkeypatch, capsys):
    command = [*tiny, "--methods", "noisy,g2g", "--protocol", "sane", "--limit", "1"]
    folder = tmp_path / "out"
    assert main(command) == 0
    expected = (folder / "scores.csv").read_text()
    shutil.rmtree(folder)
    with monkeypatch.context() as patched:
        cancel_in(patched, Stage.EVALUATE)
        assert main(command) == 130
    assert "out.checkpoint keeps what was done so far" in capsys.readouterr().err
    assert main(command) == 2
    assert "add --resume to go on with it" in capsys.readouterr().err
    with monkeypatch.context() as patched:  # what was finished is not computed again
        patched.delattr(smooth_patches, "score_windows")
        patched.delattr(RoundTraining, "step")
        assert main([*command, "--resume"]) == 0
    assert (folder / "scores.csv").read_text() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    assert "out is finished already and kept" in capsys.readouterr().out


@pytest.mark.trains
def test_another_training_is_no_row_but_an_error(tiny, monkeypatch, capsys):
    command = [*tiny, "--methods", "noisy,g2g"]
    with monkeypatch.context() as patched:
        cancel_in(patched, Stage.ROUNDS)
        assert main(command) == 130
    other = replace(QUICKEST, seed=QUICKEST.seed + 1)
    monkeypatch.setattr(evaluation, "preset", lambda name, **changes: other)
    assert main([*command, "--resume"]) == 2
    assert "cannot be resumed so" in capsys.readouterr().err


def test_evaluating_is_part_of_the_time_left_of_training():
    events = []
    job = evaluation._Job(Run(events.append), tested_on=500)
    job.learned_from = 1000
    work = {Stage.ROUNDS: {PAIRS: (300.0, 300.0)}, Stage.DENOISE: {LAST_PASS: (60.0, 60.0)}}
    job.plan("slow", work)
    assert events == [Note("Time of training and evaluating: measuring.")]
    job.costs.known = {"slow": {PAIRS: (1.0, 1.0), LAST_PASS: (1.0, 1.0)}}
    job.plan("slow", work)
    assert events[1:] == [Note("Training takes about 5 min here, evaluating about 2 min.")]
    job.start(Stage.ROUNDS, 10)
    job.progress(Stage.ROUNDS, 0, 10)
    assert events[-1].time_left.most == pytest.approx(300 + 120)


def test_several_tables_are_a_batch(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(TABLES, "absent", TINY)
    load = evaluation.load_table

    def load_or_not(table, data, name, seed):
        if table is ABSENT:
            raise InputError("The test set is missing.")
        return load(table, data, name, seed)

    ABSENT = Table("absent", "Nothing", "T", "micrograph")
    monkeypatch.setitem(TABLES, "absent", ABSENT)
    monkeypatch.setattr(evaluation, "load_table", load_or_not)
    command = [*tiny, "absent", "--methods", "noisy", "--json"]
    command.insert(2, command.pop(command.index("absent")))
    assert main(command) == 3
    answer = json.loads(capsys.readouterr().out)
    assert [table["table"] for table in answer["tables"]] == ["tiny"]
    assert answer["failed"][0]["error"] == "The test set is missing."
    assert (tmp_path / "out" / "tiny" / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["bsd68-gausian25"], "the nearest are bsd68-gaussian25"),
        ([], "Name a table"),
        (["bsd68-gaussian25", "--methods", "nlm,magic"], "There is no method 'magic'"),
        (["bsd68-gaussian25", "--limit", "0"], "'0' is no whole number from 1 on"),
        (["bsd68-gaussian25", "--data", "nowhere"], "There is no folder nowhere"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_a_sentence(arguments, sentence, capsys):
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_without_the_shared_images_the_data_folder_is_asked_for(monkeypatch, tmp_path, capsys):
    from training_core.cli import evaluate as evaluation_command

    monkeypatch.setattr(evaluation_command, "DATA", tmp_path / "nowhere")
    assert main(["evaluate", "bsd68-gaussian25"]) == 2
    assert "add --data FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("ask", ["list", "--list"])
def test_the_tables_are_listed_with_a_line_each(ask, capsys):
    assert main(["evaluate", ask]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(TABLES)
    assert any(line.startswith("bsd68-gaussian25 ") and "28.87 dB" in line for line in lines)
    assert main(["evaluate", ask, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["tables"]) == set(TABLES)
