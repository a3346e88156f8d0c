"""Show a run on a terminal as a bar with the time left, elsewhere as a line every few seconds."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TextIO

from tqdm import tqdm

from training_core.run import Event, Note, StageFinished, StageStarted, StepsDone
from training_core.wording import MEASURING, between

LINE_SECONDS = 5.0
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

tqdm.monitor_interval = 0  # no thread of its own: events come often enough


class Terminal:
    """Writes events to a stream, usually stderr, with bars on a terminal; pass it to `Run`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars = stream.isatty()
        self._bar: tqdm[object] | None = None
        self._detail = ""
        self._next_line = time.monotonic() + LINE_SECONDS

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case StageStarted(detail=detail):
                self._detail = detail
                self.close()
            case StepsDone() if self._bars:
                self._move_bar(event)
            case StepsDone():
                self._write_line(event)
            case Note(text, warning):
                self.say(f"Warning: {text}" if warning else text)
            case StageFinished():
                self.close()
            case _:
                pass

    def say(self, text: str) -> None:
        """Write one line, above the bar where there is one."""
        try:
            tqdm.write(showable(text, self._stream), file=self._stream)
            self._stream.flush()
        except OSError:  # nobody listens any more, which must not end the work
            silence(self._stream)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _move_bar(self, event: StepsDone) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=event.total,
                desc=self._title(event),
                file=self._stream,
                leave=False,
                bar_format=BAR,
            )
        self._bar.set_postfix_str(_left(event), refresh=False)
        self._bar.n = event.done
        self._bar.refresh()

    def _write_line(self, event: StepsDone) -> None:
        if time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + LINE_SECONDS
        left = _left(event)
        self.say(f"{self._title(event)}: {event.done} of {event.total}, {left}")

    def _title(self, event: StepsDone) -> str:
        return f"{event.stage} ({self._detail})" if self._detail else str(event.stage)


def _left(event: StepsDone) -> str:
    """Say how long the job still takes, as far as that is known."""
    left = event.time_left
    return MEASURING if left is None else f"{between(left.least, left.most)} left"


def showable(text: str, stream: TextIO) -> str:
    """Escape what a stream cannot show, as may be in the name of a file."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def silence(stream: TextIO) -> None:
    """Let a stream that cannot be written to lead nowhere, so that nothing fails at exit."""
    with suppress(OSError):  # a stream of a test has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
