"""Computes once what every rule looks at: the ELF files of a target, its graph, its sizes, its budgets."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from audit.binding import bind
from audit.budget import Budget, Limit, budgets
from audit.config import Config
from audit.cuts import cut_plans
from audit.damage import checkable, damage, on_two_cores
from audit.duplicates import duplicates
from audit.elf import Abi, Elf
from audit.errors import AuditError
from audit.graph import Broken, Graph, Linker, link
from audit.hardening import hardening_of
from audit.hosts import Hosts, Reach, hosts_of, reach
from audit.leftovers import leftovers
from audit.linked import Linked
from audit.links import bad_links
from audit.loader import PLATFORMS
from audit.missing import missing_symbols
from audit.notes import notes_of
from audit.observed import observed
from audit.packed import packed_sizes
from audit.roles import hosted, roles
from audit.sections import sections_of
from audit.sizes import Sizes, folder_sizes, sizes
from audit.strip import strippable_of
from audit.system import left_to_system
from audit.tree import inside
from audit.usual_image import usual_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.binding import Bindings
    from audit.cut import CutPlan
    from audit.duplicates import Duplicates
    from audit.graph import Edge
    from audit.hardening import Hardening
    from audit.leftovers import Leftover
    from audit.links import BadLink
    from audit.missing import Missing
    from audit.notes import Notes
    from audit.observed import Observation, Observed
    from audit.python import Python
    from audit.sections import Section
    from audit.sizes import FolderSize
    from audit.strip import Strippable
    from audit.system import LeftToSystem
    from audit.tree import Tree

DEFAULT_AT = "/action"
# So many programs of a runtime tell its architecture as well as all of them.
SAMPLE = 25


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is known of a target. Paths are those of `tree`, in which a package lies at `at` of its runtime.

    `linked` are its native files, resolved; the other maps hold the target's own files, too. `companions` are files of
    debug information, `platforms` are ELF files for others than the expected one, beside theirs.
    """

    target: Tree
    runtime: Tree | None
    linked: Linked
    companions: Mapping[str, Elf]
    platforms: Mapping[str, Elf]
    broken: Mapping[str, Broken]
    sections: Mapping[str, tuple[Section, ...]]
    sizes: Sizes
    budgets: tuple[Budget, ...]
    config: Config = field(default_factory=Config)
    observation: Observation | None = None
    usual_runtime: str = ""

    @property
    def tree(self) -> Tree:
        """The target, in its runtime where there is one."""
        return self.linked.tree

    @property
    def at(self) -> str:
        """Where the target lies in `tree`."""
        return self.linked.at

    @property
    def elves(self) -> Mapping[str, Elf]:
        """The target's own ELF files, as far as a loader takes them."""
        return self.linked.elves

    @property
    def graph(self) -> Graph:
        """Every load of them."""
        return self.linked.graph

    @property
    def expected(self) -> Abi | None:
        """The ABI of the system that the target runs in."""
        return self.linked.expected

    @property
    def linker(self) -> Linker:
        """What has read and resolved them."""
        return self.linked.linker

    @cached_property
    def python(self) -> Python:
        """What the target holds of Python."""
        # Imported late: the closure command runs in build stages, where packaging is not installed.
        from audit.python import python_of  # noqa: PLC0415

        return python_of(self.linked, self.target, self.sizes.files)

    @cached_property
    def bindings(self) -> Bindings:
        """The symbols of all files of the graph, bound to each other; those of the Pythons of the runtime too."""
        return bind(self.linker, self.graph.loads, self.hosts.every)

    @cached_property
    def missing_symbols(self) -> tuple[Missing, ...]:
        """The symbols of the target's files that nothing in their load defines; see `audit.missing`."""
        unknown = self.left_to_system is not None and not self.hosts.pythons
        return tuple(missing_symbols(self.linked, self.bindings, self.hosts, unknown_python=unknown))

    @cached_property
    def hosts(self) -> Hosts:
        """The processes that may load plugins: the programs of the target, and the Pythons of its runtime."""
        return hosts_of(self.linked)

    @cached_property
    def reach(self) -> Reach:
        """What the entry points of the target reach."""
        return reach(self.linked, modules=self.bindings.modules, notes=self.notes)

    @cached_property
    def left_to_system(self) -> LeftToSystem | None:
        """What a package without a runtime leaves to the system it will run in; None where a system is known."""
        if self.runtime is not None or self.target.form == "image":
            return None
        left = left_to_system(self.linked)
        if left is None:
            return None
        return replace(left, likely=self.usual_runtime or usual_image(self.python, left.users))

    @property
    def unresolved(self) -> Iterator[tuple[str, Edge]]:
        """What is found by no rule of the loader nor left to the system, each with the file that needs it."""
        left = self.left_to_system
        for path, edges in self.graph.edges.items():
            for edge in edges:
                if edge.path is None and not (left and left.covers(path, edge.needed)):
                    yield path, edge

    @cached_property
    def observed(self) -> Observed | None:
        """What a running container had mapped, held against the target; None where nothing was observed."""
        if self.observation is None:
            return None
        return observed(
            self.linked,
            self.observation,
            modules=self.bindings.modules,
            hosts=self.hosts.every,
            reach=self.reach,
            notes=self.notes,
        )

    @property
    def unreached(self) -> tuple[str, ...]:
        """Libraries that no entry point reaches and no file names, but for those that were seen mapped."""
        mapped = self.observed.mapped if self.observed is not None else ()
        return tuple(path for path in self.reach.unreached if path not in mapped)

    @cached_property
    def foreign(self) -> Mapping[str, str]:
        """The target's Mach-O and PE files, and which of the two they are."""
        at = self.at.rstrip("/") + "/" if self.runtime is not None else "/"
        known = self.linker.foreign
        return {path: known[path] for path in sorted(known) if path.startswith(at)}

    @cached_property
    def damaged(self) -> Mapping[str, str]:
        """What of the target's files is not what its checksum says, and why."""
        return damage(self.tree, checkable(self.tree, (file.path for file in self.sizes.files)))

    @cached_property
    def hardening(self) -> Mapping[str, Hardening]:
        """What protects each program and library of the target."""
        return hardening_of(self.elves, self.bindings.taken, self.bindings.offers)

    @cached_property
    def notes(self) -> Mapping[str, Notes]:
        """The notes of the target's ELF files; without those that cannot be read."""
        return notes_of(self.tree, self.elves)

    @cached_property
    def strippable(self) -> Mapping[str, Strippable]:
        """What stripping would save, for each file where it would save something."""
        return strippable_of(self.tree, {**self.elves, **self.companions}, self.sections)

    @cached_property
    def duplicates(self) -> Duplicates:
        """Content of the target that is stored more than once."""
        return duplicates(self.tree, self.sizes.files)

    @cached_property
    def bad_links(self) -> tuple[BadLink, ...]:
        """Symlinks that lead out of the target or nowhere; their paths are those in the target."""
        return bad_links(self.target)

    @cached_property
    def leftovers(self) -> tuple[Leftover, ...]:
        """Files that packages and builds left behind, the largest first."""
        return leftovers(self.tree, self.sizes.files, self.at)

    @cached_property
    def folders(self) -> tuple[FolderSize, ...]:
        """Every folder with what lies beneath it, the largest first."""
        return folder_sizes(self.sizes, self.at)

    @cached_property
    def cut_plans(self) -> tuple[CutPlan, ...]:
        """How to make each budget fit that is over."""
        return cut_plans(
            self.budgets,
            self.sizes.files,
            at=self.at,
            name=self.target.name,
            unreachable=self.unreached,
            leftovers=self.leftovers,
            duplicates=self.duplicates,
            strippable=self.strippable,
        )


