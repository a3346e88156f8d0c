"""The command: its JSON, its exit codes, its silence on stdout, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from training_core.cli import commands
from training_core.cli.main import main
from training_core.export.writers import write_stack
from training_core.io.readers import open_stack
from training_core.quality.measures import compare_with_reference
from training_core.run import Run, Stage
from training_core.training.material import check_repeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_core.stack import Stack

ROOT = Path(__file__).resolve().parents[3]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command in this process; give exit code, stdout and stderr."""
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def noisy(tmp_path: Path, small_stack: Stack) -> Path:
    return write_stack(small_stack, tmp_path / "noisy.tif")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the minutes of training by a subtraction of 1; give the settings asked for."""
    from training_core import pipeline
    from training_core.denoise import model_file

    asked: list[Any] = []
    card = {"device": "cpu", "seconds": 1.5, "seed": 4, "patches": 77, "rounds": [{"round": 1}]}
    denoiser = SimpleNamespace(card=card)

    def denoise_stack(
        stack: Stack, settings: Any, *, run: Run, checkpoint: Any, repeats: Any
    ) -> SimpleNamespace:
        check_repeats([stack], repeats)
        asked.append(settings)
        run.start(Stage.ROUNDS, 1)
        run.check()
        run.progress(Stage.ROUNDS, 1, 1)
        denoised = stack.with_pixels(stack.pixels - np.ones((), stack.dtype))
        return SimpleNamespace(denoised=denoised, denoiser=denoiser)

    def train(
        stacks: list[Stack], settings: Any, *, run: Run, checkpoint: Any, repeats: Any
    ) -> SimpleNamespace:
        check_repeats(stacks, repeats)
        asked.append((len(stacks), settings))
        return SimpleNamespace(denoiser=denoiser)

    def save_denoiser(denoiser: Any, path: Path, *, overwrite: bool = False) -> Path:
        path.write_text("model")
        return path

    monkeypatch.setattr(pipeline, "denoise_stack", denoise_stack)
    monkeypatch.setattr(pipeline, "train", train)
    monkeypatch.setattr(model_file, "save_denoiser", save_denoiser)
    return asked


@pytest.mark.usefixtures("trained")
def test_repeats_are_opened_and_checked(
    noisy: Path, small_stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    another = small_stack.with_pixels(small_stack.pixels[:, ::-1])
    repeat, model = write_stack(another, tmp_path / "b.tif"), tmp_path / "model.g2g"
    end = ("--model", model)
    assert call(capsys, "train", noisy, "--repeats", repeat, *end, "--json")[0] == 0
    model.unlink()

    code, _, err = call(capsys, "train", noisy, "--repeats", repeat, noisy, *end)
    assert code == 2
    assert "Frame 1 of noisy.tif is identical to that of noisy.tif" in err
    _, _, err = call(capsys, "train", noisy, repeat, "--repeats", repeat, *end)
    assert "there are 2 stacks" in err
    _, _, err = call(capsys, "run", noisy, repeat, "--repeats", repeat, "--output", tmp_path / "o")
    assert "give one stack with --repeats" in err
    _, _, err = call(capsys, "run", noisy, "--repeats", tmp_path / "no.tif", "--output", "x.tif")
    assert "no.tif" in err
    assert not model.exists()


def test_info_has_its_stable_keys(noisy: Path, capsys: pytest.CaptureFixture[str]):
    code, out, err = call(capsys, "info", noisy, "--json")

    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert facts["path"] == str(noisy)
    assert (facts["axes"], facts["shape"], facts["dtype"]) == ("TYX", [2, 96, 96], "uint16")
    assert facts["pixel_size_um"] == {"x": 0.1, "y": 0.1, "z": None}
    assert facts["channels"] == []
    assert 20 < facts["noise_sigma"] < 120
    (noise,) = facts["noise"]
    assert (noise["frames"], noise["of_frames"]) == (2, 2)
    assert {"sentence", "gain", "sigma", "correlation_px", "route", "warnings"} <= set(noise)


def test_info_is_readable_without_json(noisy: Path, capsys: pytest.CaptureFixture[str]):
    _, out, _ = call(capsys, "info", noisy)

    assert "shape: 2 x 96 x 96\n" in out
    assert "pixel size (um): x 0.1, y 0.1, z unknown\n" in out
    assert "would be used: all 2 frames of 96 x 96 pixels\n" in out
    assert "\nnoise: Noise of about " in out


def test_info_does_not_load_torch(noisy: Path):
    code = (
        "import sys\nfrom training_core.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\nassert 'torch' not in sys.modules"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "info", str(noisy)], cwd=ROOT, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_patches_have_their_stable_keys(noisy: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = call(capsys, "patches", noisy, "--json", "--size", 24)

    facts = json.loads(out)
    assert code == 0
    assert facts.keys() >= {"count", "strictness", "target", "patch_size", "stride", "verdict"}
    assert (facts["strictness"], facts["patch_size"], facts["stride"]) == ("auto", 24, 8)
    assert facts["count"] > 0


def test_no_patch_is_taken_where_an_area_is_out(noisy: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = call(capsys, "patches", noisy, "--json", "--area", "out:0,0,9999,9999")
    assert (code, json.loads(out)["count"]) == (0, 0)
    code, _, err = call(capsys, "patches", noisy, "--area", "out:0,0")
    assert code == 2
    assert "write KIND:TOP,LEFT,HEIGHT,WIDTH" in err


def test_a_strictness_means_the_published_patches(noisy: Path, capsys: pytest.CaptureFixture[str]):
    _, out, _ = call(capsys, "patches", noisy, "--json", "--strictness", 0.2)

    facts = json.loads(out)
    assert (facts["strictness"], facts["patch_size"], facts["stride"]) == (0.2, 96, 24)


def test_figures_are_never_overwritten_unasked(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    figure = tmp_path / "f.png"
    assert call(capsys, "patches", noisy, "--figure", figure)[0] == 0
    drawn = figure.read_bytes()
    figure.write_bytes(b"mine")

    code, out, err = call(capsys, "patches", noisy, "--figure", figure)
    assert (code, out, figure.read_bytes()) == (2, "", b"mine")
    assert "f.png" in err

    assert call(capsys, "patches", noisy, "--figure", figure, "--overwrite")[0] == 0
    assert figure.read_bytes() == drawn


def test_compare_with_and_without_a_reference(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    stack = open_stack(noisy)
    shifted = stack.with_pixels(stack.pixels + np.uint16(10))
    other = write_stack(shifted, tmp_path / "other.tif")

    code, out, _ = call(capsys, "compare", noisy, other, "--reference", noisy, "--json")
    with_reference = json.loads(out)
    blind = json.loads(call(capsys, "compare", noisy, other, "--json")[1])

    data_range = int(stack.pixels.max()) - int(stack.pixels.min())
    assert code == 0
    assert with_reference["data_range"] == data_range
    assert with_reference["psnr"] == pytest.approx(20 * np.log10(data_range / 10), abs=1e-6)
    assert with_reference["nrmse"] == pytest.approx(10 / data_range)
    assert [blind[k] for k in ("psnr", "ssim", "nrmse", "data_range")] == [None] * 4
    assert blind.keys() >= {
        "noise_sigma_before",
        "noise_sigma_after",
        "residual_unevenness",
        "residual_autocorrelation",
        "residual_signal_correlation",
        "mean_shift_percent",
        "frc_resolution_um",
    }
    assert blind["mean_shift_percent"] == pytest.approx(1000 / stack.pixels.mean(), rel=0.02)


def test_an_infinite_psnr_is_null_in_json(noisy: Path, capsys: pytest.CaptureFixture[str]):
    _, out, _ = call(capsys, "compare", noisy, noisy, "--reference", noisy, "--json")

    assert json.loads(out)["psnr"] is None


def test_run_writes_the_denoised_stack(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    target, model = tmp_path / "clean.tif", tmp_path / "m.g2g"
    options = ("--preset", "quick", "--seed", 4, "--device", "cpu", "--model", model, "--json")

    code, out, _ = call(capsys, "run", noisy, "--output", target, *options)

    facts = json.loads(out)
    assert code == 0
    assert (facts["model"], facts["preset"], facts["seed"]) == (str(model), "quick", 4)
    assert (facts["device"], facts["patches"], facts["rounds"]) == ("cpu", 77, [{"round": 1}])
    assert facts["outputs"][0] | {"seconds": 0} == {
        "input": str(noisy),
        "output": str(target),
        "seconds": 0,
        "error": None,
    }
    assert (trained[0].preset, trained[0].seed, trained[0].device) == ("quick", 4, "cpu")
    np.testing.assert_array_equal(open_stack(target).pixels, open_stack(noisy).pixels - 1)
    assert open_stack(target).pixel_size == open_stack(noisy).pixel_size


def test_run_on_a_folder_goes_on_after_a_bad_file(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "bad.tif").write_bytes(b"II*\0")

    code, out, err = call(capsys, "run", tmp_path, "--output", tmp_path / "out", "--json")

    results = json.loads(out)["outputs"]
    assert code == 3
    assert [bool(r["error"]) for r in results] == [True, False]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["noisy_denoised.tif"]
    assert "Warning: bad.tif is left out: bad.tif" in err
    assert "Traceback" not in err


def test_train_uses_all_stacks_for_one_model(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    second = tmp_path / "second.tif"
    second.write_bytes(noisy.read_bytes())
    model = tmp_path / "m.g2g"

    code, out, _ = call(capsys, "train", noisy, second, "--model", model, "--json")

    assert code == 0
    assert trained[0][0] == 2
    assert trained[0][1].preset == "balanced"
    facts = json.loads(out)
    assert facts.keys() >= {"model", "device", "seconds", "preset", "seed", "patches", "rounds"}


def test_train_says_what_was_learned_and_chosen(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from training_core import pipeline
    from training_core.denoise import model_file

    share = {"share": 0.0, "errors": {"1.0": 0.034, "0.5": 0.031, "0.0": 0.029}}
    card = {"chosen_round": 1, "rounds": [], "last_pass": share}
    learned = SimpleNamespace(denoiser=SimpleNamespace(card=card))
    monkeypatch.setattr(pipeline, "train", lambda *_, **__: learned)
    monkeypatch.setattr(model_file, "save_denoiser", lambda *_, **__: None)

    _, out, _ = call(capsys, "train", noisy, "--model", tmp_path / "m.g2g")

    lines = out.splitlines()
    assert lines[lines.index("learned and chosen: ") + 1] == (
        "  Round: 1 of 1. No other round is clearly better."
    )
    assert "  Last pass: left out. The result is the network's; filtering" in out

    _, out, _ = call(capsys, "train", noisy, "--model", tmp_path / "m.g2g", "--json")

    facts = json.loads(out)
    assert (facts["last_pass"], facts["chosen_round"], facts["rounds"]) == (share, 1, [])
    assert "learned and chosen" not in facts


def test_an_existing_model_is_kept(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    model = tmp_path / "m.g2g"
    model.write_text("mine")

    code, _, err = call(capsys, "train", noisy, "--model", model)

    assert (code, model.read_text(), trained) == (2, "mine", [])
    assert "add --overwrite" in err


def test_resuming_keeps_a_model_that_is_finished(
    noisy: Path,
    tmp_path: Path,
    trained: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    from training_core.denoise import model_file

    model = tmp_path / "m.g2g"
    model.write_text("mine")
    made = SimpleNamespace(card={"device": "cpu", "patches": 77, "preset": "paper"})
    monkeypatch.setattr(model_file, "load_denoiser", lambda path, *, device: made)

    code, out, err = call(capsys, "train", noisy, "--model", model, "--resume", "--json")

    assert (code, model.read_text(), trained) == (0, "mine", [])
    facts = json.loads(out)
    assert (facts["patches"], facts["preset"]) == (77, "paper")  # as it was, not as asked now
    assert f"{model} is finished already and kept." in err


def test_resuming_what_never_began_begins_it(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    model = tmp_path / "m.g2g"

    code, _, err = call(capsys, "train", noisy, "--model", model, "--resume")

    assert (code, model.read_text(), len(trained)) == (0, "model", 1)
    assert "There is nothing to resume for m.g2g; it is started anew." in err


@pytest.mark.parametrize("where", ["before", "during"])
def test_ctrl_c_leaves_nothing_behind(
    where: str,
    noisy: Path,
    tmp_path: Path,
    trained: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    before = signal.getsignal(signal.SIGINT)  # ignored where a shell runs this in the background
    from training_core import pipeline

    finish = pipeline.denoise_stack

    def interrupted(stack: Stack, settings: Any, **more: Any) -> Any:
        outcome = finish(stack, settings, **more) if where == "during" else None
        os.kill(os.getpid(), signal.SIGINT)
        return outcome or finish(stack, settings, **more)

    monkeypatch.setattr(pipeline, "denoise_stack", interrupted)

    code, out, err = call(capsys, "run", noisy, "--output", tmp_path / "clean.tif")

    assert (code, out) == (130, "")
    assert err.endswith("g2g: Cancelled.\n")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["noisy.tif"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "The following arguments are required: COMMAND; see g2g --help."),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["info"], "The following arguments are required: stack; see g2g info --help."),
        (["info", ""], "an empty name was given; name a file or a folder"),
        (["info", os.sep], f"{os.sep} is a whole disk; open the folder that the images are in."),
        (["info", "nothing.tif"], "There is no file or folder nothing.tif."),
        (["patches", "x.tif", "--strictness", "much"], "give auto or a number such as 0.05."),
        (["patches", "x.tif", "--strictness", "7"], "choose a value from 0.01 to 1."),
        (["patches", "x.tif", "--size", "3"], "choose a value from 16 to 256 px."),
        (["run", "x.tif", "--output", "y", "--preset", "best"], "invalid choice: 'best'"),
        (["run", "x.tif", "--output", "y", "--seed", "-1"], "Seed is -1; choose"),
        (["run", "x.tif", "--output", "y"], "There is no file or folder x.tif."),
        (["compare", "a", "b", "--window", "0", "1"], "add --reference."),
        (["train", "x.tif", "--model", "y", "--resume", "--overwrite"], "choose one of them."),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    code, out, err = call(capsys, *arguments)

    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("g2g: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_end_well(option: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([option])

    assert ended.value.code == 0
    assert "g2g" in capsys.readouterr().out


def test_a_constant_stack_is_described_but_not_trained_on(
    tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, np.full((64, 64), 1000, np.uint16))

    code, out, _ = call(capsys, "info", path)
    assert code == 0
    assert "would be used: nothing: Every pixel of flat.tif has the value 1000" in out

    code, _, err = call(capsys, "run", path, "--output", tmp_path / "out.tif")
    assert (code, trained) == (2, [])
    assert "Every pixel of flat.tif has the value 1000" in err


def test_names_that_the_terminal_cannot_show(tmp_path: Path):
    missing = tmp_path / "名前.tif"

    done = subprocess.run(
        [sys.executable, "-m", "training_core", "info", str(missing)],
        cwd=ROOT,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=False,
    )

    assert done.returncode == 2
    assert b"\\u540d\\u524d.tif" in done.stderr


@pytest.mark.shared_data
def test_info_on_every_malformed_file(shared_data: Path, capsys: pytest.CaptureFixture[str]):
    for path in sorted((shared_data / "malformed").iterdir()):
        code, out, err = call(capsys, "info", path, "--json")

        assert code in (0, 2), path.name
        assert "Traceback" not in err, path.name
        if code == 2:
            assert (out, err.count("\n"), err[:5]) == ("", 1, "g2g: "), path.name
        else:
            assert json.loads(out)["warnings"] or not err, path.name


@pytest.mark.shared_data
def test_a_folder_of_malformed_files_as_a_batch(
    shared_data: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    folder, output = shared_data / "malformed", tmp_path / "out"

    code, out, err = call(capsys, "run", folder, "--output", output, "--json")

    results = json.loads(out)["outputs"]
    done = [r for r in results if r["output"]]
    assert code == 3
    assert len(results) == len(list(folder.iterdir()))
    assert len(done) == len(trained) == len(list(output.iterdir())) > 10
    assert all(r["error"].endswith(".") for r in results if not r["output"])
    assert err.count("is left out:") == len(results) - len(done)
    assert "Traceback" not in err


def test_a_batch_is_told_in_one_line_for_each_stack(
    noisy: Path, tmp_path: Path, trained: list[Any], capsys: pytest.CaptureFixture[str]
):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"")

    _, out, _ = call(capsys, "run", noisy, bad, "--output", tmp_path / "out")

    assert out.splitlines()[-2:] == [
        f"{noisy}: {tmp_path / 'out/noisy_denoised.tif'}",
        f"{bad}: bad.tif is empty (0 bytes).",
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_cancels_unless_it_was_to_be_ignored(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ignored: bool
):
    def closed(arguments: Any, run: Run) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.01)  # a signal is answered between two steps
        run.check()
        return 0

    monkeypatch.setitem(commands.COMMANDS, "info", closed)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert call(capsys, "info", noisy)[0] == (0 if ignored else 130)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.shared_data
@pytest.mark.trains
def test_one_command_opens_a_czi_denoises_it_and_scores_it(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = shared_data / "fmd" / "Confocal_BPAE_B"
    czi = shared_data / "formats" / "czi" / "FOV7_HV110_P0500510000.czi"
    reference = ["--reference", str(fields / "gt" / "7" / "avg50.png")]
    output = ["--output", str(tmp_path / "out.tif"), "--preset", "instant"]

    assert main(["run", str(czi), *output, *reference, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert told["psnr"] > told["psnr_noisy"] + 3
    assert told["ssim"] > told["ssim_noisy"]
    assert told["data_range"] == 255
    made, clean = open_stack(tmp_path / "out.tif"), open_stack(reference[1])
    assert told["psnr"] == pytest.approx(compare_with_reference(made, clean).psnr)


def test_a_reference_of_another_size_is_refused_before_any_work(
    tmp_path: Path, write_small_stack: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    noisy, clean = write_small_stack(tmp_path / "a.tif"), tmp_path / "clean.tif"
    tifffile.imwrite(clean, np.zeros((40, 40), np.uint16))
    command = ["run", str(noisy), "--output", str(tmp_path / "out.tif"), "--reference"]

    assert main([*command, str(clean)]) == 2
    assert "clean.tif" in capsys.readouterr().err
    write_small_stack(tmp_path / "b.tif")
    several = ["run", str(noisy), str(tmp_path / "b.tif"), *command[2:]]
    assert main([*several, str(noisy)]) == 2
    assert "A reference is of one scene" in capsys.readouterr().err
    assert not (tmp_path / "out.tif").exists()
