"""What the findings say of names that no archive should hold, or should hold once."""

import io
import stat
import warnings
import zipfile

import pytest

import audit
from audit.readers.tars import read_tar
from audit.readers.zips import read_zip
from audit.rules.names import fault
from audit.tree import normalise
from tests.test_audit_tars import member, tarred


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is empty"),
        ("./", "is that of the top folder"),
        ("/", "is absolute"),
        ("/etc/passwd", "is absolute"),
        ("a/../b", "holds .."),
        ("a\0b", "holds NUL"),
        ("n" * 4096, "is too long"),
        ("/../a", "is absolute and holds .."),
    ],
)
def test_an_unsafe_name_is_told_what_is_wrong_with_it(name: str, words: str) -> None:
    assert normalise(name) in (None, "/")
    assert fault(name) == words


def test_each_unsafe_name_is_one_finding_under_its_own_name() -> None:
    tree = read_tar(io.BytesIO(tarred(member("../a"), member("../a"), member("/b"))), "x.tar")
    findings = [each for each in audit.check(audit.analyse(tree)) if each.rule == "unsafe-name"]
    assert [(each.subject, each.about, each.message) for each in findings] == [
        ("../a", "", "the entry's name holds ..; it was left out of the audit"),
        ("/b", "", "the entry's name is absolute; it was left out of the audit"),
    ]


def test_a_zips_name_is_audited_up_to_its_nul() -> None:
    content = zipped(("a0b", b"")).replace(b"a0b", b"a\0b")
    tree = read_zip(io.BytesIO(content), "x.zip")
    assert "/a" in tree.entries
    (message,) = [each.message for each in audit.check(audit.analyse(tree)) if each.rule == "unsafe-name"]
    assert message == "the entry's name holds NUL; the part before it was audited"


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted(content: bytes) -> bytes:
    """Set the flag of each entry of the directory."""
    parts = content.split(b"PK\x01\x02")
    return b"PK\x01\x02".join([parts[0], *(part[:4] + b"\x01" + part[5:] for part in parts[1:])])


SIX = [(f"{name}.py", b"1") for name in "abcdef"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(*SIX), None),
        (zipped(("a", b"1"), ("a", b"1")), "1 name more than once, with the same content: a"),
        (zipped(("a", b"1"), ("./a", b"1")), "1 name more than once, with the same content: ./a"),
        (
            zipped(*SIX, *SIX),
            "6 names more than once, each with the same content: a.py, b.py, c.py and 3 more",
        ),
        (
            zipped(("a", b"1"), ("a", b"2")),
            "1 name more than once, with different content: a; the last one was audited",
        ),
        (
            zipped(("a", b"1"), ("a", b"2"), ("a", b"2")),
            "1 name more than once, with different content: a; the last one was audited",
        ),
        (
            zipped((link("a"), b"1"), ("a", b"1")),
            "1 name more than once, with different content: a; the last one was audited",
        ),
        (
            zipped(*SIX, *SIX[:3], ("d.py", b"2"), ("e.py", b"2")),
            "5 names more than once, 2 of them with different content: d.py, e.py; the last one of each was audited",
        ),
        (
            zipped(("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", b"2")),
            "2 names more than once, with different content: a, b; the last one of each was audited",
        ),
        (encrypted(zipped(("a", b"1"), ("a", b"2"))), "1 name more than once: a; the last one was audited"),
        (tarred(member("a", b"1"), member("a", b"1")), "1 name more than once: a; the last one was audited"),
    ],
)
def test_names_held_more_than_once_are_one_finding_of_the_archive(
    content: bytes, message: str | None
) -> None:
    read = read_zip if content.startswith(b"PK") else read_tar
    findings = audit.check(audit.analyse(read(io.BytesIO(content), "x")))
    found = [(each.subject, each.message) for each in findings if each.rule == "duplicate-name"]
    assert found == ([] if message is None else [("x", f"it holds {message}")])
