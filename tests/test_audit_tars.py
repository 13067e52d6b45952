"""Tars of a root file system: read in place, and what strangers put into them."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit
from audit.errors import AuditError, UnreadableTargetError
from audit.readers import tars
from audit.readers.tars import read_tar, window
from audit.tree import Anomaly

ELF = (Path(__file__).parent / "fixtures/elf/trees/rpath-inherited/priv/liba.so").read_bytes()


def tarred(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode, info.uid = len(content), kind, link, 0o4755, 7
    return info, content


PLAIN = tarred(
    member("./usr/lib", kind=tarfile.DIRTYPE),
    member("./usr/lib/a.so", ELF),
    member("./usr/lib/same.so", kind=tarfile.LNKTYPE, link="./usr/lib/a.so"),
    member("./lib", kind=tarfile.SYMTYPE, link="usr/lib"),
    member("./dev/null", kind=tarfile.CHRTYPE),
    member("./" + "long/" * 50 + "name", b"x"),
)


def test_entries_are_read_with_modes_owners_and_links() -> None:
    tree = read_tar(io.BytesIO(PLAIN), "x.tar")
    entry = tree.entries["/usr/lib/a.so"]
    assert (entry.kind, entry.size, entry.mode, entry.uid) == ("file", len(ELF), 0o4755, 7)
    assert tree.entries["/usr/lib/same.so"].same_as == "/usr/lib/a.so"
    assert tree.entries["/dev/null"].kind == "other"
    assert tree.read("/lib/same.so", 1 << 20) == ELF
    assert tree.read("/" + "long/" * 50 + "name", 9) == b"x"


def test_a_tar_packed_with_gzip_reads_the_same() -> None:
    plain, packed = read_tar(io.BytesIO(PLAIN), "x"), read_tar(io.BytesIO(gzip.compress(PLAIN)), "x")
    assert plain.entries == packed.entries
    assert packed.read("/lib/a.so", 1 << 20) == ELF


def test_unsafe_and_duplicate_names_are_anomalies() -> None:
    content = tarred(member("../up"), member("/abs"), member("twice", b"1"), member("twice", b"2"))
    tree = read_tar(io.BytesIO(content), "x.tar")
    assert [(anomaly.kind, anomaly.name) for anomaly in tree.anomalies] == [
        ("unsafe-name", "../up"),
        ("unsafe-name", "/abs"),
        ("duplicate-name", "twice"),
    ]
    assert Anomaly(kind="unsafe-name", name="../up") in tree.anomalies
    assert tree.read("/twice", 9) == b"2"


def test_a_hard_link_to_nothing_has_no_content() -> None:
    tree = read_tar(io.BytesIO(tarred(member("a", kind=tarfile.LNKTYPE, link="../../etc/passwd"))), "x.tar")
    assert tree.entries["/a"].kind == "other"


def cut_points() -> list[int]:
    """Every 64th byte of the entries, but for the places between two entries, where a tar may well end."""
    with tarfile.open(fileobj=io.BytesIO(PLAIN)) as archive:
        last = archive.getmembers()[-1]
    with tarfile.open(fileobj=io.BytesIO(PLAIN)) as archive:
        between = {info.offset for info in archive}
    return [at for at in range(0, last.offset_data, 64) if at and at not in between]


def test_a_tar_cut_short_is_refused_in_words() -> None:
    for length in cut_points():
        with pytest.raises(UnreadableTargetError, match=r"cannot read x.tar as a tar"):
            read_tar(io.BytesIO(PLAIN[:length]), "x.tar")


def with_header(content: bytes, start: int, field: bytes) -> bytes:
    """Write a field into the first header and mend its checksum."""
    header = bytearray(content[:512])
    header[start : start + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content[512:]


@pytest.mark.parametrize(
    ("start", "field", "words"),
    [
        (124, b"\xff" * 12, "a negative size"),
        (124, b"77777777777\0", "goes on after the end"),
        (156, b"x", "cannot read"),
        (156, b"L", "cannot read"),
    ],
)
def test_a_size_that_lies_is_refused_in_words(start: int, field: bytes, words: str) -> None:
    content = with_header(tarred(member("a", b"x" * 600), form=tarfile.USTAR_FORMAT), start, field)
    with pytest.raises(UnreadableTargetError, match=words):
        read_tar(io.BytesIO(content), "x.tar")


def test_an_extended_header_is_no_place_for_a_bomb() -> None:
    content = tarred(member("a", b" " * (tars.MAX_TAR_HEADER + 1)), form=tarfile.USTAR_FORMAT)
    with pytest.raises(UnreadableTargetError, match="an extended header of 1,048,577 bytes"):
        read_tar(io.BytesIO(with_header(content, 156, b"x")), "x.tar")


@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_many_extended_headers_are_no_place_for_a_bomb_either(
    kind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tars, "MAX_GLOBAL_HEADERS" if kind == b"g" else "MAX_TAR_HEADERS", 30)
    record = b"11 key=val\n"
    one = with_header(tarred(member("h", record), form=tarfile.USTAR_FORMAT)[:1024], 156, kind)
    file = tarred(member("a"), form=tarfile.USTAR_FORMAT)
    assert read_tar(io.BytesIO((one + file[:512]) * 2 + file[512:]), "x.tar").resolve("/a") == "/a"
    with pytest.raises(UnreadableTargetError, match="extended headers that take more room"):
        read_tar(io.BytesIO((one + file[:512]) * 3 + file[512:]), "x.tar")


def test_headers_without_end_are_refused_in_words() -> None:
    longname = with_header(
        tarred(member("././@LongLink", b"n" * 512), form=tarfile.USTAR_FORMAT)[:1024], 156, b"L"
    )
    with pytest.raises(UnreadableTargetError, match=r"RecursionError|recursion"):
        read_tar(io.BytesIO(longname * 3000), "x.tar")


def test_windows_on_one_file_do_not_disturb_each_other() -> None:
    file = io.BytesIO(bytes(range(100)))
    one, two = window(file, 10, 20), window(window(file, 40, 50), 10, 100)
    assert one.read(2) == bytes([10, 11])
    assert two.read() == bytes(range(50, 90))
    assert one.read() == bytes(range(12, 30))
    assert two.seek(-1, io.SEEK_END) == 39


def report(content: bytes) -> str:
    """Give the whole report on an archive, or the words with which it is refused."""
    try:
        analysis = audit.analyse(read_tar(io.BytesIO(content), "x.tar"))
    except AuditError as error:
        return str(error)
    return audit.as_tables(analysis, audit.check(analysis))


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5
    )
)
def test_an_altered_tar_is_audited_or_refused_in_words(changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(PLAIN)
    for at, new in changes:
        content[at : at + len(new)] = new
    for start in range(0, len(content) - 511, 512):  # as an attacker would
        if content[start + 257 : start + 262] == b"ustar":
            content[start : start + 512] = with_header(bytes(content[start : start + 512]), 148, b"")
    assert report(bytes(content))
