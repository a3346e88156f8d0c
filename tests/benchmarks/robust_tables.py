"""The tables of robust mode: what was measured on a set, whether it is enough, and its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from results import section, with_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SECTION = "Robust mode"
LEAST_REDUCTION = 0.35  # of the error of CT
MOST_LOST_DB = 0.1  # by choosing blind
MOST_SHIFT, MOST_SLOPE, MOST_LEFT = 0.5, 0.02, 0.05  # percent; from 1; of the noise's std
MOST_WALL_S = 20 * 60  # for each training, on a processor
SLOPES = ("slope_on_reference", "slope", "calibration", "calibration_by_place")  # of a bias
SEES_REFERENCE = "Gaussian blur"
CLASSICAL = ("NLM", "TV (Chambolle)", "wavelet (BayesShrink)", "BM3D", "GAT + BM3D")
NETWORKS = ("DnCNN-B", "instant")
QUALITY = (
    "| set | images | noisy | blur, tuned on the reference | NLM | TV | wavelet | BM3D | "
    "GAT + BM3D | DnCNN-B | instant | ours | reach | met: PSNR | SSIM | "
    "beats every blind classical row: PSNR | SSIM | perfect at the brightness of the noisy image | "
    "published elsewhere |"
)
CHOICE = (
    "| set | first estimate used, others | rounds, network alone | rounds, all passes | "
    "chosen blind | ours | best of these | loses dB | SSIM | at most .1 dB |"
)
BIAS = (
    "| set | mean shift % | worst bin % | slope on the reference | without bleaching | "
    "calibration | by place | noise alone % | met: shift | calibration | noise alone | "
    "wall s | core s | within the time |"
)
HEADS = {"Quality": QUALITY, "The blind choice": CHOICE, "Brightness, noise alone, time": BIAS}

Figures = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What was measured on a set.

    Attributes
    ----------
    name
        As its lines begin.
    images
        How many were scored, of how many.
    rows
        Mean (PSNR, SSIM) by label; "ours" is the result, absent where nothing was trained.
    chosen, oracle
        The rounds that were chosen blind, and our best rows, one for each training.
    lost
        (PSNR, SSIM) that the blind choice loses against the best of our rows.
    bias
        As in `Bias`, by the names of its fields; empty where nothing was trained.
    left
        What is left of noise alone, as a share.
    trainings, wall_s, core_s
        How many trainings, and their time with that of denoising all images.
    timed
        Whether the limit of time holds: on a processor.
    reach
        (PSNR, SSIM) to be reached, None for what is not set.
    errors
        Root mean square errors of noisy and ours, HU; CT only.
    ceiling
        The mean PSNR of the reference itself at the brightness of the noisy image.
    published
        What others published, as text.
    """

    name: str
    images: str
    rows: Mapping[str, Figures]
    chosen: Sequence[str] = ()
    oracle: Sequence[str] = ()
    lost: Figures = (0.0, 0.0)
    bias: Mapping[str, float] = field(default_factory=dict)
    left: float = 0.0
    trainings: int = 1
    wall_s: float = 0.0
    core_s: float = 0.0
    timed: bool = True
    reach: tuple[float | None, float | None] = (None, None)
    errors: Figures | None = None
    ceiling: float | None = None
    published: str = ""

    @property
    def reduction(self) -> float | None:
        """By which share the error of CT falls."""
        return 1 - self.errors[1] / self.errors[0] if self.errors else None

    def reached(self) -> tuple[bool | None, bool | None]:
        """Whether PSNR (the error of CT) and SSIM are reached; None where nothing is set."""
        if "ours" not in self.rows:
            return None, None
        if self.reduction is not None:
            return self.reduction >= LEAST_REDUCTION, None
        met = [
            None if bar is None else mine >= bar
            for mine, bar in zip(self.rows["ours"], self.reach, strict=True)
        ]
        return met[0], met[1]

    def beats_classical(self) -> tuple[bool | None, bool | None]:
        """Whether ours is above every classical row that sees no reference, in PSNR and in SSIM."""
        others = [self.rows[name] for name in CLASSICAL if name in self.rows]
        if "ours" not in self.rows or not others:
            return None, None
        psnr, ssim = (max(figures) for figures in zip(*others, strict=True))
        return self.rows["ours"][0] > psnr, self.rows["ours"][1] > ssim

    def unbiased(self) -> tuple[bool | None, bool | None, bool | None]:
        """Whether mean, calibration and noise alone are within their limits."""
        if not self.bias:
            return None, None, None
        shift, calibration = self.bias["mean_shift_percent"], self.bias["calibration_by_place"]
        return (
            abs(shift) <= MOST_SHIFT,
            abs(calibration - 1) <= MOST_SLOPE,
            self.left < MOST_LEFT,
        )

    def in_time(self) -> bool | None:
        """Whether training and denoising took no longer than they may."""
        if not self.timed or "ours" not in self.rows:
            return None
        return self.wall_s <= MOST_WALL_S * self.trainings

    @property
    def met(self) -> bool:
        """Whether everything that is asked for was reached."""
        asked = (*self.reached(), *self.beats_classical(), *self.unbiased(), self.in_time())
        return "ours" in self.rows and False not in asked and self.lost[0] <= MOST_LOST_DB

    def lines(self) -> dict[str, str]:
        """Give the line of each table, by its heading; of rows that were measured."""
        lines = {"Quality": self._quality()}
        if "ours" in self.rows:
            lines |= {"The blind choice": self._choice()}
            lines |= {"Brightness, noise alone, time": self._bias()}
        return lines

    def _quality(self) -> str:
        labels = ("noisy", SEES_REFERENCE, *CLASSICAL, *NETWORKS, "ours")
        cells = [figures(self.rows.get(label)) for label in labels]
        if self.errors and "ours" in self.rows:
            before, after = self.errors
            cells[-1] += f" (RMSE {before:.2f} to {after:.2f} HU, {-self.reduction:+.1%})"
        bars = [psnr_text(self.reach[0]), ssim_text(self.reach[1])]
        reach = f"{-LEAST_REDUCTION:.0%}" if self.errors else "/".join(b for b in bars if b) or "-"
        words = [*map(word, self.reached()), *map(word, self.beats_classical())]
        ceiling = psnr_text(self.ceiling) or "-"
        return line(self.name, self.images, *cells, reach, *words, ceiling, self.published or "-")

    def _choice(self) -> str:
        alone, passed = (self._rounds(ending) for ending in ("", " with all passes"))
        enough = word(self.lost[0] <= MOST_LOST_DB)
        lost = (f"{self.lost[0]:.2f}", f"{self.lost[1]:.4f}", enough)
        chosen, oracle = ("; ".join(dict.fromkeys(names)) for names in (self.chosen, self.oracle))
        first = self._first_estimates()
        return line(
            self.name,
            first,
            alone,
            passed,
            chosen,
            figures(self.rows["ours"]),
            oracle,
            *lost,
        )

    def _first_estimates(self) -> str:
        others = [name for name in self.rows if name.startswith("first estimate by ")]
        shown = [figures(self.rows.get("first estimate"))]
        shown += [f"{name[18:]}: {figures(self.rows[name])}" for name in others]
        return ", ".join(shown)

    def _rounds(self, ending: str) -> str:
        names = (name for name in self.rows if name.startswith("round ") and name.endswith(ending))
        numbered = {name.removeprefix("round ").removesuffix(ending): name for name in names}
        found = [
            f"{number}: {figures(self.rows[name])}"
            for number, name in numbered.items()
            if number.isdecimal()
        ]
        return ", ".join(found) or "-"

    def _bias(self) -> str:
        bias = self.bias
        slopes = (bias[name] for name in SLOPES)
        return line(
            self.name,
            f"{bias['mean_shift_percent']:+.2f}",
            f"{bias['worst_bin_percent']:+.2f}",
            *(f"{slope:.3f}" for slope in slopes),
            f"{100 * self.left:.1f}",
            *map(word, self.unbiased()),
            f"{self.wall_s:.0f}",
            f"{self.core_s:.0f}",
            word(self.in_time()),
        )


