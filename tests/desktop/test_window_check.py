from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training_core.io.readers import open_stack
from training_core.resources import resource

ROOT = Path(__file__).resolve().parents[2]


def check(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "g2g_desktop", "--check", str(folder)],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.trains
def test_the_window_goes_its_way_by_itself(tmp_path: Path) -> None:
    done = check(tmp_path / "new" / "out", tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "new" / "out" / "check.json").read_text("utf-8"))
    assert facts["error"] is None
    assert list(facts["seconds"]) == ["open", "denoise", "export"]
    noisy = open_stack(resource("samples/fluorescence_noisy.tif"))
    denoised = open_stack(tmp_path / "new" / "out" / "denoised.tif")
    assert (denoised.axes, denoised.shape, denoised.dtype) == (
        noisy.axes,
        noisy.shape,
        noisy.dtype,
    )
    assert denoised.pixels.std() < 0.95 * noisy.pixels.std()
