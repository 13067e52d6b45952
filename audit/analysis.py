"""Computes once what every rule looks at: the ELF files of a target, its graph, its sizes, its budgets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from audit.budget import Budget, Limit, budgets
from audit.elf import Abi, Elf
from audit.errors import AuditError
from audit.graph import Broken, Graph, Linker, link
from audit.loader import PLATFORMS
from audit.sizes import Sizes, sizes
from audit.tree import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.tree import Tree

DEFAULT_AT = "/action"
# So many programs of a runtime tell its architecture as well as all of them.
SAMPLE = 25


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is known of a target. Paths are those of `tree`, in which a package lies at `at` of its runtime.

    `elves` and `broken` are the target's own files; `graph` may lead on into the runtime's.
    """

    target: Tree
    runtime: Tree | None
    tree: Tree
    at: str
    elves: Mapping[str, Elf]
    broken: Mapping[str, Broken]
    graph: Graph
    expected: Abi | None
    sizes: Sizes
    budgets: tuple[Budget, ...]


def analyse(
    target: Tree,
    *,
    runtime: Tree | None = None,
    at: str = DEFAULT_AT,
    limit: Limit | None = None,
    machine: str | None = None,
) -> Analysis:
    """Analyse a target: by itself, or, with `runtime`, as it lies unpacked in the folder `at` of that tree.

    `machine` (see `abi_named`) is the architecture expected; without it, that of the programs of the tree
    in which the target runs. A zip or wheel audited without its runtime lacks the system's libraries.

    Raises:
        AuditError: `at` is no absolute path, or `machine` no architecture.
    """
    if not at.startswith("/"):
        raise AuditError(f"--at {at}: name an absolute folder of the runtime, such as {DEFAULT_AT}.")
    at = "/" if runtime is None else runtime.place(at)
    tree = target if runtime is None else runtime.with_mounted(target, at)
    own = [inside(at, path) for path in target.entries] if runtime is not None else list(tree.entries)
    linker = Linker(tree)
    files = [path for path in own if tree.entries[path].kind == "file" and tree.entries[path].same_as is None]
    found = {path: elf for path in files if (elf := linker.elf(path)) is not None}
    elves = {path: elf for path, elf in found.items() if isinstance(elf, Elf)}
    measured = sizes(tree, own, at)
    return Analysis(
        target=target,
        runtime=runtime,
        tree=tree,
        at=at,
        elves=elves,
        broken={path: elf for path, elf in found.items() if isinstance(elf, Broken)},
        graph=link(linker, elves),
        expected=abi_named(machine) if machine else _expected(elves.values(), linker, runtime),
        sizes=measured,
        budgets=budgets(target, measured.size, limit),
    )


def abi_named(machine: str) -> Abi:
    """Give the ABI of a machine by its ELF name or its OCI name: `x86-64` or `amd64`, `aarch64` or `arm64`, …

    Raises:
        AuditError: no such name is known.
    """
    for (name, bits), row in PLATFORMS.items():
        if machine in (name, row.oci):
            return Abi(machine=name, bits=bits, little=name != "s390x")
    known = ", ".join(row.oci for row in PLATFORMS.values())
    raise AuditError(f"unknown architecture {machine!r}: name one of {known}.")


def _expected(elves: Iterable[Elf], linker: Linker, runtime: Tree | None) -> Abi | None:
    """Give the ABI of most programs: the runtime's, else the target's; without any, of its libraries."""
    own = list(elves)
    votes: list[Abi] = []
    if runtime is not None:
        places = (
            path for path, entry in runtime.entries.items() if entry.kind == "file" and entry.mode & 0o111
        )
        others = (linker.elf(path) for path in places if path in linker.tree.entries)
        votes = [
            elf.abi for elf in islice((e for e in others if isinstance(e, Elf) and e.is_program), SAMPLE)
        ]
    votes = votes or [elf.abi for elf in own if elf.is_program] or [elf.abi for elf in own if elf.dynamic]
    return Counter(votes).most_common(1)[0][0] if votes else None
