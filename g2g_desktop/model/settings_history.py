"""The settings now and before, so that any change can be taken back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training_core.settings import Settings

ONE_CHANGE_SECONDS = 0.7  # a slider that moves is one change
MOST_KEPT = 100


class SettingsHistory:
    """A line of settings, in which one can go back and on again."""

    def __init__(self, settings: Settings) -> None:
        self._line = [settings]
        self._at = 0
        self._changed = 0.0

    @property
    def now(self) -> Settings:
        """The settings in force."""
        return self._line[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there are settings before these."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether there are settings after these."""
        return self._at + 1 < len(self._line)

    def start(self, settings: Settings) -> None:
        """Begin with other settings; the only step back is to those in force before."""
        former = [self.now] if self.now != settings else []
        self._line = [*former, settings]
        self._at, self._changed = len(former), 0.0

    def take(self, settings: Settings, *, apart: bool = False) -> None:
        """Take a change; one soon after the last is a part of it, unless it stands `apart`."""
        soon = time.monotonic() - self._changed < ONE_CHANGE_SECONDS
        moves = soon and self._at > 0 and not apart
        kept = self._line[: self._at + (not moves)]
        self._line = [*kept, settings][-MOST_KEPT:]
        self._at, self._changed = len(self._line) - 1, time.monotonic()

    def undo(self) -> None:
        """Go back, where there is something before."""
        self._at, self._changed = max(self._at - 1, 0), 0.0

    def redo(self) -> None:
        """Go on again, where there is something after."""
        self._at, self._changed = min(self._at + 1, len(self._line) - 1), 0.0
