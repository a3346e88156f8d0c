"""Tiny jobs of every kind end with the very weights and pixels they ended with before."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest
import torch

from tests.support.golden import JOBS, KEPT, environment, releases

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
    assert set(RECORDED["jobs"]) == {*JOBS, "commands"}
    assert json.loads(done.stdout) == RECORDED["jobs"]
