"""What a path leads to is told by its content: split zips, old tars and old saved images, too."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import UnreadableTargetError
from audit.readers.target import read
from audit.readers.tars import is_tar_header
from tests.test_audit_tars import member, tarred, with_header

MARKER = b"PK\x07\x08"
ENTRY, END = b"PK\x01\x02", b"PK\x05\x06"


def stored() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a", "b"):
            archive.writestr(name, random.Random(name).randbytes(200))
    return file.getvalue()


def patched(content: bytes, at: int, layout: str, *values: int) -> bytes:
    new = struct.pack(layout, *values)
    return content[:at] + new + content[at + len(new) :]


def split(cut: int, *, zip64: bool = False) -> tuple[bytes, bytes]:
    """Give a zip in two parts, of which the first has `cut` bytes (APPNOTE.TXT 8.5): offsets count in each part."""
    whole = MARKER + stored()
    at = whole.index(ENTRY)
    directory, end = at, whole.index(END)
    while at < end:
        length = sum(struct.unpack_from("<3H", whole, at + 28))
        (offset,) = struct.unpack_from("<I", whole, at + 42)
        part, offset = divmod(offset + 4, cut) if offset + 4 < 2 * cut else (1, offset + 4 - cut)
        whole = patched(patched(whole, at + 34, "<H", part), at + 42, "<I", offset)
        at += 46 + length
    part = int(directory >= cut)
    whole = patched(whole, end + 4, "<2H", 1, part)
    whole = patched(whole, end + 16, "<I", directory - cut * part)
    if zip64:
        place = end - cut
        record = struct.pack(
            "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 1, 1, 2, 2, end - directory, directory - cut
        )
        locator = struct.pack("<4sIQI", b"PK\x06\x07", 1, place, 2)
        whole = whole[:end] + record + locator + whole[end:]
    return whole[:cut], whole[cut:]


@pytest.mark.parametrize(
    "part",
    [
        split(240)[0],
        split(240)[1],
        split(235)[1],  # it begins with its only entry
        split(300)[1],  # all entries begin in the first part
        split(500)[1],  # and so does the directory
        split(240, zip64=True)[1],
    ],
    ids=[
        "first",
        "last",
        "last-with-an-entry",
        "last-without-headers",
        "last-without-directory",
        "last-with-zip64",
    ],
)
def test_a_part_of_a_split_zip_says_that_the_parts_are_to_be_joined(part: bytes, tmp_path: Path) -> None:
    place = tmp_path / "split.zip"
    place.write_bytes(part)
    with pytest.raises(UnreadableTargetError, match=r"is a part of a split zip\. Join the parts \(zip -s 0 "):
        read(place)


def test_a_numbered_zip_whose_entries_would_begin_before_it_is_refused_in_words(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"a")
    raw = bytearray(file.getvalue())
    end = raw.index(b"PK\5\6")
    struct.pack_into("<H", raw, end + 4, 1)
    (offset,) = struct.unpack_from("<I", raw, end + 16)
    struct.pack_into("<I", raw, end + 16, offset + 10_000)
    (tmp_path / "x.zip").write_bytes(raw)
    with pytest.raises(UnreadableTargetError):
        read(tmp_path / "x.zip")


def test_a_whole_zip_that_is_numbered_as_a_second_part_is_read(tmp_path: Path) -> None:
    content = stored()
    (tmp_path / "x.zip").write_bytes(patched(content, content.index(END) + 4, "<2H", 1, 1))
    assert {"/a", "/b"} < set(read(tmp_path / "x.zip").entries)


def test_a_zip_whose_directory_would_begin_before_it_is_damaged_and_no_bomb(tmp_path: Path) -> None:
    content = stored()  # as where zip64's record has lost its signature
    (tmp_path / "x.zip").write_bytes(patched(content, content.index(END) + 12, "<2I", 0xFFFFFFFF, 0xFFFFFFFF))
    with pytest.raises(UnreadableTargetError, match=r"is longer than the file\. It is damaged or cut short"):
        read(tmp_path / "x.zip")


def without_magic(name: str) -> bytes:
    """Give a tar as Unix V7 wrote it: nothing after the name of the link."""
    return with_header(tarred(member(name, b"content"), form=tarfile.USTAR_FORMAT), 257, bytes(255))


def signed(content: bytes) -> bytes:
    """Give it the checksum of writers whose bytes have signs."""
    total = sum(struct.unpack("148b8x356b", content[:512])) + 8 * 32
    return content[:148] + b"%06o\0 " % total + content[156:]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (without_magic("old"), "/old"),
        (signed(without_magic("k\u00f6nig")), "/k\u00f6nig"),
        (without_magic("PK"), "/PK"),
        (gzip.compress(without_magic("old")), "/old"),
    ],
)
def test_a_tar_without_magic_is_known_by_its_checksum(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    tree = read(tmp_path / "x")
    assert (tree.form, tree.read(name, 99)) == ("tar", b"content")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(512),
        b"0" * 512,
        b" " * 512,
        without_magic("old")[:511],
        b"k" + without_magic("old")[1:],
        random.Random(1).randbytes(4096),
        b"A line of a text with numbers: 0001234 0001234\n" * 99,
    ],
)
def test_a_file_of_another_kind_is_not_taken_for_a_tar(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UnreadableTargetError, match="is not a zip, tar, ELF file or folder"):
        read(tmp_path / "x")


@given(content=st.binary(min_size=512, max_size=512), number=st.integers(0, 0o777777))
def test_random_bytes_with_another_sum_are_no_header_of_a_tar(content: bytes, number: int) -> None:
    block = content[:148] + b"%06o\0 " % number + content[156:]
    unsigned, signed = tarfile.calc_chksums(block)  # type: ignore[attr-defined]
    assert is_tar_header(block) == (number in (unsigned, signed))
    right = content[:148] + b"%06o\0 " % unsigned + content[156:]
    assert is_tar_header(right)


@pytest.mark.parametrize("dot", ["", "./"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_image_saved_before_docker_1_10_is_refused_in_words(
    pack: type[bytes], dot: str, tmp_path: Path
) -> None:
    files = [member(f"{dot}repositories", b"{}"), member(f"{dot}511136ea/layer.tar", tarred())]
    (tmp_path / "x.tar").write_bytes(pack(tarred(*files)))
    with pytest.raises(UnreadableTargetError, match=r"Docker before 1\.10 saved.*load it and save it again"):
        read(tmp_path / "x.tar")


@pytest.mark.parametrize("names", [["repositories"], ["a/layer.tar"], ["etc/repositories", "a/layer.tar"]])
def test_a_tar_with_one_of_its_names_is_no_old_image(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tarred(*(member(name) for name in names)))
    assert read(tmp_path / "x.tar").form == "tar"
