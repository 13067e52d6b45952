"""Follows the log of a build: which step it is in, and the end of what that printed, for the error."""

import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from images.engine.step import Step
from images.errors import BuildFailed

TAIL_LINES = 30  # of the failing step's output, in the error
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder paints what a step writes to stderr


@dataclass
class Running:
    """The step that a log is in; the log itself says neither when a step ends nor how long it took."""

    number: int
    total: int
    instruction: str
    began: float = field(default_factory=time.monotonic)
    cached: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    _partial: str = ""  # a line whose end has not come yet

    def state(self, *, line: str = "", done: bool = False) -> Step:
        """Where the build stands now."""
        return Step(
            number=self.number,
            total=self.total,
            instruction=self.instruction,
            elapsed_s=time.monotonic() - self.began,
            line=line,
            cached=self.cached,
            done=done,
        )

    def lines(self, text: str) -> Iterator[str]:
        """The lines that `text` completes, kept for the error, too."""
        *whole, self._partial = (self._partial + text).split("\n")
        for raw in whole:
            line = _COLOUR.sub("", raw).rstrip("\r").rpartition("\r")[2]  # of a progress bar, the last state
            if line.strip():
                self.tail.append(line)
                yield line

    def failure(self, name: str, message: str) -> BuildFailed:
        """The error for a build that failed in this step; `message` is what the builder says of it."""
        if self._partial:
            self.tail.append(_COLOUR.sub("", self._partial))
        tail = "".join(f"\n    {line}" for line in self.tail)
        at = f"step {self.number}/{self.total}: {self.instruction}" if self.number else self.instruction
        return BuildFailed(
            f"building {name} failed at {at}\n  {message}"
            + (f"\n  the end of its output:{tail}" if tail else "")
        )
