"""Memory is kept while computing and given back afterwards; seen by the pages that are touched."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from training_core.compute import memory
from training_core.compute.memory import free_memory, keep_memory

if TYPE_CHECKING:
    from pathlib import Path

MEASURE = """
import resource, sys, threading
from training_core.compute.memory import give_memory_back, keep_memory

PAGES = (100 << 20) // resource.getpagesize()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * (100 << 20)
    found.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / PAGES)

def measure():
    faults()
    faults()

found = []
if sys.argv[1] == "keep":
    assert keep_memory()
thread = threading.Thread(target=measure)
thread.start()
thread.join()
kept = resident()
give_memory_back()
print(found[-1], (kept - resident()) / PAGES)
"""

linux = pytest.mark.skipif(memory._glibc() is None, reason="glibc's allocator is on Linux only")


def pages(how):
    """Give how many arrays of pages were touched anew, and how many were given back."""
    made = subprocess.run(
        [sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True
    )
    return [float(word) for word in made.stdout.split()]


@linux
def test_large_arrays_reuse_memory_in_any_thread_and_it_goes_back():
    backed, returned = pages("keep")
    assert backed < 0.5  # of five arrays
    assert returned > 0.9


@linux
def test_without_it_every_large_array_costs_new_pages():
    backed, returned = pages("plain")
    assert backed > 4.0
    assert returned < 0.5


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    assert keep_memory() is False
    memory.give_memory_back()


@pytest.mark.parametrize("tight", ["", "slurm", "slurm/job"])
def test_the_tightest_of_the_limits_around_a_batch_job_counts(
    tight: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "slurm", "slurm/job"):
        (group := tmp_path / name).mkdir(exist_ok=True)
        (group / "memory.current").write_text("3000")
        (group / "memory.stat").write_text("anon 2000\ninactive_file 1000\n")
        (group / "memory.max").write_text("50000" if name == tight else "max")
    (tmp_path / "mine").write_text("1:memory:/old\n0::/slurm/job\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "MINE", tmp_path / "mine")
    assert free_memory() == 48000
