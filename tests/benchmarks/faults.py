"""Try every fault of tests/faults in full, and write the table of them into docs/results.md.

It takes hours on two cores: `python tests/benchmarks/faults.py [-k EXPRESSION]`; what follows goes
to pytest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from results import ROOT, machine, read_results, with_section, write_results

TITLE = "Faults"


def table(report: Path) -> str:
    """Give a line for each test of a JUnit report: how often it was tried, and how it ended."""
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").partition("[")[0].removeprefix("test_").replace("_", " ")
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        counts = found[f"{case.get('classname', '').rpartition('.')[2]}: {name}"]
        counts[0] += int(properties.get("tried") or 1)
        counts[1] += case.find("failure") is not None or case.find("error") is not None
        counts[2] += case.find("skipped") is not None
        counts[3] += float(case.get("time", 0))
    lines = ["| test | tried | failed | skipped | seconds |", "|---|---|---|---|---|"]
    for name, (tried, failed, skipped, seconds) in found.items():
        lines.append(f"| {name} | {tried} | {failed} | {skipped} | {seconds:.0f} |")
    return "\n".join(lines)


def main(more: list[str]) -> int:
    """Run the tests and write the section; give the exit code of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = ["-m", "pytest", "tests/faults", "-n", "0", "--faults-full"]
        ended = subprocess.run(
            [sys.executable, *command, f"--junitxml={report}", *more], cwd=ROOT, check=False
        )
        body = f"{machine()}.\n\n{table(report)}"
    write_results(with_section(read_results(), TITLE, body))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
