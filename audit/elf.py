"""Reads what the dynamic loader reads of one ELF file: header, program headers, dynamic section, versions."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_D_TAG_COMMON, ENUM_P_TYPE_BASE

from audit.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAGIC = b"\x7fELF"

# Far above what any linker writes; a file that claims more is broken or hostile.
MAX_PROGRAM_HEADERS = 4096
MAX_DYNAMIC_BYTES = 64 << 10
MAX_VERNEED_BYTES = 64 << 10
MAX_VERSIONS = 4096
# The strings of one file together. The loader knows no limit: an RPATH of a hundred Nix or Spack folders is real.
MAX_STRINGS_BYTES = 1 << 20
# Names lie close together; so many bytes of the string table are looked at in one go.
STRINGS_AT_ONCE = 64 << 10

DF_BIND_NOW = 0x8
DF_1_NOW = 0x1
DF_1_NODEFLIB = 0x800  # ld -z nodefaultlib
DF_1_PIE = 0x0800_0000

_TYPES = {"ET_EXEC": "executable", "ET_DYN": "shared", "ET_REL": "relocatable", "ET_CORE": "core"}
_MACHINES = {
    "EM_X86_64": "x86-64",
    "EM_AARCH64": "aarch64",
    "EM_386": "i386",
    "EM_ARM": "arm",
    "EM_PPC64": "ppc64",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv",
}


# pyelftools parses tables record by record, 20 µs each, and a file may claim thousands: they are read in bulk.
# gABI chapter 5: the fields of a program header in the order of Segment, and where they stand.
_PROGRAM_HEADER = {64: ("IIQQQQQQ", (0, 1, 2, 3, 5, 6, 7)), 32: ("IIIIIIII", (0, 6, 1, 2, 4, 5, 7))}
_SEGMENT_TYPES = {code: name for name, code in ENUM_P_TYPE_BASE.items() if isinstance(code, int)}
_DYNAMIC = {64: "QQ", 32: "II"}
_TAGS = {code: name for name, code in ENUM_D_TAG_COMMON.items() if isinstance(code, int)}
_VERNEED, _VERNAUX = "HHIII", "IHHII"  # LSB Core 10.7.4


class NotElfError(Exception):
    """The bytes do not begin as an ELF file does."""


class BadElfError(Exception):
    """The bytes begin as an ELF file and cannot be loaded; the text says what is wrong with them."""


class Abi(NamedTuple):
    """What must be equal for two objects to share a process."""

    machine: str
    bits: int
    little: bool

    def __str__(self) -> str:
        """Give the words for a report, such as `x86-64` or `arm, 32 bit, big-endian`."""
        width = "" if (self.machine == "i386") == (self.bits == 32) else f", {self.bits} bit"
        return self.machine + width + ("" if self.little else ", big-endian")


class Tables(NamedTuple):
    """Where in the file the tables of dynamic symbols begin, in bytes; None is what it has not.

    `now`: it asks the loader to bind all of its symbols before it runs.
    """

    symtab: int | None
    strtab: int | None
    hash: int | None
    gnu_hash: int | None
    versym: int | None
    verneed: int | None
    verdef: int | None
    strsz: int
    verneednum: int
    verdefnum: int
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """One ELF file as the dynamic loader sees it; names are as written in the file, nothing expanded.

    `rpath` and `runpath` are None when the tag is absent (an empty one is not the same). `verneed` maps each
    library to the symbol versions needed from it. `defects` are faults that do not keep the loader from
    loading it. `flags` and `osabi` are e_flags and EI_OSABI. `tags` holds the first value of each dynamic tag.
    """

    abi: Abi
    type: str
    interp: str | None = None
    dynamic: bool = False
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    nodeflib: bool = False
    pie: bool = False
    verneed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    defects: tuple[str, ...] = ()
    tables: Tables | None = field(default=None, compare=False, repr=False)
    flags: int = 0
    osabi: int = 0
    segments: tuple[Segment, ...] = field(default=(), compare=False, repr=False)
    tags: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_program(self) -> bool:
        """Tell whether the kernel can start it: by an interpreter, at a fixed address, or as a static PIE."""
        return self.interp is not None or self.type == "executable" or self.pie


def read_elf(file: IO[bytes]) -> Elf:
    """Read one ELF file from a seekable binary file object.

    Section headers are not used, as the loader does not use them: stripped and packed files read the same.

    Raises:
        NotElfError: the file does not begin with the ELF magic.
        BadElfError: it does, and is cut short or contradicts itself.
    """
    file.seek(0)
    if file.read(4) != MAGIC:
        raise NotElfError("does not begin with the ELF magic")
    try:
        return _read(file)
    except ELFError as error:
        raise BadElfError(f"cut short or malformed: {error or type(error).__name__}") from error
    except (ValueError, OverflowError, OSError, AssertionError, LookupError, struct.error) as error:
        # What pyelftools and the file object raise on offsets and numbers that make no sense.
        raise BadElfError(f"malformed: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What is wrong with a file, in its own terms, where seeking, reading or unpacking has raised `error`.

    Python says of an offset that no file has: "cannot fit 'int' into an offset-sized integer".
    """
    if isinstance(error, OverflowError | ValueError) or getattr(error, "errno", None) == errno.EINVAL:
        return "an offset or a size in it is one that no file has"
    return str(error) or type(error).__name__


