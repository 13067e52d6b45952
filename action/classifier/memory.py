"""Knows how much memory a decoder may use in this container, and has the kernel hold it to that."""

from __future__ import annotations

import os
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024
_MOST = 160 * _MIB  # a PNG of this size takes about as long as an activation should
_LEAST = 8 * _MIB  # a photo of 2 megapixels; refusing everything would hide the real problem
_RESERVE = 48 * _MIB  # for what follows the decoder: two images of 2047 x 2047, their bytes, Pillow itself
_SPARE = 24 * _MIB  # for what no limit of the process counts: tables of its pages, sockets, stacks

# cgroups(7): version 2, then version 1, which writes "no limit" as the largest number of whole pages.
_NO_LIMIT = 1 << 60
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def read_limit(paths: tuple[str, ...] = _LIMITS) -> int | None:
    """Give the container's memory limit in bytes, None when there is none or it cannot be known."""
    for path in paths:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 7 ms of a cold start
                text = file.read().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None
    return None


def decoder_budget(limit: int | None, resident: int) -> int:
    """Give the bytes a decoder may use, from the container's limit and what the process holds already."""
    if limit is None:
        return _MOST
    return max(_LEAST, min(_MOST, limit - resident - _RESERVE))


@contextmanager
def capped(limit: int | None, resident: int) -> Iterator[None]:
    """Let allocations fail in this block before the container's memory is used up; `None` lets it be.

    A header does not tell all: 290 kB of WebP can hold 65,536 tables of Huffman codes, 330 MB, for one megapixel. A
    decoder that gets no memory refuses the file; without a cap the kernel kills the container. RLIMIT_DATA counts
    what is private and writable (setrlimit(2)), so what the process has of it already comes on top.
    """
    if limit is None:
        yield
        return
    import resource  # noqa: PLC0415 - only pictures other than JPEG need it

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _data_bytes() + max(_LEAST, limit - resident - _SPARE)
    finite = [value for value in (most, soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(finite), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - pathlib costs 7 ms of a cold start
        return int(statm.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
