"""Computes which files of a tree its entry points need to load; as a command, copies exactly these.

    python -m audit.closure /target --entry /usr/bin/python3.11 --keep '/usr/lib/python3.11/**' --to /rootfs

Nothing of the tree is executed, so the tree may be of another architecture. The command needs pyelftools and
the standard library alone, for it runs inside a build stage.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import sys
from typing import TYPE_CHECKING

from audit.copying import copy_paths
from audit.elf import Elf
from audit.errors import AuditError, UnresolvedError
from audit.graph import Broken, Linker
from audit.ldcache import CACHE
from audit.loader import How
from audit.readers.folder import read_folder
from audit.tree import MAX_INTERPRETERS, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.graph import Edge
    from audit.tree import Tree


def closure(tree: Tree, entry_points: Iterable[str]) -> frozenset[str]:
    """Give every path that must be kept so that the entry points load as they do in `tree`.

    Entry points are ELF programs, ELF plugins (as loaded by dlopen), scripts with a `#!` line, or any other
    file, which is kept as it is. The result holds the files, everything reached through DT_NEEDED and
    PT_INTERP, and every symlink and folder on the way, so that a copy of exactly these paths resolves the
    same. What was found through /etc/ld.so.cache brings that along.

    Raises:
        UnresolvedError: something is missing; the text lists all of it.
    """
    return _Closure(tree).of(entry_points)


def with_links(tree: Tree, paths: Iterable[str]) -> frozenset[str]:
    """Add to existing paths the symlinks and folders on the way to them, and what the symlinks lead to."""
    kept: set[str] = set()
    for path in paths:
        walk = tree.walk(path)
        for place in (*walk.links, *([walk.real] if walk.real else [])):
            kept.add(place)
            kept.update(parents(place))
    return frozenset(kept)


class _Closure:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.linker = Linker(tree)
        self.opened: set[str] = set()
        self.loaded: set[str] = set()
        self.missing: dict[str, None] = {}

    def of(self, entry_points: Iterable[str]) -> frozenset[str]:
        for path in entry_points:
            self._enter(path)
        if self.missing:
            raise UnresolvedError(
                f"{len(self.missing)} missing in {self.tree.name}, so the entry points would not load:\n  "
                + "\n  ".join(self.missing)
                + "\nInstall the packages that hold them, or drop the entry points that need them."
            )
        return with_links(self.tree, self.opened)

    def _enter(self, path: str, depth: int = 0) -> None:
        real = self.tree.resolve(path)
        if real is None:
            self.missing[f"{path} (no such file)"] = None
            return
        self.opened.add(path)
        elf = self.linker.elf(real)
        if isinstance(elf, Elf):
            self._load(real)
        elif isinstance(elf, Broken):
            self.missing[f"{path} ({elf.reason})"] = None
        elif (words := self.tree.shebang(real)) and depth < MAX_INTERPRETERS:
            self._enter(words[0], depth + 1)
            if posixpath.basename(words[0]) == "env":
                self._enter(self._on_path(words[1:]), depth + 1)

    def _load(self, real: str) -> None:
        if real in self.loaded:
            return
        self.loaded.add(real)
        for path, edges in self.linker.load(real).edges.items():
            for edge in edges:
                self._follow(path, edge)

    def _follow(self, path: str, edge: Edge) -> None:
        if edge.opened is None:
            self.missing[
                f"{edge.needed} (needed by {path})" + (f": {edge.problem}" if edge.problem else "")
            ] = None
            return
        self.opened.add(edge.opened)
        if edge.how is How.CACHE:
            self.opened.add(CACHE)

    def _on_path(self, words: Sequence[str]) -> str:
        """Find the program that env(1) would start: the first word that is no option or assignment."""
        name = next((word for word in words if not word.startswith("-") and "=" not in word), "")
        if "/" in name:
            return name
        places = (posixpath.join(folder, name) for folder in self.tree.config.search_path)
        return next(
            (place for place in places if self.tree.resolve(place)), name or "the program named to env"
        )


def _expand(tree: Tree, patterns: Sequence[str], option: str) -> list[str]:
    """Give the paths that an option names; a pattern that matches nothing is a mistake."""
    paths: list[str] = []
    for pattern in patterns:
        found = tree.glob(pattern)
        if not found:
            raise AuditError(
                f"{option} {pattern}: nothing in {tree.name} matches. Correct the pattern, or leave it out."
            )
        paths.extend(found)
    return paths


def _everything(tree: Tree, paths: Iterable[str]) -> list[str]:
    """Add what lies beneath the folders among `paths`."""
    return [below for path in paths if (real := tree.resolve(path)) for below in (path, *tree.beneath(real))]


def _mtime(text: str) -> int:
    """Read SOURCE_DATE_EPOCH (reproducible-builds.org): seconds since 1970; 0 where it is not set."""
    if not (text.isdecimal() and len(text) <= 11):
        raise AuditError(f"SOURCE_DATE_EPOCH is {text!r}: set it to a whole number of seconds, or unset it.")
    return int(text)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m audit.closure",
        description="Copy what the entry points need to load, and nothing else, out of a root folder.",
        epilog="Globs: * and ? stay within a name, ** crosses folders. SOURCE_DATE_EPOCH sets every mtime.",
    )
    parser.add_argument("root", metavar="ROOT", help="the root folder; nothing in it is executed")
    parser.add_argument(
        "--entry", action="append", required=True, metavar="GLOB", help="program, plugin or script"
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="GLOB", help="copied as it is; folders whole"
    )
    parser.add_argument("--to", required=True, metavar="DIR", help="an empty or new folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, or 2 with one message on standard error."""
    options = _arguments(argv)
    try:
        tree = read_folder(options.root)
        needed = closure(tree, _expand(tree, options.entry, "--entry"))
        kept = _everything(tree, _expand(tree, options.keep, "--keep"))
        paths = needed | with_links(tree, kept)
        size = copy_paths(tree, paths, options.to, mtime=_mtime(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    except AuditError as error:
        print(f"closure: {error}", file=sys.stderr)
        return error.exit_code
    kinds = [tree.entries[path].kind for path in paths]
    print(
        f"closure: {sum(tree.entries[path].kind == 'file' for path in needed)} files needed, "
        f"{kinds.count('file')} with those kept, {kinds.count('symlink')} symlinks, "
        f"{kinds.count('dir')} folders, {size:,} bytes -> {options.to}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
