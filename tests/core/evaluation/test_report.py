"""Means and verdicts, the table on the terminal, the CSV, the page, and the folder they go to."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training_core.errors import OutputError
from training_core.evaluation import report as evaluation_report
from training_core.evaluation.benchmark import measured_row
from training_core.evaluation.contenders import Contender
from training_core.evaluation.protocols import PUBLISHED, SANE, SANE_CT
from training_core.evaluation.published_tables import Table
from training_core.evaluation.report import (
    as_csv,
    as_markdown,
    as_text,
    check_folder,
    findings,
    plain_findings,
    verdicts,
    write_report,
)
from training_core.evaluation.scores import Cell, Example, Mean, Report, known_rows
from training_core.settings import DenoiserSettings, preset

TABLE = Table(
    "tiny",
    "Two tiny images",
    "T1",
    "micrograph",
    published={"noisy": (20.0, None), "DnCNN-B": (25.0, 0.5), "G2G": (29.0, 0.8)},
    target=(31.0, None),
    elsewhere={"Noise2VST": (32.88, None)},
)


def row(
    method, label, psnrs, *, sees_reference=False, protocols=("published", "sane"), competes=True
):
    contender = Contender(method, label, f"How {label} is made.", None, sees_reference, competes)
    cells = [
        Cell(f"image{n}", protocol, psnr - (protocol == "sane"), 0.5 + psnr / 100)
        for n, psnr in enumerate(psnrs)
        for protocol in protocols
    ]
    return measured_row(contender, cells, 0.25)


def report(*, protocols=(PUBLISHED, SANE), rows=None, examples=(), available=12):
    measured = rows or (
        row("noisy", "noisy", (20.0, 21.0)),
        row("blur", "Gaussian blur", (33.0, 34.0), sees_reference=True),
        row("nlm", "NLM", (28.0, 29.0)),
        row("bm3d", "BM3D", ()),
        row("g2g", "G2G quick, round 1 (last)", (29.0, 30.0)),
        row("g2g", "G2G quick, result", (30.0, 31.0)),
    )
    return Report(
        table=TABLE,
        protocols=protocols,
        rows=(*measured, *known_rows(TABLE, [p.name for p in protocols])),
        images=("image0", "image1"),
        available=available,
        notes=("Two of the frames are byte-identical.",),
        settings=preset("quick", seed=7),
        card={"seconds": 12.3, "device": "cpu", "chosen_round": 1},
        device="cpu",
        seconds=40.0,
        examples=examples,
    )


def test_the_mean_has_the_standard_error_over_images():
    mean = Mean.of([Cell("a", "sane", 30.0, 0.8), Cell("b", "sane", 32.0, 0.9)])
    assert (mean.psnr, mean.ssim, mean.images) == (31.0, pytest.approx(0.85), 2)
    assert mean.psnr_error == pytest.approx(1.0)  # std 1.414 over the root of 2
    assert mean.ssim_error == pytest.approx(0.05)


def test_one_image_has_no_standard_error():
    mean = Mean.of([Cell("a", "sane", 30.0, 0.8)])
    assert (mean.psnr, mean.psnr_error, mean.ssim_error) == (30.0, None, None)


def test_the_best_row_sees_no_reference():
    found = report()
    assert found.best("published").label == "G2G quick, result"
    assert found.best("published", ("nlm", "bm3d", "blur")).label == "NLM"
    assert found.best("published", ("bm3d",)) is None


def test_a_round_that_only_the_scores_would_pick_is_not_the_best_row():
    rows = (
        row("g2g", "G2G quick, round 1", (31.0, 32.0), competes=False),
        row("g2g", "G2G quick, round 2 (chosen blind, last)", (29.0, 30.0)),
        row("g2g", "G2G quick, result", (28.0, 29.0)),
    )
    found = report(rows=rows)
    assert found.best("published").label == "G2G quick, round 2 (chosen blind, last)"
    starred = [line for line in as_text(found).splitlines() if "0.50 * " in line]
    assert [line.partition("  ")[0] for line in starred] == [rows[1].label]


def test_ours_is_held_against_the_published_row_and_the_target():
    assert verdicts(report(available=2)) == [
        "G2G quick, result (30.50 dB, SSIM 0.805) passes published G2G (29.00 dB, SSIM 0.800), "
        "published protocol.",
        "G2G quick, result (30.50 dB, SSIM 0.805) does not pass the target (31.00 dB), "
        "published protocol.",
    ]


def test_a_part_of_the_images_gives_no_verdict():
    assert verdicts(report(available=12)) == [
        "A part of the images says nothing of the whole table, so there is no verdict."
    ]


def test_every_known_row_is_passed_or_not():
    found = report()
    assert {r.label: found.passes(r) for r in found.rows if r.source != "measured"} == {
        "noisy": True,
        "DnCNN-B": True,
        "G2G": True,
        "Noise2VST": False,  # 29.5 dB by the usual protocol
        "target": False,
    }


def test_psnr_alone_does_not_pass_a_row_that_has_an_ssim():
    found = report(rows=(row("g2g", "G2G quick, result", (29.5,)),), available=2)
    published = next(r for r in found.rows if r.label == "G2G")
    assert found.passes(published) is False  # 29.5 dB against 29.0, but SSIM .795 against .8
    assert "passes in PSNR, but not in SSIM, published G2G" in verdicts(found)[0]


def test_what_the_blind_choice_loses_against_the_best_of_our_rows():
    rows = (
        row("first-estimate", "G2G quick, first estimate", (28.0, 28.5), competes=False),
        row("g2g", "G2G quick, round 1", (31.0, 32.0), competes=False),
        row("nlm", "NLM", (40.0, 41.0)),
        row("g2g", "G2G quick, result", (30.0, 31.0)),
    )
    found = report(rows=rows)
    assert found.oracle("sane").label == "G2G quick, round 1"
    assert found.lost("sane") == (pytest.approx(1), pytest.approx(0.01))
    assert report(rows=rows[2:]).lost("sane") == (0, 0)
    others = (
        row("g2g", "G2G quick, round 2", (30.4, 30.4), competes=False),
        row("g2g", "G2G quick, round 1 (chosen blind, last)", (30.0, 30.2)),
        row("g2g", "G2G quick, round 0 with all passes", (30.4, 30.5)),
    )
    assert report(rows=(*others, rows[3])).lost("sane")[0] == pytest.approx(0.3)  # network alone
    assert report(rows=(*others, rows[3])).oracle("sane").label == "G2G quick, result"
    assert report(rows=rows[:1]).oracle("sane") is None
    assert report(rows=rows[:1]).lost("sane") is None
    (sentence,) = findings(found)
    assert "round 1: the blind choice loses 1.00 dB and 0.0100 SSIM, sane protocol" in sentence


def test_the_error_of_ct_is_over_all_slices_and_in_hu():
    scored = [("noisy", "noisy", (20.0, 26.0)), ("g2g", "G2G quick, result", (24.0, 30.0))]
    rows = tuple(row(*one, protocols=("published",)) for one in scored)
    rows = tuple(
        replace(r, cells=tuple(replace(c, protocol="sane") for c in r.cells)) for r in rows
    )
    means = ({"sane": Mean.of(r.cells)} for r in rows)
    rows = tuple(replace(r, means=mean) for r, mean in zip(rows, means, strict=True))
    found = replace(report(rows=rows, protocols=(SANE_CT,)), table=replace(TABLE, kind="ct"))
    noisy = 400 * ((10**-2.0 + 10**-2.6) / 2) ** 0.5
    assert rows[0].rmse("sane", 400) == pytest.approx(noisy)
    assert plain_findings(found)["error_reduction"] == pytest.approx(1 - 10**-0.2)
    sentence = list(findings(found))[1]
    assert f"{noisy:.2f} HU noisy, {noisy * 10**-0.2:.2f} HU ours (-36.9 %)" in sentence
    assert plain_findings(report())["error_reduction"] is None


def seen(kind="natural", network="pretrained", first="shrinkage", rows=None):
    """Give what a report says of clean photographs that bundled weights saw."""
    settings = preset("quick", denoiser=DenoiserSettings(network=network))
    card = {"seconds": 1.0, "device": "cpu", "chosen_round": 1, "first_estimate": {"chosen": first}}
    table = replace(TABLE, kind=kind)
    made = replace(report(rows=rows), table=table, settings=settings, card=card)
    sentences = [line for line in findings(made) if "BSD400" in line]
    assert all(f"- {one}" in as_markdown(made, []) and one in as_text(made) for one in sentences)
    return sentences


def test_it_is_said_that_bundled_weights_saw_the_clean_training_photographs():
    assert seen() == [
        "The weights of the pretrained network saw the clean photographs of BSD400, "
        "never those of BSD68."
    ]
    assert seen(network="compact") == []
    assert seen(kind="micrograph") == []
    assert seen(rows=(row("noisy", "noisy", (20.0,)),)) == []  # ours was not run
    assert len(seen(network="compact", first="pretrained")) == 1


def test_what_was_not_run_passes_nothing():
    found = report(rows=(row("noisy", "noisy", (20.0,)),))
    assert found.ours is None
    assert verdicts(found) == []


def test_the_text_is_aligned_ascii_and_says_the_sample():
    text = as_text(report())
    assert text.isascii()
    assert "2 of 12 test images, preset quick, seed 7, on cpu" in text
    assert "Two of the frames are byte-identical." in text
    assert "BM3D: How BM3D is made." in text
    lines = {line.partition("  ")[0]: line for line in text.splitlines()}
    assert "20.50 +- 0.50" in lines["noisy"]
    assert re.search(
        r"30\.50 \+- 0\.50 \*   0\.8050 .* 29\.50 \+- 0\.50 \*", lines["G2G quick, result"]
    )
    assert re.fullmatch(r"BM3D +- +- +- +-", lines["BM3D"])
    assert re.fullmatch(r"published G2G +29\.00 +0\.8000 +- +-", lines["published G2G"])
    assert "+-" not in lines["published G2G"].replace("- ", "")
    assert "(sees the reference)" in lines["Gaussian blur (sees the reference)"]
    columns = {
        line.index(".") for name, line in lines.items() if name in ("noisy", "NLM", "target")
    }
    assert len(columns) == 1


def test_figures_of_the_other_protocol_are_not_shown_alone():
    labels = [r.label for r in report(protocols=(SANE,)).rows]
    assert "Noise2VST" in labels
    assert "target" not in labels


def test_the_csv_reads_back():
    read = list(csv.DictReader(io.StringIO(as_csv(report()))))
    cells = [r for r in read if r["method"] == "NLM" and r["image"] != "mean"]
    assert [(c["image"], c["protocol"], float(c["psnr_db"])) for c in cells] == [
        ("image0", "published", 28.0),
        ("image0", "sane", 27.0),
        ("image1", "published", 29.0),
        ("image1", "sane", 28.0),
    ]
    mean = next(r for r in read if r["method"] == "NLM" and r["image"] == "mean")
    assert (mean["images"], float(mean["psnr_db"]), float(mean["psnr_standard_error"])) == (
        "2",
        28.5,
        0.5,
    )
    target = next(r for r in read if r["source"] == "target")
    assert (target["psnr_db"], target["ssim"], target["images"]) == ("31.000000", "", "")
    blur = next(r for r in read if r["method"] == "Gaussian blur")
    assert blur["sees_reference"] == "True"


def test_the_page_tells_how_each_row_was_made():
    page = as_markdown(report(), ["image0.png"])
    assert "| NLM | 28.50 +- 0.50 | 0.7850 | 27.50 +- 0.50 | 0.7850 | 0.25 |" in page
    assert "| published G2G | 29.00 | 0.8000 | - | - |  |" in page
    assert "- **NLM**: How NLM is made." in page
    assert "Training: 12 s on cpu, round 1 chosen blind." in page
    assert "'seed': 7" in page
    assert "![image0.png](image0.png)" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {7}


@pytest.fixture
def with_pictures():
    clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    made = {"noisy": noisy, "NLM": clean + 1, "G2G quick, result": clean}
    example = Example("field 19/1", {"published": clean, "sane": clean}, made)
    return report(examples=(example,))


def test_page_scores_and_crops_appear_together(with_pictures, tmp_path):
    folder = write_report(with_pictures, tmp_path / "out" / "tiny")
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.md", "scores.csv", "field_19_1.png"}
    links = re.findall(r"\]\((.*?)\)", (folder / "report.md").read_text())
    assert links
    assert all((folder / link).is_file() for link in links)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_the_crops_share_one_contrast(with_pictures, tmp_path):
    folder = write_report(with_pictures, tmp_path / "tiny")
    with Image.open(folder / "field_19_1.png") as picture:
        drawn = np.asarray(picture.convert("L")).astype(int)
    left, size, gap = 28, evaluation_report.CROP_PX, 12
    tiles = [drawn[66:366, left + n * (size + gap) :][:, :size] for n in range(4)]
    noisy, nlm, ours, clean = tiles
    np.testing.assert_array_equal(ours, clean)
    assert 0 < (nlm - clean).mean() < 4
    assert np.abs(noisy - clean).mean() > 10


def test_an_earlier_evaluation_is_replaced_only_when_allowed(with_pictures, tmp_path):
    folder = write_report(with_pictures, tmp_path / "tiny")
    with pytest.raises(OutputError, match="exists already"):
        write_report(with_pictures, folder)
    assert (folder / "field_19_1.png").exists()
    write_report(report(), folder, overwrite=True)
    assert {path.name for path in folder.iterdir()} == {"report.md", "scores.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_folder_with_anything_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="holds more than an evaluation"):
        check_folder(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="holds more than an evaluation"):
        check_folder(tmp_path / "thesis.tex", overwrite=True)


@pytest.mark.parametrize(
    "files",
    [
        ["test001.png", "test002.png"],  # a data set of pictures
        ["report.md"],
        ["report.md", "scores.csv", "test001.png"],  # a picture that the page does not list
    ],
)
def test_pictures_that_no_evaluation_drew_are_never_replaced(with_pictures, tmp_path, files):
    for name in files:
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match="holds more than an evaluation"):
        write_report(with_pictures, tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_an_empty_folder_may_be_filled(with_pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (write_report(with_pictures, tmp_path / "empty") / "report.md").exists()


def test_nothing_is_left_of_a_report_that_cannot_be_written(with_pictures, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation_report, "as_markdown", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_report(with_pictures, tmp_path / "tiny")
    assert not list(tmp_path.iterdir())


def test_an_earlier_evaluation_survives_a_failing_one(with_pictures, tmp_path, monkeypatch):
    folder = write_report(with_pictures, tmp_path / "tiny")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation_report, "as_csv", fail)
    with pytest.raises(OutputError):
        write_report(with_pictures, folder, overwrite=True)
    assert (folder / "report.md").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_an_earlier_evaluation_comes_back_if_the_new_one_cannot_take_its_place(
    with_pictures, tmp_path, monkeypatch
):
    folder, replace = write_report(with_pictures, tmp_path / "tiny"), os.replace

    def fail(source, target):
        if source.name.endswith(".part"):
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(evaluation_report.os, "replace", fail)
    with pytest.raises(OutputError, match="Permission denied"):
        write_report(report(), folder, overwrite=True)
    assert (folder / "field_19_1.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
