"""Noise that proves to be stronger than it was learned, and rounds that go on with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import (
    CPU,
    Identity,
    blurred_noise,
    covariance,
    denoiser,
    noise_model,
    scene,
)
from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.noise.generator import ResampledNoise
from training_core.place import ALL, FLIPS
from training_core.run import Cancelled, Note, Run, StepsDone
from training_core.selection import choice
from training_core.selection.choice import RoundResult, best_round
from training_core.selection.sure import Risk, RiskEstimator
from training_core.training.remeasure import changed, is_too_weak, relearn
from training_core.training.rounds import train_rounds
from training_core.training.task import Task

LAGS = 15
STRENGTH = 1.2
SIDE = 192


class Average(Identity):
    """Gives the mean of 9 x 9 pixels: linear, so that what it does to noise is known."""

    halo_px = 4

    def forward(self, images):
        return torch.nn.functional.avg_pool2d(images[:, :1], 9, 1, 4)


def known(blur, kind="stationary"):
    """Give a model of blurred noise of std 1."""
    model = noise_model(blur)
    model.generator.hold_scale(torch.Generator().manual_seed(0))
    if kind == "patches":
        patches = blurred_noise((300, 32, 32), blur, 5).astype(np.float32)
        model = replace(model, generator=ResampledNoise.of(patches, ALL).eval())
    return model


def judged(model, blur, side=400, seed=2, clean=0.0, channel=None):
    """Give a judge that knows `model`, of noise of other blur and strength."""
    noisy = clean + STRENGTH * blurred_noise((side, side), blur, seed)
    region = Region(torch.from_numpy(noisy).float(), channel or Channel(model))
    return RiskEstimator([region], 0, CPU)


def averaging(*channels):
    chosen = denoiser(noise_model(), network="dncnn", collaborate=False)
    return replace(chosen, network=Average(), channels=channels)


def next_pixel(image):
    return float((image[:, 1:] * image[:, :-1]).mean() / image.square().mean())


@pytest.mark.parametrize("kind", ["stationary", "patches"])
def test_strength_and_correlation_are_found(kind):
    judge = judged(known(0.6, kind), 0.9)
    events = []
    before = judge.trials[0].noisy.channel
    relearned, again = relearn(averaging(before), judge, Run(events.append))
    assert list(relearned) == [before]
    assert before.noise.curve.sigmas.tolist() == [1.0]
    channel = relearned[before]
    assert (channel.mean, channel.spread) == (before.mean, before.spread)
    true = covariance(0.9)[LAGS, LAGS + 1]
    found = channel.noise.covariance
    assert found[LAGS, LAGS] == pytest.approx(1.0)
    assert found == pytest.approx(found[::-1, ::-1], abs=1e-6)
    assert found[LAGS, LAGS + 1] == pytest.approx(true, abs=0.05)
    assert found[LAGS + 1, LAGS] == pytest.approx(true, abs=0.05)
    assert abs(covariance(0.6)[LAGS, LAGS + 1] - true) > 0.2
    assert channel.noise.curve.sigmas == pytest.approx([STRENGTH], rel=0.03)
    made = channel.noise.sample(1, 400, 400, torch.Generator().manual_seed(1))[0, 0]
    assert float(made.std()) == pytest.approx(1.0, abs=0.03)
    assert next_pixel(made) == pytest.approx(true, abs=0.06)
    (note,) = events
    assert isinstance(note, Note)
    assert not note.warning
    stronger = float(channel.noise.curve.sigmas[0]) - 1
    assert f"{100 * stronger:.0f} % stronger than in the smooth patches" in note.text
    lags = (found[LAGS, LAGS + 1], found[LAGS + 1, LAGS], covariance(0.6)[LAGS, LAGS + 1])
    assert f"neighbouring pixels {max(lags[:2]):.2f} instead of {lags[2]:.2f}" in note.text
    told_in_words = {"stronger": stronger, "patches": lags[2], "now": max(lags[:2])}
    assert again == {"0": pytest.approx(told_in_words)}


@pytest.mark.parametrize("kind", ["stationary", "patches"])
def test_nothing_changes_where_the_noise_was_known(kind):
    model = known(0.8, kind)
    same = changed(model, np.ones((32, 32)))
    assert same.covariance == pytest.approx(model.covariance, abs=1e-9)
    assert same.curve.sigmas == pytest.approx(model.curve.sigmas)
    before, after = (
        next_pixel(m.sample(1, 300, 300, torch.Generator().manual_seed(1))[0, 0])
        for m in (model, same)
    )
    assert after == pytest.approx(before, abs=0.02)


def test_the_model_that_was_given_stays_as_it_was():
    model = known(0.8)
    kernel = model.generator.linear.weight.clone()
    changed(model, np.full((32, 32), 4.0))
    assert torch.equal(model.generator.linear.weight, kernel)


def test_every_channel_learns_its_own():
    blurs = (0.9, 0.7)
    regions = [judged(known(0.6), b, seed=n).trials[0].noisy for n, b in enumerate(blurs, 2)]
    judge = RiskEstimator(regions, 0, CPU)
    channels = [region.channel for region in regions]
    events = []
    relearned, again = relearn(averaging(*channels), judge, Run(events.append))
    for channel, blur in zip(channels, blurs, strict=True):
        found = relearned[channel].noise.covariance[LAGS, LAGS + 1]
        assert found == pytest.approx(covariance(blur)[LAGS, LAGS + 1], abs=0.08)
    assert [event.text[:10] for event in events] == ["Channel 1:", "Channel 2:"]
    assert sorted(again) == ["0", "1"]


def test_re_sampled_patches_are_turned_as_the_new_noise_allows():
    ratio = np.ones((32, 32))
    ratio[:, 8:25] = 4.0  # fine waves along x, not along y
    made = changed(known(0.8, "patches"), ratio)
    assert made.orientations == FLIPS
    assert made.generator.ways.tolist() == list(FLIPS)


@pytest.mark.parametrize("side", [24, 64, 150])
def test_small_images_cannot_tell(side):
    assert not is_too_weak(judged(known(0.8), 0.8, side=side), 1.5)


def test_only_correlated_noise_of_single_frames_can_be_too_weak():
    judge = judged(known(0.8), 0.8)
    assert is_too_weak(judge, 1.03)
    assert not is_too_weak(judge, 1.01)
    assert not is_too_weak(judged(known(0.0), 0.0), 1.03)
    region = judge.trials[0].noisy
    others = [[Region(region.image, region.channel)]]
    assert not is_too_weak(RiskEstimator([region], 0, CPU, others=others), 1.03)
    near = replace(region, neighbours=region.image[None])
    assert not is_too_weak(RiskEstimator([near], 0, CPU), 1.03)
    share = replace(region, strength=torch.full_like(region.image, 0.7))
    assert not is_too_weak(RiskEstimator([share], 0, CPU), 1.03)
    seen = [np.arange(region.image.shape[1]) < np.full(region.image.shape, 100)]
    assert not is_too_weak(RiskEstimator([region], 0, CPU, seen=seen), 1.03)


def train(run=None, checkpoint=NO_CHECKPOINT, **changes):
    """Train a small network on noise that is stronger than what is known of it."""
    clean = scene(SIDE, SIDE, 0.0, 15.0)
    noisy = clean + STRENGTH * blurred_noise((SIDE, SIDE), 0.9, 1)
    short = {"collaborate": False, "rounds": 2, "steps": 6, "batch": 2, "crop_px": 32}
    chosen = denoiser(known(0.7), mean=5.0, spread=4.0, **{**short, **changes})
    channel = chosen.channels[0]
    regions, first = (
        [Region(torch.from_numpy(image).float(), channel)] for image in (noisy, clean)
    )
    risk = RiskEstimator(regions, chosen.settings.seed, CPU)
    task = Task(chosen.settings, CPU, run or Run(), checkpoint)
    return train_rounds(chosen, regions, first, risk, task)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def noise_of(trained):
    """Give the noise as it is known in the end, alike to the denoiser and of the regions."""
    (channel,), (region,) = trained.denoiser.channels, trained.noisy
    assert region.channel is channel
    return channel.noise


@pytest.fixture
def too_weak(monkeypatch):
    """Let the network take more than the learned noise from calm places, whatever it learned."""
    monkeypatch.setattr(choice, "calm_residual", lambda *_: 1.1)
    monkeypatch.setattr(choice, "find_warnings", lambda *_, **__: ())


def told(events):
    return [e.text for e in events if isinstance(e, Note) and "% stronger than" in e.text]


@pytest.mark.trains
@pytest.mark.usefixtures("too_weak")
def test_rounds_go_on_with_the_stronger_noise_and_are_all_judged_by_it():
    events, first = [], []

    def follow(event):
        events.append(event)
        if told([event]):
            first.append(True)

    judge = RiskEstimator.judge
    scores = {False: [], True: []}

    def watched(self, estimator, run):
        score, made = judge(self, estimator, run)
        scores[bool(first)].append(score.error)
        return score, made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskEstimator, "judge", watched)
        trained = train(Run(follow), rounds=3)
    assert len(told(events)) == 1  # once, though it never seems strong enough
    assert noise_of(trained).curve.sigmas[0] > 1.05
    assert list(trained.noise_again) == ["0"]
    assert trained.noise_again["0"]["stronger"] > 0.05
    assert [result.round for result in trained.results][:2] == [0, 1]
    assert [result.error for result in trained.results][:2] == scores[True][:2]
    assert scores[True][0] not in scores[False]


@pytest.mark.trains
def test_rounds_keep_noise_that_is_strong_enough(monkeypatch):
    monkeypatch.setattr(choice, "calm_residual", lambda *_: 1.0)
    events = []
    trained = train(Run(events.append))
    assert not told(events)
    assert not trained.noise_again
    assert noise_of(trained).curve.sigmas[0] == 1.0


@pytest.mark.trains
@pytest.mark.usefixtures("too_weak")
@pytest.mark.parametrize("when", ["told", "in round 2"])
def test_what_was_interrupted_goes_on_with_the_same_noise(tmp_path, when):
    def kept():
        made = Checkpoint(tmp_path)
        made.claim({"job": 1})
        return made

    def follow(event):
        here = told([event]) if when == "told" else isinstance(event, StepsDone) and event.done == 8
        if here:
            run.cancel()

    run = Run(follow)
    run.tick_due = lambda: True  # type: ignore[method-assign]
    whole = train()
    with pytest.raises(Cancelled):
        train(run, kept())
    for _ in range(2):  # from where it was, and once all is finished
        again = train(checkpoint=kept())
        assert torch.equal(weights(again.denoiser.network), weights(whole.denoiser.network))
        assert again.results == whole.results
        assert again.noise_again == whole.noise_again != {}
        noise, mine = (noise_of(one) for one in (again, whole))
        assert np.array_equal(noise.covariance, mine.covariance)
        assert np.array_equal(noise.curve.sigmas, mine.curve.sigmas)


@pytest.mark.trains
def test_what_a_round_with_a_warning_takes_is_no_noise(monkeypatch):
    monkeypatch.setattr(choice, "calm_residual", lambda *_: 1.5)
    monkeypatch.setattr(choice, "find_warnings", lambda *_, **__: ("it takes structure",))
    events = []
    trained = train(Run(events.append))
    assert not told(events)
    assert noise_of(trained).curve.sigmas[0] == 1.0
    assert not any(result.as_good for result in trained.results)


@pytest.mark.trains
@pytest.mark.usefixtures("too_weak")
def test_a_round_trained_before_never_ends_the_rounds():
    errors = iter([0.1, 0.2, 0.1, 0.3, 0.12])  # rounds 0 and 1, both anew, and round 2

    def worse(self, estimator, run):
        return Risk(np.tile([next(errors), 0.1], 8)), [t.guess for t in self.trials]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskEstimator, "judge", worse)
        trained = train(rounds=2)
    assert [result.round for result in trained.results] == [0, 1, 2]


@pytest.mark.trains
@pytest.mark.usefixtures("too_weak")
def test_a_round_cut_short_does_not_stand_in_for_a_whole_one():
    def follow(event):
        if isinstance(event, StepsDone) and event.done == 8:  # in round 2
            run.stop_and_keep()

    run = Run(follow)
    run.tick_due = lambda: True  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskEstimator, "judge", lambda self, *_: (Risk(np.full(8, 0.1)), []))
        trained = train(run, rounds=3)
    assert [(result.round, result.as_good) for result in trained.results] == [
        (0, True),
        (1, True),
        (2, False),
    ]
    assert best_round(trained.results) == 1
    settled, of_best = (weights(n) for n in (trained.denoiser.network, trained.history[1]))
    assert torch.equal(settled, of_best)


def test_of_rounds_that_are_alike_the_last_is_taken_once_the_noise_is_known_better():
    results = [RoundResult(0, 0.1), RoundResult(1, 0.05), RoundResult(2, 0.051)]
    assert best_round(results) == 1
    alike = [replace(result, as_good=result.round > 0) for result in results]
    assert best_round(alike) == 2
    warned = replace(alike[2], warnings=("it takes structure",))
    assert best_round([*alike[:2], warned]) == 2


@pytest.mark.parametrize(
    ("parts", "better"),
    [((0.2, 0.3), True), ((0.1, 0.1), False), ((0.05, 0.2), False), ((-0.3, -0.2), False)],
)
def test_a_score_beats_another_where_it_is_better_by_more_than_chance(parts, better):
    mine, other = np.tile([0.1, 0.1], 8), np.tile(parts, 8)
    assert Risk(mine).beats(Risk(other)) == better
    assert Risk(mine - 1.0).beats(Risk(other - 1.0)) == better  # whatever their zero is


@pytest.mark.trains
@pytest.mark.usefixtures("too_weak")
@pytest.mark.parametrize(
    ("errors", "chosen", "rounds"),
    [
        (((0.2, 0.3), (0.15, 0.25), (0.1, 0.3), (0.14, 0.27)), 3, 3),
        (((0.2, 0.3), (0.15, 0.25), (0.2, 0.35), (0.1, 0.1)), 1, 2),  # clearly worse: it ends
    ],
)
def test_rounds_with_stronger_noise_end_when_one_is_clearly_worse(errors, chosen, rounds):
    told_of, judge = iter(errors[:2] + errors), RiskEstimator.judge

    def known(self, estimator, run):
        _, made = judge(self, estimator, run)
        return Risk(np.tile(next(told_of), 8)), made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskEstimator, "judge", known)
        trained = train(rounds=3)
    assert [result.round for result in trained.results] == list(range(rounds + 1))
    assert best_round(trained.results) == chosen
    settled, of_best = (weights(n) for n in (trained.denoiser.network, trained.history[chosen]))
    assert torch.equal(settled, of_best)
