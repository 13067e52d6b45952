"""What changed since an earlier report: bytes, libraries, findings."""

import copy
import json
from typing import Any

import pytest

import audit
from audit.baseline import Delta, Relinked
from audit.errors import AuditError
from tests.audited import PLUGIN, bad, content, good, judged, zipped


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
    assert audit.read_baseline(json.dumps(documents), "b.json", 2) == documents


@pytest.mark.parametrize(
    ("content", "targets", "words"),
    [
        ("{", 1, "is no JSON"),
        ("[" * 100_000, 1, "is no JSON"),
        ("{}", 1, "is no baseline"),
        ("[1]", 1, "is no baseline"),
        ('[{"schema": "under48-audit/0"}]', 1, "under48-audit/1 is read"),
        ('[{"schema": "under48-audit/1"}]', 2, "reports of 1 targets, where 2"),
    ],
)
def test_what_is_no_baseline_is_refused_in_words(content: str, targets: int, words: str) -> None:
    with pytest.raises(AuditError, match=words):
        audit.read_baseline(content, "b.json", targets)


@pytest.mark.parametrize("key", ["target", "summary", "files", "packages", "linkage", "findings"])
@pytest.mark.parametrize("junk", [None, 7, "x", [1], [{}], {"a": 1}])
def test_a_damaged_baseline_is_refused_in_words(key: str, junk: object) -> None:
    now = audit.as_json(*good())
    with pytest.raises(AuditError, match=r"old\.json is damaged"):
        audit.compare({**copy.deepcopy(now), key: junk}, now, "old.json")
