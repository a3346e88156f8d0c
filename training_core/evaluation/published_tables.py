"""The sets that results are compared on, with what others published for them, typed in once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from training_core.settings import Settings, preset

Kind = Literal["natural", "micrograph", "ct"]
Figures = tuple[float | None, float | None]

# Eqn (4)'s limit for paper mode is taken by the measured rule in docs/method/01; as published for
# wide-field images where nothing else is said.
USUAL = 0.42
# Column: noisy PSNR, DnCNN-B, G2G (both PSNR and SSIM), what this program is to reach, strictness.
COLUMNS: dict[str, tuple[float | None, Figures, Figures, Figures, float]] = {
    "G15": (24.85, (31.36, 0.8821), (31.36, 0.8845), (31.90, None), 0.07),
    "G25": (20.55, (28.83, 0.8109), (28.87, 0.8107), (29.44, None), 0.03),
    "G30": (None, (27.98, 0.7781), (27.87, 0.7744), (28.7, None), 0.03),
    "G50": (15.00, (25.69, 0.6681), (25.65, 0.6778), (26.55, None), 0.02),
    "Mix15": (39.41, (39.62, 0.9749), (42.46, 0.9889), (43.5, None), 0.15),
    "Mix25": (35.10, (37.22, 0.9607), (39.65, 0.9812), (42.0, None), 0.15),
    "Mix30": (23.48, (30.49, 0.8620), (30.41, 0.8562), (31.1, None), 0.06),
    "Mix50": (22.81, (30.12, 0.8521), (29.93, 0.8450), (30.7, None), 0.05),
    "Cor15": (27.01, (30.82, 0.8997), (31.21, 0.8976), (31.8, None), 0.15),
    "Cor25": (22.66, (27.36, 0.8233), (27.50, 0.8188), (28.3, None), 0.15),
    "Dose25": (None, (35.50, 0.6055), (46.72, 0.9700), (47.0, None), 0.15),
    "Dose50": (None, (38.48, 0.7440), (48.06, 0.9748), (48.5, None), 0.15),
    "Dose75": (None, (40.09, 0.8113), (49.20, 0.9732), (49.3, None), 0.15),
    "Dose100": (None, (41.19, 0.8513), (48.82, 0.9717), (49.8, None), 0.15),
    "WF1": (None, (25.43, 0.3691), (32.73, 0.8157), (36.0, 0.82), USUAL),
    "WF2": (None, (28.36, 0.5256), (32.86, 0.7806), (36.6, None), USUAL),
    "WF4": (None, (31.32, 0.6909), (33.79, 0.8134), (37.6, None), USUAL),
    "WF8": (None, (34.63, 0.8122), (35.22, 0.8316), (38.5, None), USUAL),
    "WF16": (None, (37.82, 0.9121), (38.82, 0.9148), (41.0, None), USUAL),
}

# PSNR of other methods on the usual grey BSD68 files, and on the test field of FMD.
ELSEWHERE: dict[str, dict[str, float]] = {
    "G25": {
        "BM3D": 28.57,
        "Noise2Void": 27.71,
        "Noise2Self": 28.28,
        "Noise2Score": 28.95,
        "DnCNN": 29.23,
        "SCUNet": 29.55,
    },
    "G50": {
        "BM3D": 25.62,
        "Noise2Self": 25.61,
        "Noise2Score": 25.81,
        "DnCNN": 26.23,
        "SCUNet": 26.67,
    },
    "Confocal_FISH": {"FBI-Net": 32.29, "Blind2Unblind": 32.74, "Noise2VST": 32.88},
    "TwoPhoton_MICE": {"FBI-Net": 33.93, "Blind2Unblind": 34.03, "Noise2VST": 34.06},
}

# Name, title, image type, what is to be reached on a processor by the usual protocol, strictness.
MICROGRAPHS: tuple[tuple[str, str, str, Figures, float], ...] = (
    ("widefield-b", "wide-field BPAE, blue", "WideField_BPAE_B", (34.6, 0.925), USUAL),
    ("widefield-g", "wide-field BPAE, green", "WideField_BPAE_G", (33.0, 0.83), USUAL),
    ("confocal-fish", "confocal zebrafish", "Confocal_FISH", (32.6, 0.90), 0.26),
    ("confocal-bpae", "confocal BPAE, green", "Confocal_BPAE_G", (33.2, 0.89), USUAL),
    ("twophoton-mice", "two-photon mouse", "TwoPhoton_MICE", (33.4, 0.925), 0.33),
    ("twophoton-bpae", "two-photon BPAE, blue", "TwoPhoton_BPAE_B", (33.1, 0.933), 0.24),
)
WIDE_FIELD = ("WideField_BPAE_B", "WideField_BPAE_G", "WideField_BPAE_R")
AVERAGES = (1, 2, 4, 8, 16)
CONFOCAL = (0.03, 0.04, 0.41, USUAL, USUAL)  # strictness of each average
W2S = (0.21, 0.13, 0.1)  # strictness by channel
W2S_FIELDS = ("001", "002", "003")
NOISES: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "gaussian": ("Gaussian noise, sigma", "G", (15, 25, 30, 50)),
    "mixture": ("mixture noise, s", "Mix", (15, 25, 30, 50)),
    "correlated": ("correlated noise, sigma", "Cor", (15, 25)),
}


@dataclass(frozen=True)
class Table:
    """One column of a table: a set of test images and the figures that others reached on it."""

    # What the command line calls it, and what a reader does
    name: str
    title: str
    # The short name in the published tables, such as "G25" or "WF1", or the type of image
    column: str
    kind: Kind  # "natural", "micrograph" or "ct"
    strictness: float = USUAL  # limit of eqn (4) in paper mode
    # (PSNR, SSIM) of "noisy", "DnCNN-B" and "G2G" by the published protocol; None for a figure that
    # was not given, empty for a set without a column
    published: dict[str, Figures] = field(default_factory=dict)
    # (PSNR, SSIM) that this program is to reach; None where nothing is set
    target: Figures | None = None
    # (PSNR, SSIM) of other methods, from their own papers, by the usual protocol
    elsewhere: dict[str, Figures] = field(default_factory=dict)
    types: tuple[str, ...] = ()  # Micrographs: the image types, named as in the FMD set
    average: int = 1  # Micrographs: how many raw frames a noisy image is the mean of

    @property
    def paper(self) -> Settings:
        """The published method as it must be set: 7 rounds for wide-field, the U-Net for CT.

        Strictness and stride are this project's where the published are not known: see
        docs/method/18-published-method.md.
        """
        paper = preset("paper")
        rounds = 7 if self.column.startswith(("WF", "WideField")) else 3
        denoiser = replace(paper.denoiser, rounds=rounds)
        if self.kind == "ct":  # 30 epochs of 20 500 crops, four at a time
            denoiser = replace(denoiser, network="unet", batch=4, steps=153_750)
        # Small sets need many patches; the authors' sets hold thousands of frames.
        stride = {"Dose": 24, "WF": 8}.get(self.column.rstrip("0123456789"), 4)
        patches = replace(paper.patches, strictness=self.strictness, stride_px=stride)
        return replace(paper, patches=patches, denoiser=denoiser)


def _elsewhere(column: str) -> dict[str, Figures]:
    return {method: (psnr, None) for method, psnr in ELSEWHERE.get(column, {}).items()}


def _published(
    name: str, title: str, column: str, kind: Kind, types: tuple[str, ...] = (), average: int = 1
) -> Table:
    noisy, dncnn_b, g2g, target, strictness = COLUMNS[column]
    known: dict[str, Figures] = {"noisy": (noisy, None), "DnCNN-B": dncnn_b, "G2G": g2g}
    others = _elsewhere(column)
    return Table(name, title, column, kind, strictness, known, target, others, types, average)


def _published_tables() -> Iterator[Table]:
    for noise, (words, column, strengths) in NOISES.items():
        for s in strengths:
            yield _published(f"bsd68-{noise}{s}", f"BSD68, {words} {s}", f"{column}{s}", "natural")
    for n in AVERAGES:
        name, title = f"fmd-widefield-avg{n}", f"FMD wide-field, {_mean(n)}"
        yield _published(name, title, f"WF{n}", "micrograph", WIDE_FIELD, n)
    for dose in (25, 50, 75, 100):
        title = f"CT of the authors, {dose} % dose"
        yield _published(f"ct-dose{dose}", title, f"Dose{dose}", "ct")


def _other_tables() -> Iterator[Table]:
    micrograph = partial(Table, kind="micrograph")
    for name, title, column, target, strictness in MICROGRAPHS:
        yield micrograph(
            f"fmd-{name}",
            f"FMD {title}",
            column,
            strictness=strictness,
            target=target,
            elsewhere=_elsewhere(column),
            types=(column,),
        )
    for n, strictness in zip(AVERAGES, CONFOCAL, strict=True):
        name, title = f"fmd-confocal-bpae-b-avg{n}", f"FMD confocal BPAE, blue, {_mean(n)}"
        column = "Confocal_BPAE_B"
        yield micrograph(name, title, column, strictness=strictness, types=(column,), average=n)
    for channel, strictness in enumerate(W2S):
        for place in W2S_FIELDS:  # stretched apart, so no two have the same noise
            title = f"W2S wide-field, channel {channel}, field {place}"
            name, column = f"w2s-{channel}-{place}", f"w2s_{channel}"
            yield micrograph(name, title, column, strictness=strictness)
    yield Table("ct-mayo", "Mayo CT, L096, quarter against full dose", "L096", "ct", 0.34)


def _mean(frames: int) -> str:
    return f"mean of {frames} frame{'s' * (frames > 1)}"


TABLES: dict[str, Table] = {table.name: table for table in (*_published_tables(), *_other_tables())}
