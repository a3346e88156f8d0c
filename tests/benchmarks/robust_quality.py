"""Robust mode on real images with ground truth, set by set, beside the classical filters.

Run: python tests/benchmarks/robust_quality.py [--only widefield-b,fish,...] [--preset balanced]
[--resume] [--classical]

Every set is trained on its own noisy images alone, with the same settings; each image is denoised
alone. The frames of a micrograph set are separate images, never a series in time. Repeated frames
count once: WideField_BPAE_B has three. Prints the lines of a set as soon as they are there and
keeps them in docs/results.md; 1 if anything is missed. The images are looked for in
../shared/data beside the checkout. The classical rows are kept in --cache, and made again only
where their code or the set changed; `--classical` makes these rows alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, write_results
from robust_rows import OURS, PROTOCOL, brightness_psnr, kept_rows, means, with_ours, write
from robust_tables import HEADS, Outcome, updated

from training_core.batch.outputs import Existing
from training_core.cli.terminal import Terminal
from training_core.evaluation.benchmark import Request, evaluate, settings_for
from training_core.evaluation.datasets import load_table
from training_core.evaluation.published_tables import TABLES, W2S_FIELDS
from training_core.run import Run
from training_core.settings import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from training_core.evaluation.published_tables import Table
    from training_core.evaluation.scores import Report, Row

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
OUTPUT = Path("evaluation", "robust")


@dataclass(frozen=True)
class Set:
    """A set of the table: one training for each of `tables`."""

    tables: tuple[str, ...]
    gpu_psnr: float | None = None
    published: str = ""


SETS = {
    "widefield-b": Set(("fmd-widefield-b",), 36.0, "G2G 32.73 over B, G, R"),
    "widefield-g": Set(("fmd-widefield-g",), 34.5, "G2G 32.73 over B, G, R"),
    "fish": Set(("fmd-confocal-fish",), 33.0),
    "mice": Set(("fmd-twophoton-mice",), 34.2),
    "confocal-bpae": Set(("fmd-confocal-bpae",), 34.5),
    "twophoton-bpae": Set(("fmd-twophoton-bpae",), 33.8),
    "w2s": Set(tuple(f"w2s-{channel}-{field}" for channel in range(3) for field in W2S_FIELDS)),
    "ct": Set(("ct-mayo",)),
    "bsd-gaussian25": Set(("bsd68-gaussian25",)),
    "bsd-mixture25": Set(("bsd68-mixture25",)),
    "bsd-mixture30": Set(("bsd68-mixture30",)),
    "bsd-correlated25": Set(("bsd68-correlated25",)),
}


class Benchmark:
    """The sets one by one, with the settings of one command."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.run = Run(Terminal(sys.stderr))
        self.cache = given.cache or given.output / "classical"
        self.device = torch.device(given.device).type

    def outcome(self, name: str) -> Outcome:
        """Give what is known of a set, or measure it."""
        record, key = self.given.output / f"{self._title(name)}.json", self._key(name)
        if self.given.resume and record.exists():
            kept = json.loads(record.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return Outcome(**kept["outcome"])
        found = self._measure(name)
        if not self.given.classical:
            write(record, {"key": key, "outcome": asdict(found)})
        return found

    def _title(self, name: str) -> str:
        """Say what else than the usual command made it."""
        marks = [self.given.preset] * (self.given.preset != "balanced")
        marks += ["GPU"] * (self.device == "cuda")
        return f"{name} ({', '.join(marks)})" if marks else name

    def _key(self, name: str) -> dict[str, Any]:
        """Give all that decides about the figures, but for the code."""
        settings = [self._settings(TABLES[table]).to_dict() for table in SETS[name].tables]
        kept = {"settings": settings, "images": self.given.images}
        return json.loads(json.dumps(kept))  # as it is read back

    def _settings(self, table: Table) -> Any:
        given = self.given
        return settings_for(table, given.preset, seed=given.seed, device=given.device)

    def _measure(self, name: str) -> Outcome:
        chosen, limit = SETS[name], self.given.images
        tables = [TABLES[table] for table in chosen.tables]
        rows = [row for table in tables for row in self._without_training(table, limit)]
        figures = means(rows, lambda row: row.label)
        available = sum(len(self._tests(table)) for table in tables)
        images = sum(len(row.cells) for row in rows if row.method == "noisy")
        (first, *_) = tables
        outcome = Outcome(
            self._title(name),
            f"{images} of {available}" if images < available else str(images),
            figures,
            reach=self._reach(chosen),
            ceiling=self._ceiling(tables) if first.kind == "micrograph" else None,
            published=self._published(chosen),
        )
        if self.given.classical:
            return outcome
        reports = [self._trained(table, limit) for table in tables]
        return with_ours(outcome, reports)

    def _without_training(self, table: Table, limit: int | None) -> list[Row]:
        """Give the rows that need no training, from the cache where they are there."""
        name = f"{table.name}-{limit}" if limit else table.name
        more = {"seed": self.given.seed, "data": str(self.given.data.resolve())}
        return kept_rows(
            self.cache, name, more, lambda method: self._evaluate(table, (method,), limit).rows
        )

    def _evaluate(self, table: Table, methods: tuple[str, ...], limit: int | None) -> Report:
        given, settings = self.given, self._settings(table)
        request = Request(table, given.data, settings, (PROTOCOL,), methods, limit)
        return evaluate(request, run=self.run)

    def _trained(self, table: Table, limit: int | None) -> Report:
        """Train on a table and score every row of ours; an interrupted training is gone on with."""
        given, settings = self.given, self._settings(table)
        request = Request(table, given.data, settings, (PROTOCOL,), OURS, limit)
        existing = Existing(overwrite=not given.resume, resume=given.resume)
        given.output.mkdir(parents=True, exist_ok=True)
        place = given.output / f"{table.name}-{given.preset}"
        with existing.checkpoint(place, self.run) as checkpoint:
            return evaluate(request, run=self.run, checkpoint=checkpoint)

    def _tests(self, table: Table) -> Sequence[Any]:
        return load_table(table, self.given.data, PROTOCOL, seed=self.given.seed).tests

    def _ceiling(self, tables: Iterable[Table]) -> float:
        """Score each reference brought to the brightness of its noisy image by a line."""
        tests = [test for table in tables for test in self._tests(table)]
        return float(np.mean([brightness_psnr(test.noisy.frame(0), test.clean) for test in tests]))

    def _reach(self, chosen: Set) -> tuple[float | None, float | None]:
        if self.device == "cuda" and chosen.gpu_psnr is not None:
            return chosen.gpu_psnr, None
        table = TABLES[chosen.tables[0]]
        # The targets of the published columns are by the published protocol.
        return table.target if table.target and not table.published else (None, None)

    def _published(self, chosen: Set) -> str:
        table = TABLES[chosen.tables[0]]
        known = [f"{name} {psnr:g}" for name, (psnr, _) in table.elsewhere.items() if psnr]
        g2g = table.published.get("G2G", (None, None))
        if g2g[0]:
            known.append(f"G2G {g2g[0]:g}/{g2g[1]:g} by the published protocol")
        return ", ".join([chosen.published] * bool(chosen.published) + known)


def note() -> str:
    """Say how the tables were made and how they are read."""
    return (
        "`python tests/benchmarks/robust_quality.py`: each set trained on its own noisy images "
        "(BSD68: on noisy BSD400) with `--preset balanced` unless its name says another, "
        "the same settings for all, each image denoised alone. Mean over images of PSNR in dB "
        "(peak 255) and SSIM (range 255; micrographs in 7 x 7 uniform windows, others in Gaussian "
        "ones); CT in [-160, 240] HU, peak and range 400 HU. W2S: the references brought to the "
        "brightness of the noisy images by a line. WideField_BPAE_B: frame 2 repeats frame 1 and "
        "counts once. Only the blur sees the reference. Calibration is the slope of the reference, "
        "brought to the brightness of the noisy image, on ours: 1 for the best estimate, while the "
        "slope on the reference is below 1 by its error over the variance of the image. By place: "
        "with a line of its own around each pixel, since not all of a scene bleaches alike; that "
        "has to be within 1 +- .02 (docs/method). Shifts are those of the worst image. "
        "Wall s is training and denoising of all images one after another, core s counts all "
        f"cores, after an interruption only what was left. Last run on {machine()}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen sets and keep their lines; 1 if anything is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SETS), help="sets, separated by commas")
    parser.add_argument("--preset", default="balanced", choices=PRESETS)
    parser.add_argument("--images", type=int, metavar="N", help="test only so many of each table")
    parser.add_argument("--classical", action="store_true", help="only rows without training")
    parser.add_argument("--resume", action="store_true", help="keep the sets that are done")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the benchmark sets")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the records")
    parser.add_argument("--cache", type=Path, help="of classical rows [OUTPUT/classical]")
    given = parser.parse_args(arguments)
    return go_through(chosen_sets(parser, given), given)


def chosen_sets(parser: argparse.ArgumentParser, given: argparse.Namespace) -> list[str]:
    """Give the names of `--only`; an unknown one, or no folder of the sets, ends the program."""
    names: list[str] = given.only.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"there is no set {unknown[0]!r}; choose from {', '.join(SETS)}")
    if not given.data.is_dir():
        parser.error(f"there is no folder {given.data}; add --data FOLDER")
    return names


def go_through(names: Sequence[str], given: argparse.Namespace) -> int:
    """Measure sets one by one; print and keep the lines of each before the next begins."""
    benchmark, met = Benchmark(given), True
    for name in names:
        outcome = benchmark.outcome(name)
        for heading, text in outcome.lines().items():
            sys.stdout.write(f"{HEADS[heading]}\n{text}\n")
        sys.stdout.flush()
        if given.classical:
            continue
        write_results(updated(read_results(), [outcome], note(), list(SETS)))
        met = met and outcome.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
