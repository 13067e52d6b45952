"""What was seen mapped in a running container: read from a file of untrusted origin, and held against a target.

The file is what `invoke verify` writes, or the text of /proc/PID/maps (proc_pid_maps(5)) of any process.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError
from audit.named import named_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from audit.elf import Abi
    from audit.graph import Edge, Load
    from audit.hosts import Reach
    from audit.linked import Linked
    from audit.notes import Notes

# Raised when a key changes its meaning or goes; new keys alone do not change it.
SCHEMA = "under48-observed/1"
# A process with 65,530 mappings, the kernel's limit (vm.max_map_count), takes some 10 MB.
MAX_BYTES = 16 << 20
MAX_PATHS = 100_000

# proc_pid_maps(5): address, permissions, offset, device and inode, then the path.
_LINE = re.compile(
    r"[0-9a-f]+-[0-9a-f]+ (?P<flags>[r-][w-][x-][ps]) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ \d+ +(?P<path>/.*)"
)
_LIBRARY = re.compile(r"\.so(\.[\w.]+)?")
# What begins with a slash and is no file: shared memory, devices.
_NO_FILES = ("/memfd:", "/dev/", "/SYSV", "/anon_hugepage", "/[")
_DELETED = " (deleted)"
# What a name begins with where paths stand beside it: no path and no name has it.
_NAME = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The code that processes had mapped: `paths` as in the container, sorted, without symlinks.

    `name` is what it was read from, `image` the id of the image (empty: not known), `photos` what was classified.
    """

    name: str
    paths: tuple[str, ...]
    image: str = ""
    photos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An observation held against a target; paths are those of the analysed tree.

    `never` are libraries of the target that were not mapped. `imported` are Python's extension modules and
    `opened` libraries that have their name in a file as for dlopen(3), with that file; `behind` are what these two
    need; none of them is in the closure of a program. `unforeseen` are reached by nothing that can be read from the
    files, each with those that only it needs. `elsewhere` are not in the tree; `perhaps` are what nothing in the
    tree needs, but any of these may, for its loader finds it by name.
    """

    mapped: frozenset[str]
    never: tuple[str, ...]
    imported: tuple[str, ...]
    opened: Mapping[str, str]
    behind: tuple[str, ...]
    unforeseen: Mapping[str, tuple[str, ...]]
    perhaps: tuple[str, ...]
    elsewhere: tuple[str, ...]


def mapped_files(maps: str) -> frozenset[str]:
    """List the files with code that /proc/PID/maps names: what is mapped executable, or is a library by its name.

    A library of tables alone, such as ICU's data, has no executable part.
    """
    found: set[str] = set()
    for line in maps.split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        path = match["path"].removesuffix(_DELETED).replace("\\012", "\n")
        is_code = match["flags"][2] == "x" or _LIBRARY.search(path.rpartition("/")[2])
        if is_code and not path.startswith(_NO_FILES):
            found.add(path)
    return frozenset(found)


def observation_as_json(paths: Iterable[str], *, image: str, photos: Iterable[str]) -> dict[str, Any]:
    """Give what `read_observation` reads, as plain values for json.dumps."""
    return {"schema": SCHEMA, "image": image, "photos": list(photos), "mapped": sorted(set(paths))}


def read_observation(content: bytes, name: str) -> Observation:
    """Read what was observed, as JSON or as the text of /proc/PID/maps.

    Raises:
        AuditError: `content`, read from `name`, is neither, or is larger than any real one.
    """
    if len(content) > MAX_BYTES:
        raise AuditError(f"{name} is larger than {MAX_BYTES >> 20} MiB: no list of mapped files is. {_WHAT}")
    text = content.decode("utf-8", "surrogateescape")
    if text.lstrip()[:1] in ("{", "["):
        return _of_json(text, name)
    paths = mapped_files(text)
    if not paths:
        raise AuditError(f"{name} names no mapped library or program. {_WHAT}")
    return Observation(name=name, paths=_few(paths, name))


_WHAT = "Name a file that `invoke verify` wrote (build/observed-….json), or a copy of /proc/PID/maps."


def _of_json(text: str, name: str) -> Observation:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AuditError(f"{name} is no JSON: {error}. {_WHAT}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise AuditError(f"{name} has the schema {str(schema)[:40]!r}, where {SCHEMA} is read. {_WHAT}")
    image, photos, paths = (document.get(key) for key in ("image", "photos", "mapped"))
    if not (isinstance(image, str) and _are_texts(photos) and _are_texts(paths) and paths):
        raise AuditError(f"{name} is damaged: write it again with `invoke verify`.")
    if not all(path.startswith("/") for path in paths):
        raise AuditError(f"{name} is damaged, it holds a path that is not absolute: write it again.")
    return Observation(name=name, image=image, photos=tuple(photos), paths=_few(paths, name))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _few(paths: Iterable[str], name: str) -> tuple[str, ...]:
    found = tuple(sorted(set(paths)))
    if len(found) > MAX_PATHS:
        raise AuditError(f"{name} names more than {MAX_PATHS:,} files: no process maps so many. {_WHAT}")
    return found


def observed(  # noqa: PLR0913 - what is known of the target, by name
    linked: Linked,
    observation: Observation,
    *,
    modules: AbstractSet[str],
    hosts: Sequence[Load],
    reach: Reach,
    notes: Mapping[str, Notes],
) -> Observed:
    """Hold what was mapped against what the target's programs need at their start, and what they may load later."""
    tree = linked.tree
    real = {path: tree.resolve(path) for path in observation.paths}
    mapped = frozenset(path for path in real.values() if path is not None and path in linked.elves)
    started = {path for load in hosts for path in load.edges}
    later = sorted(path for path in mapped - started if not linked.elves[path].is_program)
    imported = [path for path in later if path in modules]
    names = {**reach.idle, **reach.dlopen}
    opened = {path: by for path in later if (by := names.get(path)) and path not in modules}
    needs = _Needs(linked, mapped, later)
    known = needs.closure([*needs.of_programs(hosts), *imported, *opened])
    left = [path for path in later if path not in known]
    elsewhere = tuple(path for path, found in real.items() if found is None)
    perhaps = set(_found_by_name(linked, left)) if elsewhere else set()
    roots = needs.roots(sorted(left, key=lambda path: path in perhaps), notes)
    return Observed(
        mapped=mapped,
        never=tuple(
            path
            for path, elf in linked.elves.items()
            if path not in mapped and elf.dynamic and elf.type == "shared" and not elf.is_program
        ),
        imported=tuple(imported),
        opened=opened,
        behind=tuple(sorted(known.intersection(later).difference(imported, opened))),
        unforeseen={path: below for path, below in roots.items() if path not in perhaps},
        perhaps=tuple(sorted(one for path in roots.keys() & perhaps for one in (path, *roots[path]))),
        elsewhere=elsewhere,
    )


