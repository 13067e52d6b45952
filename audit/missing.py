"""Lists the symbols of native files that nothing in their load defines, nor what hosts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from audit.analysis import Analysis
    from audit.graph import Load
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


def missing_symbols(analysis: Analysis) -> Iterator[Missing]:
    """List what finds no definition, once per file, without what a host offers.

    Left out is what a missing library or a missing version, which have rules of their own, explains.

    `fails` tells that the load fails: the loader must bind at once (dlopen(3) with RTLD_NOW, as CPython does
    it, or a file linked with `-z now`) and no file at all offers it.
    """
    loads = {load.root: load for load in analysis.graph.loads}
    bindings = analysis.bindings
    lacking = {(one.path, one.version) for one in bindings.lacking}
    seen: set[str] = set()
    hosted: set[tuple[str, tuple[Reference, ...]]] = set()
    for unbound in bindings.unbound:
        load = loads[unbound.root]
        key = (unbound.path, unbound.references)
        if (
            unbound.path not in analysis.elves
            or unbound.path in seen
            or key in hosted
            or not _complete(analysis, load)
        ):
            continue
        unmet = [one for one in unbound.references if (unbound.path, _version(one)) not in lacking]
        references = _not_hosted(analysis, unbound.root, unmet)
        if references:
            seen.add(unbound.path)
            elsewhere = bindings.offering(references[0], analysis.elves)
            fails = (
                elsewhere is None
                and _binds_now(analysis, load, unbound.path)
                and not _may_be_hosted(analysis, unbound.root)
            )
            yield Missing(unbound.path, unbound.root, references, elsewhere, fails)
        else:
            hosted.add(key)


def _version(reference: Reference) -> str:
    return (reference.version or b"").decode(errors="surrogateescape")


def _complete(analysis: Analysis, load: Load) -> bool:
    found = all(edge.path is not None for edges in load.edges.values() for edge in edges)
    return found and not any(path in analysis.bindings.unread for path in load.edges)


def _not_hosted(analysis: Analysis, root: str, references: Sequence[Reference]) -> tuple[Reference, ...]:
    """Leave out what a plugin's host offers: for an extension module, a Python; else, any program."""
    elf = analysis.elves.get(root)
    if elf is not None and elf.is_program:
        return tuple(references)
    is_module = root in analysis.bindings.modules
    best: Sequence[Reference] = references
    for host in analysis.python_hosts if is_module else analysis.hosts:
        left = [one for one in references if analysis.bindings.offering(one, host.edges) is None]
        best = min(best, left, key=len)
        if not best:
            break
    if not analysis.pythons:
        best = [one for one in best if not one.name.startswith(_OF_PYTHON)]
    return tuple(best)


def _may_be_hosted(analysis: Analysis, root: str) -> bool:
    """Tell a module for the Python of a system that is not named: most have the mathematical library, say."""
    unknown = analysis.left_to_system is not None and not analysis.pythons
    return unknown and root in analysis.bindings.modules


def _binds_now(analysis: Analysis, load: Load, path: str) -> bool:
    tables = analysis.elves[path].tables
    return (
        load.root in analysis.bindings.modules
        or (tables is not None and tables.now and analysis.elves[load.root].is_program)
        or bool(analysis.tree.config.environment.get("LD_BIND_NOW"))
    )
