"""Who needs whom in a tree: every NEEDED resolved as ld.so(8) would resolve it there."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, TypeVar

from audit.elf import MAGIC, BadElfError, Elf, NotElfError, read_elf
from audit.errors import PassedOverError, TooLargeError, UnreadableEntryError
from audit.foreign import foreign_format
from audit.loader import How, Loaded, Loader, expand, loader_of, searches
from audit.tree import TIMES_ON_DISK

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from audit.elf import Abi
    from audit.tree import Tree

_K = TypeVar("_K", bound="Hashable")

# A whole Debian takes some 10,000 steps; so many more are an attack on time and memory.
MAX_STEPS = 2_000_000
# What is remembered of folders and names: a path list may have a hundred thousand of them, and none be there.
MAX_KNOWN = 500_000
# A desktop has some 6,000 ELF files; each takes about 2 ms in all.
MAX_ELF_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that begins as an ELF file and is none, or that cannot be read at all, and why.

    `passed_over`: nothing is wrong with it, but it went away, or is not ours to read.
    """

    reason: str
    readable: bool = True
    passed_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One NEEDED name (or the interpreter) of one file, and where it leads.

    `opened` is the name the loader opens, `path` the same without symlinks; both None when nothing is found.
    `problem` says why a file that was found ends the search.
    """

    needed: str
    how: How
    path: str | None = None
    opened: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one process start, or one dlopen, brings in: its objects in load order, each with its edges."""

    root: str
    edges: Mapping[str, tuple[Edge, ...]]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Every load of a tree. A file stands in several loads, and may resolve differently in each."""

    loads: tuple[Load, ...]

    @cached_property
    def edges(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges of each file in the first load that lacks something of it, else in the first load."""
        found: dict[str, tuple[Edge, ...]] = {}
        for load in self.loads:
            for path, edges in load.edges.items():
                if path not in found or (_complete(found[path]) and not _complete(edges)):
                    found[path] = edges
        return found


def _known(known: dict[_K, str | None], key: _K, find: Callable[[], str | None]) -> str | None:
    """Return what is known of a key, or find it, and remember it while there is room."""
    if key in known:
        return known[key]
    found = find()
    if len(known) < MAX_KNOWN:
        known[key] = found
    return found


def _complete(edges: Iterable[Edge]) -> bool:
    return all(edge.path is not None for edge in edges)


class Linker:
    """Resolves names in one tree; reads each ELF file, and looks into each folder, once."""

    def __init__(self, tree: Tree, level: int = 1) -> None:
        """Start with nothing read; `level` is N of x86-64-vN, that of the processor (see `hwcaps_of`)."""
        self.tree = tree
        self.level = level
        # Mach-O and PE files among those asked for, and what they are: seen here, where files are opened.
        self.foreign: dict[str, str] = {}
        self._elves: dict[str, Elf | Broken | None] = {}
        self._loaders: dict[Abi, Loader] = {}
        self._folders: dict[str, str | None] = {}
        self._found: dict[tuple[str, str], str | None] = {}
        self._steps = 0
        self._read_so_far = 0
        self._times = TIMES_ON_DISK if tree.form == "folder" else 1

    def elf(self, path: str) -> Elf | Broken | None:
        """Read the ELF file at `path` (without symlinks); None when it is something else."""
        if path not in self._elves:
            self._elves[path] = self._read(path)
        return self._elves[path]

    def loader(self, abi: Abi) -> Loader:
        """Give what the tree's loader for this ABI has been told."""
        if abi not in self._loaders:
            self._loaders[abi] = loader_of(self.tree, abi, self.level)
        return self._loaders[abi]

    def load(self, path: str) -> Load:
        """Load the ELF file at `path` (without symlinks) as execve(2) or dlopen(3) would.

        A plugin (a Python extension, a library that only dlopen brings in) is the root of a load of its own:
        what counts is its own RPATH or RUNPATH and the process-wide LD_LIBRARY_PATH.
        """
        elf = self.elf(path)
        if not isinstance(elf, Elf):
            return Load(root=path, edges={path: ()})
        root = Loaded(path=path, opened=path, elf=elf, how=How.PATH)
        process = _Process(self, root)
        return Load(root=path, edges=process.run())

    def count(self) -> None:
        """Count one name asked for, or one place looked at.

        Raises:
            TooLargeError: they are more than any real tree takes.
        """
        self._steps += 1
        if self._steps > MAX_STEPS * self._times:
            raise TooLargeError(
                f"{self.tree.name}: its native files need more than {MAX_STEPS * self._times:,} look-ups to resolve. "
                "No real package does: it is broken or hostile."
            )

    def find(self, needed: str, requester: Loaded, program: Loaded) -> Edge:
        """Look for a name that is not loaded yet, rule by rule."""
        abi = program.elf.abi
        loader = self.loader(abi)
        if "/" in needed:
            name = expand(loader, needed, requester.origin)
            if name is None:
                return Edge(needed=needed, how=How.NOT_FOUND, problem="a $TOKEN in it has no value")
            opened = posixpath.join(loader.working_dir, name)
            return self._accept(needed, opened, How.PATH, abi) or Edge(
                needed=needed, how=How.NOT_FOUND, problem="no such file for this ABI"
            )
        for how, place in searches(loader, needed, requester, program):
            edge = self._accept(needed, place, how, abi)
            if edge is not None:
                return edge
        return Edge(needed=needed, how=How.NOT_FOUND)

    def _accept(self, needed: str, opened: str | None, how: How, abi: Abi) -> Edge | None:
        """Decide about one candidate as open_verify in glibc's elf/dl-load.c does.

        Another class or machine is passed over; what is no ELF file, or is damaged, ends the search.
        """
        self.count()
        path = self._locate(opened) if opened is not None else None
        if opened is None or path is None:
            return None
        elf = self.elf(path)
        if isinstance(elf, Elf) and (elf.abi.bits, elf.abi.machine) != (abi.bits, abi.machine):
            return None
        problem = _problem(elf, abi)
        if problem:
            return Edge(needed=needed, how=How.NOT_FOUND, problem=f"the loader stops at {opened}: {problem}")
        return Edge(needed=needed, how=how, path=path, opened=opened)

    def _locate(self, opened: str) -> str | None:
        folder, name = posixpath.split(opened)
        real = _known(self._folders, folder, lambda: self.tree.resolve(folder))
        if real is None:
            return None
        return _known(self._found, (real, name), lambda: self.tree.resolve(posixpath.join(real, name)))

    def _count_elf(self, content: IO[bytes]) -> None:
        self._read_so_far += content.read(4) == MAGIC
        most = MAX_ELF_FILES * self._times
        if self._read_so_far > most:
            raise TooLargeError(f"{self.tree.name} has more than {most:,} ELF files: audit a part of it.")

    def _read(self, path: str) -> Elf | Broken | None:
        entry = self.tree.entries[path]
        if entry.kind != "file" or entry.size < len(MAGIC):
            return None
        try:
            with entry.open() as content:
                try:
                    self._count_elf(content)
                    return read_elf(content)
                except NotElfError:
                    if (format_ := foreign_format(content)) is not None:
                        self.foreign[path] = format_
                    return None
        except BadElfError as error:
            return Broken(str(error))
        except UnreadableEntryError as error:
            return Broken(str(error), readable=False, passed_over=isinstance(error, PassedOverError))


