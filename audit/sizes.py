"""Where the bytes of a tree are: by package (dpkg, Python distributions, npm, else folder), folder and file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.owners import Package, owners_of
from audit.tree import parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSize:
    """Bytes of a package's files, each hard-linked content once; `compressed` is None outside a zip."""

    package: Package
    files: int
    size: int
    compressed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSize:
    """Bytes of one file."""

    path: str
    package: Package
    size: int
    compressed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """All sizes, largest first; `size` and `compressed` are the sums."""

    files: tuple[FileSize, ...]
    packages: tuple[PackageSize, ...]
    size: int
    compressed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSize:
    """Bytes of all files in a folder and beneath it."""

    path: str
    files: int
    size: int
    compressed: int | None


def sizes(tree: Tree, paths: Iterable[str], top: str = "/", packed: Mapping[str, int] | None = None) -> Sizes:
    """Measure the files among `paths` (those of the target, which lies at `top`).

    `packed` gives the compressed bytes of files for which the tree knows none; see `audit.packed`.
    """
    owners = owners_of(tree)
    estimated = packed or {}
    files: list[FileSize] = []
    for path in paths:
        entry = tree.entries[path]
        if entry.kind == "file" and entry.same_as is None:
            package = (
                owners.get(path)
                or owners.get(_source(path))
                or Package(manager="folder", name=_group(path, top))
            )
            compressed = estimated.get(path) if entry.compressed is None else entry.compressed
            files.append(FileSize(path=path, package=package, size=entry.size, compressed=compressed))
    files.sort(key=lambda file: (-file.size, file.path))
    of_package: defaultdict[Package, list[FileSize]] = defaultdict(list)
    for file in files:
        of_package[file.package].append(file)
    packages = [
        PackageSize(
            package=package,
            files=len(members),
            size=sum(file.size for file in members),
            compressed=_compressed(members),
        )
        for package, members in of_package.items()
    ]
    packages.sort(key=lambda package: (-package.size, package.package))
    return Sizes(
        files=tuple(files),
        packages=tuple(packages),
        size=sum(file.size for file in files),
        compressed=_compressed(files),
    )


def folder_sizes(measured: Sizes, top: str = "/") -> tuple[FolderSize, ...]:
    """Measure every folder from `top` down, the largest first; a folder counts all that is beneath it."""
    members: defaultdict[str, list[FileSize]] = defaultdict(list)
    for file in measured.files:
        members[posixpath.dirname(file.path)].append(file)
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for folder, files in members.items():
        row = (len(files), sum(file.size for file in files), _compressed(files) or 0)
        for place in (folder, *parents(folder)):
            sums[place] = [old + new for old, new in zip(sums[place], row, strict=True)]
            if place == top:
                break
    known = measured.compressed is not None
    found = [
        FolderSize(path=path, files=files, size=size, compressed=compressed if known else None)
        for path, (files, size, compressed) in sums.items()
    ]
    return tuple(sorted(found, key=lambda folder: (-folder.size, folder.path)))


def _source(path: str) -> str:
    """Name the source that a `.pyc` was compiled from (PEP 3147), to whose package it belongs."""
    folder, name = posixpath.split(path)
    above, cache = posixpath.split(folder)
    return posixpath.join(above, name.split(".")[0] + ".py") if cache == "__pycache__" else path


def _group(path: str, top: str) -> str:
    """Name the group of a file that no package holds: its first folder, below `usr` the first two."""
    inside = path if top == "/" else path[len(top) :]
    parts = inside.strip("/").split("/")[:-1]
    depth = 2 if parts[:1] == ["usr"] else 1
    return "/".join(parts[:depth]) + "/" if parts else "(top)"


def _compressed(files: Iterable[FileSize]) -> int | None:
    known = [file.compressed for file in files if file.compressed is not None]
    return sum(known) if known else None
