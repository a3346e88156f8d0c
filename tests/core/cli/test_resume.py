"""An interrupted job goes on to the very same weights and pixels, wherever it was interrupted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.support.made_up import QUICKEST, block, blurred_noise, denoiser, noise_model, stack
from training_core.batch.outputs import Existing
from training_core.compute import checkpoint
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise import tile, tiled
from training_core.errors import CheckpointError, InputError, OutputError
from training_core.networks import build as network_choice
from training_core.networks.published import Critic, DnCNN
from training_core.noise.adversarial import NoiseGame
from training_core.noise.match import NoiseMatch
from training_core.paper import gan as paper_gan
from training_core.paper.gan import AdversarialGame
from training_core.patches import smooth_patches
from training_core.pipeline import denoise_stack
from training_core.run import Cancelled, Note, Run, Stage, StageStarted
from training_core.selection.sure import Risk
from training_core.settings import PatchSettings, preset
from training_core.training import first_estimate
from training_core.training import pairs as noisy_pairs
from training_core.training.round import RoundTraining

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.pipeline import Outcome

pytestmark = pytest.mark.trains

STAGES = [Stage.PATCHES, Stage.NOISE_MODEL, Stage.FIRST_ESTIMATE, Stage.ROUNDS, Stage.DENOISE]


class PowerCutError(Exception):
    """Comes without a warning, so that nothing can be saved."""


class Interrupted(Run):
    """Ends at one of its checks, counted from when a stage or a round of it began."""

    def __init__(self, where: str, check: int, error: type[Exception] = Cancelled) -> None:
        super().__init__(self._look)
        self.where, self.left, self.error = where, check, error
        self.here = False

    def _look(self, event: object) -> None:
        if isinstance(event, StageStarted):
            self.here = self.where in (event.stage, event.detail)

    def check(self) -> None:
        self.left -= self.here
        if self.here and self.left <= 0:
            raise self.error


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes time: many copies, wide networks, the clock.

    And let the game be played and all rounds be taken, so that there is something to interrupt.
    """
    wide = paper_gan.paper_network

    def paper_network(kind: str, depth: int = 17, *, sigmoid: bool = False) -> torch.nn.Module:
        return DnCNN(depth, 8, sigmoid=sigmoid) if kind == "dncnn" else wide(kind, sigmoid=sigmoid)

    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(noisy_pairs, "MOST_COPIES", 2)
    monkeypatch.setattr(paper_gan, "paper_network", paper_network)
    monkeypatch.setattr(paper_gan, "Critic", lambda: Critic(16))
    monkeypatch.setattr(network_choice, "paper_network", paper_network)
    monkeypatch.setattr(Risk, "gain_over", lambda *_: (99.0, 0.0))
    monkeypatch.setattr(NoiseMatch, "good", False)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what was really computed, stage by stage."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        work = getattr(owner, name)

        def wrapper(*args: Any, **more: Any) -> Any:
            made = work(*args, **more)
            counts[name if owner is not RoundTraining else "round step"] += 1
            return made

        monkeypatch.setattr(owner, name, wrapper)

    counted(smooth_patches, "score_windows")
    counted(NoiseGame, "step")
    counted(AdversarialGame, "step")
    counted(first_estimate, "first_estimate")
    counted(RoundTraining, "step")
    counted(tile, "denoise_tile")
    return counts


def robust() -> tuple[Any, Any]:
    clean = np.stack([block(64, 64, 100, 300), block(64, 64, 2000, 2500)])
    noisy = clean + np.array([8.0, 60.0])[:, None, None] * blurred_noise(clean.shape, 0.0, 3)
    settings = replace(
        QUICKEST,
        denoiser=replace(
            QUICKEST.denoiser, rounds=2, steps=5, collaborate=False, even_flat_areas=True
        ),
    )
    return stack(noisy.astype(np.float32), "CYX"), settings


def paper() -> tuple[Any, Any]:
    clean = np.full((4, 88, 72), 500.0)
    clean[:, :, 40:] = 515.0
    noisy = clean + 30.0 * blurred_noise(clean.shape, 0.0, 8)
    settings = preset("paper", device="cpu")
    settings = replace(
        settings,
        patches=PatchSettings(strictness=0.6, patch_size_px=64, stride_px=4),
        noise_model=replace(settings.noise_model, steps=3, batch=2, critic_steps=1),
        denoiser=replace(settings.denoiser, rounds=2, steps=3, batch=2, averaging=0.5),
    )
    return stack(np.rint(noisy).astype(np.uint16), "ZYX"), settings


