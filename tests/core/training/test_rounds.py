"""Noisy pairs, the blind score, and the rounds that rest on both."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.made_up import (
    CPU,
    Identity,
    blurred_noise,
    denoiser,
    noise_model,
    scene,
    squared_error,
    with_published_noise,
)
from training_core.compute.checkpoint import NO_CHECKPOINT, NO_PART, Checkpoint
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.errors import SettingsError
from training_core.noise.anscombe import Stabiliser
from training_core.place import ALL, FLIPS, TrainingRegion, turn, turn_back
from training_core.run import Cancelled, Note, PreviewReady, Run, ShownRegion, Stage, StepsDone
from training_core.selection import choice
from training_core.selection.choice import RoundResult, best_round, doubt_of
from training_core.selection.sure import Risk, RiskEstimator, estimates_of
from training_core.settings import DenoiserSettings, Settings
from training_core.training import round as round_training
from training_core.training.calibrate import brightness_curve
from training_core.training.pairs import PreparedPairs, estimate_all, synthetic_pairs
from training_core.training.round import RoundTraining
from training_core.training.rounds import train_rounds
from training_core.training.task import Task

PLAIN = {"collaborate": False}
SHORT = {**PLAIN, "rounds": 2, "steps": 6, "batch": 2, "crop_px": 32}


def blind_error(denoiser, noisy):
    """Give the error that is estimated, as a fraction of the noise's variance."""
    judge = RiskEstimator(noisy, 0, denoiser.device)
    return judge.judge(estimates_of(denoiser, Run()), Run())[0].error


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def images(blur=0.0, shape=(96, 96), seed=1):
    """Give a clean and a noisy image in units of the noise."""
    clean = scene(*shape, 0.0, 15.0)
    return clean, clean + blurred_noise(shape, blur, seed)


def estimate(image, channel):
    return Region(torch.from_numpy(np.asarray(image, np.float32)), channel)


@pytest.mark.parametrize("way", ALL)
def test_turning_back_undoes_turning(way):
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert torch.equal(turn_back(turn(image, way), way), image)
    assert (turn(image, way).shape == image.shape) == (way in FLIPS)


def test_all_eight_ways_differ():
    image = torch.arange(4.0).reshape(2, 2)
    assert len({tuple(turn(image, way).flatten().tolist()) for way in ALL}) == 8


def batch_of(chosen, regions, settings, seed=0):
    """Give a batch of noisy copies of the regions."""
    drawn = draw(seed)
    pairs = synthetic_pairs(chosen, [], regions, drawn, Run())
    return PreparedPairs(pairs, drawn, CPU).batch(settings)


@pytest.mark.parametrize("targets", ["estimate", "noisy"])
def test_pairs_are_the_estimate_with_fresh_noise(targets):
    clean, _ = images()
    chosen = denoiser(
        noise_model(), mean=4.0, spread=2.0, network="dncnn", targets=targets, **PLAIN
    )
    chosen.channels[0].noise.generator.hold_scale(draw())
    settings = DenoiserSettings(batch=64, crop_px=40)
    sources, found = batch_of(chosen, [estimate(clean, chosen.channels[0])], settings, seed=1)
    assert sources.shape == found.shape == (64, 1, 40, 40)
    difference = (sources - found) * 2.0
    expected = 1.0 if targets == "estimate" else math.sqrt(2)
    assert float(difference.std()) == pytest.approx(expected, rel=0.05)
    back = found * 2.0 + 4.0
    if targets == "estimate":  # crops of the estimate, in the range of the network
        values = clean.astype(np.float32)
        assert np.abs(back.numpy().ravel()[:, None] - np.unique(values)).min(axis=1).max() < 1e-5


def test_pairs_of_the_compact_network_carry_the_filters_estimate():
    clean, _ = images()
    chosen = denoiser(noise_model(), mean=4.0, spread=2.0, **PLAIN)
    settings = DenoiserSettings(batch=32, crop_px=48)
    sources, targets = batch_of(chosen, [estimate(clean, chosen.channels[0])], settings)
    assert sources.shape == (32, 2, 48, 48)
    noisy, filtered = sources[:, :1], sources[:, 1:]
    assert float((noisy - targets).square().mean()) > 5 * float(
        (filtered - targets).square().mean()
    )


