"""Gathers, once for all rules, what a target holds of Python: interpreters, distributions, extension modules."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from audit.errors import UnreadableEntryError
from audit.interpreter import Extension, Interpreter, Libc, extension_of, interpreters, libc_of
from audit.loader import loader_of
from audit.numpy_abi import NumpyApi, numpy_api
from audit.policy import Needs, machine_of, needs
from audit.wheels import Distribution, distributions, wheel_name_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.linked import Linked
    from audit.sizes import FileSize
    from audit.tree import Tree

# Files larger than this are not looked through for NumPy's C-API: no extension module is.
MAX_SCANNED_BYTES = 64 << 20
_NUMPY = re.compile(r"numpy\b(?!-)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """What the rules of Python look at; paths are those of the analysis' tree.

    `own` are the target's distributions, `every` those of the whole tree. `owner` maps a native file of the
    target to its distribution. `needs` sums up each distribution with native files, by its folder.
    `numpy_apis` holds the native files that call `import_array`.
    """

    interpreters: tuple[Interpreter, ...]
    libc: Libc | None
    machine: str | None
    own: tuple[Distribution, ...]
    every: tuple[Distribution, ...]
    owner: Mapping[str, Distribution]
    extensions: tuple[Extension, ...]
    needs: Mapping[str, Needs]
    numpy_apis: Mapping[str, NumpyApi]

    @property
    def numpys(self) -> tuple[Distribution, ...]:
        """Every NumPy of the tree."""
        return tuple(one for one in self.every if _is_numpy(one))

    def place(self, path: str) -> str:
        """Give the distribution that a file belongs to, or else its folder: what the next build still has."""
        owner = self.owner.get(path)
        return posixpath.dirname(path) if owner is None else owner.folder


def python_of(linked: Linked, target: Tree, files: Iterable[FileSize]) -> Python:
    """Gather the facts; files are opened only for the metadata, the libc's version, and NumPy's marks.

    `files` are those of `target`, with the packages that they belong to.
    """
    tree, abi = linked.tree, linked.expected
    mine = dict.fromkeys(linked.own)
    own = _named(target, linked.at, distributions(tree, mine))
    every = (*own, *distributions(tree, (path for path in tree.entries if path not in mine)))
    owner = _owners(linked, files, own)
    machine = machine_of(abi) if abi else None
    return Python(
        interpreters=interpreters(tree),
        libc=libc_of(tree, loader_of(tree, abi).default) if abi else None,
        machine=machine,
        own=own,
        every=every,
        owner=owner,
        extensions=tuple(found for path in linked.elves if (found := extension_of(path))),
        needs=dict(_needs(linked, owner, machine)) if machine else {},
        numpy_apis=dict(_numpy_apis(linked, owner, every)),
    )


def _named(target: Tree, at: str, own: tuple[Distribution, ...]) -> tuple[Distribution, ...]:
    """Add the tags in the name of a target that is a wheel, which holds one distribution, at its top."""
    if target.form != "zip" or [one.site for one in own] != [at]:
        return own
    return (replace(own[0], named=wheel_name_tags(target.name)),)


def _owners(
    linked: Linked, files: Iterable[FileSize], own: tuple[Distribution, ...]
) -> dict[str, Distribution]:
    """Map native files to distributions as RECORD says; in a wheel, all of them are its own."""
    if len(own) == 1 and own[0].named:
        return dict.fromkeys(linked.elves, own[0])
    known: defaultdict[tuple[str, str], list[Distribution]] = defaultdict(list)
    for one in own:
        known[one.name, one.version].append(one)
    found: dict[str, Distribution] = {}
    for file in files:
        if file.path in linked.elves and file.package.manager == "python":
            # One version may be installed in several folders, and a file may lie outside of all of them.
            copies = known.get((file.package.name, file.package.version), [])
            beside = (one for one in copies if file.path.startswith(one.site))
            owner = next(beside, copies[0] if copies else None)
            if owner is not None:
                found[file.path] = owner
    return found


def _needs(linked: Linked, owner: Mapping[str, Distribution], machine: str) -> Iterator[tuple[str, Needs]]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for path, distribution in owner.items():
        if linked.elves[path].abi == linked.expected:
            members[distribution.folder].append(path)
    for folder, paths in members.items():
        outside = (
            (path, edge.needed)
            for path in paths
            for edge in linked.graph.edges.get(path, ())
            if edge.needed != linked.elves[path].interp
            and (edge.path is None or edge.path not in owner or owner[edge.path].folder != folder)
        )
        yield folder, needs({path: linked.elves[path] for path in paths}, outside, machine)


def _numpy_apis(
    linked: Linked, owner: Mapping[str, Distribution], every: tuple[Distribution, ...]
) -> Iterator[tuple[str, NumpyApi]]:
    """Look through the native files that may use NumPy: it is in the tree, or their distribution requires it."""
    beside = any(_is_numpy(one) for one in every)
    for path in linked.elves:
        entry, distribution = linked.tree.entries[path], owner.get(path)
        asked = beside or (distribution is not None and any(map(_NUMPY.match, distribution.requires)))
        if not asked or entry.size > MAX_SCANNED_BYTES or (distribution and _is_numpy(distribution)):
            continue
        try:
            with entry.open() as content:
                found = numpy_api(content)
        except UnreadableEntryError:  # the rule of unreadable entries says so
            continue
        if found is not None:
            yield path, found


def _is_numpy(distribution: Distribution) -> bool:
    return distribution.name.lower() == "numpy"
