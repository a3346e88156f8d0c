"""The house rules of the code that a machine can see: folders, circles, names, sizes, documents."""

from __future__ import annotations

import ast
import dataclasses
import re
import runpy
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("training_core", "g2g_desktop")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py"
}
FOLDERS = sorted({name.rpartition(".")[0] for name in MODULES})
MOST_MODULES, LONGEST_FUNCTION, LONGEST_CLASS = 16, 50, 250


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


@cache
def imports_of(module: str) -> set[str]:
    """Give the modules of ours that a module imports, for type checking too."""
    found, package = set(), module.rpartition(".")[0]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = ".".join(filter(None, (package, node.module))) if node.level else node.module
            found |= {str(source), *(f"{source}.{alias.name}" for alias in node.names)}
    return found & set(MODULES) - {module}


def circle_in(edges: dict[str, set[str]]) -> set[str]:
    """Give what is left once nothing can be taken away that imports nothing of the rest."""
    left = dict(edges)
    while free := [name for name, used in left.items() if not used & left.keys()]:
        for name in free:
            del left[name]
    return set(left)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_holds_a_circle_or_too_much(folder: str) -> None:
    mine = [name for name in MODULES if name.rpartition(".")[0] == folder]
    assert len(mine) <= MOST_MODULES
    assert not circle_in({name: imports_of(name) & set(mine) for name in mine})


def test_no_circle_leads_through_several_folders() -> None:
    assert not circle_in({name: imports_of(name) for name in MODULES})


def test_a_circle_would_be_seen() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]


def test_functions_and_classes_stay_readable() -> None:
    long = []
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef):
                documented = len((ast.get_docstring(node, clean=False) or "").splitlines())
                lines = (node.end_lineno or 0) - node.lineno + 1 - documented
                if lines > LONGEST_FUNCTION:
                    long.append(f"{module}.{node.name}: {lines} lines")
            elif isinstance(node, ast.ClassDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LONGEST_CLASS:
                    long.append(f"{module}.{node.name}: {lines} lines")
    assert not long


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_in_a_sentence_what_it_is(module: str) -> None:
    first = (ast.get_docstring(tree_of(module)) or "").partition("\n")[0]
    assert first.endswith("."), first


def test_what_a_stage_gives_is_frozen() -> None:
    from training_core.denoise.channel import Channel
    from training_core.denoise.denoiser import Denoiser
    from training_core.denoise.region import Region
    from training_core.noise.anscombe import Stabiliser
    from training_core.noise.model import NoiseModel
    from training_core.noise.strength_curve import NoiseCurve
    from training_core.training.report import Learned, TrainingReport
    from training_core.training.rounds import Round

    kinds: list[type] = [Channel, Denoiser, Region, Stabiliser, NoiseModel, NoiseCurve]
    kinds += [Learned, TrainingReport, Round]
    for kind in kinds:
        nothing = object.__new__(kind)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(nothing, dataclasses.fields(kind)[0].name, None)


LEAVES = [m for m in MODULES if re.match(r"training_core\.(noise|patches|io|quality)\.", m)]


def test_a_leaf_of_the_core_is_read_without_training_or_reports() -> None:
    """One process imports each module with none of the others loaded before it."""
    code = f"""
import importlib, sys
for module in {LEAVES!r}:
    for name in [n for n in sys.modules if n.startswith("training_core")]:
        del sys.modules[name]
    importlib.import_module(module)
    for name in sys.modules:
        print(module, name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = defaultdict(set)
    for line in done.stdout.splitlines():
        module, name = line.split()
        loaded[module].add(name)
    assert set(loaded) == set(LEAVES)
    above = re.compile(r"training_core\.(training|evaluation|reporting|cli)\b")
    assert not [(m, n) for m, names in loaded.items() for n in names if above.match(n)]


def test_the_documents_tell_of_every_folder_and_of_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    told = re.findall(r"^\| \d+ \| ((?:`[^`]+`,? ?)+)\|", text, flags=re.MULTILINE)
    names = {name.rstrip("/") for cell in told for name in re.findall(r"`([^`]+)`", cell)}
    folders = {name.split(".")[1] for name in FOLDERS if "." in name}
    roots = {f"{MODULES[m].name}" for m in MODULES if m.count(".") == 1}
    assert names == folders | roots - {"__main__.py"}


def test_the_picture_is_that_of_the_real_imports() -> None:
    drawing = runpy.run_path(str(ROOT / "packaging" / "draw_architecture.py"))["drawing"]
    kept = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    assert kept == drawing(), "run: python packaging/draw_architecture.py"


def test_what_the_documents_name_is_there() -> None:
    documents = [ROOT / "docs" / "architecture.md", *(ROOT / "docs" / "method").glob("*.md")]
    for document in documents:
        for name in re.findall(
            r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|md))`", document.read_text("utf-8")
        ):
            places = (ROOT, ROOT / "training_core")
            assert any((place / name).is_file() for place in places), f"{document.name}: {name}"
