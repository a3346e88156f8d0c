"""Quick stand-ins for the calculations, so that the window itself can be tested."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import uncorrelated
from training_core.noise.likeness import NoiseLikeness
from training_core.noise.match import NoiseMatch
from training_core.noise.strength_curve import NoiseCurve
from training_core.reporting.likeness import Likeness
from training_core.run import NoiseReady, PreviewReady, RoundJudged, Run, ShownRegion, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.first_look import Look
    from training_core.place import PatchLocation
    from training_core.settings import Settings
    from training_core.stack import Pixels, Stack, Values


@dataclass(frozen=True)
class FakeNoise:
    """White noise of std 5."""

    stabiliser: Stabiliser = field(default_factory=lambda: Stabiliser(scale=5.0))
    curve: NoiseCurve = field(default_factory=lambda: NoiseCurve(np.zeros(1), np.ones(1)))

    @property
    def autocorrelation(self) -> Values:
        return uncorrelated()


@dataclass(frozen=True)
class FakeChannel:
    """What the bench reads of a channel."""

    noise: FakeNoise = field(default_factory=FakeNoise)
    doubted: bool = False


@dataclass(frozen=True)
class FakeDenoiser:
    """What the window reads of a denoiser."""

    settings: Settings
    card: dict[str, Any] = field(default_factory=lambda: {"patches": 12})
    channels: tuple[FakeChannel, ...] = (FakeChannel(),)
    even_noise: None = None


def some_likeness() -> NoiseLikeness:
    """Give made noise that is like the real one."""
    picture, curve = np.zeros((50, 67), np.float32), np.ones((2, 9))
    match = NoiseMatch(1.0, 0.01, 0.01, 0.01)
    return NoiseLikeness(
        picture, picture, np.arange(9.0), curve, curve, curve, np.ones((2, 16)),
        np.arange(9.0), np.ones(9), curve, match,
    )  # fmt: skip


class FakeCore:
    """Stands for torch: trains until told to go on, and records what it was asked."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.may_end.set()
        self.error: Exception | None = None
        self.trained: list[Settings] = []
        self.saw_finish_early = False
        self.kept_in: list[Path] = []
        self.looked: list[tuple[int, str]] = []
        self.look_note = ""
        self.places: list[PatchLocation] = []
        self.kept: list[list[Look]] = []
        self.card: dict[str, Any] = {"patches": 12}
        self.alike = Likeness()

    def train(self, stack: Stack, settings: Settings, folder: Path, run: Run) -> FakeDenoiser:
        self.trained.append(settings)
        self.kept_in.append(folder)
        folder.mkdir(exist_ok=True)
        (folder / "job.part").touch()
        run.start(Stage.NOISE_MODEL, 10)
        run.emit(NoiseReady(0, 3, some_likeness()))
        run.progress(Stage.NOISE_MODEL, 5, 10, {"generator": 0.5, "critic": 0.7})
        self._wait(run)
        self.saw_finish_early = run.finish_early
        region = run.region or ShownRegion(0, 0, 0, 8, 8)
        patch = np.zeros((region.height, region.width), np.float32)
        run.emit(PreviewReady(Stage.FIRST_ESTIMATE, region, patch, patch))
        run.emit(RoundJudged(0, 7.5))
        run.start(Stage.ROUNDS, 10, "round 1 of 1")
        run.emit(PreviewReady(Stage.ROUNDS, region, patch, patch + 1))
        run.finish(Stage.NOISE_MODEL)
        if self.error is not None:
            raise self.error
        return FakeDenoiser(settings, self.card)

    def first_look(
        self,
        kept: list[Look],
        stack: Stack,
        settings: Settings,
        frame: int,
        place: PatchLocation,
        run: Run,
    ) -> Pixels:
        self.looked.append((frame, settings.device))
        self.places.append(place)
        self.kept.append(kept)
        while not self.may_end.wait(0.005):
            run.check()
        if self.error is not None:
            raise self.error
        if self.look_note:
            run.note(self.look_note, warning=True)
        return (stack.raw_frame(frame)[place.slices] // 2).astype(np.float32)

    def denoise(self, stack: Stack, denoiser: FakeDenoiser, run: Run) -> Stack:
        run.start(Stage.DENOISE, stack.frame_count)
        self._wait(run)
        run.finish(Stage.DENOISE)
        return stack.with_pixels(stack.pixels // 2)

    def compare_model(self, denoiser: FakeDenoiser, stack: Stack, run: Run) -> Likeness:
        return self.alike

    def _wait(self, run: Run) -> None:
        while not (self.may_end.wait(0.005) or run.finish_early):
            run.check()
