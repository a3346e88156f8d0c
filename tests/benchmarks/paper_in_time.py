"""Paper mode in about the time that robust mode takes on a processor, on the sets of that table.

Run: python tests/benchmarks/paper_in_time.py [--only fish,mice,...] [--steps 60] [--images N]

The published schedule takes weeks there; `paper_schedule.py` runs it on a GPU. Here all is as
published but for the length: crops of a step and steps are fewer. Trains on the noisy images of a
set alone, prints its line and keeps it in RESULTS.md beside what robust mode reached; 1 if paper
mode is better anywhere.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

# A script's own folder comes first on the path; the packages lie two above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import machine, read_results, section, with_section, write_results
from robust_quality import DATA, SETS, chosen_sets
from robust_rows import PROTOCOL, means
from robust_tables import HEADS, SECTION, Figures, figures, line, lines_of

from training_core.cli.terminal import Terminal
from training_core.evaluation.benchmark import Request, evaluate, settings_for
from training_core.evaluation.published_tables import TABLES
from training_core.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.evaluation.published_tables import Table
    from training_core.evaluation.scores import Report
    from training_core.settings import Settings

TITLE = "Paper mode in the time of robust mode"
HEAD = "| set | images | steps | noisy | paper mode | ours | wall s |"
BATCH = 8  # crops of a step
ROUND_STEPS = 2  # of each round for one of the game


def shortened(table: Table, steps: int, seed: int = 0) -> Settings:
    """Give the settings of paper mode with so many steps of the game, and few crops in each."""
    paper = settings_for(table, "paper", seed=seed, device="cpu")
    game = replace(paper.noise_model, steps=steps, batch=BATCH)
    rounds = replace(paper.denoiser, steps=ROUND_STEPS * steps, batch=BATCH)
    return replace(paper, noise_model=game, denoiser=rounds)


def reports_of(name: str, given: argparse.Namespace) -> list[Report]:
    """Train on each table of a set, and score."""
    found = []
    for table in (TABLES[table] for table in SETS[name].tables):
        settings = shortened(table, given.steps)
        limit = given.images if table.kind == "natural" else None
        request = Request(table, given.data, settings, (PROTOCOL,), ("noisy", "g2g"), limit)
        found.append(evaluate(request, run=Run(Terminal(sys.stderr))))
    return found


def line_of(name: str, steps: int, reports: Sequence[Report], ours: Figures | None) -> str:
    """Give the line of a set; a dash where nothing could be trained."""
    noisy = [row for report in reports for row in report.rows if row.method == "noisy"]
    made = [report.ours for report in reports if report.ours]
    rows = means([*noisy, *made], lambda row: "noisy" if row.method == "noisy" else "paper mode")
    images = sum(len(report.images) for report in reports)
    available = sum(report.available for report in reports)
    told = f"{images} of {available}" if images < available else str(images)
    cells = (figures(rows.get("noisy")), figures(rows.get("paper mode")), figures(ours))
    taken = sum(report.seconds for report in reports)
    return line(name, told, f"{steps}, {ROUND_STEPS * steps}", *cells, f"{taken:.0f}")


def ours_in(text: str, name: str) -> Figures | None:
    """Read what robust mode reached with its defaults; None where it was not measured."""
    known = lines_of(section(text, SECTION))["Quality"].get(name)
    if known is None:
        return None
    column = [cell.strip() for cell in HEADS["Quality"].split("|")].index("ours")
    psnr, ssim = known.split("|")[column].split()[0].split("/")
    return float(psnr), float(ssim)


def is_better(text: str) -> bool:
    """Tell whether in a line paper mode is better than ours, by PSNR or by SSIM."""
    paper, ours = (cell.split("/") for cell in text.split(" | ")[4:6])
    return "-" not in (paper[0], ours[0]) and any(
        float(p) > float(o) for p, o in zip(paper, ours, strict=True)
    )


def note() -> str:
    """Say how the table was made."""
    return (
        "`python tests/benchmarks/paper_in_time.py`: all as published (9600 steps of the game in "
        f"crops of 64, thousands in each round) but for the length: {BATCH} crops a step, as many "
        "steps of the game and of each of three rounds as the table says. Mean over images of "
        "PSNR in dB and SSIM as in the tables of robust mode, whose result stands beside it. "
        "What the whole schedule reaches others have published: see there. "
        f"Last run on {machine()}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen sets and keep their lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SETS), help="sets, separated by commas")
    parser.add_argument("--steps", type=int, default=60, help="of the game; rounds take twice that")
    parser.add_argument("--images", type=int, default=12, help="photographs that are tested")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the benchmark sets")
    given = parser.parse_args(arguments)
    beaten = False
    for name in chosen_sets(parser, given):
        reports = reports_of(name, given)
        text = read_results()
        new = line_of(name, given.steps, reports, ours_in(text, name))
        sys.stdout.write(f"{HEAD}\n{new}\n")
        sys.stdout.flush()
        beaten |= is_better(new)
        write_results(with_section(text, TITLE, updated(section(text, TITLE), name, new)))
    return 1 if beaten else 0


def updated(body: str, name: str, new: str) -> str:
    """Put a line into the table of a section; those of other sets stay."""
    kept = {text.split("|")[1].strip(): text for text in body.splitlines() if text.startswith("| ")}
    kept[name] = new
    lines = [kept[each] for each in SETS if each in kept]
    rule = "|" + "---|" * (HEAD.count("|") - 1)
    return f"{note()}\n\n" + "\n".join([HEAD, rule, *lines])


if __name__ == "__main__":
    sys.exit(main())
