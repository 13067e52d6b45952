"""Where the bytes of a tree are: by package (dpkg, Python distributions, else folder) and by file."""

from __future__ import annotations

import csv
import posixpath
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.tree import Tree

MAX_METADATA_BYTES = 16 << 20
DPKG = "/var/lib/dpkg"

Manager = Literal["dpkg", "python", "folder"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """Who a file belongs to."""

    manager: Manager
    name: str
    version: str = ""


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


def sizes(tree: Tree, paths: Iterable[str], top: str = "/") -> Sizes:
    """Measure the files among `paths` (those of the target, which lies at `top`)."""
    owners = owners_of(tree)
    files: list[FileSize] = []
    for path in paths:
        entry = tree.entries[path]
        if entry.kind == "file" and entry.same_as is None:
            package = (
                owners.get(path)
                or owners.get(_source(path))
                or Package(manager="folder", name=_group(path, top))
            )
            files.append(FileSize(path=path, package=package, size=entry.size, compressed=entry.compressed))
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


def owners_of(tree: Tree) -> Mapping[str, Package]:
    """Map paths (without symlinks) to the packages that hold them; Python's word goes before dpkg's."""
    owners: dict[str, Package] = {}
    for package, listed in (*_dpkg(tree), *_python(tree)):
        for path in listed:
            owners[path] = package
    return owners


def _dpkg(tree: Tree) -> Iterator[tuple[Package, list[str]]]:
    """Read /var/lib/dpkg/status and info/*.list; a list may name /lib/… where the tree has /usr/lib/…."""
    folders: dict[str, str | None] = {}
    seen: set[str] = set()

    def place(listed: str) -> str | None:
        folder, name = posixpath.split(listed)
        if folder not in folders:
            folders[folder] = tree.resolve(folder)
        real = folders[folder]
        return posixpath.join(real, name) if real else None

    for paragraph in _text(tree, f"{DPKG}/status").split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " "
        )
        name = fields.get("Package")
        if name is None or "/" in name or name in seen:
            continue
        seen.add(name)
        package = Package(manager="dpkg", name=name, version=fields.get("Version", ""))
        # "Multi-Arch: same" packages have the architecture in the name of their list.
        lists = (
            f"{DPKG}/info/{name}.list",
            f"{DPKG}/info/{name}:{fields.get('Architecture', '').replace('/', '')}.list",
        )
        listed = [line for path in lists for line in _text(tree, path).splitlines() if line.startswith("/")]
        yield package, [path for line in listed if (path := place(line))]


def _python(tree: Tree) -> Iterator[tuple[Package, list[str]]]:
    """Read the RECORD of every .dist-info folder (packaging.python.org, "Recording installed projects")."""
    for path in tree.entries:
        folder, name = posixpath.split(path)
        if name != "RECORD" or not folder.endswith(".dist-info"):
            continue
        project, _, version = posixpath.basename(folder).removesuffix(".dist-info").partition("-")
        package = Package(manager="python", name=project, version=version)
        site = posixpath.dirname(folder)
        try:
            rows = [row[0] for row in csv.reader(_text(tree, path).splitlines()) if row]
        except csv.Error:
            rows = []
        yield package, [posixpath.normpath(posixpath.join(site, row)) for row in rows]


def _text(tree: Tree, path: str) -> str:
    """Read a package manager's file; what cannot be read attributes nothing."""
    try:
        return (tree.read(path, MAX_METADATA_BYTES) or b"").decode("utf-8", "replace")
    except UnreadableEntryError:
        return ""


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
