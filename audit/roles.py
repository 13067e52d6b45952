"""Tells which ELF files of a target its system is to load, and which lie there for something else."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from audit.machine_flags import other_system
from audit.sections import is_debug_companion
from audit.segments import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.elf import Abi, Elf
    from audit.sections import Section
    from audit.tree import Tree

# e_machine of what runs no Linux (gABI, "ELF Header"): its code is for a GPU, a controller or a virtual machine.
DEVICES = {"cuda", "amdgpu", "bpf", "avr", "msp430", "xcore"}
# What a name must look like for something to dlopen it, or to find it for a NEEDED.
LIBRARY_NAME = re.compile(r"\.so(\.\d+)*$")

# How the folders of packages for several platforms name the machine that their files are for.
_FOLDERS = {
    "x86-64": r"x86[_-]64|amd64|x64|i64|lib64|64bit",
    "aarch64": r"aarch64|arm64",
    "i386": r"x86(?![_-]64)|i[3-6]86|ia32|i32|lib32|32bit",
    "arm": r"arm(?!64)",
    "ppc64": r"ppc64|powerpc64",
    "s390x": r"s390",
    "riscv": r"riscv",
}


class Roles(NamedTuple):
    """ELF files by path. `loaded`: by this system; `companions` of debug information; for other `platforms`.

    What is for a device, or starts without an operating system, is in none of them.
    """

    loaded: Mapping[str, Elf]
    companions: Mapping[str, Elf]
    platforms: Mapping[str, Elf]


def hosted(tree: Tree, elves: Mapping[str, Elf]) -> dict[str, Elf]:
    """Leave out the code of devices, and firmware; what is named like a library of this system is neither."""
    return {
        path: elf
        for path, elf in elves.items()
        if LIBRARY_NAME.search(path)
        or (elf.abi.machine not in DEVICES and not _is_bare(elf, tree.entries[path].mode))
    }


def roles(elves: Mapping[str, Elf], sections: Mapping[str, Iterable[Section]], expected: Abi | None) -> Roles:
    """Split ELF files by who loads them; `expected` is what the programs of their system are built for.

    A package for several platforms holds one library once for each, in folders named for them: a file in such a
    folder that has a namesake for the expected platform is for another one, unless a program of its own is there
    to load it. Anything else that does not fit is not where it should be, which is a finding.
    """
    companions = {path: elf for path, elf in elves.items() if is_debug_companion(sections.get(path, ()))}
    rest = {path: elf for path, elf in elves.items() if path not in companions}
    others = {
        path: elf
        for path, elf in rest.items()
        if elf.type in ("shared", "executable") and (elf.abi != expected or other_system(elf))
    }
    names = {posixpath.basename(path) for path in rest if path not in others}
    platforms = {
        path: elf
        for path, elf in others.items()
        if posixpath.basename(path) in names and _is_in_its_folder(path, elf)
    }
    used = {elf.abi for path, elf in others.items() if path not in platforms and elf.is_program}
    platforms = {path: elf for path, elf in platforms.items() if elf.abi not in used}
    return Roles(
        loaded={path: elf for path, elf in rest.items() if path not in platforms},
        companions=companions,
        platforms=platforms,
    )


def is_named_as_debug(path: str) -> bool:
    """Tell what gdb looks for by its name, and no loader: in /usr/lib/debug, or beside its file."""
    return path.endswith((".debug", ".dbg")) or "/debug/" in path or "/.build-id/" in path


def _is_in_its_folder(path: str, elf: Elf) -> bool:
    """Tell whether a folder above a file names the machine or the system that the file is for."""
    folder = posixpath.dirname(path).lower()
    system = other_system(elf).lower()
    if system:
        return system in folder or (system == "solaris" and "sunos" in folder)
    return re.search(_FOLDERS.get(elf.abi.machine, re.escape(elf.abi.machine)), folder) is not None


def _is_bare(elf: Elf, mode: int) -> bool:
    """Tell what starts without an operating system, by what no linker for Linux leaves out or makes so small."""
    stack = any(segment.type == "PT_GNU_STACK" for segment in elf.segments)
    paged = all(segment.align >= PAGE[0] for segment in elf.segments if segment.type == "PT_LOAD")
    static = elf.type == "executable" and not (elf.interp or elf.dynamic)
    return static and not mode & 0o111 and not (stack and paged)
