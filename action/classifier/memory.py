"""Knows how much memory a decoder may use in this container."""

from __future__ import annotations

_MIB = 1024 * 1024
_MOST = 160 * _MIB  # a PNG of this size takes about as long as an activation should
_LEAST = 8 * _MIB  # a photo of 2 megapixels; refusing everything would hide the real problem
_RESERVE = 48 * _MIB  # for what follows the decoder: two images of 2047 x 2047, their bytes, Pillow itself

# cgroups(7): version 2, then version 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def read_limit() -> int | None:
    """Give the container's memory limit in bytes, None when there is none or it cannot be known."""
    for path in _LIMITS:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 7 ms of a cold start
                text = file.read().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else None
    return None


def decoder_budget(limit: int | None, resident: int) -> int:
    """Give the bytes a decoder may use, from the container's limit and what the process holds already."""
    if limit is None:
        return _MOST
    return max(_LEAST, min(_MOST, limit - resident - _RESERVE))