class _Needs:
    """What was mapped by what needs it: found as from its own place, or in the process already, by its name.

    A graph of paths, and of the names of what is in the process: a name leads to all that have it.
    """

    def __init__(self, linked: Linked, mapped: AbstractSet[str], later: Iterable[str]) -> None:
        self._linked = linked
        self._mapped = mapped
        self._below: defaultdict[str, set[str]] = defaultdict(set)
        for path in later:
            for name in {posixpath.basename(path), linked.elves[path].soname} - {None}:
                self._below[f"{_NAME}{name}"].add(path)
        for load in linked.graph.loads:
            for path, edges in load.edges.items():
                self._below[path].update(edge.path for edge in edges if edge.path is not None)
                self._below[path].update(self._names(edges))

    def of_programs(self, hosts: Iterable[Load]) -> Iterator[str]:
        """List the names of what a mapped file of a program's closure needs and the loader does not find."""
        for load in hosts:
            for path in load.edges.keys() & self._mapped:
                yield from self._names(load.edges[path])

    def closure(self, starts: Iterable[str]) -> set[str]:
        """Give these and all that they need, at any remove, with the names on the way."""
        return set(_walk(starts, self._below, set()))

    def roots(self, paths: Sequence[str], notes: Mapping[str, Notes]) -> dict[str, tuple[str, ...]]:
        """Give those that no other of `paths` needs or names, each with what it does; of a circle, the first."""
        for path, by in named_libraries(self._linked, paths, paths, notes=notes).items():
            self._below[by].add(path)
        seen: set[str] = set()
        firsts = [path for path in paths if _walk((path,), self._below, seen)]
        above = self._above(seen)
        # What no later one reaches either is needed by its own circle at most.
        seen = set()
        roots = [path for path in reversed(firsts) if _walk((path,), self._below, seen)][::-1]
        own = frozenset(paths)
        circles = {path for path in roots if len(own.intersection(_walk((path,), above, set()))) > 1}
        roots.sort(key=lambda path: path in circles)
        seen = set()
        return {
            path: tuple(sorted(own.intersection(_walk((path,), self._below, seen)) - {path}))
            for path in roots
        }

    def _above(self, nodes: Iterable[str]) -> Mapping[str, Iterable[str]]:
        above: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes:
            for below in self._below.get(node, ()):
                above[below].append(node)
        return above

    def _names(self, edges: Iterable[Edge]) -> Iterator[str]:
        return (_NAME + edge.needed for edge in edges if edge.path not in self._mapped)


def _walk(starts: Iterable[str], below: Mapping[str, Iterable[str]], seen: set[str]) -> list[str]:
    """Give what was not `seen` of these and of all below them, and add it there."""
    found = []
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            found.append(node)
            todo.extend(below.get(node, ()))
    return found


def _found_by_name(linked: Linked, paths: Iterable[str]) -> Iterator[str]:
    """Give those that the loader finds for whatever has their name in NEEDED, wherever that lies."""
    tree = linked.tree
    places: dict[Abi, set[str | None]] = {}
    for path in paths:
        abi = linked.elves[path].abi
        if abi not in places:
            loader = linked.linker.loader(abi)
            folders = (*loader.default, *loader.library_path.replace(";", ":").split(":"))
            places[abi] = {tree.resolve(folder) for folder in folders if folder.startswith("/")}
            places[abi].update(map(tree.resolve, loader.cache.values()))
        if not places[abi].isdisjoint((path, posixpath.dirname(path).partition("/glibc-hwcaps/")[0])):
            yield path
