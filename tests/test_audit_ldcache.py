"""/etc/ld.so.cache: real ones that ldconfig made, in both formats, and what strangers put there."""

import io
import struct
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.elf import Abi
from audit.ldcache import CACHE, Cached, best, read_cache
from audit.loader import loader_of
from audit.readers.builder import TreeBuilder
from audit.tree import Entry, Tree

TREES = Path(__file__).parent / "fixtures/elf/trees"
REAL = (TREES / "ld-so-conf-before-default-path/etc/ld.so.cache").read_bytes()
X86 = Abi("x86-64", 64, little=True)
V2, V3 = "glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3"


def tree_of(content: bytes) -> Tree:
    builder = TreeBuilder("x")
    opener = partial(io.BytesIO, content)
    builder.put(CACHE, Entry(kind="file", mode=0o644, size=len(content), opener=opener))
    return builder.build("image")


def made(rows: list[tuple[int, str, str, int]], folders: tuple[str, ...] = (), *, before: int = 0) -> bytes:
    """Write a cache as ldconfig does: rows of flags, name, path and number of the hwcaps folder, 0 for none.

    `before` is the length of what stands before it in the file, from which the extension is counted.
    """
    strings = b""
    start = 48 + 24 * len(rows)
    entries = b""
    for flags, name, path, number in rows:
        value = start + len(strings)
        strings += path.encode() + b"\0" + name.encode() + b"\0"
        bits = 1 << 62 | number - 1 if number else 0
        entries += struct.pack("<iIIIQ", flags, value + len(path) + 1, value, 0, bits)
    names = b""
    for folder in folders:
        names += struct.pack("<I", start + len(strings))
        strings += folder.encode() + b"\0"
    strings += bytes(-len(strings) % 4)
    at = before + start + len(strings)
    extension = struct.pack("<6I", 0xEAA42174, 1, 1, 0, at + 24, len(names)) + names
    head = struct.pack(
        "<20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(rows), len(strings), 2, at if folders else 0
    )
    return head + entries + strings + (extension if folders else b"")


ROWS = [
    (0x303, "libb.so", f"/b/{V2}/libb.so", 1),
    (0x303, "libb.so", f"/b/{V3}/libb.so", 2),
    (0x303, "libb.so", "/b/libb.so", 0),
    (0x303, "libb.so", "/c/libb.so", 0),
    (0x3, "libb.so", "/32/libb.so", 0),
]
NEW = made(ROWS, ("x86-64-v2", "x86-64-v3"))
# 17 entries of the old format, whose content nobody looks at, and what is needed to align the new one.
OLD = b"ld.so-1.7.0\0" + struct.pack("<I", 17) + bytes(17 * 12 + 4)


def test_a_real_cache_names_the_libraries_that_ldconfig_found() -> None:
    assert read_cache(tree_of(REAL), X86) == {
        "liba.so": (Cached("/opt/one/liba.so", ""), Cached("/lib/liba.so", ""))
    }


@pytest.mark.parametrize("content", [NEW, OLD + made(ROWS, ("x86-64-v2", "x86-64-v3"), before=len(OLD))])
def test_both_formats_say_the_same(content: bytes) -> None:
    found = read_cache(tree_of(content), X86)["libb.so"]
    assert [one.hwcaps for one in found] == [V2, V3, "", ""]
    assert read_cache(tree_of(content), Abi("i386", 32, little=True)) == {
        "libb.so": (Cached("/32/libb.so", ""),)
    }


@pytest.mark.parametrize(
    ("hwcaps", "path"),
    [((), "/b/libb.so"), ((V2,), f"/b/{V2}/libb.so"), ((V3, V2), f"/b/{V3}/libb.so")],
)
def test_the_best_folder_for_the_processor_counts_and_else_the_first_entry(
    hwcaps: tuple[str, ...], path: str
) -> None:
    assert best(read_cache(tree_of(NEW), X86)["libb.so"], hwcaps) == path
    assert best((), hwcaps) is None


def test_what_lies_in_the_default_folders_is_left_to_them() -> None:
    content = made([(0x303, "libc.so.6", "/lib/libc.so.6", 0), (0x303, "libx.so", "/opt/x/libx.so", 0)])
    builder = TreeBuilder("x")
    for path, data in ((CACHE, content), ("/lib/libc.so.6", b"")):
        opener = partial(io.BytesIO, data)
        builder.put(path, Entry(kind="file", mode=0o644, size=len(data), opener=opener))
    assert loader_of(builder.build("image"), X86).cache == {"libx.so": "/opt/x/libx.so"}


@pytest.mark.parametrize(
    "content",
    [b"", b"ld.so-1.7.0\0", OLD, NEW[:40], NEW[:20] + b"\xff" * 4 + NEW[24:], NEW.replace(b"1.1", b"1.2")],
    ids=["empty", "old-cut", "old-alone", "cut", "count-lies", "another-version"],
)
def test_a_cache_that_makes_no_sense_is_none(content: bytes) -> None:
    assert read_cache(tree_of(content), X86) == {}


def test_a_cache_of_the_other_byte_order_is_none() -> None:
    assert read_cache(tree_of(NEW[:28] + b"\3" + NEW[29:]), X86) == {}


def test_strings_that_overlap_too_often_are_no_bomb() -> None:
    name = "n" * 4000
    rows = [(0x303, name, "/p", 0)]
    one = made(rows)
    row, strings = one[48:72], one[72:]
    many = 10_000
    shift = 24 * (many - 1)
    flags, key, value, system, bits = struct.unpack("<iIIIQ", row)
    moved = struct.pack("<iIIIQ", flags, key + shift, value + shift, system, bits)
    assert (
        read_cache(tree_of(one[:20] + struct.pack("<I", many) + one[24:48] + moved * many + strings), X86)
        == {}
    )


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(NEW) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6
    ),
    cut=st.integers(0, len(NEW)),
)
def test_an_altered_cache_names_libraries_or_none(changes: list[tuple[int, bytes]], cut: int) -> None:
    content = bytearray(NEW)
    for at, new in changes:
        content[at : at + len(new)] = new
    for found in read_cache(tree_of(bytes(content[:cut])), X86).values():
        assert found
