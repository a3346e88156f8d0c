"""Tiny jobs of every kind end with the very weights and pixels they ended with before.

On a processor of another maker the last bits differ; there they end with nearly the same.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.golden import JOBS, KEPT, environment, marks, processor, releases

RECORDED = json.loads(KEPT.read_text())


def unlike() -> str:
    """Say why digests cannot be compared here; empty where they can."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"the digests are those of x86-64, not of {platform.machine()}"
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return "the digests are those of processors with AVX2"
    if releases() != RECORDED["releases"]:
        return f"the digests belong to {RECORDED['releases']}, and here is {releases()}"
    return ""


@pytest.mark.skipif(bool(unlike()), reason=unlike())
@pytest.mark.trains
def test_every_kind_of_job_ends_as_before() -> None:
    script = KEPT.with_name("golden.py")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    recorded, found = RECORDED["jobs"], json.loads(done.stdout)
    assert set(recorded) == set(found) == {*JOBS, "commands"}
    same = processor() == RECORDED["processor"]
    differ = [
        f"{job}: {part}"
        for job, parts in recorded.items()
        for part, marks in parts.items()
        if not (digests_match if same else sketches_match)(marks, found[job][part])
    ]
    assert differ == []


def digests_match(recorded: dict[str, Any], found: dict[str, Any]) -> bool:
    return bool(recorded["digest"] == found["digest"])


def sketches_match(recorded: dict[str, Any], found: dict[str, Any]) -> bool:
    (size, *sums), (found_size, *found_sums) = recorded["sketch"], found["sketch"]
    return found_size == pytest.approx(size, rel=1e-3) and found_sums == pytest.approx(
        sums, rel=0, abs=1e-3 * size
    )


def test_a_sketch_tells_rounding_from_change() -> None:
    values = np.random.default_rng(1).normal(100, 20, (64, 64)).astype(np.float32)
    kept, rounded = marks(values), marks(values * np.float32(1 + 1e-6))
    assert not digests_match(kept, rounded)
    assert sketches_match(kept, rounded)
    changed = values.copy()
    changed[10:20, 10:20] += 10
    assert not sketches_match(kept, marks(changed))
