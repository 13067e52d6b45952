"""Zips and wheels: read without unpacking, and what strangers put into them."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit
from audit.damage import checkable, damage
from audit.errors import AuditError, TooLargeError, UnreadableEntryError, UnreadableTargetError
from audit.readers import bombs, zips
from audit.readers.zips import read_zip
from audit.tree import Anomaly

ELF = (Path(__file__).parent / "fixtures/elf/trees/rpath-inherited/priv/liba.so").read_bytes()

# The start of a library for macOS: magic, processor, its variant, MH_DYLIB.
MACH_O = struct.pack("<4I", 0xFEEDFACF, 0x0100000C, 0, 6) + bytes(16)


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


PLAIN = zipped(("__main__.py", b"print()\n" * 99), ("lib/a.so", ELF), ("lib/b.so", ELF))


def test_entries_have_their_sizes_packed_and_unpacked() -> None:
    tree = read_zip(io.BytesIO(PLAIN), "x.zip")
    entry = tree.entries["/__main__.py"]
    assert (entry.kind, entry.size, entry.mode) == ("file", 792, 0o600)
    assert entry.compressed is not None
    assert 0 < entry.compressed < 100
    assert tree.archive_size == len(PLAIN)
    assert set(tree.entries) == {"/", "/__main__.py", "/lib", "/lib/a.so", "/lib/b.so"}


@pytest.mark.parametrize("in_memory", [zips.MAX_IN_MEMORY, 10])
def test_a_content_can_be_read_from_anywhere_in_any_order(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(zips, "MAX_IN_MEMORY", in_memory)
    with read_zip(io.BytesIO(PLAIN), "x.zip").entries["/lib/a.so"].open() as content:
        assert content.seek(-4, io.SEEK_END) == len(ELF) - 4
        assert content.read() == ELF[-4:]
        assert content.read(1) == b""
        content.seek(1)
        assert content.read(3) == b"ELF"
        content.seek(0)
        assert content.read() == ELF


def test_modes_and_symlinks_are_kept() -> None:
    content = zipped((with_mode("run", 0o100755), b"x"), (with_mode("link", 0o120777), b"run"))
    tree = read_zip(io.BytesIO(content), "x.zip")
    assert tree.entries["/run"].mode == 0o755
    assert tree.resolve("/link") == "/run"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unsafe_and_duplicate_names_are_anomalies() -> None:
    content = zipped(("../up", b""), ("/abs", b""), ("twice", b"1"), ("twice", b"2"))
    tree = read_zip(io.BytesIO(content), "x.zip")
    assert tree.anomalies == (
        Anomaly(kind="unsafe-name", name="../up"),
        Anomaly(kind="unsafe-name", name="/abs"),
        Anomaly(kind="duplicate-name", name="twice", alike=False),
    )
    assert tree.read("/twice", 9) == b"2"


def test_a_name_that_goes_on_after_nul_is_an_anomaly() -> None:
    content = zipped(("good.py0evil.so", b"")).replace(b"good.py0evil.so", b"good.py\0evil.so")
    assert read_zip(io.BytesIO(content), "x.zip").anomalies == (
        Anomaly(kind="unsafe-name", name="good.py\0evil.so"),
    )


@pytest.mark.parametrize("length", range(0, len(PLAIN), 64))
def test_a_zip_cut_short_is_refused_in_words(length: int) -> None:
    with pytest.raises(UnreadableTargetError, match=r"cannot read x.zip as a zip"):
        read_zip(io.BytesIO(PLAIN[:length]), "x.zip")


def claiming(size: int) -> bytes:
    """Give a zip whose central directory claims that its first entry has `size` bytes."""
    at = PLAIN.index(b"PK\x01\x02") + 24
    return PLAIN[:at] + struct.pack("<I", size) + PLAIN[at + 4 :]


def test_a_bomb_is_not_read() -> None:
    with pytest.raises(TooLargeError, match=r"claims to unpack to 4,294,9\d\d,\d+ bytes .* a zip bomb"):
        read_zip(io.BytesIO(claiming(0xFFFFFFF0)), "x.zip")


def test_a_zip_with_more_entries_than_are_read_is_refused_before_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bombs, "MAX_ENTRIES", 2)
    with pytest.raises(TooLargeError, match=r"x.zip has 3 entries, and 2 are read"):
        read_zip(io.BytesIO(PLAIN), "x.zip")


def test_entries_that_share_packed_bytes_are_refused() -> None:
    second = PLAIN.index(b"PK\x01\x02", PLAIN.index(b"PK\x01\x02") + 4) + 42
    with pytest.raises(TooLargeError, match=r"'lib/a.so' lies over the entry before it"):
        read_zip(io.BytesIO(PLAIN[:second] + bytes(4) + PLAIN[second + 4 :]), "x.zip")


def test_other_methods_than_stored_and_deflated_are_not_unpacked() -> None:
    tree = read_zip(io.BytesIO(zipped(("a", b"1"), method=zipfile.ZIP_LZMA)), "x.zip")
    with pytest.raises(UnreadableEntryError, match="packed by method 14"):
        tree.read("/a", 1)


def test_a_link_longer_than_the_kernel_takes_leads_nowhere() -> None:
    tree = read_zip(io.BytesIO(zipped((with_mode("a", 0o120777), b"./" * 3000))), "x.zip")
    assert tree.resolve("/a") == "/"
    assert tree.entries["/a"].target == ""


def encrypted(content: bytes) -> bytes:
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(magic) + offset
        content = content[:at] + b"\x01" + content[at + 1 :]
    return content


def wrong_checksum(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02") + 16
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def renamed(content: bytes) -> bytes:
    return content.replace(b"a.so", b"b.so", 1)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (encrypted, "it is encrypted"),
        (wrong_checksum, "its checksum (CRC-32) is wrong: it is damaged"),
        (renamed, "the zip's directory and its own header name it differently"),
    ],
)
def test_an_entry_that_cannot_be_read_says_why_without_its_name(
    harm: Callable[[bytes], bytes], words: str, method: int
) -> None:
    tree = read_zip(io.BytesIO(harm(zipped(("a.so", ELF), method=method))), "x.zip")
    with pytest.raises(UnreadableEntryError, match="cannot read it from the zip"):
        tree.read("/a.so", 1 << 20)
    findings = audit.check(audit.analyse(tree))
    assert [(finding.rule, finding.subject, finding.message) for finding in findings] == [
        ("unreadable-entry", "/a.so", f"cannot read it from the zip: {words}")
    ]


def test_an_entry_that_ends_before_its_claimed_size_is_read_as_far_as_it_goes() -> None:
    tree = read_zip(io.BytesIO(claiming(10_000)), "x.zip")
    assert tree.read("/__main__.py", 10_000) == b"print()\n" * 99
    findings = {finding.rule: finding.message for finding in audit.check(audit.analyse(tree))}
    assert findings["unreadable-entry"] == "cannot read it from the zip: it ends after 792 of 10,000 bytes"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("in_memory", [zips.MAX_IN_MEMORY, 10])
@pytest.mark.parametrize("name", ["lib/a.so", "data/weights.bin", "a.py"])
def test_damage_behind_the_part_that_rules_look_at_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, in_memory: int, method: int
) -> None:
    monkeypatch.setattr(zips, "MAX_IN_MEMORY", in_memory)
    behind = random.Random(1).randbytes(100_000)
    content = zipped((name, ELF + behind), ("b.so", ELF), method=method)
    at = content.index(b"PK\3\4", 1) - 9  # the last bytes of the first entry
    for harmed in (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], content):
        findings = audit.check(audit.analyse(read_zip(io.BytesIO(harmed), "x.zip")))
        found = [finding.subject for finding in findings if finding.rule == "unreadable-entry"]
        assert found == ([] if harmed == content else [f"/{name}"])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_entry_that_claims_to_be_empty_and_has_a_checksum_is_damaged(method: int) -> None:
    raw = bytearray(zipped(("lib/a.so", ELF), ("b", b""), method=method))
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 0)  # its size in the directory
    tree = read_zip(io.BytesIO(bytes(raw)), "x.zip")
    assert [*damage(tree, checkable(tree, tree.entries))] == ["/lib/a.so"]


def test_what_was_read_to_its_end_is_not_inflated_again_to_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = read_zip(io.BytesIO(PLAIN), "x.zip")
    for path in ("/__main__.py", "/lib/a.so", "/lib/b.so"):
        tree.read(path, 1 << 20)
    monkeypatch.setattr(zips, "open_member", None)
    assert damage(tree, checkable(tree, tree.entries)) == {}


def test_no_more_than_the_limit_is_inflated_to_be_checked() -> None:
    tree = read_zip(io.BytesIO(zipped(("b.so", ELF), ("a", b"a" * 99))), "x")
    assert checkable(tree, tree.entries, limit=98) == ()
    assert checkable(tree, tree.entries, limit=100) == ("/a",)
    assert checkable(tree, tree.entries, limit=99 + len(ELF)) == ("/a", "/b.so")


def report(content: bytes) -> str:
    """Give the whole report on an archive, or the words with which it is refused."""
    try:
        analysis = audit.analyse(read_zip(io.BytesIO(content), "x.zip"))
    except AuditError as error:
        return str(error)
    return audit.as_tables(analysis, audit.check(analysis))


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=4)), max_size=5)
)
def test_an_altered_zip_is_audited_or_refused_in_words(changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(PLAIN)
    for at, new in changes:
        content[at : at + len(new)] = new
    assert report(bytes(content))


def test_large_files_read_ahead_by_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"lib/{number}.so" for number in range(9)]
    content = zipped(*((name, ELF + bytes(1000 * at)) for at, name in enumerate(names)), ("a.dll", MACH_O))

    def result(least: int) -> tuple[object, ...]:
        monkeypatch.setattr("audit.damage.LARGE_BYTES", least)
        analysis = audit.analyse(read_zip(io.BytesIO(content), "x.zip"))
        return (list(analysis.elves), analysis.foreign, analysis.graph, audit.check(analysis))

    assert result(least=0) == result(least=1 << 40)
    assert result(least=0)[1] == {"/a.dll": "macOS (Mach-O)"}
