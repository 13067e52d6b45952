"""Logs what each stage of an activation took: `elapsed decode 0.4 ms` and `memory decode rss=31.5 MiB`.

The lines are for people and for `grep`: always this order of words, one digit after the point.
Stages: loadModel (cold start only), decode (base64 to a file's bytes), input (the file to the model's input),
classify (inference and ranking), main (the whole activation).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024


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
        elapsed = (perf_counter() - start) * 1000
        print(
            f"elapsed {name} {elapsed:.1f} ms\nmemory {name} rss={resident_bytes() / _MIB:.1f} MiB",
            flush=True,
        )
