"""Reads the files of an archive to their ends, where their checksums tell whether they are whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from audit.tree import Tree

# Of what has not been read before, no more is inflated, the smallest files first: that takes ten seconds.
MAX_CHECKED_BYTES = 4 << 30
# Packed files that are worth a thread of their own.
LARGE_BYTES = 1 << 20
CORES = 2


def checkable(tree: Tree, paths: Iterable[str], limit: int = MAX_CHECKED_BYTES) -> tuple[str, ...]:
    """Give those among `paths` whose checksums are known, as many as have `limit` bytes, the smallest first."""
    known = [path for path in paths if tree.entries[path].checker is not None]
    known.sort(key=lambda path: tree.entries[path].size)
    ends = accumulate(tree.entries[path].size for path in known)
    return tuple(path for path, end in zip(known, ends, strict=True) if end <= limit)


def damage(tree: Tree, paths: Iterable[str]) -> Mapping[str, str]:
    """Tell which files among `paths` are not what their checksums say, and why."""
    found: dict[str, str] = {}
    for path in sorted(paths):
        try:
            tree.entries[path].check()
        except UnreadableEntryError as error:
            found[path] = str(error)
    return found


def on_two_cores(use: Callable[[str], object], paths: Iterable[str], tree: Tree) -> None:
    """Use the large packed files among `paths`, the largest first.

    Inflating one of them may take as long as all others together.
    """
    entries = tree.entries
    large = [path for path in paths if entries[path].compressed and entries[path].size >= LARGE_BYTES]
    if large:
        with ThreadPoolExecutor(CORES) as pool:
            for _ in pool.map(use, sorted(large, key=lambda path: -entries[path].size)):
                pass  # what goes wrong is raised here