class _Process:
    """The objects of one process in load order: breadth first, as `ldd` prints them."""

    def __init__(self, linker: Linker, root: Loaded) -> None:
        self.linker = linker
        self.root = root
        self.by_path: dict[str, Loaded] = {}
        self.by_name: dict[str, Loaded] = {}
        self.queue: list[Loaded] = []

    def run(self) -> dict[str, tuple[Edge, ...]]:
        self._add(self.root, ())
        edges: dict[str, tuple[Edge, ...]] = {}
        interp = self.root.elf.interp
        first = (self._interpreter(interp),) if interp is not None else ()
        for loaded in self.queue:  # grows while it is read
            found = tuple(self._resolve(needed, loaded) for needed in loaded.elf.needed)
            edges[loaded.path] = (first if loaded is self.root else ()) + found
        return edges

    def _add(self, loaded: Loaded, names: Iterable[str]) -> None:
        self.queue.append(loaded)
        self.by_path[loaded.path] = loaded
        for name in (*names, loaded.opened, loaded.elf.soname):
            if name:
                self.by_name.setdefault(name, loaded)

    def _interpreter(self, interp: str) -> Edge:
        """Resolve PT_INTERP; the loader is then in the process and meets a NEEDED of its soname."""
        path = self.linker.tree.resolve(interp)
        if path is None:
            return Edge(needed=interp, how=How.NOT_FOUND, problem="no such file")
        elf = self.linker.elf(path)
        if not isinstance(elf, Elf):
            return Edge(
                needed=interp, how=How.NOT_FOUND, problem=f"{path}: {_problem(elf, self.root.elf.abi)}"
            )
        if path not in self.by_path:  # a loader started as a program is its own interpreter
            self._add(Loaded(path=path, opened=interp, elf=elf, how=How.INTERP, by=self.root), ())
        return Edge(needed=interp, how=How.INTERP, path=path, opened=interp)

    def _resolve(self, needed: str, requester: Loaded) -> Edge:
        self.linker.count()
        known = self.by_name.get(needed)
        if known is None:
            edge = self.linker.find(needed, requester, self.root)
            if edge.path is None or edge.opened is None:
                return edge
            known = self.by_path.get(edge.path)
            if known is None:
                elf = self.linker.elf(edge.path)
                assert isinstance(elf, Elf)  # noqa: S101 - find() accepts nothing else
                known = Loaded(path=edge.path, opened=edge.opened, elf=elf, how=edge.how, by=requester)
                self._add(known, (needed,))
                return edge
            self.by_name[needed] = known
        return Edge(needed=needed, how=known.how, path=known.path, opened=known.opened)


def link(linker: Linker, paths: Iterable[str]) -> Graph:
    """Resolve all ELF files among `paths` (without symlinks): the programs first, then what no program loads.

    A library that a program brings in is judged in that program's process, where an inherited RPATH may find
    what the library alone would not. Of the rest, those come first that no other of the rest needs: the
    plugins.
    """
    found = {path: elf for path in paths if isinstance(elf := linker.elf(path), Elf)}
    elves = {path: elf for path, elf in found.items() if elf.dynamic or elf.interp is not None}
    loads = [linker.load(path) for path, elf in elves.items() if elf.is_program]
    reached = {path for load in loads for path in load.edges}
    rest = [path for path in elves if path not in reached]
    wanted = {name for path in rest for name in elves[path].needed}
    names = {path: {posixpath.basename(path), elves[path].soname} for path in rest}
    for path in sorted(rest, key=lambda path: bool(names[path] & wanted)):
        if path not in reached:
            loads.append(linker.load(path))
            reached.update(loads[-1].edges)
    return Graph(loads=tuple(loads))


def _problem(elf: Elf | Broken | None, abi: Abi) -> str:
    match elf:
        case None:
            return "no ELF file"
        case Broken(reason):
            return reason
        case Elf() if elf.abi.little != abi.little:
            return f"it is {elf.abi}"
        case Elf() if elf.type not in ("shared", "executable"):
            return f"a {elf.type} file cannot be loaded"
    return ""
