"""Bundled files are found in a source tree and where a wheel puts them."""

from __future__ import annotations

import pytest

from training_core import resources
from training_core.resources import resource


def test_the_resources_of_the_source_tree_are_found():
    assert resource("samples/ct_noisy.tif").is_file()


@pytest.mark.parametrize("folder", ["g2g_desktop/resources", "resources"])
def test_a_wheel_has_them_inside_the_window(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "resources").mkdir(exist_ok=True)
    monkeypatch.setattr(resources, "_BESIDE", tmp_path)
    assert resource("a.svg") == tmp_path / folder / "a.svg"