def test_small_regions_give_small_crops():
    chosen = denoiser(noise_model(), **PLAIN)
    regions = [estimate(np.zeros(shape), chosen.channels[0]) for shape in ((20, 90), (70, 50))]
    sources, _ = batch_of(chosen, regions, DenoiserSettings(crop_px=64))
    assert sources.shape[-2:] == (20, 20)


def test_pairs_follow_the_seed():
    chosen = denoiser(noise_model(), **PLAIN)
    region = [estimate(images()[0], chosen.channels[0])]
    batches = [batch_of(chosen, region, DenoiserSettings(), seed) for seed in (0, 0, 1)]
    assert torch.equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][0], batches[2][0])


@pytest.mark.parametrize("blur", [0.0, 0.7])
@pytest.mark.parametrize("trained", [False, True])
def test_the_blind_error_is_near_the_true_one(blur, trained):
    clean, noisy = images(blur, (192, 192))
    chosen = denoiser(noise_model(blur), mean=5.0, spread=4.0, **PLAIN)
    if not trained:
        torch.nn.init.zeros_(chosen.network.layers[-1].weight)
        torch.nn.init.zeros_(chosen.network.layers[-1].bias)
    region = estimate(noisy, chosen.channels[0])
    blind = blind_error(chosen, [region])
    true = squared_error(chosen.estimate(region.image, region.channel), clean)
    # of the noise's variance, 1; the noise itself averages to no better than this
    assert blind == pytest.approx(true, abs=0.03 if not blur else 0.06)


def test_the_blind_error_ranks_filters():
    _, noisy = images(0.0, (128, 128))
    good = denoiser(noise_model(), mean=5.0, spread=4.0, **PLAIN)
    torch.nn.init.zeros_(good.network.layers[-1].weight)
    torch.nn.init.zeros_(good.network.layers[-1].bias)
    nothing = replace(denoiser(noise_model(), **PLAIN), network=Identity())
    errors = [blind_error(d, [estimate(noisy, d.channels[0])]) for d in (good, nothing)]
    assert errors[0] < 0.2
    assert errors[1] == pytest.approx(1.0, abs=0.03)  # all of the noise is left


def test_regions_in_main_memory_are_brought_to_the_denoiser(monkeypatch):
    _, noisy = images(shape=(40, 40))
    chosen = replace(denoiser(noise_model(), **PLAIN), device=torch.device("meta"))
    asked = []

    def estimated(_, image, *__):
        asked.append(image.device)
        return torch.zeros(40, 40)

    monkeypatch.setattr(Denoiser, "estimate", estimated)
    region = estimate(noisy, chosen.channels[0])
    (made,) = estimate_all(chosen, [region], NO_PART, Run())
    assert (asked, made.image.device.type) == ([chosen.device], "cpu")
    with pytest.raises(NotImplementedError, match="meta"):  # which gives no values back
        blind_error(chosen, [region])


def test_every_channel_is_judged():
    _, noisy = images()
    quiet, loud = Channel(noise_model()), Channel(noise_model())
    regions = [estimate(noisy, quiet)] * 5 + [estimate(noisy, loud)]
    asked = []

    def nothing(region):
        asked.append(region.channel)
        return region.image

    RiskEstimator(regions, 0, CPU).judge(nothing, Run())
    assert quiet in asked
    assert loud in asked
    assert len(asked) == 2 * (4 + 1)  # as many crops of each as there are, of eight in all


def test_the_blind_error_of_the_published_noise():
    clean = np.full((150, 130), 0.5)
    chosen = with_published_noise(denoiser(noise_model(), network="dncnn", **PLAIN))
    chosen = replace(chosen, network=Identity())
    noise = chosen.channels[0].noise
    made = noise.sample(1, 150, 130, draw(3)) * 0.1
    noise.curve.sigmas[0] = float(made.square().mean().sqrt())
    noisy = estimate(clean + made[0, 0].numpy(), chosen.channels[0])
    # the probe is the noise that g1 makes, so that identity leaves all of it
    assert blind_error(chosen, [noisy]) == pytest.approx(1.0, abs=0.25)