def _read(file: IO[bytes]) -> Elf:
    elf = ELFFile(file)
    size = file.seek(0, os.SEEK_END)
    header = elf.header
    segments = tuple(_segments(elf, file, size))
    dynamics = [segment for segment in segments if segment.type == "PT_DYNAMIC"]
    interps = [segment for segment in segments if segment.type == "PT_INTERP"]
    abi = Abi(
        machine=_MACHINES.get(header["e_machine"], str(header["e_machine"]).removeprefix("EM_").lower()),
        bits=elf.elfclass,
        little=elf.little_endian,
    )
    kind = _TYPES.get(header["e_type"])
    if kind is None:
        raise BadElfError(f"unknown file type {header['e_type']}")
    known: dict[str, Any] = {
        "abi": abi,
        "type": kind,
        "defects": tuple(_defects(header, size)),
        "flags": header["e_flags"],
        "osabi": elf.e_ident_raw[7],
        "segments": segments,
    }
    if interps:
        known["interp"] = _strings(file, interps[0].offset, [0])[0]
    if dynamics:
        known.update(_dynamic(elf, file, segments, dynamics[-1]))
    return Elf(**known)


def _order(elf: ELFFile) -> str:
    return "<" if elf.little_endian else ">"


def _segments(elf: ELFFile, file: IO[bytes], size: int) -> Iterator[Segment]:
    header = elf.header
    layout, places = _PROGRAM_HEADER[elf.elfclass]
    layout = _order(elf) + layout
    count, length = header["e_phnum"], struct.calcsize(layout)
    if count == 0:
        return
    if count > MAX_PROGRAM_HEADERS:
        raise BadElfError(f"claims {count} program headers")
    if header["e_phentsize"] != length:
        raise BadElfError(f"program headers of {header['e_phentsize']} bytes instead of {length}")
    table = _window(file, header["e_phoff"], count * length, "program headers")
    for row in struct.iter_unpack(layout, table):
        code, *rest = (row[place] for place in places)
        segment = Segment(_SEGMENT_TYPES.get(code, str(code)), *rest)
        end = segment.offset + segment.file_size
        # In a relocatable or core file, and for notes split off by objcopy, bytes may lie elsewhere.
        if segment.type in ("PT_LOAD", "PT_DYNAMIC", "PT_INTERP") and end > size:
            raise BadElfError(f"cut short: {segment.type} ends at byte {end} of a file of {size}")
        yield segment


def _defects(header: Mapping[str, Any], size: int) -> Iterator[str]:
    if header["e_shoff"]:
        end = header["e_shoff"] + header["e_shnum"] * header["e_shentsize"]
        if end > size:
            yield f"cut short: section headers end at byte {end} of a file of {size}"


_STRINGS = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}


def _dynamic(elf: ELFFile, file: IO[bytes], segments: Sequence[Segment], segment: Segment) -> dict[str, Any]:
    tags = _tags(elf, file, segment)
    first = {tag: values[0] for tag, values in tags.items()}
    flags = first.get("DT_FLAGS_1", 0)
    verneed = list(_verneed(elf, file, segments, first)) if "DT_VERNEED" in first else []
    wanted = {value for tag in _STRINGS for value in tags.get(tag, ())}
    wanted |= {value for library, names in verneed for value in (library, *names)}
    if wanted and "DT_STRTAB" not in first:
        raise BadElfError("the dynamic section has no string table")
    text = _strings(file, _offset(segments, first["DT_STRTAB"]), wanted) if wanted else {}
    known = {name: text[first[tag]] for tag, name in _STRINGS.items() if name != "needed" and tag in first}
    return {
        **known,
        "dynamic": True,
        "needed": tuple(text[value] for value in tags.get("DT_NEEDED", ())),
        "nodeflib": bool(flags & DF_1_NODEFLIB),
        "pie": bool(flags & DF_1_PIE),
        "verneed": tuple((text[library], tuple(text[name] for name in names)) for library, names in verneed),
        "tables": _tables(segments, first),
        "tags": first,
    }


