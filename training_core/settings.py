"""Every setting once: default, limits, unit, label and help; forms and options derive."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from .errors import SettingsError
from .setting_fields import Checked, setting
from .setting_fields import Limits as Limits
from .setting_fields import limits_of as limits_of
from .stage_settings import DenoiserSettings as DenoiserSettings
from .stage_settings import NoiseModelSettings as NoiseModelSettings
from .stage_settings import PatchSettings as PatchSettings

PRESETS = ("quick", "balanced", "paper")


@dataclass(frozen=True, slots=True)
class Settings(Checked):
    """Everything a job needs to be run again."""

    preset: str = setting(
        "balanced",
        "Preset",
        "Quick takes minutes on a processor, balanced longer, paper is the published method.",
        choices=PRESETS,
        advanced=False,
    )
    seed: int = setting(0, "Seed", "The same seed gives the same result.", minimum=0, maximum=2**31)
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
        published = self.noise_model.generator == "g1"
        if published != (self.denoiser.first_estimate == "g2"):
            raise SettingsError(
                "Generator g1 and first estimate g2 learn together; choose both or neither."
            )
        if published and self.denoiser.network in ("pretrained", "compact", "residual-unet"):
            raise SettingsError(
                f"Network {self.denoiser.network} corrects the shrinkage filter, which generator "
                "g1 does without; choose dncnn or unet."
            )

    def to_dict(self) -> dict[str, Any]:
        """Give nested plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build settings from nested plain values; unknown names are refused."""
        parts = {
            "patches": PatchSettings,
            "noise_model": NoiseModelSettings,
            "denoiser": DenoiserSettings,
        }
        try:
            nested = {name: kind(**values[name]) for name, kind in parts.items() if name in values}
            return cls(**{**values, **nested})
        except TypeError as error:
            raise SettingsError(f"The settings cannot be read: {error}.") from error


def preset(name: str, **changes: Any) -> Settings:
    """Give the settings of a preset, with `changes` to the top-level fields."""
    if name not in PRESETS:
        raise SettingsError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    made = {
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
