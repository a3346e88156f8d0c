"""How many more steps of a training two processes of one thread each take than one does.

    python tests/benchmarks/torchrun_speed.py

Each is timed in turns, started by torchrun on this computer; the steps are those of the presets
quick and balanced: the bundled network, batches of eight crops of 64 px, gradients averaged by DDP.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from training_core.compute import several
from training_core.networks.pretrained import PretrainedDenoiser, load_pretrained
from training_core.settings import DenoiserSettings

ROOT = Path(__file__).resolve().parents[2]
WARM, STEPS, TURNS = 5, 60, 3


def main() -> int:
    """Let torchrun start one and two processes, and compare."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for _ in range(TURNS):
        for count, found in rates.items():
            run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            run += ["--nproc-per-node", str(count), __file__]
            told = subprocess.check_output(run, env=environment, text=True)
            found.append(float(told.split()[-1]))
    one, two = (statistics.median(found) for found in rates.values())
    gains = " ".join(f"{b / a:.2f}" for a, b in zip(*rates.values(), strict=True))
    sys.stdout.write(
        f"{one:.1f} steps/s in one process, {two:.1f} in two; {two / one:.2f} times ({gains}). "
        f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n"
    )
    return 0


def measure() -> None:
    """Take steps in this process and those beside it; the first one tells how many a second."""
    with several.joined() as first:
        if not first:
            several.help_first()
            return
        chosen, network = DenoiserSettings(), PretrainedDenoiser()
        load_pretrained(network)
        network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(network.parameters(), 1e-6)
        step = several.training_step(network, optimiser, bfloat16=True, longest=1.0)
        source = 20 * torch.rand(chosen.batch, network.channels, chosen.crop_px, chosen.crop_px)
        for number in range(WARM + STEPS):
            if number == WARM:
                began = time.perf_counter()
            step(source, source[:, :1])
        sys.stdout.write(f"{STEPS / (time.perf_counter() - began):.3f}\n")


if __name__ == "__main__":
    if "TORCHELASTIC_RUN_ID" in os.environ:
        measure()
    else:
        raise SystemExit(main())
