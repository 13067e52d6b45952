"""Finds who starts what in a tree: its Pythons, its entry points, and the files these reach."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.elf import Elf
from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.graph import Linker

_PYTHON = re.compile(r"/bin/(?:python|pypy)3(?:\.\d{1,3}t?)?")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What these start is not known from their file.
_STARTERS = {
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "busybox",
    "env",
    "tini",
    "dumb-init",
    "supervisord",
    "systemd",
}
# execve(2): the kernel reads this much of a script's first line, and follows four interpreters.
_MAX_SHEBANG_BYTES = 256
_MAX_INTERPRETERS = 4
# Files are searched piece by piece for the names of libraries they might load; packed ones only as far as it is worth
# inflating them for that.
_MAX_INFLATED_BYTES = 64 << 20
_MAX_SEARCHED_IN_ALL = 1 << 30
_PIECE_BYTES = 8 << 20
_MAX_NAME = 100
_NAME = re.compile(rb"[\w.+-]+\Z")
_REST = re.compile(rb"\.so[\w.]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Libraries of the target by what leads to them; `entries` are where it was started from.

    `dlopen` maps a library that no entry point needs to a file that has its name; `unreached` have none.
    """

    entries: tuple[str, ...]
    reached: frozenset[str]
    dlopen: Mapping[str, str]
    unreached: tuple[str, ...]


def pythons(linker: Linker) -> list[str]:
    """Give the programs of a tree that are a Python 3, without symlinks."""
    entries = linker.tree.entries
    named = [
        path
        for path in entries
        if "3" in path and _PYTHON.search(path[-20:]) and _PYTHON.fullmatch(_tail(path))
    ]
    found = {
        real: None for path in named if (real := linker.tree.resolve(path)) and entries[real].kind == "file"
    }
    return [path for path in found if isinstance(elf := linker.elf(path), Elf) and elf.is_program]


def reach(analysis: Analysis) -> Reach:
    """Follow NEEDED from the entry points of the target to its libraries.

    Entry points are the program that an image's configuration starts, and where that is a shell or nothing is
    said, every program; and every Python extension module.
    """
    modules = {path for path in analysis.bindings.modules if path in analysis.elves}
    entries = [*_programs(analysis), *sorted(modules)]
    if not entries:  # nothing here says what is loaded from outside
        return Reach(entries=(), reached=frozenset(), dlopen={}, unreached=())
    loads = {load.root: load for load in analysis.graph.loads}
    reached: set[str] = set()
    for path in entries:
        reached.update((loads.get(path) or analysis.linker.load(path)).edges)
    left = [
        path
        for path, elf in analysis.elves.items()
        if path not in reached and elf.dynamic and elf.type == "shared" and not elf.is_program
    ]
    named = _dlopened(analysis, reached, left) if left else {}
    for path in list(named):
        for below in analysis.linker.load(path).edges:
            if below in left:
                named.setdefault(below, named[path])
    return Reach(
        entries=tuple(entries),
        reached=frozenset(reached),
        dlopen=named,
        unreached=tuple(path for path in left if path not in named),
    )


def _tail(path: str) -> str:
    return "/bin/" + path.rpartition("/")[2] if path.rpartition("/")[0].endswith("bin") else ""


def _programs(analysis: Analysis) -> list[str]:
    config = analysis.tree.config
    words = (*config.entrypoint, *config.command)
    every = [path for path, elf in analysis.elves.items() if elf.is_program]
    started = _started(analysis, words[0]) if words else None
    if started is None or posixpath.basename(started) in _STARTERS:
        return every
    return [started]


def _started(analysis: Analysis, word: str) -> str | None:
    """Give the ELF program that running `word` comes to, as execvp(3) and execve(2) would."""
    tree = analysis.tree
    for _ in range(_MAX_INTERPRETERS + 1):
        folders = tree.config.environment.get("PATH", DEFAULT_PATH).split(":")
        places = [posixpath.join(tree.config.working_dir or "/", word)]
        if "/" not in word:
            places = [posixpath.join(folder or "/", word) for folder in folders]
        real = next((found for place in places if (found := tree.resolve(place))), None)
        if real is None:
            return None
        if isinstance(analysis.linker.elf(real), Elf):
            return real
        words = os.fsdecode(_head(analysis, real)).split()
        if not words:
            return None
        if posixpath.basename(words[0]) == "env" and len(words) > 1:
            words = [one for one in words[1:] if not one.startswith("-") and "=" not in one]
        word = words[0] if words else ""
    return None


def _head(analysis: Analysis, real: str) -> bytes:
    try:
        head = analysis.tree.read(real, _MAX_SHEBANG_BYTES) or b""
    except UnreadableEntryError:
        return b""
    return head[2:].split(b"\n")[0] if head.startswith(b"#!") else b""


def _dlopened(analysis: Analysis, reached: Iterable[str], left: Iterable[str]) -> dict[str, str]:
    """Find the libraries whose name stands in a reached ELF file or in a Python file of the target."""
    wanted: dict[bytes, str] = {}
    for path in left:
        names = {posixpath.basename(path), analysis.elves[path].soname or ""}
        wanted.update({os.fsencode(name): path for name in names if name})
    named: dict[str, str] = {}
    for path in sorted(reached):
        for name in analysis.notes[path].dlopen if path in analysis.notes else ():
            if (library := wanted.get(os.fsencode(name))) is not None:
                named.setdefault(library, path)
    needs = {path: _needs(analysis, path) for path in reached}
    room = _MAX_SEARCHED_IN_ALL
    entries = analysis.tree.entries
    own = (file.path for file in analysis.sizes.files if file.path.endswith(".py"))
    for path in (*sorted(reached), *own):
        entry = entries[path]
        packed = entry.compressed not in (None, entry.size)
        if entry.size > room or (packed and entry.size > _MAX_INFLATED_BYTES):
            continue
        room -= entry.size
        for word in _words(analysis, path):
            library = wanted.get(word)
            if library not in (None, path) and word not in needs.get(path, ()):
                named.setdefault(library, path)
    return named


def _words(analysis: Analysis, path: str) -> Iterator[bytes]:
    """Give what looks like the file name of a library in a file; pieces overlap by more than such a name."""
    try:
        with analysis.tree.entries[path].open() as content:
            before = b""
            while piece := content.read(_PIECE_BYTES):
                yield from _names(before + piece)
                before = piece[-2 * _MAX_NAME :]
    except UnreadableEntryError:  # the rule of unreadable entries says so
        return


def _needs(analysis: Analysis, path: str) -> set[bytes]:
    """Give the names that stand in a file for another reason than dlopen(3)."""
    elf = analysis.linker.elf(path)
    return (
        {os.fsencode(name) for name in (*elf.needed, elf.soname) if name} if isinstance(elf, Elf) else set()
    )


def _names(content: bytes) -> Iterator[bytes]:
    """Give what looks like the file name of a library."""
    at = content.find(b".so")
    while at >= 0:
        rest = _REST.match(content, at)
        name = _NAME.search(content[max(0, at - _MAX_NAME) : at])
        if name is not None and rest is not None:
            yield name[0] + rest[0]
        at = content.find(b".so", at + 3)
