"""Reads /etc/ld.so.cache, in which ldconfig(8) wrote down where libraries lie, as the dynamic loader reads it."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from audit.elf import Abi
    from audit.tree import Tree

CACHE = "/etc/ld.so.cache"
# That of a desktop with 3,000 libraries takes 200 kB.
MAX_CACHE_BYTES = 16 << 20
MAX_NAME = 4096

# glibc, sysdeps/generic/dl-cache.h. Up to 2.31 ldconfig wrote the old format, and the new one behind it.
_OLD, _OLD_HEADER, _OLD_ENTRY = b"ld.so-1.7.0\0", 16, 12
_NEW = b"glibc-ld.so.cache1.1"
_HEADER = "20sIIB3xI12x"  # magic, entries, bytes of strings, byte order, where the extension begins
_ENTRY = "iIIIQ"  # flags, name, path, version of the system, hardware capabilities
_HEADER_BYTES, _ENTRY_BYTES = 48, 24
_LITTLE, _BIG = 2, 3
_HAS_EXTENSION = 1 << 62  # then the lower half of the capabilities is the number of a glibc-hwcaps folder
_EXTENSION_MAGIC, _HWCAPS_SECTION = 0xEAA42174, 1
_MAX_SECTIONS = 16
_MAX_HWCAPS = 64

# FLAG_ELF_LIBC6 and the flag of the machine: _DL_CACHE_DEFAULT_ID in glibc's sysdeps/*/dl-cache.h.
_FLAGS = {
    ("x86-64", 64): 0x303,
    ("x86-64", 32): 0x803,
    ("aarch64", 64): 0xA03,
    ("i386", 32): 0x3,
    ("arm", 32): 0x903,
    ("ppc64", 64): 0x503,
    ("s390x", 64): 0x403,
    ("riscv", 64): 0x1003,
}


class Cached(NamedTuple):
    """Where the cache says a library lies; `hwcaps` is the glibc-hwcaps folder it is from, or empty."""

    path: str
    hwcaps: str


def read_cache(tree: Tree, abi: Abi) -> Mapping[str, tuple[Cached, ...]]:
    """Give the libraries for this ABI by name, in the order of the cache; nothing where the loader would ignore it.

    A file in the old format alone, which ldconfig last wrote 25 years ago, is not read.
    """
    try:
        content = tree.read(CACHE, MAX_CACHE_BYTES) or b""
    except UnreadableEntryError:
        return {}
    try:
        return _parsed(content, abi)
    except (struct.error, ValueError):
        return {}


def best(found: Sequence[Cached], hwcaps: Sequence[str]) -> str | None:
    """Give the path that the loader takes, with its glibc-hwcaps folders, the best first.

    Source: search_cache in glibc's elf/dl-cache.c. It tries no second one when that is not there.
    """
    ranks = {name: rank for rank, name in enumerate((*hwcaps, ""))}
    usable = [one for one in found if one.hwcaps in ranks]
    return min(usable, key=lambda one: ranks[one.hwcaps]).path if usable else None


def _parsed(content: bytes, abi: Abi) -> dict[str, tuple[Cached, ...]]:
    order = "<" if abi.little else ">"
    whole = content
    if content.startswith(_OLD):
        (count,) = struct.unpack_from(order + "I", content, len(_OLD))
        start = -(-(_OLD_HEADER + count * _OLD_ENTRY) // 8) * 8  # ALIGN_CACHE: as a 64-bit number is aligned
        content = content[start:]
    magic, count, _, byte_order, extension = struct.unpack_from(order + _HEADER, content)
    if magic != _NEW or byte_order not in (0, _LITTLE if abi.little else _BIG):
        return {}
    wanted = _FLAGS.get((abi.machine, abi.bits))
    # The extension is counted from the beginning of the file, everything else from the new format's.
    names = _hwcaps(whole, order, extension) if extension else ()
    folders = [f"glibc-hwcaps/{_text(content, at)}" for at in names]
    found: dict[str, list[Cached]] = {}
    left = 2 * len(content)  # no ldconfig lets its strings overlap so often
    table = content[_HEADER_BYTES : _HEADER_BYTES + count * _ENTRY_BYTES]
    for flags, key, value, _, bits in struct.iter_unpack(order + _ENTRY, table):
        number = bits & 0xFFFF_FFFF
        if flags != wanted or (bits and (bits >> 32 != _HAS_EXTENSION >> 32 or number >= len(folders))):
            continue
        name, path = _text(content, key), _text(content, value)
        left -= len(name) + len(path)
        if left < 0:
            return {}
        found.setdefault(name, []).append(Cached(path, folders[number] if bits else ""))
    return {name: tuple(listed) for name, listed in found.items()}


def _hwcaps(content: bytes, order: str, start: int) -> Iterator[int]:
    """Give where the names of the glibc-hwcaps folders stand that entries refer to by number."""
    magic, sections = struct.unpack_from(order + "II", content, start)
    if magic != _EXTENSION_MAGIC:
        return
    for number in range(min(sections, _MAX_SECTIONS)):
        tag, _, offset, size = struct.unpack_from(order + "4I", content, start + 8 + 16 * number)
        if tag == _HWCAPS_SECTION:
            count = min(size // 4, _MAX_HWCAPS)
            yield from struct.unpack_from(f"{order}{count}I", content, offset)


def _text(content: bytes, at: int) -> str:
    end = content.find(b"\0", at, at + MAX_NAME)
    if end < 0:
        raise ValueError("a name without end")
    return os.fsdecode(content[at:end])
