"""Production against the plain reading of the paper in `paper_reference`.

Where both lay their tensors out alike in memory, the same kernels add the same numbers in the same
order: losses, gradients and weights are equal to the last bit. The exceptions are named at their
tolerances.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.made_up import denoiser, noise_model, stack, with_published_noise
from tests.support.paper_reference import (
    PlainDnCNN,
    PlainGan,
    PlainRound,
    PlainUNet,
    adversarial_rate,
    plain_critic,
    plain_generator,
    plain_pairs,
    round_rate,
    with_weights_of,
)
from training_core.denoise.region import Region
from training_core.networks.published import Critic, DnCNN, NoiseGenerator, paper_network
from training_core.paper import gan as paper_gan
from training_core.paper.gan import AdversarialGame
from training_core.paper.pairs import PublishedPairs
from training_core.run import SILENT, Run, Stage, StepsDone
from training_core.selection.choice import best_round
from training_core.selection.sure import Risk, RiskEstimator
from training_core.settings import NoiseModelSettings, preset
from training_core.training import as_published
from training_core.training import round as round_training
from training_core.training.task import Task

CPU = torch.device("cpu")
WIDTH, CRITIC_WIDTH = 8, 16  # of the thin networks
NETWORKS = ("g1", "g2", "g3", "c1", "c2")


@pytest.fixture
def thin(monkeypatch):
    """Keep the depth of the published networks, with fewer channels; the U-Net stays as it is."""
    wide = paper_gan.paper_network

    def paper_network(kind, depth=17, *, sigmoid=False):
        if kind == "dncnn":
            return DnCNN(depth, WIDTH, sigmoid=sigmoid)
        return wide(kind, sigmoid=sigmoid)

    monkeypatch.setattr(paper_gan, "paper_network", paper_network)
    monkeypatch.setattr(paper_gan, "Critic", lambda: Critic(CRITIC_WIDTH))


def laid_out_as(other, plain):
    """Give a plain network another's weights, and let it lay them out in memory as that does."""
    with_weights_of(other, plain)
    for mine, theirs in zip(plain.parameters(), other.parameters(), strict=True):
        mine.data = theirs.detach().clone()  # keeps the strides, which choose the kernels
    return plain


def plain_gan(game, kind="dncnn", width=WIDTH, critic_width=CRITIC_WIDTH):
    if kind == "dncnn":
        g2, g3 = PlainDnCNN(15, width, sigmoid=True), PlainDnCNN(17, width)
    else:
        g2, g3 = PlainUNet(sigmoid=True), PlainUNet()
    plain = [plain_generator(), g2, g3, plain_critic(critic_width), plain_critic(critic_width)]
    theirs = [getattr(game, name) for name in NETWORKS]
    return PlainGan(*map(laid_out_as, theirs, plain))


def batch(count, dtype=torch.float32, seed=1):
    """Give n, z and r as the adversarial step takes them."""
    draw = torch.Generator().manual_seed(seed)
    n = 0.1 * torch.randn(count, 1, 64, 64, generator=draw, dtype=dtype)
    z = torch.rand(count, 1, 64, 64, generator=draw, dtype=dtype)
    return n, z, torch.randn(count, 128, generator=draw, dtype=dtype)


def gradients(*networks):
    return [values.grad for network in networks for values in network.parameters()]


