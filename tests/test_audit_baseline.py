"""What changed since an earlier report: bytes, libraries, findings."""

import copy
import json
from typing import Any

import pytest

import audit
from audit.baseline import Delta, Relinked
from audit.errors import AuditError
from tests.audited import PLUGIN, TREES, bad, content, good, judged, zipped


def report(files: dict[str, bytes], runtime: str = "default-path-lib-before-usr-lib") -> dict[str, Any]:
    return audit.as_json(*judged(zipped(files), runtime=runtime))


def test_the_same_target_has_not_changed() -> None:
    document = audit.as_json(*bad())
    changes = audit.compare(document, json.loads(json.dumps(document)))
    assert not changes.any
    assert [*changes.files, *changes.new, *changes.gone, *changes.relinked] == []


def test_bytes_that_came_went_and_grew_are_listed_largest_first() -> None:
    changes = audit.compare(
        report({"gone": bytes(10), "grew": bytes(5), "same": b"x"}),
        report({"came": bytes(300), "grew": bytes(45), "same": b"x"}),
    )
    assert changes.files == (
        Delta("/action/came", None, 300),
        Delta("/action/grew", 5, 45),
        Delta("/action/gone", 10, None),
    )
    assert [delta.change for delta in changes.files] == [300, 40, -10]
    assert changes.sizes[0] == Delta("files", 16, 346)
    assert changes.any


def test_libraries_and_findings_that_came_and_went_are_listed() -> None:
    before, now = report({"a.so": content(PLUGIN)}), report({"b.so": content(PLUGIN)[:300]})
    changes = audit.compare(before, now)
    assert [delta.name for delta in changes.libraries] == ["/action/a.so"]
    assert ("malformed-elf", "error") in {(verdict.rule, verdict.severity) for verdict in changes.new}
    assert {verdict.rule for verdict in audit.compare(now, before).gone} >= {"malformed-elf"}


def test_a_library_found_elsewhere_is_listed() -> None:
    files = {"a.so": content(PLUGIN)}
    before, now = report(files), report(files, runtime="no-elf-file-ends-the-search")
    assert Relinked("/action/a.so", "liba.so", "/lib/liba.so", None) in audit.compare(before, now).relinked


def test_what_was_saved_is_read_again() -> None:
    documents = [audit.as_json(*good()), audit.as_json(*bad())]
    baseline = audit.read_baseline(json.dumps(documents), "b.json")
    assert baseline == audit.Baseline(name="b.json", documents=tuple(documents))
    assert [changes.any for changes in baseline.changes(documents)] == [False, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("{}", "is no baseline"),
        ("[1]", "is no baseline"),
        ('[{"schema": "under48-audit/0"}]', "under48-audit/1 is read"),
    ],
)
def test_what_is_no_baseline_is_refused_in_words(content: str, words: str) -> None:
    with pytest.raises(AuditError, match=words):
        audit.read_baseline(content, "b.json")


def test_a_baseline_of_another_number_of_targets_is_refused_in_words() -> None:
    document = audit.as_json(*good())
    baseline = audit.read_baseline(json.dumps([document]), "b.json")
    with pytest.raises(AuditError, match="reports of 1 targets, where 2"):
        baseline.changes([document, document])


@pytest.mark.parametrize("key", ["target", "summary", "files", "packages", "linkage", "findings"])
@pytest.mark.parametrize("junk", [None, 7, "x", [1], [{}], {"a": 1}])
def test_a_damaged_baseline_is_refused_in_words(key: str, junk: object) -> None:
    now = audit.as_json(*good())
    with pytest.raises(AuditError, match=r"old\.json is damaged"):
        audit.compare({**copy.deepcopy(now), key: junk}, now, "old.json")


def everything_at_fault(extra: dict[str, bytes], name: str = "action.zip") -> dict[str, Any]:
    """Report on all fixtures in one zip, most of which have something wrong, and what packages leave behind."""
    folder = TREES.parent
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in (".py", ".json", ".toml")
    }
    large = bytes(range(256)) * 8192
    left = {
        **{f"pkg/tests/test_{at}.py": b"%d" % at + large for at in range(2)},
        **{f"pkg/.git/{at}": large for at in range(2)},
        "pkg/lib.h": large + b"h",
        "m/x.cpython-310-x86_64-linux-gnu.so": (folder / "python" / "math.so").read_bytes(),
        "m/y.cpython-310-x86_64-linux-gnu.so": (folder / "python" / "numpy1.so").read_bytes(),
        "../away": b"",
        **{f"numpy-2.0.0.dist-info/{one}": b"Metadata-Version: 2.1\n" for one in ("WHEEL", "METADATA")},
    }
    runtime = zipped({"usr/lib/python3.11/os.py": b"", "usr/bin/python3.11": b""}, "runtime")
    analysis = audit.analyse(
        zipped({**files, **left, **extra}, name), runtime=runtime, limit=audit.Limit(bytes=1000)
    )
    return audit.as_json(*audit.judge(analysis))


LINKAGE = "linkage/trees/reached-named-and-forgotten/app"
MORE: dict[str, dict[str, bytes]] = {
    "one more file": {"a.txt": b"x"},
    "one more byte": {"pkg/lib.h": bytes(range(256)) * 8192 + b"hh"},
    "one more file that sorts first among those of a finding": {
        "m/a.cpython-310-x86_64-linux-gnu.so": content("../python/math.so"),
        "pkg/tests/a.py": bytes(1 << 22),
        f"{LINKAGE}/libaaa.so": content(f"../{LINKAGE}/libforgotten.so"),
    },
}


@pytest.mark.parametrize("extra", MORE.values(), ids=MORE)
def test_what_is_still_at_fault_in_the_next_build_is_neither_new_nor_gone(extra: dict[str, bytes]) -> None:
    before, now = everything_at_fault({}), everything_at_fault(extra, "another name")
    changes = audit.compare(before, now)
    assert len({finding["rule"] for finding in before["findings"]}) > 20
    assert changes.files
    own = {f"/action/{path}" for path in extra}  # what the new file itself is at fault for is new
    assert [one for one in (*changes.new, *changes.gone) if one.subject not in own] == []


def test_findings_of_one_target_are_told_apart() -> None:
    findings = everything_at_fault({})["findings"]
    ids = [finding["id"] for finding in findings]
    assert sorted(f["message"] for f in findings if ids.count(f["id"]) > 1) == []
