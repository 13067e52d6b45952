"""Finds the symlinks of a target that lead out of it, or nowhere."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audit.tree import MAX_SYMLINKS

if TYPE_CHECKING:
    from audit.tree import Tree

# What is mounted, or made at start, is no fault of an image: its links may lead there.
RUNTIME_FOLDERS = ("/proc/", "/sys/", "/dev/", "/run/", "/var/run/", "/tmp/")  # noqa: S108 - names, not files

LinkFault = Literal["outside", "dangling", "loop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLink:
    """A symlink at `path` to `target` that leads outside of the target, to nothing, or in a circle."""

    path: str
    target: str
    fault: LinkFault


def bad_links(target: Tree) -> tuple[BadLink, ...]:
    """Follow every symlink of the target by itself, in the order of their paths.

    In an image nothing is outside (path_resolution(7): `..` of `/` is `/`); a zip or folder is unpacked
    somewhere, so absolute links, and those with too many `..`, lead out of it.
    """
    rooted = target.form in ("image", "tar")
    found = []
    for path, entry in sorted(target.entries.items()):
        if entry.kind == "symlink":
            fault = _fault(target, path, rooted=rooted)
            if fault is not None:
                found.append(BadLink(path=path, target=entry.target, fault=fault))
    return tuple(found)


def _fault(tree: Tree, path: str, *, rooted: bool) -> LinkFault | None:
    """Walk as Tree.walk does, but notice each step above the top."""
    here, todo, links = "/", path.split("/")[::-1], 0
    while todo:
        name = todo.pop()
        if name == ".." and here == "/" and not rooted:
            return "outside"
        if name in ("", ".", ".."):
            here = posixpath.dirname(here) if name == ".." else here
            continue
        there = posixpath.join(here, name)
        entry = tree.entries.get(there)
        if entry is None:
            return None if rooted and f"{there}/".startswith(RUNTIME_FOLDERS) else "dangling"
        if entry.kind != "symlink":
            here = there
            continue
        links += 1
        absolute = entry.target.startswith("/")
        if links > MAX_SYMLINKS or not entry.target:  # an empty one could not be read from the archive
            return "loop" if entry.target else "dangling"
        if absolute and not rooted:
            return "outside"
        here = "/" if absolute else here
        todo.extend(tree.follow(entry.target))
    return None