def all_equal(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


PAIRS = {
    "g1": (NoiseGenerator, plain_generator),
    "critic": (Critic, plain_critic),
    "g2": (lambda: paper_network("dncnn", 15, sigmoid=True), lambda: PlainDnCNN(15, sigmoid=True)),
    "denoiser": (lambda: paper_network("dncnn"), lambda: PlainDnCNN(17)),
    "g2 for CT": (lambda: paper_network("unet", sigmoid=True), lambda: PlainUNet(sigmoid=True)),
    "denoiser for CT": (lambda: paper_network("unet"), PlainUNet),
}


@pytest.mark.parametrize("name", PAIRS)
@torch.no_grad()
def test_network_is_the_published_list_of_layers(name):
    ours, plain = (make() for make in PAIRS[name])
    with_weights_of(ours, plain)  # refuses another number of layers, and other shapes
    _, images, latent = batch(2)
    inputs = latent if name == "g1" else images
    for mode in (True, False):  # the statistics of the batch, then the running ones
        expected = plain.train(mode)(inputs)
        if name == "critic":
            expected = expected.mean(dim=(1, 2, 3))
        assert torch.equal(ours.train(mode)(inputs), expected)
    assert ours(inputs).std() > 0


@pytest.mark.parametrize(
    ("kind", "dtype", "epochs"), [("dncnn", torch.float64, (0, 20)), ("unet", torch.float32, (0,))]
)
def test_adversarial_steps_are_those_of_the_paper(thin, kind, dtype, epochs):
    """Equal to the last bit: reuse and detaching change which terms are computed, not their order.

    The running statistics of g1 and g2 are moved once by 1 - 0.9^6 where the paper moves them six
    times by 0.1: six roundings each way, of numbers below 1.
    """
    game = AdversarialGame(NoiseModelSettings(critic_steps=5), kind, 5, CPU)
    for name in NETWORKS:
        getattr(game, name).to(dtype)
    plain = plain_gan(game, kind)
    for step, epoch in enumerate(epochs):  # the second starts from moved weights and moments
        crops = batch(2, dtype, seed=step)
        game.step(*crops, adversarial_rate(epoch) / adversarial_rate(0))
        losses = plain.step(*crops, epoch=epoch)
        assert all_equal(game.losses[-1], losses)
        assert all_equal(gradients(game.c1, game.c2), plain.critic_gradients)
        assert all_equal(
            gradients(game.g1, game.g2, game.g3), gradients(plain.g1, plain.g2, plain.g3)
        )
    for name in NETWORKS:
        ours, theirs = getattr(game, name), getattr(plain, name)
        assert all_equal(ours.parameters(), theirs.parameters()), name
    critics = chain(game.c1.parameters(), game.c2.parameters())
    assert max(float(values.detach().abs().max()) for values in critics) == pytest.approx(0.02)
    for ours, theirs in ((game.g1, plain.g1), (game.g2, plain.g2)):
        assert same_statistics(ours, theirs, 12 * torch.finfo(dtype).eps)


def same_statistics(ours, theirs, tolerance):
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    running = [(mine, yours) for (name, mine), yours in pairs if "running" in name]
    norms = [part for part in ours.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(running) == 2 * len(norms)
    return all(torch.allclose(*pair, rtol=tolerance, atol=tolerance) for pair in running)


def test_adversarial_step_with_the_published_widths():
    game = AdversarialGame(NoiseModelSettings(critic_steps=2), "dncnn", 5, CPU)
    plain = plain_gan(game, width=64, critic_width=128)
    crops = batch(2)
    game.step(*crops)
    assert all_equal(game.losses[-1], plain.step(*crops, critic_steps=2))
    for name in NETWORKS:
        ours, theirs = getattr(game, name), getattr(plain, name)
        assert all_equal(ours.parameters(), theirs.parameters()), name


def test_order_in_memory_changes_only_the_rounding(thin):
    """The plain networks with the usual order (batch, channels, rows, columns).

    Other kernels add the same numbers in another order. A sum of n numbers is off by eps n^(1/2);
    the longest of this step, a kernel's gradient, has n = 2 x 64 x 64. The gradient of g2's first
    layer depends on 32 layers forwards and backwards, whose errors at worst add up.
    """
    game = AdversarialGame(NoiseModelSettings(critic_steps=1), "dncnn", 5, CPU)
    for name in NETWORKS:
        getattr(game, name).double()
    plain = plain_gan(game)
    for name in NETWORKS:
        getattr(plain, name).to(memory_format=torch.contiguous_format)
    crops = batch(2, torch.float64)
    game.step(*crops)
    tolerance = torch.finfo(torch.float64).eps * 2 * 32 * (2 * 64 * 64) ** 0.5
    for ours, theirs in zip(game.losses[-1], plain.step(*crops, critic_steps=1), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=tolerance, abs=tolerance)
    for name in ("g1", "g2", "g3"):
        ours, theirs = (gradients(getattr(of, name)) for of in (game, plain))
        largest = max(float(values.abs().max()) for values in theirs)
        apart = [float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)]
        assert max(apart) < tolerance * largest, name


def test_generators_rate_falls_as_published():
    for step in range(9_600):
        share = paper_gan._rate(step, 9_600)
        assert share * paper_gan.GENERATOR_RATE == pytest.approx(adversarial_rate(step // 320))


def test_denoisers_rate_is_halved_as_published():
    settings = preset("paper").denoiser
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    for step in range(settings.steps):
        round_training.set_rate(adam, settings, step)
        assert adam.param_groups[0]["lr"] == pytest.approx(round_rate(step // 160))


@pytest.mark.parametrize("kind", ["dncnn", "unet"])
def test_adversarial_networks_start_as_published(kind):
    game = AdversarialGame(NoiseModelSettings(), kind, 1, CPU)
    for network in (getattr(game, name) for name in NETWORKS):
        parts = list(network.modules())
        kernels = [p for p in parts if isinstance(p, nn.Conv2d | nn.ConvTranspose2d)]
        weights = torch.cat([p.weight.detach().flatten() for p in kernels])
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)
        assert abs(weights.mean().item()) < 5 * 0.02 / len(weights) ** 0.5
        assert all(p.bias is None or not p.bias.any() for p in kernels)
        norms = [p for p in parts if isinstance(p, nn.BatchNorm2d)]
        if norms:
            scales = torch.cat([p.weight.detach() for p in norms])
            assert scales.mean().item() == pytest.approx(1, abs=5 * 0.02 / len(scales) ** 0.5)
            assert scales.std().item() == pytest.approx(0.02, rel=0.3)
            assert not any(p.bias.any() for p in norms)


def test_denoiser_starts_from_the_defaults_of_the_framework():
    network = paper_network("dncnn")
    middle = network.layers[2].weight.detach()
    bound = 1 / (64 * 9) ** 0.5  # uniform, He et al. with a = 5^(1/2)
    assert 0.99 * bound < middle.abs().max().item() <= bound
    assert middle.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert all(bool((p.weight == 1).all()) for p in network.modules() if hasattr(p, "momentum"))


def used(network):
    """Give the network with running statistics as after some training, in eval mode."""
    inputs = torch.randn(16, 128) if isinstance(network, NoiseGenerator) else batch(4)[1]
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(inputs)
    return network.eval()


def thin_denoiser(count):
    """Give a denoiser with g1's noise, and noisy regions of two sizes."""
    made = with_published_noise(denoiser(noise_model()))
    used(made.channels[0].noise.generator)
    paper = preset("paper", seed=4, device="cpu", precision="float32")
    chosen = replace(paper.denoiser, rounds=1, steps=4, batch=count)
    made = replace(made, network=DnCNN(17, WIDTH).eval(), settings=replace(paper, denoiser=chosen))
    sizes = (150, 130), (125, 170)
    return made, [Region(torch.rand(size), made.channels[0]) for size in sizes]


def recorded(network):
    """Give a list that fills with what a network, or a copy of it, is shown."""
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


def test_pairs_are_those_of_the_paper():
    """Within the rounding of the folded teacher.

    Each of L convolutions over n = 9 C products rounds by about eps n^(1/2), relative to values of
    about 1; L of these add up to eps (n L)^(1/2). Production rounds so once, the plain reading
    once, and folding rounds the weights once more.
    """
    learner, noisy = thin_denoiser(count=6)
    teacher = used(DnCNN(15, WIDTH, sigmoid=True))
    plain = with_weights_of(teacher, PlainDnCNN(15, WIDTH, sigmoid=True))
    g1 = learner.channels[0].noise.generator
    plain_g1 = with_weights_of(g1, plain_generator())
    shown, latents = recorded(teacher), recorded(g1)
    pairs = PublishedPairs(learner, noisy, [teacher], torch.Generator().manual_seed(1), SILENT)
    source, target = pairs.batch(learner.settings.denoiser)
    assert (len(shown), len(latents)) == (1, 2)  # the teacher once, the noise twice
    latents = torch.stack(latents).reshape(2, 6, 128)
    expected = plain_pairs(plain, plain_g1, shown[0], latents)
    tolerance = 3 * torch.finfo(torch.float32).eps * (9 * WIDTH * 15) ** 0.5
    for ours, theirs in zip((source, target), expected, strict=True):
        assert (ours - theirs).abs().max() < tolerance
    assert (source - target).abs().mean() > 100 * tolerance  # another noise


@pytest.fixture
def short():
    """Give noisy frames that are nearly flat, and the published method on a few steps a stage."""
    clean = np.full((3, 88, 72), 500.0)
    clean[:, :, 40:] = 515.0
    noisy = clean + 30.0 * np.random.default_rng(1).standard_normal(clean.shape)
    paper = preset("paper", seed=3, device="cpu", precision="float32")
    settings = replace(
        paper,
        patches=replace(paper.patches, strictness=0.6, patch_size_px=64, stride_px=4),
        noise_model=replace(paper.noise_model, steps=1, batch=2, critic_steps=1),
        denoiser=replace(paper.denoiser, rounds=3, steps=3, batch=4),
    )
    return stack(np.rint(noisy), "ZYX", np.uint16), settings


@pytest.mark.trains
def test_rounds_are_those_of_the_paper(thin, short, monkeypatch):
    """Equal to the last bit on the same pairs: each round goes on from the one before it."""
    pairs, teachers, started, events = [], [], [], []

    class Recorded(PublishedPairs):
        def __init__(self, denoiser, noisy, networks, *others):
            super().__init__(denoiser, noisy, networks, *others)
            teachers.append(deepcopy(networks[0]))

        def batch(self, settings):
            pairs.append(super().batch(settings))
            return pairs[-1]

    def thin_network(_):
        started.append(DnCNN(17, WIDTH))
        return deepcopy(started[0])

    monkeypatch.setattr(as_published, "PublishedPairs", Recorded)
    monkeypatch.setattr(as_published, "build_network", thin_network)
    image, settings = short
    task = Task(settings, CPU, Run(events.append))
    learned, report = as_published.train_as_published([image], (), task)
    assert (len(started), len(teachers), len(pairs)) == (1, 3, 9)
    plain = with_weights_of(started[0], PlainDnCNN(17, WIDTH))
    plain = plain.train().to(memory_format=torch.channels_last)
    for number in (1, 2, 3):
        plain_round = PlainRound(plain)  # its Adam starts anew, its network goes on
        for step in range(3):
            plain_round.step(*pairs[3 * (number - 1) + step], epoch=10 * step)
        ours = learned.history[number].state_dict().values()
        assert all_equal(ours, plain.state_dict().values()), number
    # g2 teaches the first round, and each round the next one
    for number, teacher in enumerate(teachers):
        ours = learned.history[number].state_dict().values()
        assert all_equal(teacher.state_dict().values(), ours), number
    # all rounds are taken whatever the blind score says, which chooses one all the same
    assert [result.round for result in report.rounds] == [1, 2, 3]
    assert not any(result.warnings for result in report.rounds)
    last = [event for event in events if isinstance(event, StepsDone)][-1]
    assert (last.stage, last.done, last.total) == (Stage.ROUNDS, 9, 9)
    chosen = learned.history[best_round(report.rounds)].state_dict().values()
    assert all_equal(learned.denoiser.network.state_dict().values(), chosen)


@pytest.mark.trains
@pytest.mark.parametrize("errors", [(0.2, 0.1, 0.3), (0.1, 0.1, 0.1), (0.3, 0.2, 0.1)])
def test_no_score_ends_the_published_rounds_or_is_doubted(thin, short, monkeypatch, errors):
    told = iter(errors)
    monkeypatch.setattr(RiskEstimator, "judge", lambda *_: (Risk(np.full(4, next(told))), []))
    monkeypatch.setattr(as_published, "build_network", lambda _: DnCNN(17, WIDTH))
    image, settings = short
    learned, report = as_published.train_as_published([image], (), Task(settings, CPU))
    assert [result.error for result in report.rounds] == list(errors)
    assert not any(result.doubt or result.as_good for result in report.rounds)
    chosen = learned.history[1 + errors.index(min(errors))].state_dict().values()
    assert all_equal(learned.denoiser.network.state_dict().values(), chosen)
