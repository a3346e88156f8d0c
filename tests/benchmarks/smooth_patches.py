"""The smooth-patch map of a 2048 x 2048 frame against the transform of each window.

Run: python tests/benchmarks/smooth_patches.py
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pywt

from training_core.patches.flatness import flatness_map
from training_core.patches.window_scores import homogeneity_map, score_windows
from training_core.settings import PatchSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE, STRIDE = 96, 24


def per_window(frame: np.ndarray) -> np.ndarray:
    """Eqn (4) window by window, as published."""
    starts = range(0, len(frame) - SIZE + 1, STRIDE)
    scores = []
    for top in starts:
        for left in starts:
            low, high = pywt.dwt2(frame[top : top + SIZE, left : left + SIZE], "haar")
            spread = np.array([band.std() for band in (low, *high)])
            scores.append(np.abs(spread - spread.mean()).mean() / spread.mean())
    return np.reshape(scores, (len(starts), len(starts)))


def seconds(work: Callable[[], object], times: int) -> float:
    """Give the shortest processor time of several runs, so that a busy machine changes little."""
    spent = []
    for _ in range(times):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def main() -> int:
    """Print the figures as JSON; 1 if a promise is not kept."""
    rng = np.random.default_rng(0)
    frame = 1000 + rng.normal(0, 5, (2048, 2048))
    frame[300:700, 300:900] += 50_000
    single = frame.astype(np.float32)
    slow = seconds(lambda: per_window(frame), 2)
    fast = seconds(lambda: homogeneity_map(frame, SIZE, STRIDE), 5)
    apart = float(np.abs(homogeneity_map(frame, SIZE, STRIDE) - per_window(frame)).max())
    figures = {
        "largest_difference": apart,
        "per_window_s": slow,
        "whole_frame_s": fast,
        "times_faster": slow / fast,
        "flatness_32_8_s": seconds(lambda: flatness_map(single, 32, 8), 3),
        "both_scores_32_8_s": seconds(lambda: score_windows(single, PatchSettings()), 3),
    }
    scores = score_windows(single, PatchSettings())
    figures["select_automatic_s"] = seconds(lambda: scores.select(None), 3)
    figures["select_strictness_s"] = seconds(lambda: scores.select(0.1), 3)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return int(apart > 1e-12 or slow < 20 * fast)


if __name__ == "__main__":
    sys.exit(main())
