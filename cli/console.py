"""What a command shows while it works: one line for each step, and progress while a step takes long.

All of it goes to stderr, so that stdout holds the result and nothing else.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_PLAIN_EVERY_S = 15.0  # without a terminal, how often a long step says that it is still at work


def human_bytes(count: int) -> str:
    """A size for people, in the decimal units that file managers and registries use: 4.1 MB."""
    if count < 1000:
        return f"{count} B"
    for unit, size in (("kB", count / 1e3), ("MB", count / 1e6)):
        if round(size, 1) < 1000:
            return f"{size:.1f} {unit}"
    return f"{count / 1e9:.2f} GB"


def human_time(seconds: float) -> str:
    """A duration for people: 0.3 s, 41 s, 3 min 20 s."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Step:
    """One step under way; what it did and what it cost are set on it, and shown when it ends."""

    def __init__(self, name: str, terminal: Terminal) -> None:
        """Begin the step `name`, shown on `terminal`."""
        self.outcome = ""
        self.bytes: int | None = None
        self._name = name
        self._terminal = terminal
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        """Start the bar, where there is a terminal for it."""
        if self._terminal.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._terminal, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar; print the line, unless the step failed."""
        if self._bar:
            self._bar.stop()
        if error is None:
            cost = "" if self.bytes is None else human_bytes(self.bytes)
            took = human_time(time.monotonic() - self._began)
            self._print(f"{self._name:<12} {self.outcome:<64} {took:>12} {cost:>9}".rstrip())

    def show_bytes(self, what: str, done: int, total: int | None) -> None:
        """Progress of a download: bytes done, and in all where that is known."""
        of = f" of {human_bytes(total)}" if total else ""
        self._progress(f"{what}  {human_bytes(done)}{of}", done, total)

    def show(self, text: str, done: int = 0, total: int | None = None) -> None:
        """What is being done right now, and how much of how much."""
        self._progress(text, done, total)

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        self._print(f"{self._name:<12} {text}")

    def _progress(self, text: str, done: int, total: int | None) -> None:
        if self._bar:
            width = max(20, self._terminal.width - len(self._name) - 45)
            shown = text if len(text) <= width else text[: width - 1] + "…"
            description = f"{self._name:<12} {escape(shown)}"
            self._bar.update(self._task, description=description, completed=done, total=total)
        elif time.monotonic() - self._said >= _PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._print(f"{self._name:<12} … {text}  ({human_time(self._said - self._began)})")

    def _print(self, text: str) -> None:
        self._terminal.print(text, highlight=False, markup=False, soft_wrap=True)


def step(name: str) -> Step:
    """Show one step of the work, as a line when it is done."""
    return Step(name, Terminal(stderr=True))
