"""Areas painted by hand, in settings and in text."""

from __future__ import annotations

import json

import pytest

from training_core.areas import Area, areas_of
from training_core.errors import SettingsError
from training_core.settings import PatchSettings, Settings, preset

SOME = (Area("in", 0, 8, 64, 32), Area("out", 100, 0, 10, 10))


def test_areas_are_kept_with_the_settings() -> None:
    settings = preset("quick", patches=PatchSettings(areas=SOME))
    kept = json.loads(json.dumps(settings.to_dict()))
    assert Settings.from_dict(kept) == settings
    assert "areas" not in preset("quick").to_dict()["patches"]
    assert hash(settings.patches) != hash(PatchSettings())


def test_an_area_is_written_as_it_is_read() -> None:
    assert [Area.of(str(one)) for one in SOME] == list(SOME)
    assert str(SOME[0]) == "in:0,8,64,32"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' cannot be read; write KIND:TOP,LEFT,HEIGHT,WIDTH"),
        ("in:1,2,3", "cannot be read"),
        ("in:-1,2,3,4", "cannot be read"),
        ("inside:1,2,3,4", "An area is 'inside'; choose one of in, out, free"),
        ("out:1,2,0,4", "The height of an area is 0; a whole number of pixels from 1 on"),
    ],
)
def test_what_is_no_area_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Area.of(text)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["in:0,0,8,8"], "An area is 'in:0,0,8,8'; a rectangle is needed"),
        ([{"kind": "in"}], "a rectangle is needed"),
        ([{"kind": "in", "top": 1.5, "left": 0, "height": 1, "width": 1}], "The top of an area is"),
        (1001 * [SOME[0]], "There are 1001 painted areas; at most 1000"),
    ],
)
def test_what_is_no_list_of_areas_is_refused(values: list[object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        areas_of(values)
