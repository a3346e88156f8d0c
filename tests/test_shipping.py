"""What is built from the sources: the frozen application, its installers, and what tries them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFUSALS = [
    (
        "  x No solution found when resolving dependencies:\n"
        "  Because torch>=2.6.0,<=2.13.0 has no wheels with a matching platform tag",
        "no torch",
    ),
    (
        "No solution found. Because only pyside6-essentials<=6.11.3 is available and",
        "no pyside6-essentials",
    ),
]


@pytest.mark.parametrize(("said", "told"), REFUSALS)
def test_the_package_that_cannot_be_had_is_named(said: str, told: str) -> None:
    assert load("python_versions").read_refusal(said) == told


def test_without_an_index_there_is_no_table() -> None:
    with pytest.raises(SystemExit, match="could not be asked: error: no route"):
        load("python_versions").read_refusal("error: no route")
