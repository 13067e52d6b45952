"""Will every native file find what it names?"""

from __future__ import annotations

import posixpath
import re
from itertools import islice
from typing import TYPE_CHECKING

from audit.elf import Elf
from audit.rules.rule import Rule, Severity, Verdict
from audit.tree import PATH_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis

MAX_FOLDERS = 1000  # of one RPATH, that are judged


def _unresolved_needed(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Every NEEDED and every interpreter must be found: ld.so(8) ends the process, dlopen(3) fails."""
    left = analysis.left_to_system
    remedy = "install the package that holds it, or drop the file that needs it"
    if left is not None:
        system = f"--runtime {left.likely or 'IMAGE'}"
        remedy = f"ship it with an $ORIGIN RUNPATH; or, where the system has it, name that: {system}"
    namesakes = {(elf.abi, posixpath.basename(path)): path for path, elf in analysis.elves.items()}
    for path, edge in analysis.unresolved:
        elf = analysis.linker.elf(path)
        abi = elf.abi if isinstance(elf, Elf) else None
        there = None if edge.problem or abi is None else namesakes.get((abi, edge.needed))
        why = edge.problem or "not found by any rule of ld.so(8)"
        yield Verdict(
            path,
            f"needs {edge.needed}: {why}" + (f"; it lies at {there}" if there else ""),
            _runpath_to(path, there) if there else remedy,
            about=edge.needed,
        )


def _runpath_to(path: str, library: str) -> str:
    """Say how the loader gets to a library that is there, and not where it looks."""
    folder = posixpath.relpath(posixpath.dirname(library), posixpath.dirname(path))
    origin = "$ORIGIN" if folder == "." else f"$ORIGIN/{folder}"
    return f"lead it there (patchelf --add-rpath '{origin}'), unless what loads it has loaded that before"


def _left_to_system(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What each Linux has is not the package's to bring; only its own system tells in which version it is there."""
    left = analysis.left_to_system
    if left is not None and left.users:
        files = len({path for paths in left.users.values() for path in paths})
        words = "a native file counts" if files == 1 else f"{files:,} native files count"
        yield Verdict(
            analysis.target.name,
            f"{words} on the system for {', '.join(left.users)}",
            f"name the image or folder that it will be unpacked in: --runtime {left.likely or 'IMAGE'}",
        )


def _wrong_architecture(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """All native files must fit the processor and mode that the programs of the tree are built for."""
    for path, elf in analysis.elves.items():
        if (
            analysis.expected is not None
            and elf.type in ("shared", "executable")
            and elf.abi != analysis.expected
        ):
            yield Verdict(
                path,
                f"built for {elf.abi}, where {analysis.expected} is expected",
                f"rebuild or fetch it for {analysis.expected.machine}",
            )


def _unsafe_rpath(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Every folder of RPATH and RUNPATH should be absolute, or begin with $ORIGIN, and be safe from others."""
    for path, elf in analysis.elves.items():
        text = elf.rpath if elf.runpath is None else elf.runpath
        if text is None:
            continue
        tag = "RPATH" if elf.runpath is None else "RUNPATH"
        parts = islice(dict.fromkeys(text.split(":")), MAX_FOLDERS)
        for part, fault in ((part, fault) for part in parts if (fault := _fault_of(analysis, part))):
            yield Verdict(
                path,
                f"{tag} has {f'{part[:PATH_MAX]!r}, {fault}' if part else fault}",
                "link or patch it (patchelf --set-rpath) with a folder that begins with $ORIGIN, or with none",
                about=part,
            )


# Folders in which a package is built, or anyone may write: what the loader finds there is not what was shipped.
_BUILD_TREES = re.compile(
    r"/(?:home|root|Users|build|builddir|builds|workspace|github|__w|project|io|src|usr/src|mnt|host"
    r"|opt/_internal|croot|var/lib/jenkins)(?:/|\Z)|.*/(?:conda-bld|bazel-out|site-packages-build|_build|cmake-build[^/]*)(?:/|\Z)"
)
_OPEN_TO_ALL = re.compile(r"/(?:tmp|var/tmp|dev/shm)(?:/|\Z)")


def _fault_of(analysis: Analysis, part: str) -> str:
    """Say what is wrong with one folder of a path list; empty when nothing is."""
    if not part:
        return "an empty element, which is the working directory of the process"
    if part.startswith(("$ORIGIN", "${ORIGIN}")):
        return ""
    if not part.startswith("/"):
        return (
            ""
            if part.startswith("$")
            else "relative, so it is taken from the working directory of the process"
        )
    real = analysis.tree.resolve(part)
    entry = analysis.tree.entries[real] if real is not None else None
    if _OPEN_TO_ALL.match(part) or (entry is not None and entry.kind == "dir" and entry.mode & 0o002):
        return "where everyone may write"
    if entry is None and _BUILD_TREES.match(part):
        return "a folder of the machine that built it"
    return ""


def _mixed_libc(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A process has one C library; objects built for the other find neither its symbols nor its structures."""
    for load in analysis.graph.loads:
        names: dict[str, str] = {}
        for path, edges in load.edges.items():
            for edge in edges:
                kind = _libc_named(edge.needed)
                if kind:
                    names.setdefault(kind, path)
        own = next((path for path in names.values() if path in analysis.elves), None)
        if len(names) > 1 and own:
            words = ", ".join(f"{kind} by {path}" for kind, path in names.items())
            yield Verdict(load.root, f"its process needs two C libraries: {words}", _REMEDY_LIBC)
    yield from _foreign_libc(analysis)


_REMEDY_LIBC = "take the build for the C library of the target (musllinux for musl, manylinux for glibc)"


def _foreign_libc(analysis: Analysis) -> Iterator[Verdict]:
    """Find extension modules built for another C library than the interpreter's that loads them."""
    hosts = {
        kind
        for host in analysis.hosts.every
        if "/python" in host.root
        for edges in host.edges.values()
        for edge in edges
        if (kind := _libc_named(edge.needed))
    }
    for path in sorted(analysis.bindings.modules):
        kinds = (
            {kind for name in analysis.elves[path].needed if (kind := _libc_named(name))}
            if path in analysis.elves
            else set()
        )
        if len(hosts) == 1 and kinds and not kinds & hosts:
            words = f"built for {', '.join(kinds)}, where the interpreter is built for {', '.join(hosts)}"
            yield Verdict(path, words, _REMEDY_LIBC)


def _libc_named(needed: str) -> str:
    name = needed.rpartition("/")[2]
    if name.startswith(("libc.musl-", "ld-musl-")) or name == "libc.so":
        return "musl"
    return "glibc" if name in ("libc.so.6", "libc.so.6.1") or name.startswith("ld-linux") else ""


def _isa_level(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """A file may say which x86-64 level it needs; glibc refuses it on a lesser processor."""
    for path, notes in analysis.notes.items():
        if notes.isa_level > config["level"]:
            yield Verdict(
                path,
                f"needs x86-64-v{notes.isa_level}, above the v{config['level']:.0f} that the target is sure to have",
                "rebuild it for the lower level (-march), or set the target's level when its processors are known",
            )


RULES = (
    Rule(
        key="unresolved-needed",
        severity=Severity.ERROR,
        judge=_unresolved_needed,
        means="a native file names a library, or an interpreter, that no rule of the dynamic loader finds",
        matters="the loader ends the process, or dlopen(3) and so Python's import fails",
        mend="install the package that holds it, ship it with an $ORIGIN RUNPATH, or drop the file that needs it",
        source="ld.so(8), 'Dynamic Linker'; gABI chapter 5, 'Shared Object Dependencies'",
    ),
    Rule(
        key="left-to-system",
        severity=Severity.NOTE,
        judge=_left_to_system,
        means="no --runtime is named, and libraries that each manylinux or musllinux system has are not inside",
        matters="a small image may lack some (libGL, libX11, libglib), or have an older version than is needed",
        mend="name the image or folder that the package will be unpacked in: --runtime, and where in it: --at",
        source="PEP 600 and PEP 656; auditwheel's policies",
    ),
    Rule(
        key="wrong-architecture",
        severity=Severity.ERROR,
        judge=_wrong_architecture,
        means="a native file is built for another processor or mode than the programs of the tree",
        matters="the loader passes it over or refuses it: 'wrong ELF class', 'cannot open shared object file'",
        mend="rebuild or fetch it for the architecture that is expected",
        source="gABI chapter 4, 'ELF Header'; ld.so(8)",
    ),
    Rule(
        key="unsafe-rpath",
        severity=Severity.WARNING,
        judge=_unsafe_rpath,
        means="an RPATH or RUNPATH has a folder that is relative, empty, of the building machine, or open to all",
        matters="whoever can write there, or chooses the working directory, decides which library is loaded",
        mend="link or patch the file (patchelf --set-rpath) with $ORIGIN, or with no path at all",
        source="ld.so(8), 'Dynamic string tokens'; CWE-426",
    ),
    Rule(
        key="mixed-libc",
        severity=Severity.ERROR,
        judge=_mixed_libc,
        means="files for glibc and files for musl would share a process",
        matters="two C libraries have two heaps and two ideas of a thread: it does not load, or crashes",
        mend="take the build for the C library of the target (musllinux for musl, manylinux for glibc)",
        source="PEP 656; musl wiki, 'Functional differences from glibc'",
    ),
    Rule(
        key="isa-level",
        severity=Severity.WARNING,
        judge=_isa_level,
        means="a file notes that it needs a higher x86-64 level than the target is sure to have",
        matters="on a lesser processor the loader ends with 'CPU ISA level is lower than required'",
        mend="rebuild it for the lower level, or set the level in audit.toml when the processors are known",
        source="x86-64 psABI, 'Micro-Architecture Levels' and 'Program Property'; glibc, sysdeps/x86/dl-prop.h",
        config={"level": 1},
    ),
)
