"""Of a file with several images one is chosen by number or name, or all are worked on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.support import vendor_files as vendor
from training_core.batch.stacks import Batch
from training_core.batch.targets import target_paths
from training_core.cli.main import main
from training_core.io.readers import open_stack
from training_core.run import Run

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(8)
IMAGES = {
    "first": (RNG.poisson(300, (2, 64, 64)).astype(np.uint16), "ZYX"),
    "a/b: overview": (RNG.poisson(200, (64, 96)).astype(np.uint16), "YX"),
}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.lif"
    path.write_bytes(vendor.lif(IMAGES))
    return path


def test_info_says_what_there_is(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(two), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["series"], told["shape"]) == ("first", [2, 64, 64])
    assert [(i["number"], i["name"], i["shape"]) for i in told["images"]] == [
        (1, "first", [2, 64, 64]),
        (2, "a/b: overview", [64, 96]),
    ]

    assert main(["info", str(two), "--series", "2"]) == 0
    assert "series: a/b: overview" in capsys.readouterr().out
    assert main(["info", str(two), "--series", "nothing"]) == 2
    assert "holds no image nothing; it has 1: first (ZYX" in capsys.readouterr().err
    assert main(["patches", str(two), "--series", "all"]) == 2
    assert "takes one image" in capsys.readouterr().err


def test_all_are_inputs_of_their_own_with_results_of_their_own(two: Path, tmp_path: Path) -> None:
    batch = Batch.of([two], "all")

    assert [(each.path, each.series) for each in batch.inputs] == [(two, "1"), (two, "2")]
    named = target_paths(batch.paths, tmp_path / "out", [each.image for each in batch.inputs])
    assert [path.name for path in named] == [
        "two_first_denoised.tif",
        "two_a-b-overview_denoised.tif",
    ]
    stacks, failed = batch.open_all(Run())
    assert not failed
    for stack, (pixels, _) in zip(stacks, IMAGES.values(), strict=True):
        np.testing.assert_array_equal(stack.pixels, pixels)
    assert [each.path for each in Batch.of([two]).inputs] == [two]


def test_every_image_of_a_file_is_denoised_by_one_command(two: Path, tmp_path: Path) -> None:
    command = ["run", str(two), "--series", "all", "--preset", "instant", "--seed", "1"]
    assert main([*command, "--output", str(tmp_path / "out")]) in (0, 3)

    for name in ("two_first_denoised.tif", "two_a-b-overview_denoised.tif"):
        if (tmp_path / "out" / name).exists():
            assert tifffile.imread(tmp_path / "out" / name).dtype == np.uint16
    assert any((tmp_path / "out").iterdir())


def test_a_file_with_one_image_is_that_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", IMAGES["first"][0])

    assert Batch.of([tmp_path / "one.tif"], "all").inputs == Batch.of([tmp_path / "one.tif"]).inputs
    assert open_stack(tmp_path / "one.tif", series=1).shape == (2, 64, 64)


def test_axes_can_be_named_by_who_knows_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, RNG.poisson(300, (6, 64, 64)).astype(np.uint16), imagej=True)

    assert main(["info", str(path), "--axes", "tyx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["axes"] == "TYX"
    assert main(["info", str(path), "--axes", "TZYX"]) == 2
    assert "3 letters are needed" in capsys.readouterr().err
    assert open_stack(path, axes="CYX").axes == "CYX"


def test_axes_that_nobody_has_named_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, RNG.poisson(300, (6, 64, 64)).astype(np.uint16), metadata=None)

    def warnings(*more: str) -> list[str]:
        assert main(["info", str(path), *more, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["warnings"]

    told = "Nothing says what its axes IYX are; the option --axes tells, such as ZYX or TYX or CYX."
    assert warnings() == [told]
    assert warnings("--axes", "TYX") == []
    assert warnings("--axes", "IYX") == []
    assert Batch.of([path], axes="ZYX").open_all(Run())[0][0].axes == "ZYX"
