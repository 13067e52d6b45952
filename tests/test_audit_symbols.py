"""The bulk reader of symbol tables: equal to pyelftools' slow one, and safe with files cut short or altered."""

import io
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.elf import MAGIC, BadElfError, NotElfError, read_elf
from audit.notes import read_notes
from audit.symbols import Symbols, read_symbols

ELF = Path(__file__).parent / "fixtures" / "elf"
FILES = sorted(
    path
    for path in (*(ELF / "linkage").rglob("*"), *(ELF / "trees").rglob("*"))
    if path.is_file() and not path.is_symlink() and path.read_bytes().startswith(MAGIC)
)
RICH = [path for path in FILES if "version" in str(path)]


def read(content: bytes) -> Symbols:
    file = io.BytesIO(content)
    elf = read_elf(file)
    assert elf.tables is not None
    read_notes(file, elf.abi)
    return read_symbols(file, elf.tables, elf.abi)


def outcome(content: bytes) -> str:
    """Give `read`, or the words with which it is refused."""
    file = io.BytesIO(content)
    try:
        elf = read_elf(file)
        read_notes(file, elf.abi)
        if elf.tables is not None:
            read_symbols(file, elf.tables, elf.abi).offered()
    except (BadElfError, NotElfError) as error:
        return str(error)
    return "read"


def slowly(path: Path) -> tuple[list[tuple[str, str]], set[tuple[str, int]]]:
    """Read the same with pyelftools from the section headers: taken with versions, offered with indices."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        table = next(
            s for s in elf.iter_sections() if isinstance(s, SymbolTableSection) and s.name == ".dynsym"
        )
        versym = next((s for s in elf.iter_sections() if isinstance(s, GNUVerSymSection)), None)
        names: dict[int, str] = {}
        for section in elf.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                names.update(
                    {aux["vna_other"]: aux.name for _, auxes in section.iter_versions() for aux in auxes}
                )
            assert not isinstance(section, GNUVerDefSection) or section.num_versions()
        taken: list[tuple[str, str]] = []
        offered: set[tuple[str, int]] = set()
        for number, symbol in enumerate(table.iter_symbols()):
            ndx = versym.get_symbol(number)["ndx"] if versym else 1
            index = int({"VER_NDX_LOCAL": 0, "VER_NDX_GLOBAL": 1}.get(str(ndx), ndx))
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name:
                taken.append((symbol.name, names.get(index, "")))
            elif symbol.name and (symbol["st_value"] or symbol["st_shndx"] == "SHN_ABS"):
                offered.add((symbol.name, index))
        return taken, offered


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ELF)))
def test_symbols_and_versions_are_those_that_the_slow_reader_finds(path: Path) -> None:
    symbols = read(path.read_bytes())
    taken, offered = slowly(path)
    assert [(one.name.decode(), (one.version or b"").decode()) for one in symbols.taken] == taken
    found = symbols.offered().symbols.items()
    assert {(name.decode(), index) for name, indices in found for index in indices} == offered


def test_only_wanted_symbols_are_listed_when_some_are_named() -> None:
    content = (ELF / "linkage/trees/symbol-of-another-version-is-not-taken/app/liba.so").read_bytes()
    assert set(read(content).offered({b"one", b"none"}).symbols) == {b"one"}


def test_versions_and_the_libraries_they_are_needed_from_are_named() -> None:
    symbols = read((ELF / "linkage/trees/version-not-provided/app/prog").read_bytes())
    assert [(one.library, one.version, one.weak) for one in symbols.needed] == [(b"liba.so", b"V_2", False)]
    assert symbols.provided is None
    library = read((ELF / "linkage/trees/version-not-provided/app/liba.so").read_bytes())
    assert library.provided == frozenset({b"V_1"})


@pytest.mark.parametrize("path", RICH, ids=lambda path: str(path.relative_to(ELF)))
def test_a_file_cut_short_is_read_or_refused_in_words(path: Path) -> None:
    whole = path.read_bytes()
    outcomes = [outcome(whole[:length]) for length in range(4, len(whole), 16)]
    assert all(outcomes)
    assert sum(outcome != "read" for outcome in outcomes) > 10


@settings(max_examples=500, deadline=None)
@given(
    path=st.sampled_from(RICH),
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_an_altered_file_is_read_or_refused_in_words(path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(path.read_bytes())
    for at, value in changes:
        content[4 + at % (len(content) - 4)] = value
    assert outcome(bytes(content))


@pytest.mark.parametrize(("machine", "named"), [(62, True), (40, True), (2, False), (43, False)])
def test_a_register_of_sparc_is_no_symbol_and_the_same_number_elsewhere_is(
    machine: int,
    named: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """e_machine: x86-64, arm (where 13 was a Thumb function), sparc, sparc of 64 bits."""
    path = ELF / "linkage" / "trees" / "symbol-of-a-library-that-is-not-named" / "app" / "module.so"
    content = bytearray(path.read_bytes())
    elf = read_elf(io.BytesIO(content))
    assert elf.tables is not None
    assert elf.tables.symtab is not None
    for at in range(elf.tables.symtab, len(content) - 24, 24):
        name = elf.tables.strtab + struct.unpack_from("<I", content, at)[0] if elf.tables.strtab else 0
        if content[name : name + 4] == b"one\0":
            content[at + 4] = content[at + 4] & 0xF0 | 13
            break
    struct.pack_into("<H", content, 18, machine)
    assert ("one" in {str(reference) for reference in read(bytes(content)).taken}) == named
