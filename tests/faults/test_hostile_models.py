"""Model files that somebody tampered with: one sentence that names the part, or a sane result."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from tests.core.denoise.test_model_file import two_channels
from training_core.cli.main import main
from training_core.compute.state_file import checksum
from training_core.denoise.flat_areas import BLOCK, TESTS, FlatAreas, FlatScale
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.suited import suited_to
from training_core.denoise.tiled import denoise
from training_core.errors import ModelError
from training_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Record = Callable[[str, object], None]

pytestmark = pytest.mark.faults

SHORT, FULL = 60, 700
Card, Tensors = dict[str, Any], dict[str, torch.Tensor]
WRONG: list[Any] = [
    None,
    "text",
    "",
    True,
    -1,
    -3.5,
    0,
    1,
    7.25,
    10**30,
    10**400,
    1e300,
    float("nan"),
    float("inf"),
    -float("inf"),
    [],
    [1, 2],
    {},
    {"a": 1},
    "x" * 100_000,
    "\x1b[31m\n",
]
MISSING = object()
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Tensors]:
    """Give card and tensors of a model with everything that a model can have."""
    made = two_channels()
    rng = np.random.default_rng(0)
    powers, limits = (rng.random(n).astype(np.float32) for n in (BLOCK**2, TESTS))
    flat = FlatAreas((FlatScale(4, powers, limits),))
    first = made.channels[0]
    object.__setattr__(first, "flat_areas", flat)
    path = save_denoiser(made, tmp_path_factory.mktemp("model") / "good.g2g")
    with safe_open(path, "pt") as file:
        card = json.loads(file.metadata()["g2g"])
    card["channels"][1]["photons"] = {"background": 1.0, "gain": 2.0, "spread": 0.2, "read": 0.5}
    card["card"] = {"trained_on": ["a.tif"], "seed": 3, "rounds": [{"round": 1, "error": 0.1}]}
    return card, load_file(path)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the way to every field of a card."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        yield (*way, key)
        if isinstance(item, dict | list):
            yield from places(item, (*way, key))


def with_field(card: Card, way: tuple[Any, ...], value: Any) -> Card:
    changed = copy.deepcopy(card)
    holder = changed
    for key in way[:-1]:
        holder = holder[key]
    if value is MISSING:
        del holder[way[-1]]
    else:
        holder[way[-1]] = value
    return changed


def other_tensors(values: torch.Tensor) -> list[torch.Tensor]:
    flat = values.flatten()
    spoilt = [values.clone().flatten() for _ in range(4)] if values.is_floating_point() else []
    for one, bad in zip(spoilt, (np.nan, np.inf, 1e30, -1e30), strict=False):
        one[len(one) // 2] = bad
    return [
        *(one.reshape(values.shape) for one in spoilt),
        values.to(torch.float16),
        values.to(torch.int8),
        values.to(torch.bool),
        values.to(torch.complex64),
        flat[:0],
        torch.zeros(3, 3, 3, dtype=values.dtype),
        torch.cat([flat, flat]),
        torch.zeros_like(values),
        -values,
    ]


def packed(card: Card, tensors: Tensors) -> bytes:
    about = json.dumps(card)
    return save(tensors, metadata={"g2g": about, "checksum": str(checksum(about, tensors))})


def hostile(card: Card, tensors: Tensors, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Make hostile files without end, of each kind in turn."""
    fields, names = list(places(card)), list(tensors)
    whole = packed(card, tensors)
    while True:
        way = fields[rng.integers(len(fields))]
        value = [*WRONG, MISSING, DEEP][rng.integers(len(WRONG) + 2)]
        told = f"{'.'.join(map(str, way))} = {repr(value)[:40]}"
        yield told, packed(with_field(card, way, value), tensors)
        name = names[rng.integers(len(names))]
        others = other_tensors(tensors[name])
        number = int(rng.integers(len(others)))
        yield f"{name} {number}", packed(card, {**tensors, name: others[number]})
        yield f"without {name}", packed(card, {k: v for k, v in tensors.items() if k != name})
        length = int.from_bytes(whole[:8], "little")
        lie = int(rng.choice([0, 1, length - 1, length + 1, len(whole), 2**31, 2**63 - 1]))
        yield f"header of {lie}", lie.to_bytes(8, "little") + whole[8:]
        cut = int(rng.integers(len(whole)))
        yield f"cut at {cut}", whole[:cut]


