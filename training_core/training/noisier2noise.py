"""Noisier2noise: a first estimate from a network that has seen the noisy image with more noise.

Trained on z + n -> z, it knows as much of the noise z has as of that which was added, so that
2 f(z + n) - (z + n) is an estimate of the clean image (Moran et al., CVPR 2020, section 3). Here
the network g gives that at once: |(g + z + n) / 2 - z|^2, its loss, is |g - (z - n)|^2 / 4.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from training_core.costs import LAST_PASS, PAIRS, PASS, of_network
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser, first_look
from training_core.denoise.neighbours import averaged
from training_core.denoise.nl_bayes import CollaborativeFilter
from training_core.denoise.region import Estimator, Region
from training_core.networks.build import build_network
from training_core.run import Stage
from training_core.settings import Settings

from .pairs import Pair, PreparedPairs, copies_of
from .round import RoundTraining
from .task import EstimateTask

NAME = "noisier2noise"
SHARE = 0.5  # of the steps of a round
SURE = 0.5  # weight of a target: it is as noisy again as the region itself
DRAWS = 4  # of the noise that is added, over which estimates are averaged


def noisier2noise(task: EstimateTask) -> Estimator:
    """Train on the noisy regions of a scene, and give what makes estimates of regions."""
    denoiser = _train(task)
    collaborate = task.settings.denoiser.collaborate

    @torch.no_grad()
    def estimate(noisy: Region) -> Tensor:
        noise, seen, strength = noisy.channel.noise, noisy.image, noisy.strength
        if noisy.neighbours is not None:  # the network has learned from single frames
            strength = None
        pilot = _mean_of_draws(denoiser, seen, noisy.channel, strength)
        task.run.did(of_network(PASS, denoiser.network), DRAWS * seen.numel() / 1e6)
        if not collaborate:
            return pilot
        if noisy.neighbours is not None:
            seen, strength = averaged(seen, noisy.neighbours, noise)
        together = CollaborativeFilter(noise.covariance, noise.curve)
        image = together(seen, pilot, task.run, strength)
        task.run.did(LAST_PASS, seen.numel() / 1e6)
        return image

    return estimate


def _mean_of_draws(
    denoiser: Denoiser, image: Tensor, channel: Channel, strength: Tensor | None
) -> Tensor:
    draw = torch.Generator().manual_seed(denoiser.settings.seed)  # alike for all images
    share = None if strength is None else strength[None, None]
    guess, noisier, looks = first_look(channel.noise)(image[None, None], share), louder(channel), []
    for _ in range(DRAWS):
        added = channel.noise.apart_from(guess, draw)
        added = added if share is None else share * added
        looks.append(denoiser.network_pass(image + added[0, 0], noisier, strength))
    return torch.stack(looks).mean(dim=0)


def _train(task: EstimateTask) -> Denoiser:
    """Train the network, or take over what is kept of that."""
    settings, run, part = settings_of(task.settings), task.run, task.checkpoint.part(NAME)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = build_network(settings.denoiser).to(task.device).eval()
    denoiser = Denoiser(network, task.channels, settings, task.device)
    steps, kept = settings.denoiser.steps, part.load()
    if kept is not None and kept["steps"] == steps:
        network.load_state_dict(kept["kept"])
        return denoiser
    run.start(Stage.FIRST_ESTIMATE, steps, NAME, done=0 if kept is None else kept["steps"])
    training = RoundTraining(denoiser, _pairs(denoiser, task), steps, run)
    if kept is not None:
        training.restore(kept)
    for step in range(training.steps + 1, steps + 1):
        part.check(run, training.state)
        training.step()
        if run.tick_due() or step == steps:
            losses = {"denoiser": training.mean_loss()}
            run.progress(Stage.FIRST_ESTIMATE, step, steps, losses)
        if run.finish_early:
            break
    part.save(training.state())
    network.eval()
    return denoiser


def settings_of(settings: Settings) -> Settings:
    """Give those of a round of the compact network that is a little shorter."""
    chosen = settings.denoiser
    shorter = replace(chosen, network="compact", steps=max(1, round(SHARE * chosen.steps)))
    return replace(settings, denoiser=shorter)


def _pairs(denoiser: Denoiser, task: EstimateTask) -> PreparedPairs:
    """Pair each region with more noise with itself with less: z + n and z - n, n as strong as its.

    Their noises are independent, which is what pairs z + a n and z - n / a rest on as well
    (recorrupted-to-recorrupted, Pang et al., CVPR 2021, Eqn (7), here with a = 1).
    """
    draw = torch.Generator().manual_seed(denoiser.settings.seed)
    guesses = []
    for region in task.noisy:
        task.run.check()
        made = first_look(region.channel.noise)(region.image[None, None])[0, 0]
        guesses.append(Region(made, region.channel))
    copies = copies_of(guesses)
    pairs = []
    for region, guess in zip(task.noisy, guesses, strict=True):
        channel, clean = region.channel, guess.image[None, None].to(denoiser.device)
        image = region.image[None, None].to(denoiser.device)
        for _ in range(copies):
            task.run.check()
            noise = channel.noise.apart_from(clean, draw)
            source = denoiser.inputs(image + noise, louder(channel))
            weight = torch.full(region.image.shape, SURE)
            pairs.append(Pair.of(source, image - noise, channel, weight))
            task.run.did(PAIRS, region.image.numel() / 1e6)
    return PreparedPairs(pairs, draw, denoiser.device)


def louder(channel: Channel) -> Channel:
    """Give the channel as it is once noise as strong as its own was added to it."""
    curve = channel.noise.curve
    noise = replace(channel.noise, curve=replace(curve, sigmas=2**0.5 * curve.sigmas))
    return replace(channel, noise=noise)
