"""Makes ELF files as an attacker or a broken disk would: real ones, cut short or altered where it hurts."""

import io
import random
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

FIXTURES = Path(__file__).parent / "fixtures" / "elf"
MAGIC = b"\x7fELF"

# What has made parsers stumble: bounds of signed and unsigned numbers, sizes of records and pages, tiny counts.
NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 23, 24, 32, 40, 48, 56, 64, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0x1001),
    *(0x7FFF, 0x8000, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 1 << 32),
    *((1 << 40) - 1, 1 << 46, (1 << 63) - 1, 1 << 63, (1 << 64) - 4096, (1 << 64) - 1),
)
# Records of the gABI (chapters 4 and 5) and of LSB Core 10.7 by section type: widths of their fields in bytes, of
# files of 64 bit and of 32. What is written may lie across fields in a file of another make: it is hostile anyway.
_FIELDS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "SHT_DYNAMIC": ((8, 8), (4, 4)),
    "SHT_DYNSYM": ((4, 1, 1, 2, 8, 8), (4, 4, 4, 1, 1, 2)),
    "SHT_GNU_HASH": ((4,), (4,)),
    "SHT_HASH": ((4,), (4,)),
    "SHT_GNU_versym": ((2,), (2,)),
    "SHT_GNU_verneed": ((2, 2, 4, 4, 4), (2, 2, 4, 4, 4)),
    "SHT_GNU_verdef": ((2, 2, 2, 2, 4, 4, 4), (2, 2, 2, 2, 4, 4, 4)),
    "SHT_NOTE": ((4,), (4,)),
    "SHT_RELA": ((8, 8, 8), (4, 4, 4)),
    "SHT_STRTAB": ((1,), (1,)),
}
_HEADER = ((16, 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2), (16, 2, 2, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2))
_PROGRAM_HEADER = ((4, 4, 8, 8, 8, 8, 8, 8), (4, 4, 4, 4, 4, 4, 4, 4))
_SECTION_HEADER = ((4, 4, 8, 8, 8, 8, 4, 4, 8, 8), (4,) * 10)


@dataclass(frozen=True, slots=True)
class Region:
    """A table of an ELF file: `size` bytes from `offset`, in records of fields of these widths."""

    offset: int
    size: int
    widths: tuple[int, ...]


@cache
def elf_files() -> tuple[Path, ...]:
    """List the ELF files among the fixtures, always in the same order."""
    return tuple(
        path
        for path in sorted(FIXTURES.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.read_bytes().startswith(MAGIC)
    )


def machine_libraries() -> tuple[Path, ...]:
    """List large real libraries of this machine, where there are such."""
    places = ("/lib/*/libc.so.6", "/usr/lib/*/libpython3*.so.1.0", "/usr/lib/*/libcrypto.so.3")
    return tuple(path for place in places for path in sorted(Path("/").glob(place[1:])))


@cache
def regions(content: bytes) -> tuple[Region, ...]:
    """Find the tables of a whole ELF file, so that mutations hit what is read and not padding."""
    elf = ELFFile(io.BytesIO(content))
    narrow = elf.elfclass == 32
    header = elf.header
    found = [
        Region(0, 52 if narrow else 64, _HEADER[narrow]),
        Region(header["e_phoff"], header["e_phnum"] * header["e_phentsize"], _PROGRAM_HEADER[narrow]),
        Region(header["e_shoff"], header["e_shnum"] * header["e_shentsize"], _SECTION_HEADER[narrow]),
    ]
    for section in elf.iter_sections():
        widths = _FIELDS.get(section["sh_type"])
        if widths is not None:
            found.append(Region(section["sh_offset"], section["sh_size"], widths[narrow]))
    return tuple(region for region in found if 0 < region.size <= len(content))


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Give the file with one to six changes, most of them to the fields of its tables."""
    data = bytearray(content)
    tables = regions(content)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 6))):
        dice.choice(_MUTATIONS)(data, tables, dice)
    return bytes(data)


def _flip(data: bytearray, _: tuple[Region, ...], dice: random.Random) -> None:
    for _bit in range(dice.randint(1, 16)):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, _: tuple[Region, ...], dice: random.Random) -> None:
    width = dice.choice((1, 2, 4, 8))
    _put(data, dice.randrange(0, max(1, len(data)), width), width, dice)


def _set_field(data: bytearray, tables: tuple[Region, ...], dice: random.Random) -> None:
    region = dice.choice(tables)
    record = sum(region.widths)
    index = dice.randrange(len(region.widths))
    start = region.offset + record * dice.randrange(max(1, region.size // record))
    _put(data, start + sum(region.widths[:index]), region.widths[index], dice)


def _put(data: bytearray, at: int, width: int, dice: random.Random) -> None:
    """Write a number of a shape that parsers stumble over, or one near to what was there, or near to the file's end."""
    old = int.from_bytes(data[at : at + width], "little")
    near = old + dice.choice((-0x1000, -64, -8, -1, 1, 8, 64, 0x1000))
    number = dice.choice((dice.choice(NUMBERS), near, len(data) - dice.randrange(64), dice.getrandbits(64)))
    data[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")


def _copy(data: bytearray, tables: tuple[Region, ...], dice: random.Random) -> None:
    source, target = dice.choice(tables), dice.choice(tables)
    length = min(source.size, target.size, dice.choice((4, 8, 24, 56, 64, 4096)))
    data[target.offset : target.offset + length] = data[source.offset : source.offset + length]


def _cut(data: bytearray, _: tuple[Region, ...], dice: random.Random) -> None:
    del data[dice.randrange(max(1, len(data))) :]


def _remove(data: bytearray, _: tuple[Region, ...], dice: random.Random) -> None:
    """Take some bytes out of the middle: all behind them has moved."""
    at = dice.randrange(max(1, len(data)))
    del data[at : at + dice.choice((1, 4, 8, 64, 4096))]


_MUTATIONS = (_set_field,) * 8 + (_overwrite, _flip, _copy, _cut, _remove)


def looping_hash(content: bytes) -> bytes:
    """Give a library whose GNU hash table claims a chain that goes to the end of the file."""
    data = bytearray(content)
    table = next(r for r in regions(content) if r.widths == (4,) and r.size >= 32)
    buckets, _, bloom, _ = struct.unpack_from("<4I", data, table.offset)
    chains = table.offset + 16 + 8 * bloom + 4 * buckets
    for at in range(chains, len(data) - 3, 4):
        data[at] &= 0xFE
    return bytes(data)


def library(needed: int, runpath: bytes) -> bytes:
    """Give a library with so many NEEDED names, n0, n1, …, and a RUNPATH: gABI chapters 4 and 5, no sections."""
    names = [b"n%d" % number for number in range(needed)]
    strings = b"\0" + b"".join(name + b"\0" for name in names) + runpath + b"\0"
    places = [strings.index(b"\0" + name + b"\0") + 1 for name in names]
    count = needed + 4
    table = 64 + 2 * 56 + 16 * count  # where the strings begin
    tags = [(1, place) for place in places]
    tags += [(29, len(strings) - len(runpath) - 1), (5, table), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<2Q", *tag) for tag in tags)
    size = table + len(strings)
    header = struct.pack("<16sHHIQQQIHHHHHH", MAGIC + b"\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<2I6Q", 1, 4, 0, 0, 0, size, size, 4096)
    section = struct.pack("<2I6Q", 2, 4, 176, 176, 176, len(dynamic), len(dynamic), 8)
    return header + load + section + dynamic + strings
