"""Counts the bytes of debug sections and symbol tables of ELF files: what stripping them would save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.sections import SHF_ALLOC, SHT_NOBITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.elf import Elf
    from audit.sections import Section
    from audit.segments import Segment
    from audit.tree import Tree

# What strip(1) removes: debug information, and the symbol table with its strings.
DEBUG = (".debug_", ".zdebug_", ".gnu.debuglto_", ".stab", ".gdb_index", ".line")
SYMBOLS = (".symtab", ".strtab", ".symtab_shndx")
# So much outside of what is loaded is section headers, their names, and comments.
ORDINARY_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Strippable:
    """Bytes that `strip --strip-debug` saves (`debug`), and those that `strip` saves besides (`symbols`).

    `unloaded`: bytes that no LOAD segment holds, of a library in a zip that was not inflated to tell them apart.
    """

    debug: int = 0
    symbols: int = 0
    unloaded: int = 0

    @property
    def size(self) -> int:
        """Everything that `strip` saves, in bytes."""
        return self.debug + self.symbols + self.unloaded


def strippable_of(
    tree: Tree, elves: Mapping[str, Elf], sections: Mapping[str, Iterable[Section]]
) -> Mapping[str, Strippable]:
    """Count for each program and library that would become smaller; object files need their symbols.

    Where `sections` lacks a file, the bytes that are not loaded are counted, from its program headers.
    """
    found = {}
    for path, elf in elves.items():
        if elf.type not in ("shared", "executable"):
            continue
        size = tree.entries[path].size
        known = sections.get(path)
        saved = (
            Strippable(unloaded=unloaded_bytes(elf.segments, size))
            if known is None
            else in_sections(known, size)
        )
        if saved.size:
            found[path] = saved
    return found


def in_sections(sections: Iterable[Section], size: int) -> Strippable:
    """Count by name in the section headers of a file of `size` bytes; what lies outside of it does not count."""
    debug = symbols = 0
    for section in sections:
        gone = section.flags & SHF_ALLOC or section.type == SHT_NOBITS
        if gone or section.offset + section.size > size:
            continue
        if section.name.startswith(DEBUG):
            debug += section.size
        elif section.name in SYMBOLS:
            symbols += section.size
    # Sections that lie over each other cannot save more than there is.
    debug = min(debug, size)
    return Strippable(debug=debug, symbols=min(symbols, size - debug))


def unloaded_bytes(segments: Iterable[Segment], size: int) -> int:
    """Count the bytes of a file that no LOAD segment holds; 0 when they are no more than is ordinary."""
    spans = sorted(
        (one.offset, min(size, one.offset + one.file_size)) for one in segments if one.type == "PT_LOAD"
    )
    if not spans:
        return 0
    end = loaded = 0
    for first, last in spans:
        loaded += max(0, last - max(first, end))
        end = max(end, last)
    outside = size - loaded
    return outside if outside > ORDINARY_BYTES else 0