JOBS = {"robust": robust, "paper": paper}
# Where and at which check each attempt ends: between stages, in the middle and near the end.
ENDS = {
    "robust": [
        (Stage.PATCHES, 2),
        (Stage.NOISE_MODEL, 3),
        (Stage.NOISE_MODEL, 5),
        (Stage.FIRST_ESTIMATE, 1),
        (Stage.FIRST_ESTIMATE, 40),
        ("round 1 of 2", 7),
        ("round 1 of 2", 8),
        ("round 2 of 2", 1),
        ("round 2 of 2", 8),
        (Stage.DENOISE, 2),
    ],
    "paper": [
        (Stage.PATCHES, 2),
        (Stage.NOISE_MODEL, 3),
        (Stage.NOISE_MODEL, 2),
        ("round 1 of 2", 3),
        ("round 1 of 2", 3),
        ("round 2 of 2", 1),
        ("round 2 of 2", 4),
        (Stage.DENOISE, 3),
    ],
}


def everything_of(outcome: Outcome) -> dict[str, Any]:
    """Give all numbers of a result, for a comparison to the last bit."""
    made = outcome.denoiser
    found = {f"network.{name}": v for name, v in made.network.state_dict().items()}
    for number, channel in enumerate(made.channels):
        weights = channel.noise.generator.state_dict()
        found |= {f"{number}.{name}": values for name, values in weights.items()}
        found[f"{number}.covariance"] = torch.from_numpy(channel.noise.covariance)
        found[f"{number}.sigmas"] = torch.from_numpy(channel.noise.curve.sigmas)
        found[f"{number}.shifts"] = torch.from_numpy(channel.brightness.shifts)
        if channel.flat_areas:
            kept = channel.flat_areas.to_tensors()
            found |= {f"{number}.flat.{name}": values for name, values in kept.items()}
    found["pixels"] = torch.from_numpy(np.asarray(outcome.denoised.pixels, np.float64))
    return found | {key: made.card[key] for key in ("rounds", "chosen_round", "noise", "patches")}


