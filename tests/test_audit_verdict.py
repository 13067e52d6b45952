"""The findings in words, and the verdict in one line."""

from dataclasses import replace

import pytest

import audit
from audit.printable import WIDTH
from audit.verdict import findings_text, verdict
from tests.audited import good

ONE = audit.Finding(
    rule="unresolved-needed",
    severity=audit.Severity.ERROR,
    subject="/a.so",
    message="needs libdl.so.2: not found",
    remedy="install it",
)


def test_what_is_said_in_the_same_words_of_several_files_is_said_once() -> None:
    other = replace(ONE, message="needs librt.so.1: not found")
    text = findings_text([ONE, other, replace(ONE, subject="/b.so"), replace(ONE, subject="/c.so")])
    assert text.splitlines() == [
        "Findings",
        "error: unresolved-needed: /a.so and 2 more",
        "  needs libdl.so.2: not found",
        "  To do: install it.",
        "error: unresolved-needed: /a.so",
        "  needs librt.so.1: not found",
        "  To do: install it.",
    ]


def test_every_finding_is_shown_when_asked_for() -> None:
    text = findings_text([ONE, replace(ONE, subject="/b.so")], verbose=True)
    assert [line for line in text.splitlines() if line.startswith("error")] == [
        "error: unresolved-needed: /a.so",
        "error: unresolved-needed: /b.so",
    ]


def test_a_long_rule_and_many_long_subjects_fit_the_width() -> None:
    many = [
        replace(ONE, rule="symlink-leaves-package", severity=audit.Severity.WARNING, subject=f"/{n:0>90}")
        for n in range(1234)
    ]
    assert max(map(len, findings_text(many).splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("name", "findings", "line"),
    [
        ("a.zip", 0, "Verdict: good. a.zip: 1 native file, 12,345 bytes of zip, no findings."),
        ("a.zip", 1, "Verdict: NOT GOOD. a.zip: 1 native file, 12,345 bytes of zip, 1 error."),
        ("a.zip", 2, "Verdict: NOT GOOD. a.zip: 1 native file, 12,345 bytes of zip, 2 errors."),
        (
            "x" * 99,
            2,
            f"Verdict: NOT GOOD. {'x' * 16}…{'x' * 17}: 1 native file, 12,345 bytes of zip, 2 errors.",
        ),
    ],
)
def test_the_verdict_is_one_line(name: str, findings: int, line: str) -> None:
    analysis = good().analysis
    path = next(iter(analysis.elves))
    tree = replace(analysis.target, name=name, archive_size=12_345)
    analysis = replace(
        analysis, target=tree, linked=replace(analysis.linked, elves={path: analysis.elves[path]})
    )
    assert verdict(analysis, [ONE] * findings) == line


def test_a_verdict_with_many_findings_keeps_the_name_and_fits_the_width() -> None:
    analysis = good().analysis
    tree = replace(
        analysis.target, name="/somewhere/in/a/long/folder/package-1.0-cp311.whl", archive_size=21_778_233
    )
    found = [replace(ONE, severity=severity) for severity in audit.Severity for _ in range(36)]
    line = verdict(replace(analysis, target=tree), found)
    assert len(line) <= WIDTH
    assert ". package-1.0-cp311.whl: " in line
    assert line.endswith("36 errors, 36 warnings, 36 notes.")
