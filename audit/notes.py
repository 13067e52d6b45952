"""Reads the notes of an ELF file: the instruction set level it needs, the libraries it says it may load."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from audit.elf import BadElfError, reason
from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.elf import Abi, Elf
    from audit.tree import Tree

MAX_NOTE_BYTES = 1 << 20
MAX_PROGRAM_HEADERS = 4096
PT_NOTE = 4

NT_GNU_PROPERTY = 5
GNU_PROPERTY_X86_ISA_1_NEEDED = 0xC000_8002  # x86-64 psABI, "Program Property"
# uapi-group.org, "ELF dlopen Metadata".
DLOPEN_OWNER, DLOPEN_TYPE = b"FDO", 0x407C_0C0A


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """`isa_level` is N of x86-64-vN (1 is the baseline), 0 when nothing is said; `dlopen` are file names."""

    isa_level: int = 0
    dlopen: tuple[str, ...] = ()


def read_notes(file: IO[bytes], abi: Abi) -> Notes:
    """Read the notes of an ELF file from a seekable binary file object.

    Raises:
        BadElfError: the program headers or notes are cut short or contradict themselves.
    """
    order = "<" if abi.little else ">"
    level = 0
    names: dict[str, None] = {}
    try:
        for owner, kind, content in _notes(file, order, abi.bits):
            if (owner, kind) == (b"GNU", NT_GNU_PROPERTY) and abi.machine == "x86-64":
                level = max(level, _isa_level(content, order))
            elif (owner, kind) == (DLOPEN_OWNER, DLOPEN_TYPE):
                names.update(dict.fromkeys(_dlopen(content)))
    except (struct.error, ValueError, OverflowError, OSError, RecursionError) as error:
        raise BadElfError(f"malformed notes: {reason(error)}") from error
    return Notes(isa_level=level, dlopen=tuple(names))


def notes_of(tree: Tree, elves: Mapping[str, Elf]) -> dict[str, Notes]:
    """Read the notes of these files of a tree; those that cannot be read are left out."""
    found: dict[str, Notes] = {}
    for path, elf in elves.items():
        try:
            with tree.entries[path].open() as content:
                found[path] = read_notes(content, elf.abi)
        except (BadElfError, UnreadableEntryError):
            continue  # the rules about whole files say so
    return found


def _notes(file: IO[bytes], order: str, bits: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Give owner, type and content of each note (gABI chapter 5, "Note Section")."""
    for offset, length, align in _segments(file, order, bits):
        file.seek(offset)
        raw = file.read(min(length, MAX_NOTE_BYTES))
        step = 8 if align == 8 else 4
        at = 0
        while at + 12 <= len(raw):
            name, size, kind = struct.unpack_from(order + "3I", raw, at)
            content = _aligned(at + 12 + name, step)
            yield raw[at + 12 : at + 12 + name].rstrip(b"\0"), kind, raw[content : content + size]
            at = _aligned(content + size, step)


def _segments(file: IO[bytes], order: str, bits: int) -> Iterator[tuple[int, int, int]]:
    file.seek(0)
    head = file.read(64)
    if bits == 64:
        (start,), (size, count) = (
            struct.unpack_from(order + "Q", head, 32),
            struct.unpack_from(order + "HH", head, 54),
        )
        layout = order + "IIQQQQQQ"
    else:
        (start,), (size, count) = (
            struct.unpack_from(order + "I", head, 28),
            struct.unpack_from(order + "HH", head, 42),
        )
        layout = order + "IIIIIIII"
    if count > MAX_PROGRAM_HEADERS or (count and size != struct.calcsize(layout)):
        raise BadElfError(f"claims {count} program headers of {size} bytes")
    file.seek(start)
    found = []
    for segment in struct.iter_unpack(layout, file.read(size * count)):
        offset, length = (segment[2], segment[5]) if bits == 64 else (segment[1], segment[4])
        if segment[0] == PT_NOTE:
            found.append((offset, length, segment[7]))
    return iter(sorted(found))


def _isa_level(content: bytes, order: str) -> int:
    """Give the highest level of the property: bit N-1 stands for x86-64-vN."""
    at, level = 0, 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(order + "II", content, at)
        if kind == GNU_PROPERTY_X86_ISA_1_NEEDED and size == 4:
            (bits,) = struct.unpack_from(order + "I", content, at + 8)
            level = max(level, (bits & 0xF).bit_length())
        at = _aligned(at + 8 + size, 8)
    return level


def _dlopen(content: bytes) -> Iterator[str]:
    listed = json.loads(content.rstrip(b"\0") or b"[]")
    for one in listed if isinstance(listed, list) else ():
        names = one.get("soname") if isinstance(one, dict) else None
        yield from (name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _aligned(at: int, step: int) -> int:
    return -(-at // step) * step
