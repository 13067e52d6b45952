"""A target whose native files are resolved: what each question of who loads whom starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.elf import Abi, Elf
    from audit.graph import Graph, Linker
    from audit.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Paths are those of `tree`, in which the target lies at `at`; `own` are the target's files, the largest first.

    `elves` are those of its ELF files that a loader takes; `graph` may lead on into the runtime's. `expected` is the
    ABI of the system it runs in; None where nothing tells.
    """

    tree: Tree
    at: str
    own: tuple[str, ...]
    elves: Mapping[str, Elf]
    graph: Graph
    expected: Abi | None
    linker: Linker = field(compare=False, repr=False)
