"""Tells files apart that are for one processor and differ in how functions are called: e_flags and EI_OSABI."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.elf import Elf


class _Flags(NamedTuple):
    """The bits of e_flags that must agree, and their values in words; one that is not there fits all."""

    mask: int
    words: dict[int, str]


# ELF for the Arm Architecture, RISC-V psABI, OpenPOWER ELFv2, LoongArch psABI: each under "e_flags".
_FLAGS = {
    "arm": _Flags(0x600, {0x200: "the soft-float ABI", 0x400: "the hard-float ABI"}),
    "riscv": _Flags(
        0x6,
        {
            0x0: "the soft-float ABI",
            0x2: "the single-float ABI",
            0x4: "the double-float ABI",
            0x6: "the quad-float ABI",
        },
    ),
    "ppc64": _Flags(0x3, {0x1: "ABI version 1", 0x2: "ABI version 2"}),
    "loongarch": _Flags(
        0x7, {0x1: "the soft-float ABI", 0x2: "the single-float ABI", 0x3: "the double-float ABI"}
    ),
}

# VALID_ELF_OSABI in glibc's sysdeps/generic/ldsodefs.h and for arm: what its loader takes.
_SYSV, _GNU, _ARM_AEABI = 0, 3, 64
_SYSTEMS = {
    1: "HP-UX",
    2: "NetBSD",
    6: "Solaris",
    7: "AIX",
    8: "IRIX",
    9: "FreeBSD",
    12: "OpenBSD",
    17: "CloudABI",
}


def calling(elf: Elf) -> str:
    """Give the convention its functions are called with, in words; empty where the machine has only one."""
    flags = _FLAGS.get(elf.abi.machine)
    return flags.words.get(elf.flags & flags.mask, "") if flags is not None else ""


def usual_calling(elves: Iterable[Elf]) -> dict[str, str]:
    """Give, for each machine, the convention of most of its files."""
    votes: dict[str, Counter[str]] = {}
    for elf in elves:
        if words := calling(elf):
            votes.setdefault(elf.abi.machine, Counter())[words] += 1
    return {machine: counted.most_common(1)[0][0] for machine, counted in votes.items()}


def other_system(elf: Elf) -> str:
    """Name the system that a library says it is for, when glibc's loader refuses it; else give nothing."""
    if elf.osabi in (_SYSV, _GNU) or (elf.osabi == _ARM_AEABI and elf.abi.machine == "arm"):
        return ""
    return _SYSTEMS.get(elf.osabi, f"system number {elf.osabi}")
