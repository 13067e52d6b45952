"""Tells which ELF files of a target its system is to load, and which lie there for something else."""

from __future__ import annotations

import posixpath
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


class Roles(NamedTuple):
    """ELF files by path. `loaded`: by this system; `companions` of debug information; for other `platforms`.

    What is for a device, or starts without an operating system, is in none of them.
    """

    loaded: Mapping[str, Elf]
    companions: Mapping[str, Elf]
    platforms: Mapping[str, Elf]


def hosted(tree: Tree, elves: Mapping[str, Elf]) -> dict[str, Elf]:
    """Leave out the code of devices, and firmware."""
    return {
        path: elf
        for path, elf in elves.items()
        if elf.abi.machine not in DEVICES and not _is_bare(elf, tree.entries[path].mode)
    }


def roles(elves: Mapping[str, Elf], sections: Mapping[str, Iterable[Section]], expected: Abi | None) -> Roles:
    """Split ELF files by who loads them; `expected` is what the programs of their system are built for.

    A package for several platforms holds one library once for each: a file that has a namesake for the expected
    one is for another. One without is not where it should be, which is a finding.
    """
    companions = {path: elf for path, elf in elves.items() if is_debug_companion(sections.get(path, ()))}
    rest = {path: elf for path, elf in elves.items() if path not in companions}
    others = {
        path: elf
        for path, elf in rest.items()
        if elf.type in ("shared", "executable") and (elf.abi != expected or other_system(elf))
    }
    names = {posixpath.basename(path) for path in rest if path not in others}
    platforms = {path: elf for path, elf in others.items() if posixpath.basename(path) in names}
    return Roles(
        loaded={path: elf for path, elf in rest.items() if path not in platforms},
        companions=companions,
        platforms=platforms,
    )


def _is_bare(elf: Elf, mode: int) -> bool:
    """Tell what starts without an operating system, by what no linker for Linux leaves out or makes so small."""
    stack = any(segment.type == "PT_GNU_STACK" for segment in elf.segments)
    paged = all(segment.align >= PAGE[0] for segment in elf.segments if segment.type == "PT_LOAD")
    static = elf.type == "executable" and not (elf.interp or elf.dynamic)
    return static and not mode & 0o111 and not (stack and paged)