def test_brightness_that_moved_is_put_back():
    rng = np.random.default_rng(2)
    clean = np.tile(np.linspace(100.0, 1000.0, 256), (256, 1))
    regions, estimates = [], []
    channel = Channel(noise_model(0.0, Stabiliser(scale=20.0)))
    for _ in range(2):
        values = (clean + rng.normal(0, 20.0, clean.shape)).astype(np.float32)
        regions.append(TrainingRegion(0, values))
        moved = 0.95 * clean + 10.0
        estimates.append(torch.from_numpy(channel.noise.stabiliser.forward(moved)))
    curve = brightness_curve(regions, estimates, channel)
    inside = np.linspace(180.0, 920.0, 20)
    assert np.abs(curve(0.95 * inside + 10.0) - inside).max() < 2.0
    right = [torch.from_numpy(channel.noise.stabiliser.forward(clean))] * 2
    assert np.abs(brightness_curve(regions, right, channel).shifts).max() < 0.7


def test_brightness_of_an_even_image():
    values = np.random.default_rng(3).normal(50.0, 5.0, (40, 40)).astype(np.float32)
    channel = Channel(noise_model(0.0, Stabiliser(scale=5.0)))
    flat = torch.full((40, 40), 9.0)  # 45 in stack units
    curve = brightness_curve([TrainingRegion(0, values)], [flat], channel)
    assert curve(np.array([45.0]))[0] == pytest.approx(values.mean(), abs=0.01)


def train(
    seed=0,
    run=None,
    preview=None,
    judge=None,
    recorded=False,
    checkpoint=NO_CHECKPOINT,
    **changes,
):
    """Train a small network for a few steps from the clean image as first estimate."""
    clean, noisy = images(shape=(64, 64) if judge else (96, 96))
    chosen = denoiser(noise_model(), mean=5.0, spread=4.0, seed=seed, **{**SHORT, **changes})
    settings = Settings(seed=seed, device="cpu", denoiser=chosen.settings.denoiser)
    chosen = replace(chosen, settings=settings)
    channel = chosen.channels[0]
    regions = [estimate(noisy, channel)]
    return train_rounds(
        chosen,
        regions,
        [estimate(clean, channel)],
        judge or RiskEstimator(regions, seed, CPU),
        Task(settings, CPU, run or Run(), checkpoint),
        preview=preview,
        recorded=recorded,
    )


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def final(trained):
    """Give the weights that a training settled on."""
    return weights(trained.denoiser.network)


def of_rounds(trained):
    """Give the weights after each round."""
    return {number: weights(network) for number, network in trained.history.items()}


