"""Lists the symbols of native files that nothing in their load defines, nor what hosts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from audit.binding import Bindings
    from audit.graph import Load
    from audit.hosts import Hosts
    from audit.linked import Linked
    from audit.symbols import Reference

# What an interpreter that is not at hand offers to extension modules.
_OF_PYTHON = (b"Py", b"_Py")


class Missing(NamedTuple):
    """Symbols that `path` does not find when `root` is loaded; `elsewhere` is a file that offers the first."""

    path: str
    root: str
    references: tuple[Reference, ...]
    elsewhere: str | None
    fails: bool


def missing_symbols(
    linked: Linked, bindings: Bindings, hosts: Hosts, *, unknown_python: bool
) -> Iterator[Missing]:
    """List what finds no definition, once per file, without what a host offers.

    Left out is what a missing library or a missing version, which have rules of their own, explains.

    `fails` tells that the load fails: the loader must bind at once (dlopen(3) with RTLD_NOW, as CPython does
    it, or a file linked with `-z now`) and no file at all offers it, nor may the `unknown_python` of a system that is
    not named.
    """
    loads = {load.root: load for load in linked.graph.loads}
    lacking = {(one.path, one.version) for one in bindings.lacking}
    seen: set[str] = set()
    hosted: set[tuple[str, tuple[Reference, ...]]] = set()
    for unbound in bindings.unbound:
        load = loads[unbound.root]
        key = (unbound.path, unbound.references)
        if (
            unbound.path not in linked.elves
            or unbound.path in seen
            or key in hosted
            or not _complete(bindings, load)
        ):
            continue
        unmet = [one for one in unbound.references if (unbound.path, _version(one)) not in lacking]
        references = _not_hosted(linked, bindings, hosts, unbound.root, unmet)
        if references:
            seen.add(unbound.path)
            elsewhere = bindings.offering(references[0], linked.elves)
            fails = (
                elsewhere is None
                and _binds_now(linked, bindings, load, unbound.path)
                # The Python that is not named may have it: most have the mathematical library, say.
                and not (unknown_python and unbound.root in bindings.modules)
            )
            yield Missing(unbound.path, unbound.root, references, elsewhere, fails)
        else:
            hosted.add(key)


def _version(reference: Reference) -> str:
    return (reference.version or b"").decode(errors="surrogateescape")


def _complete(bindings: Bindings, load: Load) -> bool:
    found = all(edge.path is not None for edges in load.edges.values() for edge in edges)
    return found and not any(path in bindings.unread for path in load.edges)


def _not_hosted(
    linked: Linked, bindings: Bindings, hosts: Hosts, root: str, references: Sequence[Reference]
) -> tuple[Reference, ...]:
    """Leave out what a plugin's host offers: for an extension module, a Python; else, any program."""
    elf = linked.elves.get(root)
    if elf is not None and elf.is_program:
        return tuple(references)
    is_module = root in bindings.modules
    best: Sequence[Reference] = references
    for host in hosts.python if is_module else hosts.every:
        left = [one for one in references if bindings.offering(one, host.edges) is None]
        best = min(best, left, key=len)
        if not best:
            break
    if not hosts.pythons:
        best = [one for one in best if not one.name.startswith(_OF_PYTHON)]
    return tuple(best)


def _binds_now(linked: Linked, bindings: Bindings, load: Load, path: str) -> bool:
    tables = linked.elves[path].tables
    return (
        load.root in bindings.modules
        or (tables is not None and tables.now and linked.elves[load.root].is_program)
        or bool(linked.tree.config.environment.get("LD_BIND_NOW"))
    )
