"""A member of a zip is inflated piece by piece, with the same bytes and the same errors as zipfile gives."""

import io
import random
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from audit.errors import UnreadableEntryError
from audit.readers import inflate
from audit.readers.inflate import Inflated, InflateError, open_member
from audit.readers.zips import MIN_KEPT_BYTES, read_zip

# Compresses by about half, and has repetitions across the borders of every piece.
CONTENT = bytes(random.Random(1).choices(b"abcdefgh", k=300_000)) + b"z" * 300_000


def zipped(content: bytes = CONTENT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.so", content)
        archive.writestr("b.so", content[::-1])
    return file.getvalue()


def inflated(raw: bytes) -> Inflated:
    archive = zipfile.ZipFile(io.BytesIO(raw))
    found = open_member(archive, archive.getinfo("a.so"))
    assert isinstance(found, Inflated)
    return found


@pytest.mark.parametrize("length", [1_001, 4_096, 65_537, 600_000, 10_000_000])
def test_pieces_of_any_length_make_the_whole(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(inflate, "PIECE_BYTES", 10_000)
    content = inflated(zipped())
    pieces = []
    while piece := content.read(length):
        pieces.append(piece)
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= length


@pytest.mark.parametrize("every", [inflate.MARK_BYTES, 50_000, 1])
def test_going_back_and_on_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(inflate, "MARK_BYTES", every)
    monkeypatch.setattr(inflate, "PIECE_BYTES", 10_000)
    content, dice = inflated(zipped()), random.Random(2)
    for _ in range(100):
        at, length = dice.randrange(610_000), dice.randrange(1, 20_000)
        content.seek(at)
        assert content.read(length) == CONTENT[at : at + length]
    content.seek(0)
    assert content.read(len(CONTENT)) == CONTENT


def test_going_back_inflates_from_the_mark_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MARK_BYTES", 100_000)
    monkeypatch.setattr(inflate, "PIECE_BYTES", 10_000)
    content = inflated(zipped())
    content.seek(len(CONTENT))
    inflated_bytes: list[int] = []
    piece = Inflated._piece

    def counted(self: Inflated, length: int) -> bytes:
        found = piece(self, length)
        inflated_bytes.append(len(found))
        return found

    monkeypatch.setattr(Inflated, "_piece", counted)
    content.seek(10)
    assert content.read(10) == CONTENT[10:20]
    content.seek(510_000)
    assert content.read(10) == CONTENT[510_000:510_010]
    assert sum(inflated_bytes) < 120_000


def test_going_back_begins_anew_and_going_on_leaves_out() -> None:
    content = inflated(zipped())
    content.seek(500_000)
    assert content.read(3) == b"zzz"
    content.seek(7)
    assert content.read(100) == CONTENT[7:107]
    content.seek(10_000_000)
    assert content.read(1) == b""


def test_a_wrong_checksum_is_told_at_the_end_and_not_before() -> None:
    raw = bytearray(zipped())
    raw[raw.index(b"PK\x01\x02") + 16] ^= 1
    content = inflated(bytes(raw))
    assert content.read(1000) == CONTENT[:1000]
    with pytest.raises(zipfile.BadZipFile, match=r"Bad CRC-32 for file 'a\.so'"):
        content.read(len(CONTENT))


def altered(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]


@pytest.mark.parametrize("at", range(40, 100_000, 9_973))
def test_damage_anywhere_ends_as_it_does_with_zipfile(at: int) -> None:
    raw = altered(zipped(), at)
    with pytest.raises((zipfile.BadZipFile, InflateError, EOFError)):
        inflated(raw).read(len(CONTENT))
    with pytest.raises(Exception, match=r"Error -3|Bad CRC-32"), zipfile.ZipFile(io.BytesIO(raw)) as archive:
        archive.read("a.so")


def test_what_was_inflated_before_is_not_inflated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = read_zip(io.BytesIO(zipped()), "x.zip")
    with tree.entries["/a.so"].open() as content:
        assert content.read(MIN_KEPT_BYTES) == CONTENT[:MIN_KEPT_BYTES]
    read: list[int] = []
    piece = Inflated.read

    def counted(self: Inflated, length: int) -> bytes:
        read.append(length)
        return piece(self, length)

    monkeypatch.setattr(Inflated, "read", counted)
    with tree.entries["/a.so"].open() as content, tree.entries["/a.so"].open() as other:
        assert content.read(MIN_KEPT_BYTES + 5) == CONTENT[: MIN_KEPT_BYTES + 5]
        assert other.read(9) == CONTENT[:9]
    assert read == [5, 9]


def test_a_member_read_by_two_at_once_is_kept_once() -> None:
    tree = read_zip(io.BytesIO(zipped()), "x.zip")
    for _ in range(2):
        with tree.entries["/a.so"].open() as one, tree.entries["/a.so"].open() as other:
            assert one.read() == CONTENT
            assert other.read() == CONTENT


def test_threads_read_members_of_one_zip_each_right() -> None:
    tree = read_zip(io.BytesIO(zipped()), "x.zip")
    wanted = ["/a.so", "/b.so"] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: tree.read(path, len(CONTENT)), wanted))
    assert found == [CONTENT, CONTENT[::-1]] * 20


def test_a_damaged_member_is_damaged_for_every_reader() -> None:
    raw = bytearray(zipped())
    raw[raw.index(b"PK\x01\x02") + 16] ^= 1
    tree = read_zip(io.BytesIO(bytes(raw)), "x.zip")
    for _ in range(2):
        with pytest.raises(UnreadableEntryError, match="its checksum"):
            tree.read("/a.so", len(CONTENT))


def test_the_standard_library_will_do() -> None:
    code = (
        "import sys, io, zipfile; sys.modules['zlib_ng'] = None\n"
        "from audit.readers import inflate\n"
        "assert inflate.zlib.__name__ == 'zlib'\n"
        "archive = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n"
        "sys.stdout.buffer.write(inflate.open_member(archive, archive.getinfo('a.so')).read(1 << 20))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=zipped(), capture_output=True, check=True)
    assert done.stdout == CONTENT