def assert_same(one: Outcome, other: Outcome) -> None:
    mine, theirs = everything_of(one), everything_of(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        same = torch.equal(value, theirs[name]) if torch.is_tensor(value) else value == theirs[name]
        assert same, name


def finish_in_pieces(job: str, folder: Path, error: type[Exception], every_s: float) -> Outcome:
    noisy, settings = JOBS[job]()
    for where, check in ENDS[job]:
        torch.manual_seed(check)  # whatever others draw must not matter
        run = Interrupted(where, check, error)
        with pytest.raises(error):
            denoise_stack(noisy, settings, run=run, checkpoint=Checkpoint(folder, every_s=every_s))
    return denoise_stack(noisy, settings, checkpoint=Checkpoint(folder))


@pytest.mark.parametrize("job", JOBS)
def test_interrupted_again_and_again_nothing_differs(
    job: str, tmp_path: Path, computed: Counter[str]
) -> None:
    whole = denoise_stack(*JOBS[job]())
    needed = computed.copy()
    computed.clear()

    made = finish_in_pieces(job, tmp_path / "cancelled", Cancelled, np.inf)
    assert_same(made, whole)
    assert computed == needed  # a cancelled job had all of it saved
    computed.clear()

    made = finish_in_pieces(job, tmp_path / "power cut", PowerCutError, 0.0)
    assert_same(made, whole)
    lost = computed.total() - needed.total()
    assert 0 < lost <= len(ENDS[job])  # at most a step each time


def test_noise_of_few_far_values_is_learned_again_to_the_same(tmp_path: Path) -> None:
    rng, clean = np.random.default_rng(0), block(128, 128, 200.0, 800.0)
    few = rng.random(clean.shape) < 0.1
    noisy = clean + np.where(few, rng.uniform(-80.0, 80.0, clean.shape), rng.normal(size=few.shape))
    given = stack(noisy.astype(np.float32))
    network = replace(QUICKEST.denoiser, network="pretrained", rounds=2, steps=4)
    settings = replace(QUICKEST, denoiser=network)
    whole = denoise_stack(given, settings)
    assert whole.denoiser.card["heavy_tails"] == [1]
    run = Interrupted("round 2 of 2", 3, PowerCutError)
    with pytest.raises(PowerCutError):
        denoise_stack(given, settings, run=run, checkpoint=Checkpoint(tmp_path / "cut"))
    made = denoise_stack(given, settings, checkpoint=Checkpoint(tmp_path / "cut"))
    assert_same(made, whole)
    noises = [outcome.denoiser.channels[0].noise.generator for outcome in (made, whole)]
    assert torch.equal(*(noise.state_dict()["patches"] for noise in noises))


def claim(output: Path, existing: Existing, seed: int, error: Exception | None = None) -> None:
    """Begin a job, which fails before it has done anything where there is an error."""
    with existing.checkpoint(output, Run()) as kept:
        kept.claim({"seed": seed})
        if error is not None:
            raise error


def test_an_overwriting_job_killed_at_once_is_not_taken_for_its_old_output(tmp_path: Path) -> None:
    output, resume = tmp_path / "clean.tif", Existing(resume=True)
    output.write_text("old")
    assert resume.is_finished(output)
    with pytest.raises(PowerCutError):
        claim(output, Existing(overwrite=True), 5, PowerCutError())
    assert not resume.is_finished(output)
    with pytest.raises(CheckpointError, match="seed was 5, not 6"):
        claim(output, resume, 6)
    claim(output, resume, 5)
    assert resume.is_finished(output)


def test_a_job_refused_before_it_did_anything_leaves_nothing_to_resume(tmp_path: Path) -> None:
    output, refused = tmp_path / "clean.tif", InputError("It has two channels.")
    with pytest.raises(InputError):
        claim(output, Existing(), 5, refused)
    with pytest.raises(PowerCutError):
        claim(output, Existing(), 5, PowerCutError())
    with pytest.raises(InputError):
        claim(output, Existing(resume=True), 5, refused)
    with pytest.raises(OutputError, match="keeps an interrupted job"):  # it was there before
        claim(output, Existing(), 5)


def denoise_tiles(folder: Path, run: Run, tile_px: int = 32) -> np.ndarray[Any, Any]:
    clean = block(64, 96, 200.0, 800.0)
    noisy = stack((clean + blurred_noise((3, 64, 96), 0.0, 2)).astype(np.float32), "ZYX")
    made = denoiser(noise_model(), collaborate=False)
    kept = Checkpoint(folder, every_s=0.0, run=run)
    return np.asarray(tiled.denoise(noisy, made, run=run, tile_px=tile_px, checkpoint=kept).pixels)


@pytest.mark.parametrize("tile", [2, 7, 15])
def test_denoising_goes_on_in_the_middle_of_a_frame(
    tmp_path: Path, tile: int, computed: Counter[str]
) -> None:
    whole = denoise_tiles(tmp_path / "whole", Run())
    computed.clear()
    with pytest.raises(PowerCutError):
        denoise_tiles(tmp_path / "cut", Interrupted(Stage.DENOISE, tile, PowerCutError))
    # By now there is memory for larger tiles, which are not those that were counted.
    assert np.array_equal(denoise_tiles(tmp_path / "cut", Run(), tile_px=64), whole)
    assert computed["denoise_tile"] == 18 + 1


def noted() -> tuple[list[str], Run]:
    notes: list[str] = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    return notes, run


def test_lost_pixels_are_made_again(tmp_path: Path) -> None:
    whole = denoise_tiles(tmp_path, Run())
    path = tmp_path / "denoised.pixels"
    path.write_bytes(path.read_bytes()[:1000])
    notes, run = noted()
    assert np.array_equal(denoise_tiles(tmp_path, run), whole)
    assert len(notes) == 1
    assert "denoised.pixels is damaged and left out" in notes[0]


def test_from_the_first_changed_frame_on_all_is_made_again(
    tmp_path: Path, computed: Counter[str]
) -> None:
    whole = denoise_tiles(tmp_path, Run())
    computed.clear()
    path = tmp_path / "denoised.pixels"
    changed = bytearray(path.read_bytes())
    changed[4 * 64 * 96 + 5] ^= 1  # in the second of three frames of six tiles
    path.write_bytes(changed)
    notes, run = noted()
    assert np.array_equal(denoise_tiles(tmp_path, run), whole)
    assert len(notes) == 1
    assert "its pixels have changed on the disk" in notes[0]
    assert computed["denoise_tile"] == 12
    notes, run = noted()
    assert np.array_equal(denoise_tiles(tmp_path, run), whole)  # and kept anew
    assert (notes, computed["denoise_tile"]) == ([], 12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"done": 10**6},
        {"done": -1},
        {"tile_px": 0},
        {"tile_px": -32},
        {"checks": []},
        {"checks": [0] * 99},
        {"done": 8, "layers": None},
        {"tile_px": None},
    ],
)
def test_what_a_checkpoint_says_is_held_against_what_it_holds(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(PowerCutError):
        denoise_tiles(tmp_path, Interrupted(Stage.DENOISE, 9, PowerCutError))
    part = Checkpoint(tmp_path).part("denoised")
    state = part.load()
    assert state is not None
    assert len(state["checks"]) == 1
    part.save(state | wrong)
    notes, run = noted()
    assert np.array_equal(denoise_tiles(tmp_path, run), denoise_tiles(tmp_path / "whole", Run()))
    assert len(notes) == 1
    assert "damaged and left out" in notes[0]


def test_killed_while_the_checkpoint_is_removed_nothing_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, resume = tmp_path / "clean.tif", Existing(resume=True)

    def killed(_kept: Checkpoint) -> None:
        raise PowerCutError

    for existing in (resume, Existing()):
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "remove", killed)
            with pytest.raises(PowerCutError):
                claim(output, Existing(), 5)
        output.touch()
        if existing.resume:
            assert resume.is_finished(output)
        claim(output, existing, 5)  # which is no interrupted job
        assert list(tmp_path.iterdir()) == [output]
