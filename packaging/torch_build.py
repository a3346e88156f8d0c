"""Choose the build of torch for a machine: no gigabytes of CUDA without an NVIDIA GPU to use them.

Asked for a range of releases, pip takes a build with CUDA on any Linux machine. So pip is first
asked what it can get (nothing is downloaded), then told exactly which release to take from where.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PYTORCH_INDEX = "https://download.pytorch.org/whl/"


def torch_arguments(python: Path, project: str) -> list[str]:
    """Choose the newest torch that the project allows and this machine can use.

    Parameters
    ----------
    python
        The interpreter whose pip is asked.
    project
        The text of pyproject.toml, which holds the allowed range.

    Returns
    -------
    list of str
        A requirement, then pip's options for the index that has it, where it is not the usual one.

    Raises
    ------
    SystemExit
        With a sentence, when only builds with CUDA can be had on a Linux machine without a GPU.
    """
    if os.environ.get("G2G_TORCH"):
        return [os.environ["G2G_TORCH"]]
    gpu = has_nvidia_gpu()
    low, high = re.findall(r'"torch>=([\d.]+),<([\d.]+)"', project)[0]
    for source in _sources(gpu):
        for version in _offered(python, source):
            release, _, build = version.partition("+")
            if _numbers(low) <= _numbers(release) < _numbers(high) and _suits(build, gpu):
                return [f"torch==={version}", *source]
    if sys.platform == "linux" and not gpu:
        sys.exit(
            f"No processor build of torch >={low},<{high} was found, neither in pip's wheel "
            f"folders nor at {PYTORCH_INDEX}cpu. Connect to the internet, or name a folder with "
            "one in PIP_FIND_LINKS; set G2G_TORCH to a requirement to take another build."
        )
    return [f"torch>={low},<{high}"]


def has_nvidia_gpu() -> bool:
    """Tell whether an NVIDIA driver answers on this machine."""
    if Path("/proc/driver/nvidia/version").exists():
        return True
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    return subprocess.run([program, "-L"], capture_output=True, check=False).returncode == 0


def _sources(gpu: bool) -> list[list[str]]:
    """Give the places to ask: pip's configured ones, then PyTorch's own where those differ."""
    own = {("linux", False): "cpu", ("win32", True): "cu130"}.get((sys.platform, gpu))
    return [[], ["--index-url", PYTORCH_INDEX + own]] if own else [[]]


def _suits(build: str, gpu: bool) -> bool:
    """Tell whether the build, what follows the + of a version, is one for this machine."""
    if sys.platform == "linux":
        return build.startswith("cpu") is not gpu
    return build.startswith("cu") if sys.platform == "win32" and gpu else True


def _offered(python: Path, source: list[str]) -> list[str]:
    """List the torch versions that pip can get here, newest first."""
    command = [str(python), "-m", "pip", "index", "versions", "torch", "--retries", "1", *source]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    listed = re.search(r"^Available versions: (.+)$", answer, re.MULTILINE)
    return listed[1].split(", ") if listed else []


def _numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a release, so that 2.9 sorts before 2.13."""
    return tuple(map(int, re.findall(r"\d+", version)))
