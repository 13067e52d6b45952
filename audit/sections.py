"""Reads the section headers of an ELF file, which tools use and the loader does not."""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, NamedTuple

from audit.elf import MAGIC
from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.tree import Tree

# gABI chapter 4, "Sections".
MAX_SECTIONS = 65_536
MAX_NAMES_BYTES = 1 << 20
SHT_NULL, SHT_NOBITS = 0, 8
SHF_ALLOC, SHF_EXECINSTR = 2, 4

# Section headers stand at the end of a file. So many bytes are inflated to get there; the loader does not ask for
# them, and a zip's checksum tells of larger files whether they are whole.
WORTH_INFLATING_BYTES = 4 << 20

# For each class: e_shoff, e_shentsize, e_shnum, e_shstrndx; then sh_name, sh_type, sh_flags, sh_offset, sh_size.
_HEADER = {1: "32xI10xHHH", 2: "40xQ10xHHH"}
_ROW = {1: "IIIxxxxII16x", 2: "IIQ8xQQ24x"}
_ORDERS = {1: "<", 2: ">"}


# What a library without code has, too, and the loader reads.
_WITH_CONTENT = (".interp", ".dynamic", ".dynsym", ".dynstr")


class Section(NamedTuple):
    """One section header; offset and size in bytes."""

    name: str
    type: int
    flags: int
    offset: int
    size: int


def read_sections(file: IO[bytes]) -> tuple[Section, ...]:
    """Read the section headers from a seekable binary file; nothing where there are none, or no sense in them."""
    file.seek(0)
    head = file.read(64)
    if head[:4] != MAGIC or len(head) < 64 or head[4] not in _HEADER or head[5] not in _ORDERS:
        return ()
    form, order = head[4], _ORDERS[head[5]]
    offset, length, count, names_at = struct.unpack_from(order + _HEADER[form], head)
    if length != struct.calcsize(order + _ROW[form]) or not 0 < count <= MAX_SECTIONS:
        return ()
    table = _at(file, offset, length * count)
    if len(table) < length * count:
        return ()
    rows = list(struct.iter_unpack(order + _ROW[form], table))
    names = b""
    if names_at < count:
        names = _at(file, rows[names_at][3], min(rows[names_at][4], MAX_NAMES_BYTES))
    return tuple(
        Section(names[name : max(name, names.find(b"\0", name))].decode("ascii", "replace"), *rest)
        for name, *rest in rows
    )


def past_end(sections: Iterable[Section], size: int) -> Iterator[Section]:
    """Give the sections that claim bytes behind the end of a file of `size` bytes."""
    return (
        section
        for section in sections
        if section.type not in (SHT_NULL, SHT_NOBITS) and section.offset + section.size > size
    )


def is_debug_companion(sections: Iterable[Section]) -> bool:
    """Tell a file of debug information, split off by eu-strip or objcopy: what is loaded is without content.

    Its program headers are those of the file that it was split off from, and lead nowhere in this one.
    """
    code = SHF_ALLOC | SHF_EXECINSTR
    return any(
        section.type == SHT_NOBITS and (section.flags & code == code or section.name in _WITH_CONTENT)
        for section in sections
    )


def sections_of(tree: Tree, paths: Iterable[str]) -> Mapping[str, tuple[Section, ...]]:
    """Read the section headers of the files at `paths` that need not be inflated for it, or are small."""
    found: dict[str, tuple[Section, ...]] = {}
    for path in paths:
        entry = tree.entries[path]
        if entry.compressed not in (None, entry.size) and entry.size > WORTH_INFLATING_BYTES:
            continue
        try:
            with entry.open() as content:
                found[path] = read_sections(content)
        except UnreadableEntryError:
            found[path] = ()
    return found


def _at(file: IO[bytes], offset: int, length: int) -> bytes:
    try:
        file.seek(offset)
    except (OverflowError, ValueError, OSError):  # farther than any file reaches
        return b""
    return file.read(length)
