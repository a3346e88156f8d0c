"""Any setting from the command line."""

from __future__ import annotations

import pytest

from training_core.cli.commands import _settings, setting_names, with_options
from training_core.cli.main import command_parser
from training_core.errors import SettingsError
from training_core.settings import Settings, preset


def test_options_change_what_they_name_and_nothing_else():
    options = [
        "denoiser.every_orientation=true",
        "denoiser.network=compact",
        "denoiser.averaging=0.25",
        "patches.strictness=null",
        "precision=float32",
        "denoiser.averaging=0.1",
    ]
    made, plain = with_options(preset("quick"), options), preset("quick").to_dict()
    plain["denoiser"] |= {"every_orientation": True, "network": "compact", "averaging": 0.1}
    assert made.to_dict() == plain | {"precision": "float32"}
    assert with_options(preset("paper"), []) == preset("paper")


def test_settings_that_go_only_together():
    paper = ["noise_model.generator=g1", "denoiser.first_estimate=g2", "denoiser.network=dncnn"]
    assert with_options(Settings(), paper).denoiser.network == "dncnn"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("denoiser.network", "write NAME=VALUE"),
        ("network=unet", "no setting for 'network=unet'"),
        ("preset=paper", "no setting"),
        ("denoiser.network=big", "Network is 'big'; choose one of"),
        ("denoiser.rounds=2.5", "a whole number is needed"),
        ("denoiser.every_orientation=1", "true or false"),
        ("denoiser.averaging=1.5", "from 0 to 0.9999"),
        ("seed=" + 400 * "9", "Seed is larger than any number; choose a value from 0"),
        ("seed=-1e999", "Seed is -inf; a whole number is needed"),
        ("seed=" + 5000 * "9", "^Seed is '9{79}; a whole number is needed"),
        ("seed=" + 100_000 * "[", "a whole number is needed"),
    ],
)
def test_refusals(option, words):
    with pytest.raises(SettingsError, match=words):
        with_options(Settings(), [option])


def test_every_setting_has_a_name():
    names = list(setting_names(Settings()))
    assert len(names) == len(set(names))
    assert {"seed", "patches.strictness", "denoiser.as_recorded", "noise_model.steps"} <= set(names)


@pytest.mark.parametrize("command", ["train", "run"])
def test_the_commands_take_them(command):
    line = [command, "a.tif", "--set", "denoiser.every_orientation=true", "--seed", "3"]
    line += ["--model", "m.g2g"] if command == "train" else ["--output", "b.tif"]
    arguments = command_parser().parse_args(line)
    assert _settings(arguments).denoiser.every_orientation
    assert _settings(arguments).seed == 3