def line(*cells: str) -> str:
    """Give a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def figures(row: Figures | None) -> str:
    """Give PSNR and SSIM as the tables of others do: 32.49/.902."""
    return "-" if row is None else f"{psnr_text(row[0])}/{ssim_text(row[1])}"


def psnr_text(psnr: float | None) -> str:
    """Give a PSNR in dB, nothing for None."""
    return "" if psnr is None else f"{psnr:.2f}"


def ssim_text(ssim: float | None) -> str:
    """Give an SSIM without the zero before its point, nothing for None."""
    return "" if ssim is None else f"{ssim:.3f}".replace("0.", ".", 1)


def word(met: bool | None) -> str:
    """Say whether something was reached; a dash where it is not asked for."""
    return {True: "yes", False: "NO", None: "-"}[met]


def updated(text: str, outcomes: Iterable[Outcome], note: str, order: Sequence[str]) -> str:
    """Put lines into the section of a results file; other sets and sections stay as they are.

    Sets come in `order`, by the first word of their names.
    """
    kept = lines_of(section(text, SECTION))
    for outcome in outcomes:
        for heading, new in outcome.lines().items():
            kept[heading][outcome.name] = new
    place = {name: number for number, name in enumerate(order)}
    parts = [note]
    for heading, head in HEADS.items():
        names = sorted(kept[heading], key=lambda name: (place.get(name.split()[0], 99), name))
        rule = "|" + "---|" * (head.count("|") - 1)
        table = "\n".join([head, rule, *(kept[heading][name] for name in names)])
        parts += [f"### {heading}", table]
    return with_section(text, SECTION, "\n\n".join(parts))


def lines_of(body: str) -> dict[str, dict[str, str]]:
    """Read the lines of each table, by heading and name of the set."""
    found: dict[str, dict[str, str]] = {heading: {} for heading in HEADS}
    heading = ""
    for text in body.splitlines():
        if text.startswith("### "):
            heading = text.removeprefix("### ")
        elif heading in HEADS and text.startswith("| ") and not text.startswith("| set |"):
            found[heading][text.split("|")[1].strip()] = text
    return found
