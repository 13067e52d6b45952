"""Owns stdout and stderr: output leaves line by line, each activation ends with a sentinel on both."""

from __future__ import annotations

import io
import os
import resource
import sys
from contextlib import suppress

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"


class _Descriptor(io.FileIO):
    """A file descriptor that remembers whether what it wrote last ended a line, and can hold all back."""

    ends_line = True
    held: list[bytes] | None = None

    def write(self, data: bytes | memoryview) -> int | None:  # type: ignore[override]
        if self.held is not None:
            self.held.append(bytes(data))
            return memoryview(data).nbytes
        count = super().write(data)
        if count:
            self.ends_line = bytes(memoryview(data)[count - 1 : count]) == b"\n"
        return count


class _Stream:
    """One of the two: a descriptor, and the text file above it that is sys.stdout or sys.stderr."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._number = descriptor
        self._descriptor = _Descriptor(descriptor, "w", closefd=False)
        self._open()

    def _open(self) -> None:
        before = self._descriptor
        self._descriptor = _Descriptor(self._number, "w", closefd=False)
        self._descriptor.ends_line, self._descriptor.held = before.ends_line, before.held
        # Lines leave at once, so what an action printed before it was killed is in the log.
        self._text = io.TextIOWrapper(
            io.BufferedWriter(self._descriptor),  # type: ignore[type-var]
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        setattr(sys, self._name, self._text)
        setattr(sys, f"__{self._name}__", self._text)

    def flush(self) -> None:
        current = getattr(sys, self._name)
        for text in (current, self._text):
            with suppress(Exception):  # user code may have closed it, or replaced it with anything
                text.flush()
        if current is not self._text or self._text.closed:
            self._open()

    def hold(self) -> None:
        self.flush()
        self._descriptor.held = []

    def release(self, *, drop: bool) -> None:
        if self._descriptor.held is None:
            return
        self.flush()
        held, self._descriptor.held = self._descriptor.held, None
        if not drop:
            self._text.buffer.writelines(held)
            self._text.flush()

    def end(self, *, surely_new_line: bool) -> None:
        # A sentinel at the end of a line of output would take it away: the platform removes whole lines.
        before = "\n" if surely_new_line or not self._descriptor.ends_line else ""
        with suppress(OSError):  # nobody reads the log any more? The answer still matters
            os.write(self._number, f"{before}{SENTINEL}\n".encode())
        self._descriptor.ends_line = True


class Logs:
    """Both streams of the process."""

    def __init__(self) -> None:
        """Take over stdout and stderr; stdin becomes /dev/null, or an action that reads it would wait."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._streams = (_Stream("stdout", 1), _Stream("stderr", 2))
        self._children = _ended_children()

    def hold(self) -> None:
        """Keep what Python code writes from now on, until it is known whose activation it belongs to.

        Not what C code writes: it may be the last words of a crash.
        """
        for stream in self._streams:
            stream.hold()

    def release(self, *, drop: bool = False) -> None:
        """Send out (or drop) what was held, and hold no more; nothing happens where nothing is held."""
        for stream in self._streams:
            stream.release(drop=drop)

    def flush(self) -> None:
        """Send out all that was written, by C libraries too (their output to a pipe is buffered)."""
        for stream in self._streams:
            stream.flush()
        ctypes = sys.modules.get("ctypes")  # nothing but Python writes where nobody has loaded it
        if ctypes is not None:
            ctypes.CDLL(None).fflush(None)

    def end(self) -> None:
        """Flush, then write the sentinel line on both streams: the end of an activation."""
        self.flush()
        children = _ended_children()
        for stream in self._streams:
            # What a child process wrote did not pass through here, so its last line may be unfinished.
            stream.end(surely_new_line=children != self._children)
        self._children = children


def _ended_children() -> tuple[int, int]:
    """Give figures that change whenever a child process ended and was waited for (getrusage(2))."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_minflt, usage.ru_majflt
