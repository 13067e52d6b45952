"""The reader of ELF files, on real ones: whole, cut short, and altered at random."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.elf import MAGIC, MAX_STRINGS_BYTES, Abi, BadElfError, Elf, NotElfError, read_elf
from tests.hostile import library

TREES = Path(__file__).parent / "fixtures" / "elf" / "trees"
FILES = sorted(
    path
    for path in TREES.rglob("*")
    if path.is_file() and not path.is_symlink() and path.read_bytes().startswith(MAGIC)
)


def read(path: str) -> Elf:
    return read_elf(io.BytesIO((TREES / path).read_bytes()))


def outcome(content: bytes) -> Elf | str:
    """Give what is read, or the words with which it is refused."""
    try:
        return read_elf(io.BytesIO(content))
    except (NotElfError, BadElfError) as error:
        return str(error)


def test_a_program_is_read_as_its_linker_wrote_it() -> None:
    elf = read("rpath-before-library-path/app/prog")
    assert elf == Elf(
        abi=Abi("x86-64", 64, little=True),
        type="shared",
        interp="/lib64/ld-linux-x86-64.so.2",
        dynamic=True,
        needed=("liba.so",),
        rpath="/rpath",
        pie=True,
    )


@pytest.mark.parametrize(
    ("path", "attribute", "value"),
    [
        ("runpath-not-inherited/app/prog", "runpath", "/priv"),
        ("runpath-not-inherited/app/prog", "rpath", None),
        ("rpath-ignored-beside-runpath/lib/liba.so", "rpath", "/rpath"),
        ("rpath-ignored-beside-runpath/lib/liba.so", "runpath", "/runpath"),
        ("symlinked-folder-is-followed/versions/1/lib/liba.so.1.2", "soname", "liba.so"),
        ("nodefaultlib-ends-the-search-before-the-default-path/app/prog", "nodeflib", True),
        ("plugin-in-a-context-of-its-own/app/plugin.so", "is_program", False),
        ("wrong-class-passed-over/m32/liba.so", "abi", Abi("i386", 32, little=True)),
        ("wrong-machine-passed-over/arm/liba.so", "abi", Abi("aarch64", 64, little=True)),
    ],
)
def test_what_the_loader_looks_at_is_read(path: str, attribute: str, value: object) -> None:
    assert getattr(read(path), attribute) == value


@pytest.mark.parametrize("size", [4096, 4097, 70_000, MAX_STRINGS_BYTES - 2])
def test_a_path_list_is_read_to_its_end(size: int) -> None:
    elf = read_elf(io.BytesIO(library(1, b"/" * size)))
    assert (elf.needed, elf.runpath) == (("n0",), "/" * size)


@pytest.mark.parametrize(
    "content",
    [
        library(1, b"/" * (MAX_STRINGS_BYTES - 1)),
        library(1, b"/" * 4 * MAX_STRINGS_BYTES),
        library(1, b"/" * 70_000)[:-1],
    ],
    ids=["too-long", "far-too-long", "without-end"],
)
def test_strings_without_end_are_malformed(content: bytes) -> None:
    with pytest.raises(BadElfError, match=r"the strings of the dynamic section have no end, or|cut short"):
        read_elf(io.BytesIO(content))


def test_needed_symbol_versions_are_read_by_library() -> None:
    with Path("/proc/self/exe").resolve().open("rb") as python:
        elf = read_elf(python)
    verneed = dict(elf.verneed)
    versions = [version for names in verneed.values() for version in names]
    assert verneed.keys() <= set(elf.needed)
    assert any(version.startswith("GLIBC_2.") for version in versions)


@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (Abi("x86-64", 64, little=True), "x86-64"),
        (Abi("x86-64", 32, little=True), "x86-64, 32 bit"),
        (Abi("i386", 32, little=True), "i386"),
        (Abi("arm", 32, little=False), "arm, 32 bit, big-endian"),
    ],
)
def test_an_abi_is_named_in_words(abi: Abi, words: str) -> None:
    assert str(abi) == words


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TREES)))
def test_a_file_cut_at_every_64th_byte_is_told_from_a_whole_one(path: Path) -> None:
    content = path.read_bytes()
    assert not read_elf(io.BytesIO(content)).defects
    for length in range(0, len(content), 64):
        elf = outcome(content[:length])
        words = elf if isinstance(elf, str) else elf.defects[0]
        assert words


@settings(max_examples=300, deadline=None)
@given(
    path=st.sampled_from(FILES),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
)
def test_an_altered_file_is_read_or_refused_in_words(path: Path, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(path.read_bytes())
    for offset, new in changes:
        at = offset % len(content)
        content[at : at + len(new)] = new
    assert outcome(bytes(content))


@given(content=st.binary(max_size=400))
def test_anything_after_the_magic_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(BadElfError, match=r"\w"):
        read_elf(io.BytesIO(MAGIC + content))


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"#!/bin/sh\n", b"\0" * 100])
def test_what_has_no_magic_is_no_elf_file(content: bytes) -> None:
    with pytest.raises(NotElfError):
        read_elf(io.BytesIO(content))


@pytest.mark.parametrize("offset", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_an_offset_that_no_file_has_is_refused_in_the_files_own_terms(tmp_path: Path, offset: int) -> None:
    content = bytearray((TREES / "rpath-before-library-path/app/prog").read_bytes())
    content[0x20:0x28] = offset.to_bytes(8, "little")  # e_phoff (gABI, chapter 4)
    (tmp_path / "prog").write_bytes(content)
    with (
        (tmp_path / "prog").open("rb") as file,
        pytest.raises(BadElfError, match=r"^malformed: an offset or a size in it is one that no file has$"),
    ):
        read_elf(file)
