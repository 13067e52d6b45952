"""Logs what each stage of an activation took: `elapsed decode 0.4 ms` and `memory decode rss=31.5 MiB`.

The lines are for people and for `grep`: always this order of words, one digit after the point. Stages, in order:

processStart    from the process's start to the server's first line (cold start only, as the next two)
import          reading the modules of the server and of this action; where the action comes as a zip, only its own,
                and processStart lasts until it came
loadModel       opening the native library and the model
decode          base64 to the bytes of a file; this and the next two once for each image
input           the file to the model's input
classify        inference and ranking; a process's first is logged as firstInference, too
main            the whole activation

With UNDER48_PROFILE=json in the environment, which the platform sets from parameters given with `wsk action create
--env`, the same follows as one line of JSON: `{"profile": …}`, see `_as_json`.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from time import CLOCK_BOOTTIME, clock_gettime, perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024
_STARTTIME = 22 - 3  # the field of proc(5), /proc/pid/stat, counted after the command's name


class _Profile:
    """What was measured since the last activation ended; `cold` until the first one has."""

    __slots__ = ("cold", "inferred", "stages")

    def __init__(self) -> None:
        self.cold = True
        self.inferred = False
        self.stages: list[tuple[str, float, int]] = []


_PROFILE = _Profile()


def resident_bytes() -> int:
    """Give this process's resident set in bytes (proc(5), /proc/pid/statm); 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - pathlib costs 7 ms of a cold start
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a block and print its two lines, also when it ends with an error."""
    start = perf_counter()
    try:
        yield
    finally:
        log(name, (perf_counter() - start) * 1000)


@contextmanager
def activation() -> Iterator[None]:
    """Time an activation as the stage `main`; then print the line of JSON if it is wanted, and begin anew."""
    try:
        with stage("main"):
            yield
    finally:
        # Read each time: /init brings it after the model is loaded.
        if os.environ.get("UNDER48_PROFILE") == "json":
            print(_as_json(_PROFILE), flush=True)
        _PROFILE.cold = False
        _PROFILE.stages.clear()


@contextmanager
def inference() -> Iterator[None]:
    """Time the stage `classify`, which is the last part of a cold start when it is this process's first."""
    first, _PROFILE.inferred = not _PROFILE.inferred, True
    with stage("classify"):
        start = perf_counter()
        try:
            yield
        finally:
            if first:
                log("firstInference", (perf_counter() - start) * 1000)


def log(name: str, elapsed_ms: float) -> None:
    """Print the two lines of a stage that took so long, and keep them for the line of JSON."""
    resident = resident_bytes()
    _PROFILE.stages.append((name, elapsed_ms, resident))
    print(f"elapsed {name} {elapsed_ms:.1f} ms\nmemory {name} rss={resident / _MIB:.1f} MiB", flush=True)


def process_age_ms() -> float | None:
    """Milliseconds since the kernel made this process, to its clock tick of 10 ms; None where there is no /proc.

    Its clock includes the time that a container or a machine was frozen. What the engine does between making
    the process and starting the program in it is part of this, too.
    """
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123 - pathlib costs 7 ms of a cold start
            fields = stat.read().rpartition(b")")[2].split()
        started = int(fields[_STARTTIME]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, (clock_gettime(CLOCK_BOOTTIME) - started) * 1000)
    except (OSError, IndexError, ValueError):
        return None


def _as_json(profile: _Profile) -> str:
    """One line: `cold` with the first activation, and each stage as it was logged; ms, and rss in bytes."""
    stages = [{"stage": name, "ms": round(ms, 3), "rss": rss} for name, ms, rss in profile.stages]
    whose = os.environ.get("__OW_ACTIVATION_ID")
    return json.dumps({"profile": {"activation": whose, "cold": profile.cold, "stages": stages}})
