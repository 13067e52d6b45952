"""Reads the dynamic symbols of an ELF file in bulk: what it takes from others, what it offers, which versions."""

from __future__ import annotations

import os
import struct
import sys
from array import array
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

from audit.elf import BadElfError, reason
from audit.versions import VERSION, read_verdef, read_verneed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from audit.elf import Abi, Tables

# The largest known library (TensorFlow's, 2.21) has 446,000 symbols and 83 MB of names.
MAX_SYMBOLS = 4_000_000
MAX_STRING_BYTES = 256 << 20
MAX_HASH_BYTES = 64 << 20
MAX_NAME = 1 << 20

# gABI chapter 4, "Symbol Table"; psABI for the GNU values.
SHN_UNDEF, SHN_ABS = 0, 0xFFF1
STB_WEAK = 2
_BOUND_BY_NAME = {1, 2, 10}  # STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE
STT_FUNC, STT_TLS = 2, 6
# SPARC ABI: says that a register is used, and names no symbol. On other processors, 13 is a kind of function.
_SPARC_REGISTER = 13
# NOTYPE, OBJECT, FUNC, COMMON, TLS, GNU_IFUNC: ALLOWED_STT in glibc's elf/dl-lookup.c.
_OFFERED = {bind << 4 | kind for bind in _BOUND_BY_NAME for kind in (0, 1, 2, 5, 6, 10)}
_VISIBLE = {0, 3}  # STV_DEFAULT, STV_PROTECTED

# gABI, "Symbol Versioning" (LSB Core 10.7): indices below 2 are no versions; the highest bit hides.
HIDDEN = 0x8000
FIRST_VERSION = 2
VER_FLG_BASE, VER_FLG_WEAK = 1, 2


class Reference(NamedTuple):
    """A symbol that must come from elsewhere; `version` and the `library` meant are None when it has none."""

    name: bytes
    version: bytes | None
    library: bytes | None
    weak: bool
    function: bool

    def __str__(self) -> str:
        """Give it as nm(1) does: `memcpy@GLIBC_2.14`."""
        return os.fsdecode(self.name + (b"@" + self.version if self.version else b""))


