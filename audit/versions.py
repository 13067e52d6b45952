"""Reads the versions of dynamic symbols: those that an ELF file needs, and those that it defines."""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

from audit.elf import BadElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.elf import Tables

MAX_VERSION_BYTES = 1 << 20
MAX_VERSIONS = 4096
VERSION = 0x7FFF  # an index without the bit that hides


def read_verneed(file: IO[bytes], tables: Tables, order: str) -> Iterator[tuple[int, int, int, int]]:
    """Give index, flags, name and library of each needed version (LSB Core 10.7.4)."""
    if tables.verneed is None:
        return
    file.seek(tables.verneed)
    table = file.read(MAX_VERSION_BYTES)
    left = MAX_VERSIONS
    for at, (_, count, library, first, _) in _linked(table, order + "HHIII", 0, tables.verneednum, 4):
        left -= count
        if left < 0:
            raise BadElfError(f"claims more than {MAX_VERSIONS} needed symbol versions")
        for _, (_, flags, index, name, _) in _linked(table, order + "IHHII", at + first, count, 4):
            yield index & VERSION, flags, name, library


def read_verdef(file: IO[bytes], tables: Tables, order: str) -> Iterator[tuple[int, int, int]]:
    """Give index, flags and name of each defined version (LSB Core 10.7.2); predecessors are left out."""
    if tables.verdef is None:
        return
    file.seek(tables.verdef)
    table = file.read(MAX_VERSION_BYTES)
    for at, (_, flags, index, _, _, first, _) in _linked(table, order + "HHHHIII", 0, tables.verdefnum, 6):
        name, _ = struct.unpack_from(order + "II", table, at + first)
        yield index & VERSION, flags, name


def _linked(
    table: bytes, layout: str, at: int, count: int, following: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Give the records of a chain; each says in field `following` how far the next one is, 0 at the end."""
    if count > MAX_VERSIONS:
        raise BadElfError(f"claims {count} symbol versions")
    for _ in range(count):
        record = struct.unpack_from(layout, table, at)
        yield at, record
        if not record[following]:
            return
        at += record[following]
