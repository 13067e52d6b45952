"""Severities, thresholds and waivers of audit.toml, applied to the findings of real trees."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit.config import Config, parse_config
from audit.readers.folder import read_folder
from audit.rules import THRESHOLDS, Severity, judged

TREE = Path(__file__).parent / "fixtures" / "elf" / "trees" / "no-elf-file-ends-the-search"
TODAY = dt.date(2026, 11, 22)
INTERPRETER, LIBRARY = "needs /lib64/ld-linux-x86-64.so.2", "needs liba.so"
WAIVER = '[[waiver]]\nrule = "unresolved-needed"\nsubject = "{}"\nreason = "later"\nuntil = {}\n'


def analysed(text: str) -> audit.Analysis:
    config: Config = parse_config(text, "audit.toml", THRESHOLDS, TODAY)
    system = replace(read_folder(TREE), form="image")  # of which everything must be inside
    return audit.analyse(system, config=config)


def unresolved(text: str) -> list[audit.Finding]:
    return [finding for finding in audit.check(analysed(text)) if finding.rule == "unresolved-needed"]


def test_without_a_file_a_rule_has_its_own_severity() -> None:
    assert [finding.severity for finding in unresolved("")] == [Severity.ERROR] * 2


@pytest.mark.parametrize("word", ["note", "warning", "error"])
def test_a_severity_of_the_file_goes_before_the_rules_own(word: str) -> None:
    findings = unresolved(f'[rule.unresolved-needed]\nseverity = "{word}"')
    assert [finding.severity.name.lower() for finding in findings] == [word] * 2


def test_a_rule_that_is_off_finds_nothing() -> None:
    assert unresolved('[rule.unresolved-needed]\nseverity = "off"') == []


@pytest.mark.parametrize(("share", "found"), [(0.5, True), (1.0, False)])
def test_a_threshold_of_the_file_goes_before_the_rules_own(share: float, *, found: bool) -> None:
    budget = '[[budget]]\nwhole = true\nat_most = 5000\nreason = "x"\n'
    rules = [finding.rule for finding in audit.check(analysed(f"{budget}[rule.near-limit]\nshare = {share}"))]
    assert ("near-limit" in rules) is found


@pytest.mark.parametrize(
    ("subject", "until", "left", "about"),
    [
        ("/app/*", "2026-11-22", 0, []),
        ("/app/*", "2026-11-21", 2, ["expired-waiver"]),
        ("**", "2027-01-01", 0, []),
        ("/lib/*", "2027-01-01", 2, ["unused-waiver"]),
        ("/lib/*", "2026-01-01", 2, ["expired-waiver"]),
    ],
)
def test_a_waiver_holds_for_its_subjects_until_its_last_day_and_is_a_finding_when_it_does_not(
    subject: str, until: str, left: int, about: list[str]
) -> None:
    findings, waived = judged(analysed(WAIVER.format(subject, until)))
    assert sum(finding.rule == "unresolved-needed" for finding in findings) == left
    assert len(waived) == 2 - left
    assert [finding.rule for finding in findings if "waiver" in finding.rule] == about
    assert all(one.waiver.reason == "later" for one in waived)


def test_an_expired_waiver_says_when_and_why() -> None:
    (finding,) = [
        one for one in audit.check(analysed(WAIVER.format("**", "2026-01-01"))) if "waiver" in one.rule
    ]
    assert finding.severity == Severity.WARNING
    assert "of unresolved-needed expired on 2026-01-01 (its reason: later)" in finding.message


def test_waivers_cannot_excuse_what_is_said_of_waivers() -> None:
    expired = WAIVER.format("**", "2026-01-01")
    other = '[[waiver]]\nrule = "expired-waiver"\nreason = "x"\nuntil = 2027-01-01\n'
    rules = [finding.rule for finding in audit.check(analysed(expired + other))]
    assert rules.count("expired-waiver") == 1


def test_of_two_waivers_that_cover_the_same_none_counts_as_unused() -> None:
    twice = WAIVER.format("**", "2027-01-01") + WAIVER.format("/app/*", "2027-01-01")
    assert "unused-waiver" not in [finding.rule for finding in audit.check(analysed(twice))]
