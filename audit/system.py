"""What a package leaves to the system that it will run in, where none is named to judge it on."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.interpreter import libc_of
from audit.loader import loader_of
from audit.policy import is_promised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.analysis import Analysis
    from audit.graph import Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToSystem:
    """Libraries and loaders that every Linux is to have, with the files that need them.

    `likely` is an image in which such a package is usually unpacked; empty where nothing tells.
    """

    users: Mapping[str, frozenset[str]]
    likely: str

    def covers(self, path: str, needed: str) -> bool:
        """Tell whether what the file at `path` needs is left to the system."""
        return path in self.users.get(posixpath.basename(needed), ())


def left_to_system(analysis: Analysis) -> LeftToSystem | None:
    """Give what a zip, wheel, folder or ELF file without a C library of its own counts on; None for a system.

    What every manylinux or musllinux system has (PEP 600, PEP 656) is no fault of the package: on its real system
    it is there. Whether in the version that is needed, only that system tells.
    """
    abi = analysis.expected
    alone = analysis.runtime is None and analysis.target.form != "image"
    if not alone or abi is None or libc_of(analysis.tree, loader_of(analysis.tree, abi).default) is not None:
        return None
    users: defaultdict[str, list[str]] = defaultdict(list)
    for path, edges in analysis.graph.edges.items():
        for edge in edges:
            if _is_nowhere(analysis, edge) and is_promised(edge.needed, abi):
                users[posixpath.basename(edge.needed)].append(path)
    return LeftToSystem(
        users={name: frozenset(paths) for name, paths in sorted(users.items())},
        likely=_likely(analysis, users),
    )


def _is_nowhere(analysis: Analysis, edge: Edge) -> bool:
    """Tell whether there is no such file at all; one that the loader stops at is a fault of the package."""
    if edge.path is not None:
        return False
    return analysis.tree.resolve(edge.needed) is None if "/" in edge.needed else not edge.problem


def _likely(analysis: Analysis, users: Mapping[str, object]) -> str:
    """Name the usual image for what the extension modules and wheels are built for."""
    if analysis.usual_runtime:
        return analysis.usual_runtime
    python = analysis.python
    wheels = [one for wheel in python.own for one in wheel.interpreters]
    modules = [one.interpreter for one in python.extensions if one.interpreter is not None]
    built_for = Counter(one.minor for one in (*modules, *wheels) if one.implementation == "cpython")
    musl = any("musl" in name for name in users)
    flavour = "alpine" if musl else "slim"
    return f"python:3.{built_for.most_common(1)[0][0]}-{flavour}" if built_for else ""
