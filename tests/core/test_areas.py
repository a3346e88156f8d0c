"""Areas painted by hand, in settings and in text."""

from __future__ import annotations

import json

import pytest

from training_core.areas import Area, areas_of
from training_core.errors import SettingsError
from training_core.settings import PatchSettings, Settings, preset

SOME = tuple(map(Area.of, ("in:0,8,64,32", "out:100,0,10,10", "free:0,0/0,64/64,32")))


def test_areas_are_kept_with_the_settings() -> None:
    settings = preset("quick", patches=PatchSettings(areas=SOME))
    kept = json.loads(json.dumps(settings.to_dict()))
    assert Settings.from_dict(kept) == settings
    assert "areas" not in preset("quick").to_dict()["patches"]
    assert hash(settings.patches) != hash(PatchSettings())


def test_an_area_is_written_as_it_is_read() -> None:
    assert [Area.of(str(one)) for one in SOME] == list(SOME)
    assert str(SOME[0]) == "in:0,8,64,32"
    assert SOME[0].corners == ((0, 8), (64, 40))
    assert str(SOME[2]) == "free:0,0/0,64/64,32"
    assert SOME[2].corners == ((0, 0), (0, 64), (64, 32))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' cannot be read; write KIND:TOP,LEFT,HEIGHT,WIDTH"),
        ("in:1,2,3", "cannot be read"),
        ("in:-1,2,3,4", "cannot be read"),
        ("inside:1,2,3,4", "An area is 'inside'; choose one of in, out, free"),
        ("out:1,2,0,4", r"A rectangle from \(1, 2\) to \(1, 6\) holds no pixel"),
        ("out:1,2/3,4", "cannot be read"),
        ("out:1,2/3,4/5", "the corners of a polygon, TOP,LEFT of each, such as"),
        ("out:" + "/".join(1001 * ["1,2"]), "has 1001 corners; give the two ends of a rectangle"),
    ],
)
def test_what_is_no_area_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Area.of(text)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["in:0,0,8,8"], "An area is 'in:0,0,8,8'; its kind and its corners are needed"),
        ([{"kind": "in"}], "its kind and its corners are needed"),
        ([{"kind": "in", "corners": [[1.5, 0], [4, 4]]}], r"A corner of an area is \[1.5, 0\]"),
        ([{"kind": "in", "corners": [[1, 0], [4, 4, 4]]}], "row and column are needed"),
        ([{"kind": "in", "corners": [[-1, 0], [4, 4]]}], "row and column are needed"),
        ([{"kind": "in", "corners": [[True, 0], [4, 4]]}], "row and column are needed"),
        ([{"kind": "in", "corners": "0,0"}], "The corners of an area are '0,0'; pairs are needed"),
        ([{"kind": "in", "corners": [[1, 0]]}], "An area has 1 corners"),
        (1001 * [SOME[0]], "There are 1001 painted areas; at most 1000"),
    ],
)
def test_what_is_no_list_of_areas_is_refused(values: list[object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        areas_of(values)
