"""Reads what the dynamic loader reads of one ELF file: header, program headers, dynamic section, versions."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile

from audit.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAGIC = b"\x7fELF"

# Far above what any linker writes; a file that claims more is broken or hostile.
MAX_PROGRAM_HEADERS = 4096
MAX_DYNAMIC_BYTES = 64 << 10
MAX_VERNEED_BYTES = 64 << 10
MAX_VERSIONS = 4096
MAX_STRING = 4096
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
        """Tell whether the kernel can start it: it names an interpreter, or is linked to a fixed address."""
        return self.interp is not None or self.type == "executable"


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
    except (ValueError, OverflowError, OSError, AssertionError, LookupError) as error:
        # What pyelftools and the file object raise on offsets and numbers that make no sense.
        raise BadElfError(f"malformed: {error or type(error).__name__}") from error


def _read(file: IO[bytes]) -> Elf:
    elf = ELFFile(file)
    size = file.seek(0, os.SEEK_END)
    header = elf.header
    segments = list(_segments(elf, file, size))
    dynamics = [s for s in segments if s["p_type"] == "PT_DYNAMIC"]
    interps = [s for s in segments if s["p_type"] == "PT_INTERP"]
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
        "segments": tuple(_segment(row) for row in segments),
    }
    if interps:
        known["interp"] = _strings(file, interps[0]["p_offset"], [0])[0]
    if dynamics:
        known.update(_dynamic(elf, file, segments, dynamics[-1]))
    return Elf(**known)


def _segments(elf: ELFFile, file: IO[bytes], size: int) -> Iterator[Mapping[str, Any]]:
    header = elf.header
    count, length = header["e_phnum"], elf.structs.Elf_Phdr.sizeof()
    if count == 0:
        return
    if count > MAX_PROGRAM_HEADERS:
        raise BadElfError(f"claims {count} program headers")
    if header["e_phentsize"] != length:
        raise BadElfError(f"program headers of {header['e_phentsize']} bytes instead of {length}")
    table = BytesIO(_window(file, header["e_phoff"], count * length, "program headers"))
    for _ in range(count):
        segment = struct_parse(elf.structs.Elf_Phdr, table)
        end = segment["p_offset"] + segment["p_filesz"]
        # In a relocatable or core file, and for notes split off by objcopy, bytes may lie elsewhere.
        if segment["p_type"] in ("PT_LOAD", "PT_DYNAMIC", "PT_INTERP") and end > size:
            raise BadElfError(f"cut short: {segment['p_type']} ends at byte {end} of a file of {size}")
        yield segment


def _segment(row: Mapping[str, Any]) -> Segment:
    return Segment(
        type=str(row["p_type"]),
        flags=row["p_flags"],
        offset=row["p_offset"],
        address=row["p_vaddr"],
        file_size=row["p_filesz"],
        memory_size=row["p_memsz"],
        align=row["p_align"],
    )


def _defects(header: Mapping[str, Any], size: int) -> Iterator[str]:
    if header["e_shoff"]:
        end = header["e_shoff"] + header["e_shnum"] * header["e_shentsize"]
        if end > size:
            yield f"cut short: section headers end at byte {end} of a file of {size}"


_STRINGS = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}


def _dynamic(
    elf: ELFFile, file: IO[bytes], segments: list[Mapping[str, Any]], segment: Mapping[str, Any]
) -> dict[str, Any]:
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


def _tables(segments: list[Mapping[str, Any]], first: Mapping[str, int]) -> Tables:
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


def _tags(elf: ELFFile, file: IO[bytes], segment: Mapping[str, Any]) -> dict[str, list[int]]:
    length = elf.structs.Elf_Dyn.sizeof()
    if segment["p_filesz"] > MAX_DYNAMIC_BYTES:
        raise BadElfError(f"claims a dynamic section of {segment['p_filesz']} bytes")
    raw = BytesIO(_window(file, segment["p_offset"], segment["p_filesz"], "dynamic section"))
    tags: dict[str, list[int]] = {}
    for _ in range(segment["p_filesz"] // length):
        tag = struct_parse(elf.structs.Elf_Dyn, raw)
        if tag["d_tag"] == "DT_NULL":
            return tags
        tags.setdefault(tag["d_tag"], []).append(tag["d_val"])
    raise BadElfError("the dynamic section does not end with DT_NULL")


def _verneed(
    elf: ELFFile, file: IO[bytes], segments: list[Mapping[str, Any]], first: Mapping[str, int]
) -> Iterator[tuple[int, list[int]]]:
    """Give, for each library, where its name and those of its needed versions stand in the string table."""
    file.seek(_offset(segments, first["DT_VERNEED"]))
    table = BytesIO(file.read(MAX_VERNEED_BYTES))
    at, left = 0, MAX_VERSIONS
    for _ in range(first.get("DT_VERNEEDNUM", 0)):
        need = struct_parse(elf.structs.Elf_Verneed, table, at)
        left -= 1 + need["vn_cnt"]
        if left < 0:
            raise BadElfError(f"claims more than {MAX_VERSIONS} needed symbol versions")
        names: list[int] = []
        aux = at + need["vn_aux"]
        for _ in range(need["vn_cnt"]):
            version = struct_parse(elf.structs.Elf_Vernaux, table, aux)
            names.append(version["vna_name"])
            aux += version["vna_next"]
        yield need["vn_file"], names
        if not need["vn_next"]:
            break
        at += need["vn_next"]


def _strings(file: IO[bytes], table: int, wanted: Iterable[int]) -> dict[int, str]:
    """Read strings in the order of the file: its content may come from a stream that is slow to turn back."""
    found: dict[int, str] = {}
    start, chunk = 0, b""
    for offset in sorted(wanted):
        end = chunk.find(b"\0", offset - start)
        if end < 0:
            file.seek(table + offset)
            start, chunk = offset, file.read(STRINGS_AT_ONCE)
            end = chunk.find(b"\0")
        text = chunk[offset - start : end]
        if end < 0 or len(text) > MAX_STRING:
            raise BadElfError("a string of the dynamic section has no end")
        found[offset] = os.fsdecode(text)
    return found


def _offset(segments: list[Mapping[str, Any]], address: int) -> int:
    for segment in segments:
        start = segment["p_vaddr"]
        if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
            return int(segment["p_offset"] + address - start)
    raise BadElfError(f"address {address:#x} lies in no loaded segment")


def _window(file: IO[bytes], offset: int, length: int, what: str) -> bytes:
    file.seek(offset)
    window = file.read(length)
    if len(window) < length:
        raise BadElfError(f"cut short in the {what}")
    return window
