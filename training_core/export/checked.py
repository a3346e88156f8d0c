"""What goes into a file is what comes out of it: frames, their checksums, the comparison."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator

import numpy as np

from training_core.run import Run, Stage
from training_core.stack import Pixels, Stack

from .facts import differing


class Frames:
    """The frames of a stack on their way into a file, made one by one.

    Attributes
    ----------
    stack
        What is written.
    checks
        The checksum of each frame that was taken, by its number.
    """

    def __init__(self, stack: Stack, run: Run) -> None:
        self.stack, self.run = stack, run
        self.checks: dict[int, int] = {}

    def __getitem__(self, index: int) -> Pixels:
        """Give a frame as the file shall have it, (height, width) in the stack's dtype.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        self.run.check()
        frame = self.stack.file_frame(index)
        self.checks[index] = zlib.crc32(frame.data)
        if self.run.tick_due():
            self.run.progress(Stage.WRITE, len(self.checks), 2 * self.stack.frame_count)
        return frame

    def planes(self, samples: int = 1) -> Iterator[Pixels]:
        """Give frame after frame; of a picture so many together, (height, width, samples)."""
        for number in range(self.stack.frame_count // samples):
            yield self.picture(number, samples) if samples > 1 else self[number]

    def picture(self, number: int, samples: int) -> Pixels:
        """Give so many frames as the colours of a picture, (height, width, samples)."""
        return np.stack([self[number * samples + each] for each in range(samples)], axis=-1)

    def differences(self, again: Stack, keeps: Collection[str]) -> list[str]:
        """Name what differs in a stack that was read again from the file; [] where nothing does.

        Parameters
        ----------
        keeps
            The facts that the format can keep; see `facts`.
        """
        stack = self.stack
        meant, found = _named_lengths(stack), _named_lengths(again)
        facts = {
            "shape": list(meant.values()) == list(found.values()),
            "axes": list(meant) == list(found),
            "type": again.dtype == stack.dtype,
        }
        wrong = [fact for fact, same in facts.items() if not same]
        wrong += differing(stack, again, keeps)
        if "shape" not in wrong and "type" not in wrong:
            wrong += ["pixels"] * any(self._differs(again, i) for i in range(stack.frame_count))
        return wrong

    def _differs(self, again: Stack, index: int) -> bool:
        self.run.check()
        if self.run.tick_due():
            count = self.stack.frame_count
            self.run.progress(Stage.WRITE, count + index + 1, 2 * count)
        frame = np.ascontiguousarray(again.raw_frame(index))
        return zlib.crc32(frame.data) != self.checks.get(index)


def _named_lengths(stack: Stack) -> dict[str, int]:
    """Give the axes and their lengths; without those of one, which no file tells from none."""
    lengths = zip(stack.axes, stack.shape, strict=True)
    return {axis: length for axis, length in lengths if length > 1 or axis in "YX"}
