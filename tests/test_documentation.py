"""The guide: its pages are built, its commands and examples run, and its pictures are there."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch

from g2g_desktop.paths import guide
from training_core.cli.main import command_parser, main
from training_core.errors import InputError
from training_core.io import formats
from training_core.io.readers import open_stack
from training_core.noise.anscombe import Stabiliser
from training_core.stack import Stack
from training_core.training import start

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(guide().glob("*.md"))
TEXTS = {page.stem: page.read_text("utf-8") for page in PAGES}
# What a page takes from another one.
NEEDED = {
    "neighbours": [["train", "cells.tif", "--model", "day1.g2g"]],
    "formats": [["train", "cells.tif", "--model", "day1.g2g"]],
    "judging": [["run", "cells.tif", "--output", "denoised.tif"]],
}


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    lines = "".join(blocks(text, "sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("g2g ")]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    config = ["--config-file", str(ROOT / "packaging" / "mkdocs.yml")]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", *config, "--site-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        built = (tmp_path / "guide" / f"{page.stem}.html").read_text("utf-8")
        # No font, script or picture is fetched from anywhere.
        assert not re.findall(r'(?:src|<link[^>]*href)="https?://', built)


def test_every_page_of_the_guide_is_reached_from_its_contents() -> None:
    linked = set(re.findall(r"\]\(([\w-]+)\.md\)", TEXTS["index"]))
    assert linked == set(TEXTS) - {"index"}


def test_every_picture_is_there_and_made_by_the_script() -> None:
    shown = {name for text in TEXTS.values() for name in re.findall(r"\(pictures/(.+?)\)", text)}
    made = {f"{n}_{k}.png" for n in script("make_pictures").SAMPLES for k in ("patches", "instant")}
    made |= {f"{name}.png" for name in script("screenshots").IN_GUIDE.values()}
    made |= {f"{name}.png" for name in script("make_method_pictures").NAMES}
    assert shown == made == {path.name for path in (guide() / "pictures").iterdir()}


def test_links_from_the_readme_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        assert not [link for link in links if not (ROOT / link).exists()]


def test_the_readme_leads_to_each_task_in_one_click() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = dict(re.findall(r"\[([^\]]+)\]\((docs/guide/[^)]+)\)", text))
    assert {"Denoise an image", "Understand the result", "Add a reader"} <= set(links)
    for link in links.values():
        page, _, anchor = link.partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in headings}
        assert not anchor or anchor in slugs, link


def test_commands_outside_the_guide_are_understood_as_they_stand() -> None:
    given = [
        shlex.split(command)[1:]
        for path in (ROOT / "docs").glob("*.md")
        for command in re.findall(
            r"^    (?:.* )?(g2g (?!\.\.\.).+)$", path.read_text("utf-8"), re.M
        )
    ]
    assert {command[0] for command in given} >= {"denoise", "run"}
    for command in given:
        command_parser().parse_args(command)


def test_the_command_line_page_is_that_of_the_parser() -> None:
    assert TEXTS["command-line"] == script("write_cli_reference").page()


def described() -> list[tuple[str, list[str]]]:
    return [(name, command) for name, text in TEXTS.items() for command in commands(text)]


def test_every_command_is_understood_as_it_stands() -> None:
    assert len(described()) > 12
    for _, command in described():
        command_parser().parse_args(command)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the files that the pages name, each tiny."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    scene = 300 + 100 * (np.indices((160, 160)).sum(0) > 160)
    for name in ("cells", "more", "scan", "section", "section_again"):
        noisy = draw.normal(scene, 20).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{name}.tif", noisy)
    tifffile.imwrite(tmp_path / "clean.tif", scene.astype(np.uint16))
    return tmp_path


@pytest.mark.trains
@pytest.mark.parametrize("page", [name for name in TEXTS if commands(TEXTS[name])])
def test_the_commands_of_a_page_do_what_it_says(page: str, files: Path) -> None:
    """Run them on tiny images, and with the preset that trains nothing."""
    given = commands(TEXTS[page])
    for command in [*NEEDED.get(page, []), *given]:
        tiny = ["--preset", "instant"] if command[0] in ("run", "train") else []
        again = ["--overwrite"] if command[0] not in ("info", "self-test") else []
        assert main([*command, *tiny, *again]) == 0, command


@pytest.mark.trains
def test_the_python_page_says_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = guide() / "python.md"
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 15
    assert not failed


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "example"}
    for block in blocks(TEXTS["extending"], f"python {name}"):
        exec(block, found)
    return found


def test_the_example_of_a_reader_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = example("reader")["PGM"]
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, kind))
    pixels = np.arange(600, dtype=">u2").reshape(20, 30)
    whole = b"P5\n30 20\n65535\n" + pixels.tobytes()
    (tmp_path / "a.pgm").write_bytes(whole)
    stack = open_stack(tmp_path / "a.pgm")
    assert (stack.axes, stack.shape, stack.dtype) == ("YX", (20, 30), np.uint16)
    assert np.array_equal(stack.frame(0), pixels)
    (tmp_path / "b.pgm").write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"b\.pgm is cut off"):
        open_stack(tmp_path / "b.pgm")


def test_the_example_of_a_noise_model_makes_such_noise() -> None:
    kind = example("noise")["RowNoise"]
    noise = kind.white(Stabiliser(), 2.0, torch.device("cpu"))
    made = noise.sample(8, 64, 64, torch.Generator().manual_seed(0))
    assert made.std() == pytest.approx(1.0, abs=0.05)
    along_x, along_y = (float((made * made.roll(1, axis)).mean()) for axis in (3, 2))
    assert along_x == pytest.approx(0.3, abs=0.06)
    assert along_y == pytest.approx(0.0, abs=0.06)
    noisy = noise.add_noise(torch.zeros(4, 1, 64, 64), torch.Generator().manual_seed(0))
    assert noisy.std() == pytest.approx(2.0, abs=0.15)


@pytest.mark.trains
def test_the_example_of_a_network_trains_and_is_tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from training_core import apply_denoiser, preset, train

    kind = example("network")["SmallDenoiser"]
    monkeypatch.setattr(start, "build_network", lambda _: kind())
    quick = preset("quick", device="cpu")
    settings = replace(
        quick,
        noise_model=replace(quick.noise_model, steps=5),
        denoiser=replace(quick.denoiser, network="compact", steps=5, rounds=1),
    )
    noisy = np.random.default_rng(0).normal(1000, 30, (96, 96)).astype(np.uint16)
    stack = Stack(noisy, "YX")
    denoiser = train([stack], settings).denoiser
    assert type(denoiser.network) is kind
    whole, tiled = (apply_denoiser(stack, denoiser, tile_px=side) for side in (96, 32))
    assert np.abs(whole.pixels - tiled.pixels).max() < 0.01
    assert whole.pixels.std() < 0.5 * noisy.std()


SENTENCES = re.findall(r"^\| `(.+?)` \|", TEXTS["troubleshooting"], re.MULTILINE)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_of_troubleshooting_is_one_of_the_program(sentence: str) -> None:
    pattern = r"(?:.|\n){1,80}?".join(map(re.escape, filter(None, sentence.split("..."))))
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "training_core").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", sources)
    assert re.search(pattern, joined), sentence


def test_the_macro_for_fiji_calls_the_command_as_it_is() -> None:
    macro = (ROOT / "packaging" / "fiji" / "Denoise_with_g2g.ijm").read_text("utf-8")
    calls = re.findall(r"exec\(command, (.+?)\);", macro)
    assert len(calls) == 2
    for call in calls:
        words = [word.strip().strip('"') for word in call.split(",")]
        words = ["quick" if word == "preset" else word for word in words]
        command_parser().parse_args(words)