NOISY = Stack(
    np.random.default_rng(0).poisson(90.0, (2, 32, 32)).astype(np.uint16), "CYX", source=Path("a")
)


def told_by(path: Path) -> str:
    """Give the sentence with which a model is refused; "" where its result is sane."""
    try:
        denoiser = suited_to(load_denoiser(path, device="cpu"), NOISY)
    except ModelError as error:
        return str(error)
    made = denoise(NOISY, denoiser).pixels
    assert np.isfinite(made).all()
    assert made.min() > -1000
    assert made.max() < 2000
    return ""


@pytest.mark.timeout(3600)
def test_a_hostile_model_is_refused_in_a_sentence_or_harmless(
    good: tuple[Card, Tensors], tmp_path: Path, full_faults: bool, record_property: Record
):
    path = tmp_path / "hostile.g2g"
    made = hostile(*good, np.random.default_rng(1))
    wrong = []
    tried = FULL if full_faults else SHORT
    for _, (what, content) in zip(range(tried), made, strict=False):
        path.write_bytes(content)
        try:
            told = told_by(path)
        except Exception as error:  # noqa: BLE001 - each is a finding
            wrong.append((what, repr(error)[:200]))
            continue
        one_line = "\n" not in told and len(told) < 400 and told.isprintable()
        if not one_line or (told and not (told.startswith("hostile.g2g ") and told[-1] == ".")):
            wrong.append((what, told[:300]))
    assert wrong == []
    record_property("tried", tried)


def test_every_field_that_cannot_be_is_named(good: tuple[Card, Tensors], tmp_path: Path):
    card, tensors = good
    path = tmp_path / "m.g2g"
    expected: dict[str, Callable[[Card], object]] = {
        "channels.0.spread' is -3": lambda c: c["channels"][0].update(spread=-3),
        "channels.1.photons.gain' is 'x'": lambda c: c["channels"][1]["photons"].update(gain="x"),
        "channels.0.mean' is missing": lambda c: c["channels"][0].pop("mean"),
        "neighbours' is 2.5; a whole number": lambda c: c.update(neighbours=2.5),
        "collaboration' is nan": lambda c: c.update(collaboration=float("nan")),
        "channels.0.doubted' is 1; true or false": lambda c: c["channels"][0].update(doubted=1),
        "card.trained_on' is .5.; a list of names": lambda c: c["card"].update(trained_on=[5]),
    }
    for words, change in expected.items():
        changed = copy.deepcopy(card)
        change(changed)
        path.write_bytes(packed(changed, tensors))
        with pytest.raises(ModelError, match=rf"^m\.g2g cannot be used: its field '{words}"):
            load_denoiser(path, device="cpu")


@pytest.mark.parametrize("change", [{"spread": -1}, {"generator": "os.system"}])
def test_the_command_says_it_and_ends_with_2(
    good: tuple[Card, Tensors],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
):
    card = copy.deepcopy(good[0])
    card["channels"][0].update(change)
    (tmp_path / "m.g2g").write_bytes(packed(card, good[1]))
    tifffile.imwrite(tmp_path / "a.tif", NOISY.pixels)

    arguments = [str(tmp_path / "a.tif"), "--model", str(tmp_path / "m.g2g")]
    assert main(["denoise", *arguments, "--output", str(tmp_path / "out.tif")]) == 2

    assert f"its field 'channels.0.{next(iter(change))}' is" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "m.g2g"]
