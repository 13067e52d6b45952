"""The RECORD of a wheel: what is listed, and whether the files are what it says."""

import base64
import hashlib

import pytest

import audit
from audit.records import RecordFaults, record_faults
from tests.audited import zipped

NAME = "a-1-py3-none-any.whl"
INFO = "a-1.dist-info"
WHEEL = b"Wheel-Version: 1.0\nTag: py3-none-any\n"


def row(name: str, content: bytes, algorithm: str = "sha256", size: int | None = None) -> str:
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode().rstrip("=")
    return f"{name},{algorithm}={digest},{len(content) if size is None else size}"


def faults(rows: list[str], *, limit: int = 1 << 20, **more: bytes) -> RecordFaults:
    files = {"a.py": b"print()", f"{INFO}/WHEEL": WHEEL, **more}
    record = "\n".join([row(f"{INFO}/WHEEL", WHEEL), *rows, f"{INFO}/RECORD,,"]).encode()
    return record_faults(zipped({**files, f"{INFO}/RECORD": record}, NAME), f"/{INFO}", limit)


GOOD = row("a.py", b"print()")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([GOOD], ((), (), (), ())),
        ([row("a.py", b"print()", "sha512")], ((), (), (), ())),
        (["a.py,,"], ((), (), (), ())),
        ([row("a.py", b"other??")], (("/a.py",), (), (), ())),
        ([row("a.py", b"print()", size=8)], (("/a.py",), (), (), ())),
        ([row("a.py", b"print()", "md5")], (("/a.py",), (), (), ())),
        ([], ((), ("/a.py",), (), ())),
        ([GOOD, "ghost.py,,"], ((), (), ("/ghost.py",), ())),
        ([f"a.py,sha256={hashlib.sha256(b'print()').hexdigest()},7"], ((), (), (), ("/a.py",))),
        ([f"a.py,sha256={hashlib.sha256(b'other??').hexdigest()},7"], (("/a.py",), (), (), ())),
    ],
)
def test_each_file_is_held_against_its_row(rows: list[str], expected: tuple[tuple[str, ...], ...]) -> None:
    assert faults(rows) == expected


def test_files_beyond_the_limit_are_compared_by_size_alone() -> None:
    assert faults([row("a.py", b"other??")], limit=5).differ == ()
    assert faults([row("a.py", b"longer than that")], limit=5).differ == ("/a.py",)


def test_a_wheel_without_record_is_not_judged() -> None:
    assert record_faults(zipped({"a.py": b""}, NAME), f"/{INFO}") == RecordFaults((), (), ())


def test_it_is_a_warning_in_a_wheel_and_nothing_where_a_wheel_was_installed() -> None:
    record = f"a.py,sha256=AAAA,7\n{INFO}/WHEEL,,\n{INFO}/RECORD,,\n".encode()
    files = {"a.py": b"print()", f"{INFO}/WHEEL": WHEEL, f"{INFO}/RECORD": record}
    (finding,) = [f for f in audit.judge(audit.analyse(zipped(files, NAME))).findings if "record" in f.rule]
    assert (finding.subject, finding.severity) == (f"/{INFO}/RECORD", audit.Severity.WARNING)
    assert finding.message == "1 file not as RECORD says: /a.py"
    assert not [f for f in audit.judge(audit.analyse(zipped(files, "a.zip"))).findings if "record" in f.rule]
