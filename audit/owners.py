"""Who the files of a tree belong to: packages of dpkg, Python distributions, npm packages."""

from __future__ import annotations

import csv
import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.tree import Tree

MAX_METADATA_BYTES = 16 << 20
MAX_PACKAGE_JSON_BYTES = 1 << 20
DPKG = "/var/lib/dpkg"
NODE_MODULES = "/node_modules/"

Manager = Literal["dpkg", "python", "npm", "folder"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """Who a file belongs to."""

    manager: Manager
    name: str
    version: str = ""


def owners_of(tree: Tree) -> Mapping[str, Package]:
    """Map paths (without symlinks) to the packages that hold them; npm's and Python's word goes before dpkg's."""
    owners: dict[str, Package] = {}
    for package, listed in (*_dpkg(tree), *_python(tree), *_npm(tree)):
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


def _npm(tree: Tree) -> Iterator[tuple[Package, list[str]]]:
    """Give each folder of a node_modules that has a package.json its files (docs.npmjs.com, "folders")."""
    homes: dict[str, list[str]] = {}
    for path, entry in tree.entries.items():
        if entry.kind == "file" and NODE_MODULES in path:
            homes.setdefault(_npm_home(path), []).append(path)
    for home, paths in homes.items():
        if f"{home}/package.json" in tree.entries:
            version = _npm_version(_text(tree, f"{home}/package.json", MAX_PACKAGE_JSON_BYTES))
            name = home.rpartition(NODE_MODULES)[2]
            yield Package(manager="npm", name=name, version=version), paths


def _npm_home(path: str) -> str:
    """Give the innermost package folder that a file lies in; the name of a scoped one has two parts."""
    above, _, rest = path.rpartition(NODE_MODULES)
    depth = 2 if rest.startswith("@") else 1
    return above + NODE_MODULES + "/".join(rest.split("/")[:depth])


def _npm_version(text: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, str) else ""


def _text(tree: Tree, path: str, limit: int = MAX_METADATA_BYTES) -> str:
    """Read a package manager's file; what cannot be read attributes nothing."""
    try:
        return (tree.read(path, limit) or b"").decode("utf-8", "replace")
    except UnreadableEntryError:
        return ""
