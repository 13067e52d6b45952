"""Program headers that cannot be mapped, on real files and on real files with one header altered."""

import io
import struct
from pathlib import Path

import pytest

from audit.elf import read_elf
from audit.segments import (
    Segment,
    largest_page,
    misaligned,
    misplaced,
    overfull,
    stack_executable,
    writable_code,
)

FILES = Path(__file__).parent / "fixtures" / "elf" / "protection" / "files"
FIRST = Segment("PT_LOAD", 5, 0, 0, 0x1000, 0x1000, 0x1000)
SECOND = Segment("PT_LOAD", 6, 0x1000, 0x3000, 0x800, 0x900, 0x1000)


def segments_of(name: str) -> tuple[Segment, ...]:
    with (FILES / name).open("rb") as file:
        return read_elf(file).segments


def test_segments_are_read_as_readelf_shows_them() -> None:
    loads = [segment for segment in segments_of("pie") if segment.type == "PT_LOAD"]
    assert loads[0]._replace(file_size=0, memory_size=0) == Segment("PT_LOAD", 5, 0, 0, 0, 0, 0x1000)
    assert [str(load) for load in loads[1:]] == ["LOAD (offset 0xf30, address 0x1f30)"]


@pytest.mark.parametrize("path", sorted(FILES.glob("*.so")), ids=lambda path: str(path.name))
def test_what_a_linker_or_patchelf_writes_can_be_mapped(path: Path) -> None:
    found = list(misplaced(segments_of(path.name), "x86-64"))
    assert bool(found) == (path.name == "patched-then-stripped.so")


def test_a_segment_with_more_bytes_in_the_file_than_in_memory_is_named() -> None:
    (words,) = overfull((FIRST, SECOND._replace(memory_size=0x700)))
    assert words == "LOAD (offset 0x1000, address 0x3000) has 2048 bytes in the file, 1792 in memory"
    assert not list(overfull((FIRST, SECOND)))


def test_what_strip_makes_of_a_patched_library_cannot() -> None:
    found = list(misplaced(segments_of("patched-then-stripped.so"), "x86-64"))
    assert (
        found[0]
        == "LOAD (offset 0x41b6, address 0x6000): these disagree modulo the page size 4096, so it cannot be mapped"
    )
    assert len(found) == 2


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (SECOND._replace(offset=0x1200), "modulo the page size 4096"),
        (SECOND._replace(memory_size=1 << 40), "asks for 1,099,511,627,776 bytes of memory"),
        (SECOND._replace(memory_size=0x700), ""),
        (SECOND._replace(address=0, offset=0), "lies over LOAD (offset 0x0, address 0x0)"),
        (Segment("PT_DYNAMIC", 6, 0x20, 0x40, 8, 8, 8), "is mapped from offset 0x40"),
        (Segment("PT_INTERP", 4, 0x9000, 0x9000, 8, 8, 1), "lies in no LOAD segment"),
        (Segment("PT_NOTE", 4, 0x9000, 0x9000, 8, 8, 1), ""),
        (Segment("PT_DYNAMIC", 6, 0x20, 0x20, 8, 8, 8), ""),
        (Segment("PT_DYNAMIC", 6, 0x1000, 0x1000, 8, 8, 8), "lies in no LOAD segment"),
        (SECOND, ""),
        (SECOND._replace(address=0x3200, offset=0x1200, align=0x10), ""),
    ],
)
def test_each_fault_of_a_program_header_is_named(second: Segment, words: str) -> None:
    found = "; ".join(misplaced((FIRST, second), "x86-64"))
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("memory_size", "address", "mapped"),
    [(0x950, 0x3960, True), (0x950, 0x4000, False), (0x951, 0x3960, False)],
)
def test_the_rest_of_a_page_is_mapped_with_it_unless_zeros_are_written_there(
    memory_size: int, address: int, *, mapped: bool
) -> None:
    load = SECOND._replace(file_size=0x950, memory_size=memory_size)
    dynamic = Segment("PT_DYNAMIC", 6, address - 0x2000, address, 0x100, 0x100, 8)
    assert (not list(misplaced((FIRST, load, dynamic), "x86-64"))) == mapped


def test_a_table_belongs_to_the_segment_that_holds_it_and_not_to_the_rest_of_a_page_before_it() -> None:
    before = SECOND._replace(file_size=0x100, memory_size=0x100)
    after = SECOND._replace(offset=0x1800, address=0x3200, file_size=0x100, memory_size=0x100)
    dynamic = Segment("PT_DYNAMIC", 6, 0x1810, 0x3210, 0x40, 0x40, 8)
    assert not [words for words in misplaced((FIRST, before, after, dynamic), "x86-64") if "DYNAMIC" in words]


def test_load_segments_ascend() -> None:
    assert "must ascend" in "; ".join(misplaced((SECOND, FIRST), "x86-64"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"align": 0x200000}, "modulo its alignment 0x200000"),
        ({"align": 0x1800}, "no power of two"),
        ({"align": 1}, "less than a page"),
        ({"align": 0}, "less than a page"),
        ({"offset": 0x1001}, ""),  # misplaced, not misaligned
        ({}, ""),
    ],
)
def test_an_alignment_that_old_loaders_refuse_is_named(change: dict[str, int], words: str) -> None:
    found = "; ".join(misaligned((FIRST, SECOND._replace(**change)), "x86-64"))  # type: ignore[arg-type]
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("machine", "offset", "address", "most"),
    [
        ("aarch64", 0x10000, 0x30000, 65536),
        ("aarch64", 0x4000, 0x18000, 16384),
        ("aarch64", 0x1000, 0x3000, 8192),
        ("aarch64", 0x1000, 0x2000, 4096),
        ("x86-64", 0x1000, 0x2000, 4096),
    ],
)
def test_the_largest_page_a_file_fits_is_told(machine: str, offset: int, address: int, most: int) -> None:
    assert largest_page((FIRST, SECOND._replace(offset=offset, address=address)), machine) == most


@pytest.mark.parametrize(
    ("machine", "flags", "words"),
    [
        ("x86-64", 7, "PT_GNU_STACK asks for it"),
        ("x86-64", 6, ""),
        ("x86-64", None, "it has no PT_GNU_STACK"),
        ("aarch64", None, ""),
        ("aarch64", 7, "PT_GNU_STACK asks for it"),
    ],
)
def test_a_stack_is_executable_when_asked_for_or_by_the_machines_default(
    machine: str, flags: int | None, words: str
) -> None:
    stack = () if flags is None else (Segment("PT_GNU_STACK", flags, 0, 0, 0, 0, 16),)
    assert stack_executable((FIRST, *stack), machine) == words


def test_only_load_segments_that_are_written_and_executed_are_writable_code() -> None:
    assert list(writable_code((FIRST, SECOND))) == []
    assert list(writable_code((FIRST._replace(flags=7),))) == [FIRST._replace(flags=7)]


def test_the_layout_of_a_program_header_is_that_of_the_specification() -> None:
    """Alter p_align of the first program header in place: the reader must see it."""
    content = bytearray((FILES / "pie").read_bytes())
    (at,) = struct.unpack_from("<Q", content, 32)
    struct.pack_into("<Q", content, at + 48, 0x77)
    assert read_elf(io.BytesIO(content)).segments[0].align == 0x77
