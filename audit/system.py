"""What a package leaves to the system that it will run in, where none is named to judge it on."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.interpreter import libc_of
from audit.loader import loader_of
from audit.policy import is_promised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.graph import Edge
    from audit.linked import Linked
    from audit.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToSystem:
    """Libraries and loaders that every Linux is to have, with the files that need them.

    `likely` is an image in which such a package is usually unpacked; empty where nothing tells, or nobody has asked.
    """

    users: Mapping[str, frozenset[str]]
    likely: str = ""

    def covers(self, path: str, needed: str) -> bool:
        """Tell whether what the file at `path` needs is left to the system."""
        return path in self.users.get(posixpath.basename(needed), ())


def left_to_system(linked: Linked) -> LeftToSystem | None:
    """Give what a zip, wheel, folder or ELF file by itself counts on; None where it has a C library of its own.

    What every manylinux or musllinux system has (PEP 600, PEP 656) is no fault of the package: on its real system
    it is there. Whether in the version that is needed, only that system tells.
    """
    abi = linked.expected
    if abi is None or libc_of(linked.tree, loader_of(linked.tree, abi).default) is not None:
        return None
    users: defaultdict[str, list[str]] = defaultdict(list)
    for path, edges in linked.graph.edges.items():
        for edge in edges:
            if _is_nowhere(linked.tree, edge) and is_promised(edge.needed, abi):
                users[posixpath.basename(edge.needed)].append(path)
    return LeftToSystem(users={name: frozenset(paths) for name, paths in sorted(users.items())})


def _is_nowhere(tree: Tree, edge: Edge) -> bool:
    """Tell whether there is no such file at all; one that the loader stops at is a fault of the package."""
    if edge.path is not None:
        return False
    return tree.resolve(edge.needed) is None if "/" in edge.needed else not edge.problem
