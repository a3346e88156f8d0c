"""Try every fault of tests/faults in full, and write the table of them into docs/results.md.

It takes an hour on two cores: `python tests/benchmarks/faults.py [-k EXPRESSION]`; what follows
goes to pytest. Each test runs in a process of its own; started again on the same commit, those that
passed are not run again. Where the system has a folder in memory the files lie there: what a killed
process has written is read back from memory in any case, and waiting for the disk after each
checkpoint takes ten times as long as all else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from results import ROOT, machine, read_results, with_section, write_results

if TYPE_CHECKING:
    from collections.abc import Iterable

TITLE = "Faults"
# Only the older family of reports takes how often something was tried.
FAMILY = ("-o", "junit_family=xunit1")
# Other work beside it is no fault of the program.
PATIENCE = "--timeout=7200"
PYTEST = [sys.executable, "-m", "pytest", "-n", "0", "--faults-full", PATIENCE, *FAMILY]
MEMORY = Path("/dev/shm")
ABOUT = """`python tests/benchmarks/faults.py`: every test of `tests/faults` in full; CI runs a few
of each kind. *tried* counts what was tried in all parameters of a test: kills at random moments of
train, run, the published method, denoise and batch, 100 each, and of writers of TIFF, OME-TIFF,
PNG, DICOM and OME-Zarr; each file of a checkpoint and a model with a bit flipped, bytes zeroed or
its end cut off, 1,000 of each; every output option against every input path. Seconds are by the
clock, beside other work. """


def table(reports: Iterable[Path]) -> str:
    """Give a line for each test of JUnit reports: how often it was tried, and how it ended."""
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for case in (case for report in reports for case in cases(report)):
        name = case.get("name", "").partition("[")[0].removeprefix("test_").replace("_", " ")
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        counts = found[f"{case.get('classname', '').rpartition('.')[2]}: {name}"]
        counts[0] += int(properties.get("tried") or 1)
        counts[1] += has_failed(case)
        counts[2] += case.find("skipped") is not None
        counts[3] += float(case.get("time", 0))
    lines = ["| test | tried | failed | skipped | seconds |", "|---|---|---|---|---|"]
    for name, (tried, failed, skipped, seconds) in found.items():
        lines.append(f"| {name} | {tried} | {failed} | {skipped} | {seconds:.0f} |")
    return "\n".join(lines)


def cases(report: Path) -> Iterable[ElementTree.Element]:
    """Give the tests of a report; none of one that is not whole."""
    try:
        return list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return []


def has_failed(case: ElementTree.Element) -> bool:
    """Whether a test failed, or could not begin."""
    return case.find("failure") is not None or case.find("error") is not None


def passed(report: Path) -> bool:
    """Whether a report is there and whole, and none of its tests failed."""
    return bool(cases(report)) and not any(map(has_failed, cases(report)))


def listed(more: list[str]) -> list[str]:
    """Name the tests, without what they are given, in their order."""
    command = [*PYTEST, "tests/faults", "--collect-only", "-q", *more]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = (line.partition("[")[0] for line in told.splitlines() if "::" in line)
    return list(dict.fromkeys(found))


def in_memory(name: str) -> list[str]:
    """Let pytest put its files into a folder in memory, where the system has one."""
    return [f"--basetemp={MEMORY / name}"] if MEMORY.is_dir() else []


def main(more: list[str]) -> int:
    """Run the tests that have not passed on this commit yet, write the section; 1 on a failure."""
    commit = machine().rpartition("commit ")[2]
    folder = Path(tempfile.gettempdir(), f"g2g-faults-{commit.replace(', ', '-')}")
    folder.mkdir(exist_ok=True)
    reports = []
    for test in listed(more):
        reports.append(folder / f"{test.replace('/', '-').replace('::', '-')}.xml")
        # A changed tree is never the same twice.
        if "changed" in commit or not passed(reports[-1]):
            told = [f"--junitxml={reports[-1]}", *in_memory(folder.name)]
            subprocess.run([*PYTEST, test, *told], cwd=ROOT, check=False)
    body = f"{ABOUT}{machine()}.\n\n{table(reports)}"
    write_results(with_section(read_results(), TITLE, body))
    return int(not all(map(passed, reports)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
