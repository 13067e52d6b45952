"""Who the files of a tree belong to: packages of dpkg, Python distributions, npm packages."""

from __future__ import annotations

import csv
import json
import posixpath
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.tree import Tree

MAX_METADATA_BYTES = 16 << 20
MAX_PACKAGE_JSON_BYTES = 1 << 20
# All of them together, and the packages: a Debian has 64,000, and the lists of a desktop are 30 MB.
MAX_METADATA_IN_ALL = 64 << 20
MAX_PACKAGES = 100_000
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
    """Map files (without symlinks) to the packages that hold them; npm's and Python's word goes before dpkg's."""
    owners: dict[str, Package] = {}
    texts = _Texts(tree)
    for package, listed in chain(_dpkg(texts), _python(texts), _npm(texts)):
        owners.update((path, package) for path in listed if path in tree.entries)
    return owners


class _Texts:
    """Reads the files of package managers, up to a sum: many may be links to one that is large."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.left = MAX_METADATA_IN_ALL

    def read(self, path: str, limit: int = MAX_METADATA_BYTES) -> str:
        """What cannot be read attributes nothing."""
        try:
            content = self.tree.read(path, min(limit, self.left)) or b""
        except UnreadableEntryError:
            return ""
        self.left -= len(content)
        return content.decode("utf-8", "replace")


def _dpkg(texts: _Texts) -> Iterator[tuple[Package, list[str]]]:
    """Read /var/lib/dpkg/status and info/*.list; a list may name /lib/… where the tree has /usr/lib/…."""
    folders: dict[str, str | None] = {}
    seen: set[str] = set()

    def place(listed: str) -> str | None:
        folder, name = posixpath.split(listed)
        if folder not in folders:
            folders[folder] = texts.tree.resolve(folder)
        real = folders[folder]
        return posixpath.join(real, name) if real else None

    for paragraph in texts.read(f"{DPKG}/status").split("\n\n", MAX_PACKAGES)[:MAX_PACKAGES]:
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
        listed = [line for path in lists for line in texts.read(path).splitlines() if line.startswith("/")]
        yield package, [path for line in listed if (path := place(line))]


def _python(texts: _Texts) -> Iterator[tuple[Package, list[str]]]:
    """Read the RECORD of every .dist-info folder (packaging.python.org, "Recording installed projects")."""
    for path in texts.tree.entries:
        folder, name = posixpath.split(path)
        if name != "RECORD" or not folder.endswith(".dist-info"):
            continue
        project, _, version = posixpath.basename(folder).removesuffix(".dist-info").partition("-")
        package = Package(manager="python", name=project, version=version)
        site = posixpath.dirname(folder)
        try:
            rows = [row[0] for row in csv.reader(texts.read(path).splitlines()) if row]
        except csv.Error:
            rows = []
        yield package, [posixpath.normpath(posixpath.join(site, row)) for row in rows]


def _npm(texts: _Texts) -> Iterator[tuple[Package, list[str]]]:
    """Give each folder of a node_modules that has a package.json its files (docs.npmjs.com, "folders")."""
    homes: dict[str, list[str]] = {}
    for path, entry in texts.tree.entries.items():
        if entry.kind == "file" and NODE_MODULES in path:
            homes.setdefault(_npm_home(path), []).append(path)
    for home, paths in homes.items():
        if f"{home}/package.json" in texts.tree.entries:
            version = _npm_version(texts.read(f"{home}/package.json", MAX_PACKAGE_JSON_BYTES))
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
