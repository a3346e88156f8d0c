"""What a paper has to say of a result, and the command that makes it again."""

from __future__ import annotations

import shlex
from dataclasses import replace

from training_core.areas import Area
from training_core.cli.main import main
from training_core.reporting.methods import (
    CITATION,
    changed_options,
    changed_settings,
    methods_paragraph,
    same_command,
)
from training_core.settings import PatchSettings, preset

CARD = {
    "noise": [{"sigma": 14.2, "patches": 305}],
    "chosen_round": 2,
    "last_pass": {"share": 0.5, "errors": {}},
}


def test_the_paragraph_tells_what_was_done() -> None:
    balanced = preset("balanced", seed=7)
    text = methods_paragraph(balanced, CARD, "0.1.0")
    for part in ("g2g desktop 0.1.0", "preset balanced", "seed 7", "305 patches", "round 2"):
        assert part in text
    assert "up to 4 rounds" in text
    assert "was kept" not in text
    kept = replace(balanced, denoiser=replace(balanced.denoiser, kept_noise=0.25))
    assert "25 % was kept" in methods_paragraph(kept, CARD, "0.1.0")


def test_an_untrained_network_and_a_strange_card_are_told_of() -> None:
    assert "used untrained" in methods_paragraph(preset("instant"), {}, "0.1.0")
    strange = {"noise": "x", "chosen_round": "y", "last_pass": [1]}
    text = methods_paragraph(preset("quick"), strange, "0.1.0")
    assert "GAN2GAN" in text
    assert "ICLR" in CITATION


def test_the_command_has_what_differs_from_the_preset() -> None:
    quick = preset("quick", seed=3, device="cpu")
    changed = replace(
        quick,
        denoiser=replace(quick.denoiser, kept_noise=0.3, every_orientation=True, neighbours="off"),
    )
    options = changed_options(changed)
    assert options[:6] == ["--preset", "quick", "--seed", "3", "--device", "cpu"]
    assert options[6:] == [
        "--set", "denoiser.kept_noise=0.3", "--set", "denoiser.neighbours=off",
        "--set", "denoiser.every_orientation=true",
    ]  # fmt: skip
    told = changed_settings(changed)
    assert ("Noise that is kept", "0.3", "") in told
    assert len(told) == 5
    painted = replace(quick, patches=PatchSettings(areas=(Area.of("out:1,2,3,4"),)))
    assert changed_options(painted)[6:] == ["--area", "out:1,2,3,4"]
    assert ("Painted area", "out:1,2,3,4", "px") in changed_settings(painted)


def test_the_command_is_one_that_the_program_takes(tmp_path, capsys) -> None:
    quick = preset("quick")
    changed = replace(quick, denoiser=replace(quick.denoiser, kept_noise=None, steps=5))
    command = same_command(str(tmp_path / "no such file.tif"), "out.tif", changed)
    words = shlex.split(command)
    assert words[:3] == ["g2g", "run", str(tmp_path / "no such file.tif")]
    assert main(words[1:]) == 2  # it was read, and there is no such file
    assert "no such file.tif" in capsys.readouterr().err