def _tables(segments: Sequence[Segment], first: Mapping[str, int]) -> Tables:
    def at(tag: str) -> int | None:
        return _offset(segments, first[tag]) if tag in first else None

    return Tables(
        symtab=at("DT_SYMTAB"),
        strtab=at("DT_STRTAB"),
        hash=at("DT_HASH"),
        gnu_hash=at("DT_GNU_HASH"),
        versym=at("DT_VERSYM"),
        verneed=at("DT_VERNEED"),
        verdef=at("DT_VERDEF"),
        strsz=first.get("DT_STRSZ", 0),
        verneednum=first.get("DT_VERNEEDNUM", 0),
        verdefnum=first.get("DT_VERDEFNUM", 0),
        now="DT_BIND_NOW" in first
        or bool(first.get("DT_FLAGS", 0) & DF_BIND_NOW or first.get("DT_FLAGS_1", 0) & DF_1_NOW),
    )


def _tags(elf: ELFFile, file: IO[bytes], segment: Segment) -> dict[str, list[int]]:
    layout = _order(elf) + _DYNAMIC[elf.elfclass]
    if segment.file_size > MAX_DYNAMIC_BYTES:
        raise BadElfError(f"claims a dynamic section of {segment.file_size} bytes")
    raw = _window(file, segment.offset, segment.file_size, "dynamic section")
    tags: dict[str, list[int]] = {}
    whole = len(raw) // struct.calcsize(layout) * struct.calcsize(layout)
    for code, value in struct.iter_unpack(layout, raw[:whole]):
        if code == 0:  # DT_NULL
            return tags
        tags.setdefault(_TAGS.get(code, str(code)), []).append(value)
    raise BadElfError("the dynamic section does not end with DT_NULL")


def _verneed(
    elf: ELFFile, file: IO[bytes], segments: Sequence[Segment], first: Mapping[str, int]
) -> Iterator[tuple[int, list[int]]]:
    """Give, for each library, where its name and those of its needed versions stand in the string table."""
    file.seek(_offset(segments, first["DT_VERNEED"]))
    table, order = file.read(MAX_VERNEED_BYTES), _order(elf)
    at, left = 0, MAX_VERSIONS
    for _ in range(first.get("DT_VERNEEDNUM", 0)):
        _, count, library, into, following = struct.unpack_from(order + _VERNEED, table, at)
        left -= 1 + count
        if left < 0:
            raise BadElfError(f"claims more than {MAX_VERSIONS} needed symbol versions")
        names: list[int] = []
        aux = at + into
        for _ in range(count):
            _, _, _, name, next_ = struct.unpack_from(order + _VERNAUX, table, aux)
            names.append(name)
            aux += next_
        yield library, names
        if not following:
            break
        at += following


def _strings(file: IO[bytes], table: int, wanted: Iterable[int]) -> dict[int, str]:
    """Read strings in the order of the file: its content may come from a stream that is slow to turn back.

    As the loader, it goes by the NUL at their end and not by DT_STRSZ.
    """
    found: dict[int, str] = {}
    start, chunk, left = 0, b"", MAX_STRINGS_BYTES
    for offset in sorted(wanted):
        end = chunk.find(b"\0", offset - start)
        if end < 0:
            start, chunk = offset, _up_to_nul(file, table + offset, left)
            end = chunk.find(b"\0")
        left -= end - (offset - start)
        if end < 0 or left < 0:
            raise BadElfError(
                f"the strings of the dynamic section have no end, or more than {MAX_STRINGS_BYTES:,} bytes"
            )
        found[offset] = os.fsdecode(chunk[offset - start : end])
    return found


def _up_to_nul(file: IO[bytes], at: int, most: int) -> bytes:
    """Read from `at` until there is a NUL, or at least `most` bytes."""
    file.seek(at)
    chunk = more = file.read(STRINGS_AT_ONCE)
    while more and len(chunk) < most and b"\0" not in more:
        more = file.read(STRINGS_AT_ONCE)
        chunk += more
    return chunk


def _offset(segments: Sequence[Segment], address: int) -> int:
    for segment in segments:
        start = segment.address
        if segment.type == "PT_LOAD" and start <= address < start + segment.file_size:
            return segment.offset + address - start
    raise BadElfError(f"address {address:#x} lies in no loaded segment")


def _window(file: IO[bytes], offset: int, length: int, what: str) -> bytes:
    file.seek(offset)
    window = file.read(length)
    if len(window) < length:
        raise BadElfError(f"cut short in the {what}")
    return window
