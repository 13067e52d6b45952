"""What strip(1) would save, on libraries of which that is known."""

from pathlib import Path

import pytest

from audit.elf import read_elf
from audit.readers.folder import read_folder
from audit.sections import Section, read_sections
from audit.segments import Segment
from audit.strip import ORDINARY_BYTES, Strippable, in_sections, strippable_of, unloaded_bytes

FOLDER = Path(__file__).parent / "fixtures" / "elf" / "size"


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("debug.so", Strippable(debug=413, symbols=187)),
        ("symbols.so", Strippable(symbols=131)),
        ("stripped.so", Strippable()),
    ],
)
def test_debug_and_symbol_sections_are_counted_as_readelf_lists_them(name: str, saved: Strippable) -> None:
    with (FOLDER / name).open("rb") as file:
        assert in_sections(read_sections(file), (FOLDER / name).stat().st_size) == saved


def test_libraries_that_strip_makes_no_smaller_are_left_out() -> None:
    tree = read_folder(FOLDER)
    elves, sections = {}, {}
    for path in ("/debug.so", "/stripped.so"):
        with tree.entries[path].open() as file:
            elves[path], sections[path] = read_elf(file), read_sections(file)
    assert {path: one.size for path, one in strippable_of(tree, elves, sections).items()} == {
        "/debug.so": 600
    }


def load(offset: int, size: int, kind: str = "PT_LOAD") -> Segment:
    return Segment(type=kind, flags=4, offset=offset, address=0, file_size=size, memory_size=size, align=4096)


@pytest.mark.parametrize(
    ("segments", "size", "unloaded"),
    [
        ([load(0, 1000)], 1000 + ORDINARY_BYTES, 0),
        ([load(0, 1000)], 1001 + ORDINARY_BYTES, 1 + ORDINARY_BYTES),
        ([load(0, 1000), load(500, 1000)], 101_500, 100_000),
        ([load(90_000, 1000), load(0, 1000)], 91_000, 89_000),
        ([load(0, 1000), load(0, 90_000, "PT_NOTE")], 91_000, 90_000),
        ([load(0, 1 << 60)], 91_000, 0),
        ([load(1 << 60, 1 << 60)], 91_000, 91_000),
        ([], 91_000, 0),
    ],
    ids=[
        "ordinary",
        "more",
        "overlap",
        "hole, as patchelf leaves",
        "others",
        "past the end",
        "behind",
        "none",
    ],
)
def test_what_no_load_segment_holds_is_counted_without_reading_the_file(
    segments: list[Segment], size: int, unloaded: int
) -> None:
    assert unloaded_bytes(segments, size) == unloaded


def test_a_library_whose_sections_were_not_read_counts_by_its_segments() -> None:
    tree = read_folder(FOLDER)
    with tree.entries["/debug.so"].open() as file:
        elf = read_elf(file)
    assert strippable_of(tree, {"/debug.so": elf}, {}) == {}


def section(name: str, offset: int, size: int, flags: int = 0, kind: int = 1) -> Section:
    return Section(name, kind, flags, offset, size)


@pytest.mark.parametrize(
    ("sections", "saved"),
    [
        ([section(".debug_info", 0, 50), section(".debug_info", 0, 80)], Strippable(debug=100)),
        ([section(".debug_info", 0, 90), section(".symtab", 0, 90)], Strippable(debug=90, symbols=10)),
        ([section(".debug_info", 90, 20)], Strippable()),
        ([section(".debug_info", 0, 20, flags=2)], Strippable()),
        ([section(".debug_info", 0, 20, kind=8)], Strippable()),
        ([section(".zdebug_line", 0, 20), section(".comment", 0, 9)], Strippable(debug=20)),
    ],
    ids=["twice", "more than there is", "past the end", "loaded", "without bytes", "compressed"],
)
def test_sections_that_lie_never_save_more_than_the_file_has(
    sections: list[Section], saved: Strippable
) -> None:
    assert in_sections(sections, 100) == saved
