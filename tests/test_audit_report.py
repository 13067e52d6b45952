"""The document for programs: what its schema says is what it holds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import audit
from audit.report import SCHEMA, fingerprint
from tests.audited import TREES, bad, good, judged

jsonschema = pytest.importorskip("jsonschema")

DESCRIBED = json.loads((Path(audit.__file__).parent / "schema.json").read_text())


def valid(documents: list[dict[str, Any]]) -> None:
    checker = jsonschema.Draft202012Validator
    checker.check_schema(DESCRIBED)
    checker(DESCRIBED).validate(json.loads(json.dumps(documents)))


@pytest.mark.parametrize("make", [good, bad])
def test_reports_are_as_the_schema_says(make: Any) -> None:
    valid([audit.as_json(*make())])


@pytest.mark.parametrize("tree", sorted(path.name for path in TREES.iterdir()))
def test_reports_of_every_tree_of_fixtures_are_as_the_schema_says(tree: str) -> None:
    valid([audit.as_json(*judged(audit.read(TREES / tree), limit=1))])


def test_a_report_with_changes_is_as_the_schema_says() -> None:
    before, now = audit.as_json(*good()), audit.as_json(*bad())
    valid([now | {"changes": audit.changes_as_json(audit.compare(before, now))}])


def test_a_report_with_what_was_observed_is_as_the_schema_says() -> None:
    seen = audit.Observation(name="o", paths=("/app/prog", "/elsewhere.so"))
    folder = TREES.parent / "linkage" / "trees" / "reached-named-and-forgotten"
    document = audit.as_json(*audit.judge(audit.analyse(audit.read(folder), observation=seen)))
    valid([document])
    assert document["observed"]["mapped"] == ["/app/prog"]
    assert document["observed"]["elsewhere"] == ["/elsewhere.so"]
    assert "/app/libforgotten.so" in document["observed"]["never"]


def test_what_was_observed_is_told_with_all_that_is_below_and_what_may_be(tmp_path: Path) -> None:
    library = (TREES.parent / "linkage/trees/reached-named-and-forgotten/app/libforgotten.so").read_bytes()
    files = {"x/a.so": library + b"\0b.so", "x/b.so": library, "x/c.so": library, "usr/lib/d.so": library}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    seen = audit.Observation(name="o", paths=("/elsewhere.so", *sorted(f"/{path}" for path in files)))
    document = audit.as_json(*audit.judge(audit.analyse(audit.read(tmp_path), observation=seen)))
    valid([document])
    observed = document["observed"]
    assert observed["unforeseen"] == ["/x/a.so", "/x/c.so"]
    assert observed["behind_unforeseen"] == {"/x/a.so": ["/x/b.so"]}
    assert observed["perhaps"] == ["/usr/lib/d.so"]
    described = DESCRIBED["$defs"]["report"]["properties"]["observed"]["properties"]
    assert observed.keys() == described.keys()


def test_the_schema_knows_every_key_of_a_report() -> None:
    keys = audit.as_json(*bad()).keys()
    assert keys - DESCRIBED["$defs"]["report"]["properties"].keys() == set()
    assert DESCRIBED["$id"] == DESCRIBED["$defs"]["report"]["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize("key", ["findings", "summary", "schema", "linkage"])
def test_the_schema_refuses_a_report_without(key: str) -> None:
    document = audit.as_json(*good())
    del document[key]
    with pytest.raises(jsonschema.ValidationError):
        valid([document])


def test_a_finding_is_known_again_by_what_it_is_about_and_not_by_its_words() -> None:
    one = audit.Finding(
        rule="r",
        severity=audit.Severity.NOTE,
        subject="/a1",
        message="1,234 bytes of 5.",
        remedy="x",
        about="z",
    )
    assert fingerprint(one) == fingerprint(replace(one, message="99 bytes in b.so", remedy="y"))
    others = [replace(one, subject="/a2"), replace(one, rule="q"), replace(one, about="y")]
    assert fingerprint(one) not in [fingerprint(other) for other in others]


def test_a_finding_about_the_whole_target_is_known_again_under_another_name() -> None:
    one = audit.Finding(rule="r", severity=audit.Severity.NOTE, subject="app:1", message="m", remedy="x")
    assert fingerprint(one, "app:1") == fingerprint(replace(one, subject="app:2"), "app:2")
    assert fingerprint(one, "app:1") != fingerprint(one, "other")


def test_the_status_in_the_report_is_that_of_the_command() -> None:
    analysis = good().analysis
    note = audit.Finding(rule="r", severity=audit.Severity.NOTE, subject="s", message="m", remedy="x")
    assert audit.as_json(analysis, [note])["exit_status"] == 0
    assert audit.as_json(analysis, [note], fail_on=audit.Severity.NOTE)["exit_status"] == 1