class Needed(NamedTuple):
    """A symbol version needed from a library; without a weak one a program starts."""

    library: bytes
    version: bytes
    weak: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """The symbols of one file as the loader sees them, still packed except for what it takes from others.

    `provided` are the versions it defines (without its own name), None when it has no table of versions.
    """

    taken: tuple[Reference, ...]
    needed: tuple[Needed, ...]
    provided: frozenset[bytes] | None
    _packed: bytes
    _entry: struct.Struct
    _strings: bytes
    _versym: memoryview | None
    _names: Mapping[int, bytes]
    _first: int

    @property
    def size(self) -> int:
        """Bytes that its tables take."""
        return len(self._packed) + len(self._strings)

    @property
    def is_module(self) -> bool:
        """Tell whether it names the entry of a Python extension module (PEP 489)."""
        return b"\0PyInit_" in self._strings or b"\0PyInitU_" in self._strings

    def offered(self, wanted: Collection[bytes] | None = None) -> Offer:
        """List the symbols others can take from it; with `wanted`, only those of that set."""
        found: dict[bytes, tuple[int, ...]] = {}
        strings, versym = self._strings, self._versym
        length, most = 0, _most_text(strings)
        for index, (name, info, other, section, value) in enumerate(_entries(self._packed, self._entry)):
            if (
                section == SHN_UNDEF
                or info not in _OFFERED
                or other & 3 not in _VISIBLE
                or (value == 0 and section != SHN_ABS and info & 15 != STT_TLS)
                or index < self._first
            ):
                continue
            text = strings[name : strings.find(b"\0", name)]
            length += len(text)
            if length > most:
                break  # no linker writes names that overlap so often: what is left of them is not looked at
            if wanted is None or text in wanted:
                version = versym[index] if versym is not None else 1
                found[text] = (*found.get(text, ()), version)
        return Offer(symbols=found, versions=self._names, versioned=versym is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a file offers: each name with the version index of each of its definitions."""

    symbols: Mapping[bytes, tuple[int, ...]]
    versions: Mapping[int, bytes]
    versioned: bool

    def has(self, reference: Reference) -> bool:
        """Tell whether the loader takes this file's definition (check_match in glibc's elf/dl-lookup.c)."""
        found = self.symbols.get(reference.name)
        if found is None:
            return False
        if not self.versioned:
            return True
        if reference.version is None:
            # Without a version: the base definition, the first version (even hidden), or the default one.
            return any(index & VERSION <= FIRST_VERSION or not index & HIDDEN for index in found)
        return any(
            self.versions.get(index & VERSION, b"") == reference.version
            or (not index & HIDDEN and index & VERSION not in self.versions)
            for index in found
        )


def read_symbols(
    file: IO[bytes], tables: Tables, abi: Abi, room: int = MAX_STRING_BYTES + MAX_SYMBOLS * 24
) -> Symbols:
    """Read the symbols that the dynamic section of an ELF file leads to, from a seekable binary file.

    Section headers are not used, as the loader does not use them. The number of symbols is that which the
    hash table reaches (gABI chapter 5, "Hash Table"; the GNU one in binutils' bfd/elflink.c).

    Raises:
        BadElfError: a table contradicts itself, lies outside of the file, or takes more than `room` bytes.
    """
    if tables.symtab is None or tables.strtab is None:
        return _no_symbols(abi)
    order = "<" if abi.little else ">"
    entry = struct.Struct(order + ("IBBHQQ" if abi.bits == 64 else "IIIBBH"))
    try:
        count, first = _count(file, tables, abi, order, entry.size)
        if count > MAX_SYMBOLS:
            raise BadElfError(f"claims {count} dynamic symbols")
        if count * entry.size + tables.strsz > room:
            raise BadElfError(f"its symbol tables take more than the {room:,} bytes left for them")
        packed = _bytes(file, tables.symtab, count * entry.size, "dynamic symbols")
        versym = None
        if tables.versym is not None:
            raw = _bytes(file, tables.versym, 2 * count, "symbol versions")
            versym = _numbers(raw, "H", abi.little)
        if tables.strsz > MAX_STRING_BYTES:
            raise BadElfError(f"claims {tables.strsz} bytes of dynamic strings")
        definitions = list(read_verdef(file, tables, order))
        needs = list(read_verneed(file, tables, order))
        strings = _bytes(file, tables.strtab, tables.strsz, "dynamic strings")
    except (struct.error, ValueError, OverflowError, OSError) as error:
        raise BadElfError(f"malformed symbol tables: {reason(error)}") from error
    names = {index: _text(strings, at) for index, flags, at in definitions if not flags & VER_FLG_BASE}
    libraries = {index: (_text(strings, name), _text(strings, library)) for index, _, name, library in needs}
    return Symbols(
        taken=tuple(
            _taken(packed, entry, strings, versym, libraries, registers=abi.machine.startswith("sparc"))
        ),
        needed=tuple(
            Needed(
                library=_text(strings, library), version=_text(strings, name), weak=bool(flags & VER_FLG_WEAK)
            )
            for _, flags, name, library in needs
        ),
        provided=frozenset(names.values()) if tables.verdef is not None else None,
        _packed=packed,
        _entry=entry,
        _strings=strings,
        _versym=versym,
        _names=names,
        _first=first,
    )


def _no_symbols(abi: Abi) -> Symbols:
    entry = struct.Struct("<IBBHQQ" if abi.bits == 64 else "<IIIBBH")
    return Symbols(
        taken=(),
        needed=(),
        provided=None,
        _packed=b"",
        _entry=entry,
        _strings=b"",
        _versym=None,
        _names={},
        _first=0,
    )


def _entries(packed: bytes, entry: struct.Struct) -> Iterator[tuple[int, int, int, int, int]]:
    """Give name, info, other, section and value of each symbol."""
    whole = packed[: len(packed) // entry.size * entry.size]
    if entry.size == 24:
        return (
            (name, info, other, section, value)
            for name, info, other, section, value, _ in entry.iter_unpack(whole)
        )
    return (
        (name, info, other, section, value)
        for name, value, _, info, other, section in entry.iter_unpack(whole)
    )


def _taken(  # noqa: PLR0913 - the tables of one file
    packed: bytes,
    entry: struct.Struct,
    strings: bytes,
    versym: memoryview | None,
    libraries: Mapping[int, tuple[bytes, bytes]],
    *,
    registers: bool,
) -> Iterator[Reference]:
    length = 0
    for index, (name, info, other, section, _value) in enumerate(_entries(packed, entry)):
        if section != SHN_UNDEF or not name or (info >> 4) not in _BOUND_BY_NAME or other & 3:
            continue
        if registers and info & 15 == _SPARC_REGISTER:
            continue
        version, library = libraries.get(versym[index] & VERSION, (None, None)) if versym else (None, None)
        text = _text(strings, name)
        length += len(text)
        if length > _most_text(strings):
            raise BadElfError("the names of its symbols overlap too often")
        yield Reference(text, version, library, info >> 4 == STB_WEAK, info & 15 == STT_FUNC)


def _most_text(strings: bytes) -> int:
    """Give how long all names together may be: a name may be the end of another, and few are."""
    return 2 * len(strings) + (1 << 20)


def _text(strings: bytes, at: int) -> bytes:
    end = strings.find(b"\0", at, at + MAX_NAME)
    if end < 0:
        raise BadElfError("the name of a dynamic symbol has no end in its table (DT_STRSZ)")
    return strings[at:end]


def _count(file: IO[bytes], tables: Tables, abi: Abi, order: str, size: int) -> tuple[int, int]:
    """Give the number of symbols, and the first that the hash table can find."""
    assert tables.symtab is not None  # noqa: S101 - read_symbols() has asked
    if tables.gnu_hash is not None:
        buckets, first, bloom, _ = struct.unpack(
            order + "4I", _bytes(file, tables.gnu_hash, 16, "hash table")
        )
        if 4 * buckets > MAX_HASH_BYTES or bloom * abi.bits // 8 > MAX_HASH_BYTES:
            raise BadElfError(f"claims a hash table of {buckets} buckets")
        start = tables.gnu_hash + 16 + bloom * abi.bits // 8
        heads = _numbers(_bytes(file, start, 4 * buckets, "hash table"), "I", abi.little)
        last = max(heads, default=0)
        if last >= first and last:
            return _end_of_chain(file, start + 4 * buckets, first, last, abi), first
        # It finds nothing, so it does not tell how many there are that look elsewhere.
        return _room(tables, size), first
    if tables.hash is not None and abi.machine not in ("s390x", "alpha"):
        _, chains = struct.unpack(order + "2I", _bytes(file, tables.hash, 8, "hash table"))
        return chains, 0
    return _room(tables, size), 0


def _end_of_chain(file: IO[bytes], chains: int, first: int, last: int, abi: Abi) -> int:
    """Walk the last chain to its end, which has the lowest bit set."""
    if last > MAX_SYMBOLS:
        raise BadElfError(f"claims {last} dynamic symbols")
    at = chains + 4 * (last - first)
    while last <= MAX_SYMBOLS:
        file.seek(at)
        raw = file.read(4096)
        hashes = _numbers(raw[: len(raw) // 4 * 4], "I", abi.little)
        if not hashes:
            break
        for number in hashes:
            last += 1
            if number & 1:
                return last
        at += 4 * len(hashes)
    raise BadElfError("a chain of the hash table has no end")


def _room(tables: Tables, size: int) -> int:
    """Give how many symbols fit before the table that follows in the file."""
    assert tables.symtab is not None  # noqa: S101 - read_symbols() has asked
    others = (tables.strtab, tables.gnu_hash, tables.hash, tables.versym, tables.verneed, tables.verdef)
    behind = [other for other in others if other is not None and other > tables.symtab]
    return (min(behind) - tables.symtab) // size if behind else 0


def _numbers(raw: bytes, kind: str, little: bool) -> memoryview:  # noqa: FBT001 - the byte order
    """Give packed unsigned numbers of this machine's byte order as a sequence."""
    numbers = array(kind, raw)
    if little != (sys.byteorder == "little"):
        numbers.byteswap()
    return memoryview(numbers)


def _up_to(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _bytes(file: IO[bytes], offset: int, length: int, what: str) -> bytes:
    found = _up_to(file, offset, length)
    if len(found) < length:
        raise BadElfError(f"cut short in the {what}")
    return found
