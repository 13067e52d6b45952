"""Judges the program headers of an ELF file: can they be mapped as they stand, and with which protection?"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# gABI chapter 5, "Program Header".
EXECUTE, WRITE = 1, 2

# No file has a .bss of 1 TiB: 'cannot map zero-fill pages' is what the loader says.
MAX_MEMORY_BYTES = 1 << 40

# The smallest and the largest page that Linux is built with (arch/*/Kconfig); 4 KiB where nothing is said.
PAGES = {"aarch64": (4096, 65536), "ppc64": (4096, 65536), "loongarch": (4096, 65536)}
PAGE = (4096, 4096)

# Where glibc makes the stack executable for want of a PT_GNU_STACK header: DEFAULT_STACK_PERMS in its
# sysdeps/*/stackinfo.h. On aarch64 and riscv it does not.
STACK_EXECUTABLE_BY_DEFAULT = frozenset({"x86-64", "i386", "arm", "s390x"})

# Of these, the loader or the kernel uses the address and tools the offset, or the other way round.
_MAPPED = ("PT_DYNAMIC", "PT_INTERP", "PT_PHDR", "PT_TLS", "PT_GNU_EH_FRAME", "PT_GNU_RELRO")


class Segment(NamedTuple):
    """One program header. Offset, address and sizes are bytes; `type` is as readelf names it, with PT_."""

    type: str
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    align: int

    def __str__(self) -> str:
        """Name it by what tells it from others."""
        return f"{self.type.removeprefix('PT_')} (offset {self.offset:#x}, address {self.address:#x})"


def misplaced(segments: Sequence[Segment], machine: str) -> Iterator[str]:
    """Say what keeps the kernel or any version of the loader from mapping a file as it was meant.

    mmap(2) maps whole pages, so offset and address must agree modulo the page size (`_dl_map_object_from_fd` in
    glibc's elf/dl-load.c; `elf_map` in the kernel's fs/binfmt_elf.c). Only the smallest page counts here; see
    `largest_page`. LOAD segments stand in ascending order of address (gABI chapter 5).
    """
    page, _ = PAGES.get(machine, PAGE)
    loads = [segment for segment in segments if segment.type == "PT_LOAD"]
    for load in loads:
        if (load.address - load.offset) % page:
            yield f"{load}: these disagree modulo the page size {page}, so it cannot be mapped"
        if load.memory_size >= MAX_MEMORY_BYTES:
            yield f"{load} asks for {load.memory_size:,} bytes of memory: no process gets them"
    for before, after in pairwise(loads):
        if after.address < before.address:
            yield f"{after} stands behind {before}: LOAD segments must ascend"
        elif after.address < before.address + before.memory_size:
            yield f"{after} lies over {before}"
    for segment in segments:
        if segment.type in _MAPPED and segment.file_size:
            yield from _mapped_elsewhere(segment, loads, page)


def _mapped_elsewhere(segment: Segment, loads: Sequence[Segment], page: int) -> Iterator[str]:
    for whole_pages in (
        False,
        True,
    ):  # in a segment; else in the rest of its last page, which is mapped with it
        for load in loads:
            end = load.address + load.file_size
            if whole_pages and load.file_size == load.memory_size:  # else zeros are written there
                end += -end % page
            if load.address <= segment.address < end:
                mapped = load.offset + segment.address - load.address
                if mapped != segment.offset:
                    yield f"{segment} is mapped from offset {mapped:#x}: what is read there is something else"
                return
    if loads and segment.type != "PT_TLS":  # without initial values, nothing of it is mapped
        yield f"{segment} lies in no LOAD segment"


def overfull(segments: Sequence[Segment]) -> Iterator[str]:
    """Give the LOAD segments with more bytes in the file than in memory, which gABI chapter 5 rules out.

    The kernel does not start such a program; the loader of glibc maps such a library, whose last bytes share a page.
    """
    for load in segments:
        if load.type == "PT_LOAD" and load.file_size > load.memory_size:
            yield f"{load} has {load.file_size} bytes in the file, {load.memory_size} in memory"


def misaligned(segments: Sequence[Segment], machine: str) -> Iterator[str]:
    """Say what glibc before 2.35 refuses and later ones accept: a p_align that is not kept or makes no sense.

    Before "elf: Properly align PT_LOAD segments" and "elf: Remove excessive p_align check on PT_LOAD segments", the
    loader wanted p_align to be a multiple of the page size, and offset and address to agree modulo p_align.
    """
    page, _ = PAGES.get(machine, PAGE)
    for load in segments:
        if load.type != "PT_LOAD" or (load.address - load.offset) % page:
            continue  # misplaced() says so
        if load.align & (load.align - 1):
            yield f"{load}: its alignment {load.align:#x} is no power of two"
        elif load.align < page:
            yield f"{load}: its alignment {load.align:#x} is less than a page of {page}"
        elif (load.address - load.offset) % load.align:
            yield f"{load}: these disagree modulo its alignment {load.align:#x}"


def largest_page(segments: Sequence[Segment], machine: str) -> int:
    """Give the largest page size, in bytes, with which Linux can map the file on this machine."""
    page, largest = PAGES.get(machine, PAGE)
    loads = [segment for segment in segments if segment.type == "PT_LOAD"]
    while page < largest and all((load.address - load.offset) % (2 * page) == 0 for load in loads):
        page *= 2
    return page


def stack_executable(segments: Sequence[Segment], machine: str) -> str:
    """Say why loading the file makes the stack executable; empty when it does not."""
    for segment in segments:
        if segment.type == "PT_GNU_STACK":
            return "PT_GNU_STACK asks for it" if segment.flags & EXECUTE else ""
    return "it has no PT_GNU_STACK" if segments and machine in STACK_EXECUTABLE_BY_DEFAULT else ""


def writable_code(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Give the LOAD segments that may be both written and executed."""
    both = WRITE | EXECUTE
    return (segment for segment in segments if segment.type == "PT_LOAD" and segment.flags & both == both)