@pytest.mark.trains
def test_same_seed_same_weights():
    first, second, other = (final(train(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("network", ["compact", "dncnn", "unet"])
def test_one_result_for_every_round(network):
    events = []
    trained = train(run=Run(events.append), network=network, rounds=1, steps=2)
    assert [r.round for r in trained.results] == ([0, 1] if network == "compact" else [1])
    assert not trained.denoiser.network.training
    done = [event for event in events if isinstance(event, StepsDone)]
    assert (done[-1].stage, done[-1].done, done[-1].total) == (Stage.ROUNDS, 2, 2)
    assert all(math.isfinite(event.losses["denoiser"]) for event in done)


@pytest.mark.trains
def test_training_brings_the_loss_down():
    losses = []

    def follow(event):
        if isinstance(event, StepsDone):
            losses.append(event.losses["denoiser"])

    run = Run(follow)
    run.tick_due = lambda: True  # type: ignore[method-assign]
    train(run=run, network="dncnn", rounds=1, steps=30, learning_rate=2e-3, batch=4)
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.4 * np.mean(losses[:3])


class Told(RiskEstimator):
    """Gives the scores it was told, one for each round, and remembers what it judged."""

    def __init__(self, *errors):
        self.errors, self.trials, self.power = list(errors), [], 1.0
        self.asked = 0

    def judge(self, estimator, run):
        self.asked += 1
        error = self.errors.pop(0) if self.errors else 0.5
        return Risk(np.full(4, error)), []


@pytest.fixture
def without_warnings(monkeypatch):
    monkeypatch.setattr(choice, "find_warnings", lambda *_, **__: ())


@pytest.mark.usefixtures("without_warnings")
def test_the_best_round_is_kept():
    trained = train(rounds=3, judge=Told(0.5, 0.2, 0.19, 0.3))
    assert [result.error for result in trained.results] == [0.5, 0.2, 0.19, 0.3]
    kept = of_rounds(trained)
    assert sorted(kept) == [0, 1, 2, 3]
    assert torch.equal(final(trained), kept[2])
    assert not torch.equal(kept[2], kept[1])
    assert not torch.equal(kept[2], kept[3])


@pytest.mark.usefixtures("without_warnings")
@pytest.mark.parametrize(("photons", "chosen"), [(None, 1), (object(), 2)])
def test_of_equal_rounds_the_later_is_kept_where_photons_are_few(photons, chosen):
    judge = Told(0.5, 0.2, 0.1999)
    judge.trials = [SimpleNamespace(photons=photons, noisy=estimate(0, Channel(noise_model())))]
    trained = train(rounds=3, judge=judge)
    assert [result.round for result in trained.results] == [0, 1, 2]
    assert best_round(trained.results) == chosen
    assert torch.equal(final(trained), of_rounds(trained)[chosen])


@pytest.mark.usefixtures("without_warnings")
@pytest.mark.parametrize(
    ("errors", "chosen", "share"),
    [
        ((0.5, 0.4, 0.45, 0.3, 0.31, 0.2), 1, 0.0),  # shares 1, 1/2 and 0 of rounds 0 and 1
        ((0.5, 0.2, 0.45, 0.3, 0.31, 0.4), 0, 0.5),
    ],
)
def test_the_share_of_the_last_pass_is_that_of_the_best_round(errors, chosen, share):
    notes = []
    trained = train(rounds=1, judge=Told(*errors), collaborate=True, run=Run(notes.append), steps=2)
    assert best_round(trained.results) == chosen
    assert trained.denoiser.collaboration == share
    of_best = dict(zip(("1.0", "0.5", "0.0"), errors[3 * chosen :][:3], strict=True))
    assert trained.share == {"share": share, "errors": of_best}
    assert any("Noise power left by the blind score" in n.text for n in notes if type(n) is Note)


@pytest.mark.usefixtures("without_warnings")
@pytest.mark.parametrize(
    ("errors", "rounds"),
    [((0.5, 0.2, 0.199, 0.1), 3), ((0.5, 0.2, 0.1995, 0.1), 2), ((0.5, 0.6, 0.1), 1)],
)
def test_rounds_end_when_one_gains_less_than_a_fiftieth_of_a_decibel(errors, rounds):
    events = []
    trained = train(rounds=3, judge=Told(*errors), run=Run(events.append))
    assert len(trained.results) == 1 + rounds
    assert trained.share == {}  # there is no last pass, so nothing to choose
    steps = [event for event in events if isinstance(event, StepsDone)]
    assert (steps[-1].done, steps[-1].total) == (18, 18)
    told = [e.text for e in events if isinstance(e, Note) if "Training ended" in e.text]
    assert len(told) == (rounds < 3)


def test_an_earlier_round_is_kept_when_as_good():
    assert best_round([RoundResult(0, 0.1001), RoundResult(1, 0.1), RoundResult(2, 0.0999)]) == 0
    assert best_round([RoundResult(0, 0.101), RoundResult(1, 0.1), RoundResult(2, 0.0999)]) == 1


def test_a_round_that_diverged_is_never_kept():
    nothing = float("nan")
    assert best_round([RoundResult(0, nothing), RoundResult(1, 0.3), RoundResult(2, nothing)]) == 1
    with pytest.raises(SettingsError, match="diverged; choose a smaller learning rate"):
        best_round([RoundResult(1, nothing)])


def warned(number, error):
    return RoundResult(number, error, warnings=("it takes structure",))


def test_a_warning_rules_no_round_out():
    assert best_round([RoundResult(0, 0.3), warned(1, 0.1)]) == 1
    assert best_round([warned(0, 0.1), RoundResult(1, 0.3)]) == 0
    assert best_round([warned(0, 0.3), warned(1, 0.1)]) == 1
    assert best_round([warned(0, math.nan), warned(1, 1.2)]) == 1


@pytest.mark.parametrize(("error", "chosen"), [(0.2, True), (0.6, False)])
def test_a_warning_is_told_with_its_reason(monkeypatch, error, chosen):
    made = iter([(), ("it takes structure",)])
    monkeypatch.setattr(choice, "find_warnings", lambda *_, **__: next(made))
    events = []
    trained = train(rounds=1, judge=Told(0.5, error), run=Run(events.append))
    (told,) = (event for event in events if isinstance(event, Note) and "structure" in event.text)
    warnings = [result.to_dict()["warnings"] for result in trained.results]
    assert warnings == [[], ["it takes structure"]]
    assert told.warning == chosen
    assert told.text.startswith(
        "Round 1, which is chosen, may do harm by the blind checks: it takes structure."
        if chosen
        else "Round 1, which is not chosen, may do harm: it takes structure."
    )
    assert torch.equal(final(trained), of_rounds(trained)[int(chosen)])


@pytest.mark.usefixtures("without_warnings")
def test_a_round_takes_all_its_steps_and_ends_with_the_averaged_weights(monkeypatch):
    seen, events, step = [], [], RoundTraining.step

    def watched(training):
        step(training)
        seen.append([weights(n) for n in (training.kept, training.trained)])

    monkeypatch.setattr(RoundTraining, "step", watched)
    judge = Told(0.5, 0.4)
    trained = train(rounds=1, steps=8, judge=judge, averaging=0.3, run=Run(events.append))
    assert [result.error for result in trained.results] == [0.5, 0.4]
    assert judge.asked == 2  # before the round and after it
    assert len(seen) == 8
    kept, _ = seen[-1]
    assert torch.equal(final(trained), kept)
    torch.testing.assert_close(kept, 0.3 * seen[-2][0] + 0.7 * seen[-1][1])
    assert not any(torch.equal(kept, other) for pair in seen[:-1] for other in pair)
    last = [event for event in events if isinstance(event, StepsDone)][-1]
    assert (last.done, last.total) == (8, 8)


def test_scores_in_decibels():
    assert RoundResult(1, 0.1, 0.01).to_dict() == {
        "round": 1,
        "error": 0.1,
        "range": 0.01,
        "score": 10.0,
        "warnings": [],
    }
    assert "doubt" not in RoundResult(1, 0.1, doubt=0.25).to_dict()
    assert RoundResult(1, -0.01).to_dict()["score"] is None  # better than the estimate can tell


def test_finish_early_keeps_what_there_is():
    events = []
    run = Run(events.append)
    run.stop_and_keep()
    trained = train(run=run, rounds=3, steps=50)
    assert [result.round for result in trained.results] == [0, 1]
    assert [e.done for e in events if isinstance(e, StepsDone)] == [1]
    assert torch.isfinite(final(trained)).all()


def test_rounds_can_be_cancelled():
    run = Run(lambda event: run.cancel() if isinstance(event, StepsDone) else None)
    with pytest.raises(Cancelled):
        train(run=run)


def test_recorded_pairs_are_learned_in_one_round_that_nothing_judges():
    events = []
    run = Run(events.append)
    trained = train(run=run, recorded=True, rounds=3, steps=20)
    assert [result.round for result in trained.results] == [1]
    assert list(trained.history) == [1]
    assert trained.denoiser.collaboration == 1.0
    assert {e.total for e in events if isinstance(e, StepsDone)} == {20}
    early = Run()
    early.stop_and_keep()
    trained = train(run=early, recorded=True, rounds=3, steps=20)
    assert [result.round for result in trained.results] == [1]


@pytest.mark.trains
def test_recorded_pairs_bring_the_image_to_its_estimate():
    clean, noisy = images()
    untrained, learned = (
        train(recorded=recorded, rounds=1, steps=steps, learning_rate=3e-3).denoiser
        for recorded, steps in ((False, 1), (True, 60))
    )
    image = torch.from_numpy(noisy).float()
    before, after = (
        squared_error(one.network_pass(image, one.channels[0]).numpy(), clean)
        for one in (untrained, learned)
    )
    assert after < 0.9 * before


@pytest.mark.trains
def test_recorded_pairs_go_on_where_they_were(tmp_path):
    class Stopped(Run):
        left = 9

        def check(self):
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    def kept():
        made = Checkpoint(tmp_path)
        made.claim({"job": 1})
        return made

    whole = train(recorded=True, rounds=3, steps=12)
    with pytest.raises(Cancelled):
        train(run=Stopped(), recorded=True, checkpoint=kept(), rounds=3, steps=12)
    for _ in range(2):  # from the middle, and once it is finished
        again = train(recorded=True, checkpoint=kept(), rounds=3, steps=12)
        assert torch.equal(final(again), final(whole))
        assert [result.round for result in again.results] == [1]


@pytest.mark.parametrize("schedule", ["cosine", "halving"])
def test_learning_rate(schedule):
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 1.0)
    settings = DenoiserSettings(network="compact", schedule=schedule, steps=90, learning_rate=0.01)
    rates = []
    for step in range(90):
        round_training.set_rate(optimiser, settings, step)
        rates.append(optimiser.param_groups[0]["lr"])
    if schedule == "halving":
        assert rates == [0.01] * 30 + [0.005] * 30 + [0.0025] * 30
    else:
        assert rates[8] == pytest.approx(0.01)
        assert np.all(np.diff(rates[:9]) > 0)
        assert np.all(np.diff(rates[9:]) < 0)
        assert rates[-1] < 1e-4


def test_previews_are_asked_for_while_training():
    asked = []

    def preview(chosen, region):
        asked.append((chosen.network.training, region))
        image = np.zeros((2, 2), np.float32)
        return PreviewReady(Stage.ROUNDS, region, image, image)

    events = []
    run = Run(events.append)
    run.watch(ShownRegion(0, 1, 2, 3, 4))
    train(run=run, preview=preview)
    assert asked[0] == (False, ShownRegion(0, 1, 2, 3, 4))
    assert len([event for event in events if isinstance(event, PreviewReady)]) == len(asked)


def doubted(number, error):
    return RoundResult(number, error, doubt=0.25)


def test_small_claims_are_not_believed_where_noise_is_correlated():
    start = RoundResult(0, 0.1)
    assert best_round([start, doubted(1, 0.098), doubted(2, 0.0945)]) == 0
    assert best_round([start, doubted(1, 0.094)]) == 1  # .27 dB
    assert best_round([start, doubted(1, 0.098), doubted(2, 0.093)]) == 2
    assert best_round([start, doubted(1, 0.0930), doubted(2, 0.0943)]) == 1
    assert best_round([start, RoundResult(1, 0.098)]) == 1
    assert best_round([RoundResult(0, -0.01), doubted(1, -0.0101)]) == 0
    # without round 0 there is nothing to go back to, while one with a warning is something
    assert best_round([doubted(1, 0.098), doubted(2, 0.0979)]) == 1
    assert best_round([warned(0, 0.1), doubted(1, 0.099)]) == 0


@pytest.mark.parametrize(("blur", "doubt"), [(0.0, 0.0), (0.8, 0.25)])
def test_correlation_leaves_room_for_doubt(blur, doubt):
    channel = Channel(noise_model(blur))
    pixels = torch.from_numpy(scene(96, 96) + 20 * blurred_noise((96, 96), blur, 3)).float()
    region = Region(pixels, channel)
    judge = RiskEstimator([region], 0, CPU)
    assert doubt_of(judge) == doubt
    assert doubt_of(RiskEstimator([region], 0, CPU, others=[[region]])) == 0.0
