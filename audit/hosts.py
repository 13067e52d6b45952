"""Finds who starts what in a tree: its Pythons, its entry points, and the files these reach."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.elf import Elf
from audit.errors import UnreadableEntryError
from audit.named import named_libraries
from audit.tree import MAX_INTERPRETERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from audit.graph import Edge, Linker, Load
    from audit.linked import Linked
    from audit.notes import Notes

_PYTHON = re.compile(r"/bin/(?:python|pypy)3(?:\.\d{1,3}t?)?")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The processes that may load plugins; `python` are those of `every` that import extension modules.

    `pythons` are the programs of the tree that are a Python.
    """

    every: tuple[Load, ...]
    python: tuple[Load, ...]
    pythons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Libraries of the target by what leads to them; `entries` are where it was started from.

    `dlopen` maps a library that no entry point needs to a file that has its name; `idle` does so where only
    programs that are no entry point need or name it; `unreached` have none.
    """

    entries: tuple[str, ...]
    reached: frozenset[str]
    dlopen: Mapping[str, str]
    idle: Mapping[str, str]
    unreached: tuple[str, ...]


def hosts_of(linked: Linked) -> Hosts:
    """Give the programs of the target and the Pythons of its runtime.

    Where the tree has no Python, the mathematical library stands for one: every Python loads it with the C library.
    Programs with a libpython import extension modules as well.
    """
    programs = [load for load in linked.graph.loads if _is_program(linked, load.root)]
    found = pythons(linked.linker)
    instead = () if found else _of_every_python(linked)
    others = [path for path in found if path not in linked.elves]
    every = (*programs, *map(linked.linker.load, others or instead))
    known = {*found, *instead}
    return Hosts(
        every=every,
        python=tuple(
            host for host in every if host.root in known or any("/libpython" in path for path in host.edges)
        ),
        pythons=tuple(found),
    )


def _is_program(linked: Linked, path: str) -> bool:
    return path in linked.elves and linked.elves[path].is_program


def _of_every_python(linked: Linked) -> tuple[str, ...]:
    if linked.expected is None:
        return ()
    places = (f"{folder}/libm.so.6" for folder in linked.linker.loader(linked.expected).default)
    found = (linked.tree.resolve(place) for place in places)
    return tuple({path: None for path in found if path is not None})


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


def reach(linked: Linked, *, modules: AbstractSet[str], notes: Mapping[str, Notes]) -> Reach:
    """Follow NEEDED from the entry points of the target to its libraries.

    Entry points are the program that an image's configuration starts, and where that is a shell or nothing is
    said, every program; and every Python extension module. `modules` are the files of the tree that are one, `notes`
    are those of the target's files.
    """
    started, scripts = _programs(linked)
    extensions = sorted(path for path in modules if path in linked.elves)
    entries = dict.fromkeys(
        [*started, *extensions]
    )  # a program that offers modules, as python3.11 does, is one
    if not entries:  # nothing here says what is loaded from outside
        return Reach(entries=(), reached=frozenset(), dlopen={}, idle={}, unreached=())
    loads = {load.root: load for load in linked.graph.loads}

    def edges(path: str) -> Mapping[str, tuple[Edge, ...]]:
        return (loads.get(path) or linked.linker.load(path)).edges

    reached = {below for path in entries for below in edges(path)}
    left = {
        path
        for path, elf in linked.elves.items()
        if path not in reached and elf.dynamic and elf.type == "shared" and not elf.is_program
    }
    asleep = {
        path: edges(path) for path, elf in linked.elves.items() if elf.is_program and path not in entries
    }
    aside = {below for load in asleep.values() for below in load} - reached
    sources = [*sorted(reached), *scripts]
    named = named_libraries(linked, sorted(left), sources, last=sorted(aside), notes=notes) if left else {}
    dlopen = {path: by for path, by in named.items() if by not in aside}
    _follow(dlopen, left, map(edges, list(dlopen)))
    left -= dlopen.keys()
    idle: dict[str, str] = {}
    _follow(idle, left, asleep.values())
    idle.update({path: by for path, by in named.items() if path in left and path not in idle})
    _follow(idle, left, map(edges, list(idle)))
    return Reach(
        entries=tuple(entries),
        reached=frozenset(reached),
        dlopen=dlopen,
        idle=idle,
        unreached=tuple(path for path in linked.elves if path in left and path not in idle),
    )


def _follow(
    found: dict[str, str], left: AbstractSet[str], loads: Iterable[Mapping[str, tuple[Edge, ...]]]
) -> None:
    """Add what of `left` these loads bring in, each with a file that needs it and so has its name."""
    for load in loads:
        for path, edges in load.items():
            for edge in edges:
                if edge.path is not None and edge.path in left:
                    found.setdefault(edge.path, path)


def _tail(path: str) -> str:
    return "/bin/" + path.rpartition("/")[2] if path.rpartition("/")[0].endswith("bin") else ""


def _programs(linked: Linked) -> tuple[list[str], list[str]]:
    """Give the programs that the image starts, where that is known, and else all; and the scripts that do so."""
    config = linked.tree.config
    words = (*config.entrypoint, *config.command)
    chain = _started(linked, words[0]) if words else []
    scripts = [path for path in chain if not isinstance(linked.linker.elf(path), Elf)]
    if not chain or chain[-1] in scripts or posixpath.basename(chain[-1]) in _STARTERS:
        return [path for path, elf in linked.elves.items() if elf.is_program], scripts
    return [chain[-1]], scripts


def _started(linked: Linked, word: str) -> list[str]:
    """Give what running `word` comes to, as execvp(3) and execve(2) would: scripts, and an ELF program last."""
    tree = linked.tree
    chain: list[str] = []
    for _ in range(MAX_INTERPRETERS + 1):
        folders = tree.config.search_path
        places = [posixpath.join(tree.config.working_dir or "/", word)]
        if "/" not in word:
            places = [posixpath.join(folder or "/", word) for folder in folders]
        real = next((found for place in places if (found := tree.resolve(place))), None)
        if real is None or real in chain or tree.entries[real].kind != "file":
            break
        chain.append(real)
        if isinstance(linked.linker.elf(real), Elf):
            break
        words = _shebang(linked, real)
        if not words:
            break
        if posixpath.basename(words[0]) == "env" and len(words) > 1:
            words = [one for one in words[1:] if not one.startswith("-") and "=" not in one]
        if not words:
            break
        word = words[0]
    return chain


def _shebang(linked: Linked, real: str) -> list[str]:
    try:
        return linked.tree.shebang(real)
    except UnreadableEntryError:  # the rule of unreadable entries says so
        return []
