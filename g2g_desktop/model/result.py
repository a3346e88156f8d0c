"""The results of a stack: what was made of it, by which models, and what may be done with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training_core.denoise.denoiser import Denoiser
    from training_core.reporting.findings import Judgement
    from training_core.reporting.likeness import Likeness
    from training_core.settings import Settings
    from training_core.stack import PixelSize, Stack

PRESET_TITLES = {
    "instant": "Instant",
    "quick": "Quick",
    "balanced": "Balanced",
    "paper": "As published",
}


def title_of(settings: Settings) -> str:
    """Name the preset, and whether anything in it but the patches was changed."""
    plain = preset(
        settings.preset, seed=settings.seed, device=settings.device, patches=settings.patches
    )
    title = PRESET_TITLES[settings.preset]
    return title if settings == plain else f"{title}, adjusted"


@dataclass(frozen=True, eq=False)
class Story:
    """What is known of a result whose model is not in memory: that of the queue, or of a file."""

    card: Mapping[str, Any]
    settings: Settings


@dataclass(frozen=True, eq=False)
class StackResult:
    """A denoised stack with its story.

    Attributes
    ----------
    model_name
        The file that the model was opened from; "" where it was trained here.
    warnings
        What is to be known about the result, a sentence each.
    alike
        How the model suits the stack; None where it was trained on it.
    judgement
        The one verdict on it; None until it is measured.
    exported, exported_dtype
        Where it was written to, and in which data type.
    as_made
        The result as it was computed, and the denoiser that it is of, whatever strength it has now;
        None where the model is not in memory.
    """

    denoised: Stack
    denoiser: Denoiser | Story
    model_name: str = ""
    warnings: tuple[str, ...] = ()
    alike: Likeness | None = None
    judgement: Judgement | None = None
    exported: Path | None = None
    exported_dtype: str = "same"
    as_made: tuple[Stack, Denoiser] | None = None
    when: datetime = field(default_factory=datetime.now)

    @property
    def title(self) -> str:
        """What made it, and when: "Balanced · 14:32"."""
        return f"{self.model_name or title_of(self.denoiser.settings)} · {self.when:%H:%M}"

    @property
    def model(self) -> Denoiser | None:
        """The model that made it, where that is in memory."""
        return None if isinstance(self.denoiser, Story) else self.denoiser

    @property
    def is_foreign(self) -> bool:
        """Whether the model was trained on another stack."""
        return self.alike is not None and not self.alike.own

    def with_pixel_size(self, size: PixelSize) -> StackResult:
        """Give it with another pixel size."""
        as_made = self.as_made
        if as_made is not None:
            as_made = replace(as_made[0], pixel_size=size), as_made[1]
        return replace(self, denoised=replace(self.denoised, pixel_size=size), as_made=as_made)


@dataclass(frozen=True, eq=False)
class Results:
    """All results of one stack, in the order they were made, and which of them is shown."""

    every: tuple[StackResult, ...] = ()
    chosen: int = 0

    @property
    def shown(self) -> StackResult | None:
        """The chosen one; None while there is none."""
        return self.every[self.chosen] if self.every else None

    def and_then(self, result: StackResult) -> Results:
        """Give these and one more, which is shown."""
        return Results((*self.every, result), len(self.every))

    def changed(self, **values: Any) -> Results:
        """Give these with other values in the one that is shown."""
        every = list(self.every)
        if every:
            every[self.chosen] = replace(every[self.chosen], **values)
        return replace(self, every=tuple(every))

    def that_fit(self, stack: Stack) -> Results:
        """Give those of such a stack; a file may be another one than before, or read otherwise."""
        form = stack.shape, stack.axes
        fits = tuple(e for e in self.every if (e.denoised.shape, e.denoised.axes) == form)
        return self if len(fits) == len(self.every) else Results(fits, max(len(fits) - 1, 0))

    def with_pixel_size(self, size: PixelSize) -> Results:
        """Give these with another pixel size."""
        return replace(self, every=tuple(one.with_pixel_size(size) for one in self.every))