def analyse(  # noqa: PLR0913 - everything that a target is asked, by name
    target: Tree,
    *,
    runtime: Tree | None = None,
    at: str = DEFAULT_AT,
    limit: Limit | None = None,
    machine: str | None = None,
    config: Config = Config(),  # noqa: B008 - a frozen value
    compress: bool = False,
    observation: Observation | None = None,
    usual_runtime: str = "",
) -> Analysis:
    """Analyse a target: by itself, or, with `runtime`, as it lies unpacked in the folder `at` of that tree.

    `machine` (see `abi_named`) is the architecture expected; without it, that of the programs of the tree
    in which the target runs. Of a zip or wheel without its runtime, what it needs of the system is not judged;
    `usual_runtime` is then what the report advises to name.
    `config` is what audit.toml says. `compress` estimates what folders and images would take in a zip (slow:
    30 MB a second for each core); it is done, too, when a budget counts packed bytes. `observation` is what a
    running container had mapped.

    Raises:
        AuditError: `at` is no absolute path, `machine` no architecture, or `config` names no known platform.
    """
    if not at.startswith("/"):
        raise AuditError(f"--at {at}: name an absolute folder of the runtime, such as {DEFAULT_AT}.")
    at = "/" if runtime is None else runtime.place(at)
    tree = target if runtime is None else runtime.with_mounted(target, at)
    own = [inside(at, path) for path in target.entries] if runtime is not None else list(tree.entries)
    linker = Linker(tree, config.isa_level)
    files = [path for path in own if tree.entries[path].kind == "file" and tree.entries[path].same_as is None]
    checked = frozenset(checkable(tree, files))

    def look(path: str) -> None:
        linker.elf(path)
        if path in checked:  # to its end, while it is at hand
            damage(tree, (path,))

    on_two_cores(look, files, tree)
    found = {path: elf for path in files if (elf := linker.elf(path)) is not None}
    broken = {path: elf for path, elf in found.items() if isinstance(elf, Broken)}
    elves = hosted(tree, {path: elf for path, elf in found.items() if isinstance(elf, Elf)})
    sections = sections_of(tree, [*elves, *(path for path, fault in broken.items() if fault.readable)])
    expected = abi_named(machine) if machine else _expected(elves, linker, runtime)
    parts = roles(elves, sections, expected)
    wanted = compress or any(row.packed for row in config.budgets)
    measured = sizes(tree, own, at, packed_sizes(tree, own) if wanted else None)
    linked = Linked(
        tree=tree,
        at=at,
        own=tuple(file.path for file in measured.files),
        elves=parts.loaded,
        graph=link(linker, parts.loaded),
        expected=expected,
        linker=linker,
    )
    return Analysis(
        target=target,
        runtime=runtime,
        linked=linked,
        companions=parts.companions,
        platforms=parts.platforms,
        broken=broken,
        sections=sections,
        sizes=measured,
        budgets=budgets(target, measured, config, limit, at),
        config=config,
        observation=observation,
        usual_runtime=usual_runtime,
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


def _expected(elves: Mapping[str, Elf], linker: Linker, runtime: Tree | None) -> Abi | None:
    """Give the ABI of most programs: the runtime's, else the target's; without any, of its libraries."""
    if runtime is not None:
        places = (
            path for path, entry in runtime.entries.items() if entry.kind == "file" and entry.mode & 0o111
        )
        others = (linker.elf(path) for path in places if path in linker.tree.entries)
        programs = (elf for elf in others if isinstance(elf, Elf) and elf.is_program)
        if votes := Counter(elf.abi for elf in islice(programs, SAMPLE)):
            return votes.most_common(1)[0][0]
    own = {path: elf for path, elf in elves.items() if elf.is_program} or {
        path: elf for path, elf in elves.items() if elf.dynamic
    }
    # A package for several platforms has each name once for each of them.
    votes = Counter(abi for abi, _ in {(elf.abi, posixpath.basename(path)) for path, elf in own.items()})
    usual = [Abi(machine=name, bits=bits, little=name != "s390x") for name, bits in PLATFORMS]
    order = {abi: -at for at, abi in enumerate(usual)}
    return max(votes, key=lambda abi: (votes[abi], order.get(abi, -len(usual))), default=None)
