"""Finds content that is stored more than once, reading only files whose sizes are equal."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.sizes import FileSize
    from audit.tree import Tree

# Smaller files are many, and together little.
MIN_BYTES = 4096
HEAD_BYTES = 4096
# So much is read in all, largest files first; a file system of equal files ends there.
MAX_HASHED_BYTES = 1 << 30
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Files with equal content of `size` bytes each: all but the first are waste. Hard links are not among them."""

    size: int
    paths: tuple[str, ...]

    @property
    def wasted(self) -> int:
        """Bytes that one copy less than there are takes."""
        return self.size * (len(self.paths) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """What is stored more than once, the most wasteful first; `unread` files of equal size were not compared."""

    groups: tuple[Duplicate, ...] = ()
    unread: int = 0


def duplicates(tree: Tree, files: Iterable[FileSize], limit: int = MAX_HASHED_BYTES) -> Duplicates:
    """Compare files of equal size by their first 4096 bytes, and those still equal by SHA-256 of the whole.

    At most `limit` bytes are read for that. What cannot be read equals nothing.
    """
    of_size: defaultdict[int, list[str]] = defaultdict(list)
    for file in files:
        if file.size >= MIN_BYTES:
            of_size[file.size].append(file.path)
    found: list[Duplicate] = []
    left, unread = limit, 0
    for size, paths in sorted(of_size.items(), reverse=True):
        if len(paths) < 2:
            continue
        for alike in _split(paths, tree, HEAD_BYTES):
            if size * len(alike) > left:
                unread += len(alike)
                continue
            left -= size * len(alike)
            found += [Duplicate(size=size, paths=tuple(same)) for same in _split(alike, tree, size)]
    found.sort(key=lambda group: (-group.wasted, group.paths))
    return Duplicates(groups=tuple(found), unread=unread)


def _split(paths: Iterable[str], tree: Tree, length: int) -> Iterator[list[str]]:
    """Give the groups of at least two whose first `length` bytes are equal, each sorted."""
    groups: Mapping[bytes, list[str]] = defaultdict(list)
    for path in sorted(paths):
        digest = _digest(tree, path, length)
        if digest is not None:
            groups[digest].append(path)
    return (group for group in groups.values() if len(group) > 1)


def _digest(tree: Tree, path: str, length: int) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with tree.entries[path].open() as content:
            while length > 0 and (chunk := content.read(min(CHUNK, length))):
                digest.update(chunk)
                length -= len(chunk)
    except UnreadableEntryError:
        return None
    return digest.digest()
