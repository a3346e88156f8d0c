"""Every setting once: default, limits, unit, label and help; forms and options derive."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, get_type_hints

from .areas import Area, areas_of
from .errors import SettingsError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a form and an option need to know of one setting."""

    label: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()


def setting(default: Any, label: str, help: str, **limits: Any) -> Any:  # noqa: A002
    """Declare a dataclass field with its limits; the program chooses where the default is None.

    The least and greatest value are given as one pair, `within`.
    """
    minimum, maximum = limits.pop("within", (None, None))
    known = Limits(label, help, minimum, maximum, **limits)
    return field(default=default, metadata={"limits": known})


def limits_of(settings: Any, name: str) -> Limits:
    """Give the limits of one field of a settings object or class."""
    limits: Limits = {item.name: item for item in fields(settings)}[name].metadata["limits"]
    return limits


class Checked:
    """Checks each value against its limits when a settings object is made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            if "limits" in item.metadata:
                _check(item.metadata["limits"], getattr(self, item.name), hints[item.name])


LONGEST = 80  # letters of a value in a sentence
LARGEST = 1e300  # that can be written as other numbers are; an infinite one is larger


def _check(limits: Limits, value: Any, kind: Any) -> None:
    if value is None and type(None) in getattr(kind, "__args__", ()):
        return
    told = f"{limits.label} is {repr(value)[:LONGEST]}"
    if limits.choices and value not in limits.choices:
        raise SettingsError(f"{told}; choose one of {', '.join(limits.choices)}.")
    if kind is bool and not isinstance(value, bool):
        raise SettingsError(f"{told}; true or false is needed.")
    low, high = limits.minimum, limits.maximum
    if low is None or high is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise SettingsError(f"{told}; a {'whole ' * (kind is int)}number is needed.")
    if not low <= value <= high:
        unit = f" {limits.unit}" if limits.unit else ""
        given = "larger than any number" if abs(value) >= LARGEST else f"{value:g}"
        raise SettingsError(
            f"{limits.label} is {given}{unit}; choose a value from {low:g} to {high:g}{unit}."
        )


@dataclass(frozen=True, slots=True)
class PatchSettings(Checked):
    """Where the noise is learned from (METHOD: Eqn (4), and the automatic choice)."""

    strictness: float | None = setting(
        None,
        "Tolerance",
        "How uneven a patch may be and still count as smooth: more finds more patches, less finds "
        "purer ones (the strictness of the command g2g). Automatic ranks all "
        "patches by flatness; a number applies the published rule, Eqn (4), with that limit.",
        within=(0.01, 1.0),
        step=0.01,
    )
    patch_size_px: int = setting(
        32,
        "Patch size",
        "Width and height of a smooth patch. The published rule uses 96.",
        within=(16, 256),
        step=2,
        unit="px",
    )
    stride_px: int = setting(
        8,
        "Stride",
        "Distance between neighbouring patches that are looked at. Smaller finds more.",
        within=(1, 256),
        step=1,
        unit="px",
    )
    most: int = setting(
        40_000, "Most patches", "No more patches than this are used.", within=(1, 1_000_000)
    )
    # Where patches are taken in any case, or never; painted, or --area of the command g2g.
    areas: tuple[Area, ...] = ()

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        object.__setattr__(self, "areas", areas_of(self.areas))


@dataclass(frozen=True, slots=True)
class NoiseModelSettings(Checked):
    """The adversarial stage (METHOD 2 and 5.3)."""

    generator: str = setting(
        "convolutional",
        "Generator",
        "Convolutional makes noise of any size with even statistics; g1 is the published one.",
        choices=("convolutional", "g1"),
    )
    stabilise: bool = setting(
        True,
        "Stabilise variance",
        "Make the noise independent of brightness before learning, where the stack asks for it "
        "(convolutional generator only).",
    )
    by_place: bool = setting(
        True,
        "Noise by place",
        "Bring the noise to the same strength before learning: in CT around each pixel, else in "
        "frames that were taken unlike (convolutional generator only).",
    )
    correlation: str = setting(
        "automatic",
        "Neighbouring pixels",
        "Whether their noise is correlated. Automatic takes it for independent where it cannot be "
        "told from texture, and then takes away at most a third of what it finds "
        "(convolutional generator only).",
        choices=("automatic", "independent", "correlated"),
    )
    steps: int = setting(
        400,
        "Steps",
        "Generator updates at most: learning ends when the noise matches. 0 takes it as measured "
        "(convolutional generator only).",
        within=(0, 1_000_000),
        unit="steps",
    )
    batch: int = setting(16, "Batch", "Noise crops per step.", within=(1, 1024))
    crop_px: int = setting(32, "Crop", "Side of a noise crop.", within=(16, 64), step=4, unit="px")
    critic_steps: int = setting(
        1, "Critic steps", "Critic updates per generator update.", within=(1, 20)
    )
    noise_weight: float = setting(
        5.0,
        "Noise weight",
        "How much g1 cares that its noise looks real (alpha of the paper; g1 only).",
        within=(0.0, 1000.0),
    )
    image_weight: float = setting(
        1.0,
        "Image weight",
        "How much g1 and g2 care that estimate plus noise looks like the stack (beta; g1 only).",
        within=(0.0, 1000.0),
    )
    cycle_weight: float = setting(
        10.0,
        "Cycle weight",
        "How much g2 cares that the noisy image can be told from its estimate (gamma; g1 only).",
        within=(0.0, 1000.0),
    )


@dataclass(frozen=True, slots=True)
class DenoiserSettings(Checked):
    """The first estimate and the rounds (METHOD 2 and 5)."""

    first_estimate: str = setting(
        "automatic",
        "First estimate",
        "What the first round learns from. Automatic is the bundled network before any training, "
        "in CT with streaks noisier2noise, which learns from the stack with more noise against "
        "the stack. Shrinkage: filters with the learned noise spectrum; g2: the published network.",
        choices=("automatic", "shrinkage", "noisier2noise", "pretrained", "g2"),
    )
    network: str = setting(
        "pretrained",
        "Network",
        "Pretrained is the bundled network: it corrects the shrinkage filter and has seen many "
        "kinds of noise, on photographs; training goes on from it. Compact starts from nothing; "
        "both work on 2 x 2 pixel blocks and are fast on a processor; "
        "dncnn is the published 17-layer network; unet the published one for CT.",
        choices=("pretrained", "compact", "dncnn", "unet"),
    )
    # 48 channels and rounds of 1 500 steps have 35.34 dB for 35.36 on TwoPhoton_MICE.
    width: int = setting(32, "Width", "Channels of the compact network.", within=(4, 256), step=4)
    depth: int = setting(8, "Depth", "Layers of the compact network.", within=(3, 32))
    targets: str = setting(
        "estimate",
        "Targets",
        "What a noisy copy is compared with: the estimate itself, or a second noisy copy as "
        "published.",
        choices=("estimate", "noisy"),
    )
    as_recorded: bool = setting(
        True,
        "As recorded",
        "Noisy copies are rounded, and cut off at either end, as the pixels of the stack were; "
        "saturated areas teach nothing.",
    )
    rounds: int = setting(
        3,
        "Rounds",
        "How often the denoiser teaches its successor; 0 takes the bundled network untrained.",
        within=(0, 20),
    )
    steps: int = setting(
        300, "Steps per round", "Updates in each round.", within=(1, 1_000_000), unit="steps"
    )
    batch: int = setting(8, "Batch", "Noisy pairs per step.", within=(1, 1024))
    crop_px: int = setting(64, "Crop", "Side of a noisy pair.", within=(16, 256), step=2, unit="px")
    learning_rate: float = setting(
        2e-3,
        "Learning rate",
        "Size of the first updates; the pretrained network takes a twentieth of it.",
        within=(1e-6, 0.1),
    )
    schedule: str = setting(
        "cosine",
        "Schedule",
        "How the learning rate falls in a round: by a cosine to zero, or halved every third.",
        choices=("cosine", "halving"),
    )
    # The averaged weights are the result of a round: looks within it chose no better ones.
    averaging: float = setting(
        0.98,
        "Weight averaging",
        "How slowly the kept weights follow the trained ones; 0 keeps the last.",
        within=(0.0, 0.9999),
    )
    # 1.5 took 305 core seconds on 400 frames of BSD400, half of that for the last pass.
    area_mpx: float = setting(
        1.2,
        "Training area",
        "How much of the stack the first estimate and the rounds work on.",
        within=(0.001, 1000.0),
        unit="megapixels",
    )
    collaborate: bool = setting(
        True,
        "Collaborative pass",
        "After the network, similar patches of the noisy image are filtered together; how much of "
        "that is taken is chosen blind (in CT with streaks all).",
    )
    even_flat_areas: bool = setting(
        True,
        "Even out flat areas",
        "Areas that show only what denoising leaves of noise alone are set to their mean; all "
        "others stay as they are.",
    )
    keep_brightness: bool = setting(
        True,
        "Keep brightness",
        "Correct what denoising adds to or takes from the mean of dark and bright areas.",
    )
    repair_hot_pixels: bool = setting(
        True,
        "Repair hot pixels",
        "Pixels that are far brighter or darker than noise gets, and each alone, are taken for "
        "faults of the camera: nothing is learned from them, and they get what is around.",
    )
    kept_noise: float | None = setting(
        None,
        "Noise that is kept",
        "How much of what denoising removes is left in the result, so that it keeps its grain. "
        "Automatic leaves a fifth in CT, where readers are used to it, and nothing elsewhere.",
        within=(0.0, 1.0),
        step=0.05,
    )
    neighbours: str = setting(
        "automatic",
        "Neighbouring frames",
        "How many frames on each side in time or depth are averaged with a frame wherever they "
        "match. Automatic estimates blind whether they help.",
        choices=("automatic", "off", "1", "2"),
    )
    every_orientation: bool = setting(
        False,
        "Every orientation",
        "Average the network's result over the eight flips and rotations; eight times slower.",
    )


PRESETS = ("instant", "quick", "balanced", "paper")


@dataclass(frozen=True, slots=True)
class Settings(Checked):
    """Everything a job needs to be run again."""

    preset: str = setting(
        "balanced",
        "Preset",
        "Instant measures the noise and trains nothing, quick trains for a minute or two on a "
        "processor, balanced longer; paper is the published method.",
        choices=PRESETS,
    )
    seed: int = setting(0, "Seed", "The same seed gives the same result.", within=(0, 2**31))
    device: str = setting(
        "auto",
        "Device",
        "Where to compute; automatic tries each device with a real calculation.",
        choices=("auto", "cpu", "cuda", "mps"),
    )
    precision: str = setting(
        "auto",
        "Precision",
        "Arithmetic of the published networks' training and of the rounds: automatic is bfloat16 "
        "(and TF32) where the device has it natively, which is faster and rounds more.",
        choices=("auto", "float32"),
    )
    patches: PatchSettings = field(default_factory=PatchSettings)
    noise_model: NoiseModelSettings = field(default_factory=NoiseModelSettings)
    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one written here.
        Checked.__post_init__(self)
        published = self.is_published
        if published != (self.denoiser.first_estimate == "g2"):
            raise SettingsError(
                "Generator g1 and first estimate g2 learn together; choose both or neither."
            )
        if published and self.denoiser.network in ("pretrained", "compact"):
            raise SettingsError(
                f"Network {self.denoiser.network} corrects the shrinkage filter, which generator "
                "g1 does without; choose dncnn or unet."
            )

        trains = self.denoiser.rounds > 0 and (self.noise_model.steps > 0 or not published)
        if not trains and (published or self.denoiser.network != "pretrained"):
            raise SettingsError(
                "Without training only the bundled network can be used; choose network pretrained, "
                "or at least one step and one round."
            )

    @property
    def is_published(self) -> bool:
        """Whether the method is that of the paper, on which the pipeline parts."""
        return self.noise_model.generator == "g1"

    @property
    def in_one_orientation(self) -> Settings:
        """The same without averaging over orientations, which costs up to eight times as much."""
        return replace(self, denoiser=replace(self.denoiser, every_orientation=False))

    def to_dict(self) -> dict[str, Any]:
        """Give nested plain values, for JSON."""
        values = asdict(self)
        if not self.patches.areas:  # then any version can read them
            del values["patches"]["areas"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build settings from nested plain values; unknown names are refused."""
        kinds, parts = get_type_hints(cls), ("patches", "noise_model", "denoiser")
        try:
            nested = {name: kinds[name](**values[name]) for name in parts if name in values}
            return cls(**{**values, **nested})
        except TypeError as error:
            raise SettingsError(f"The settings cannot be read: {error}.") from error


