"""Binds the symbols of every load of a tree as the dynamic loader would, and keeps what finds no definition."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.elf import BadElfError, Elf
from audit.errors import TooLargeError, UnreadableEntryError
from audit.symbols import read_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from audit.graph import Linker, Load
    from audit.symbols import Offer, Reference, Symbols

# Symbol tables of all files together, in bytes, and looks into them: several times what TensorFlow takes.
MAX_TABLE_BYTES = 384 << 20
MAX_LOOKS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbound:
    """Symbols that `path` takes from others, in the load of `root`, and that no file of that load offers."""

    root: str
    path: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LackingVersion:
    """A symbol version that `path` needs and that `library`, which was found for it, does not have."""

    path: str
    library: str
    version: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings:
    """Paths are those of the tree. Weak symbols and versions, which may be missing, are left out.

    `used` are the libraries named by NEEDED of which a file can take a symbol; `modules` are the files that
    name a Python module's entry; `unread` are those whose symbols cannot be read, and why.
    """

    taken: Mapping[str, tuple[Reference, ...]]
    offers: Mapping[str, Offer]
    unbound: tuple[Unbound, ...]
    lacking: tuple[LackingVersion, ...]
    used: Mapping[str, frozenset[str]]
    modules: frozenset[str]
    unread: Mapping[str, str]
    _by_name: Mapping[bytes, Mapping[str, None]]

    def offering(self, reference: Reference, paths: Mapping[str, object]) -> str | None:
        """Give a file among `paths` that offers the symbol."""
        named = self._by_name.get(reference.name, {})
        few, many = (named, paths) if len(named) < len(paths) else (paths, named)
        return next((path for path in few if path in many and self.offers[path].has(reference)), None)


def bind(linker: Linker, loads: Sequence[Load], hosts: Sequence[Load] = ()) -> Bindings:
    """Bind the symbols of all files of all loads; each file is read once, whatever the number of its loads.

    A definition counts wherever it lies in the load: `ld.so` looks through all objects in load order, and
    which one comes first decides about the address, not about success (`_dl_lookup_symbol_x` in glibc's
    elf/dl-lookup.c). `hosts` are processes that offer symbols to plugins: they are read, not judged, and what
    they offer is not counted.

    Raises:
        TooLargeError: so many files take so many symbols that it would not end in a minute.
    """
    unread: dict[str, str] = {}
    symbols: dict[str, Symbols] = {}
    room = MAX_TABLE_BYTES
    for path in dict.fromkeys(path for load in (*loads, *hosts) for path in load.edges):
        found = _read(linker, path, room, unread)
        if found is not None:
            symbols[path] = found
            room -= found.size
    wanted = {reference.name for found in symbols.values() for reference in found.taken}
    offers = {path: found.offered(wanted) for path, found in symbols.items()}
    by_name: defaultdict[bytes, dict[str, None]] = defaultdict(dict)
    for path, offer in offers.items():
        for name in offer.symbols:
            by_name[name][path] = None
    taken = {path: found.taken for path, found in symbols.items()}
    return Bindings(
        taken=taken,
        offers=offers,
        unbound=tuple(_unbound(loads, taken, offers)),
        lacking=tuple(_lacking(loads, symbols)),
        used=_used(loads, taken, offers),
        modules=frozenset(path for path, found in symbols.items() if found.is_module),
        unread=unread,
        _by_name=by_name,
    )


def _read(linker: Linker, path: str, room: int, unread: dict[str, str]) -> Symbols | None:
    elf = linker.elf(path)
    if not isinstance(elf, Elf) or elf.tables is None:
        return None
    try:
        with linker.tree.entries[path].open() as content:
            return read_symbols(content, elf.tables, elf.abi, room)
    except (BadElfError, UnreadableEntryError) as error:
        unread[path] = str(error)
        return None


def _unbound(
    loads: Iterable[Load], taken: Mapping[str, Sequence[Reference]], offers: Mapping[str, Offer]
) -> Iterator[Unbound]:
    """Look up each reference in its load; what has succeeded among the same files before is not repeated."""
    known: dict[str, tuple[set[str], list[Reference]]] = {}
    looks = 0
    for load in loads:
        scope = [path for path in load.edges if path in offers]
        there = set(scope)
        for path in scope:
            providers, missing = known.get(path, (None, ()))
            again = providers is None or not providers <= there
            looks += len(scope) * len(taken[path] if again else missing)
            _enough(looks)
            if again:
                providers, missing = _look_up((r for r in taken[path] if not r.weak), scope, offers)
                known[path] = providers, missing
            elif missing:
                _, missing = _look_up(missing, scope, offers)
            if missing:
                yield Unbound(root=load.root, path=path, references=tuple(missing))


def _enough(looks: int) -> None:
    if looks > MAX_LOOKS:
        raise TooLargeError(
            f"the native files need more than {MAX_LOOKS:,} looks into symbol tables to bind. "
            "No real package does: it is broken or hostile."
        )


def _look_up(
    references: Iterable[Reference], scope: Sequence[str], offers: Mapping[str, Offer]
) -> tuple[set[str], list[Reference]]:
    providers: set[str] = set()
    missing: list[Reference] = []
    for reference in references:
        for path in scope:
            if offers[path].has(reference):
                providers.add(path)
                break
        else:
            missing.append(reference)
    return providers, missing


def _lacking(loads: Iterable[Load], symbols: Mapping[str, Symbols]) -> Iterator[LackingVersion]:
    """Check needed versions as `_dl_check_map_versions` in glibc's elf/dl-version.c does.

    A library without any version is taken as it is; a weak need may be unmet.
    """
    seen: set[tuple[str, bytes, str]] = set()
    for load in loads:
        if any("/ld-musl-" in path for path in load.edges):  # musl's loader does not look at versions
            continue
        places = {edge.needed: edge.path for edges in load.edges.values() for edge in edges if edge.path}
        places.update({path.rpartition("/")[2]: path for path in load.edges})
        for path in load.edges:
            for need in symbols[path].needed if path in symbols else ():
                library = places.get(need.library.decode(errors="surrogateescape"))
                if library is None or library not in symbols:
                    continue
                provided = symbols[library].provided
                if provided is None or need.weak or need.version in provided:
                    continue
                if (path, need.version, library) not in seen:
                    seen.add((path, need.version, library))
                    yield LackingVersion(
                        path=path,
                        library=library,
                        version=need.version.decode(errors="surrogateescape"),
                        symbols=tuple(
                            r.name.decode(errors="surrogateescape")
                            for r in symbols[path].taken
                            if (r.version, r.library) == (need.version, need.library)
                        ),
                    )


def _used(
    loads: Iterable[Load], taken: Mapping[str, Sequence[Reference]], offers: Mapping[str, Offer]
) -> dict[str, frozenset[str]]:
    pairs: defaultdict[str, set[str]] = defaultdict(set)
    for load in loads:
        for path, edges in load.edges.items():
            pairs[path].update(edge.path for edge in edges if edge.path is not None and edge.path in offers)
    _enough(sum(len(libraries) * len(taken.get(path, ())) for path, libraries in pairs.items()))
    return {
        path: frozenset(
            library
            for library in libraries
            if any(offers[library].has(reference) for reference in taken.get(path, ()))
        )
        for path, libraries in pairs.items()
    }
