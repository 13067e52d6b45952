"""Copies chosen paths of a tree into a folder: modes, owners and links kept, one time for all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import CopyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.tree import Entry, Tree


def copy_paths(tree: Tree, paths: Iterable[str], to: str | os.PathLike[str], mtime: int) -> int:
    """Write the entries at `paths` into the folder `to` and give the bytes of content written.

    `paths` must hold the folders above each path. Owners are kept when this runs as root.

    Raises:
        CopyError: `to` is not empty, or cannot be written.
    """
    top = Path(to)
    try:
        top.mkdir(parents=True, exist_ok=True)
        if any(top.iterdir()):
            raise CopyError(f"{top} is not empty: name a new folder, so that what is there is not mixed in.")
        return _copy(tree, sorted(paths), top, mtime)
    except OSError as error:
        raise CopyError(f"cannot write {error.filename or top}: {error.strerror or error}") from error


def _copy(tree: Tree, paths: list[str], top: Path, mtime: int) -> int:
    written = 0
    first: dict[str, Path] = {}
    for path in paths:
        entry, place = tree.entries[path], top / path[1:]
        match entry.kind:
            case "dir":
                place.mkdir(exist_ok=True)
            case "symlink":
                place.symlink_to(entry.target)
            case "file":
                content = entry.same_as or path
                if content in first:
                    place.hardlink_to(first[content])
                    continue
                first[content] = place
                with entry.open() as source, place.open("xb") as target:
                    shutil.copyfileobj(source, target)
                written += place.stat().st_size
            case "other":
                continue
        _own(entry, place)
    for path in reversed(paths):  # a folder's time last: its content changes it
        if tree.entries[path].kind != "other":
            os.utime(top / path[1:], (mtime, mtime), follow_symlinks=False)
    return written


def _own(entry: Entry, place: Path) -> None:
    if os.geteuid() == 0:
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind != "symlink":
        place.chmod(entry.mode)  # after chown, which clears set-user-ID