def preset(name: str, **changes: Any) -> Settings:
    """Give the settings of a preset, with `changes` to the top-level fields."""
    if name not in PRESETS:
        raise SettingsError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    made = {
        "instant": Settings(
            preset="instant",
            noise_model=NoiseModelSettings(steps=0),
            denoiser=DenoiserSettings(rounds=0, area_mpx=0.25, collaborate=False),
        ),
        "quick": Settings(preset="quick"),
        "balanced": Settings(
            preset="balanced",
            noise_model=NoiseModelSettings(steps=1_000),
            denoiser=DenoiserSettings(
                width=48, rounds=4, steps=600, area_mpx=3.0, every_orientation=True
            ),
        ),
        "paper": _paper(),
    }[name]
    return replace(made, **changes)


def _paper() -> Settings:
    """Give the published method: 20 500 crops, 30 epochs for the noise and for each round.

    The strictness is that for wide-field images; white noise wants about 0.05.
    """
    return Settings(
        preset="paper",
        patches=PatchSettings(strictness=0.42, patch_size_px=96, stride_px=24),
        noise_model=NoiseModelSettings(
            generator="g1",
            stabilise=False,
            by_place=False,
            steps=9_600,
            batch=64,
            crop_px=64,
            critic_steps=5,
        ),
        denoiser=DenoiserSettings(
            first_estimate="g2",
            network="dncnn",
            targets="noisy",
            rounds=3,
            steps=4_800,
            batch=128,
            crop_px=64,
            learning_rate=1e-3,
            schedule="halving",
            averaging=0.0,
            area_mpx=1000.0,
            collaborate=False,
            even_flat_areas=False,
            keep_brightness=False,
            kept_noise=0.0,
            neighbours="off",
        ),
    )
