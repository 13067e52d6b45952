"""JUnit's XML: a suite for each target, a case for each rule, failures where the command fails."""

from xml.etree import ElementTree as ET

import pytest

import audit
from audit.rules import RULES
from tests.audited import bad, good


def suites(fail_on: audit.Severity = audit.Severity.ERROR) -> ET.Element:
    return ET.fromstring(audit.as_junit([bad(), good()], RULES, fail_on=fail_on))


def test_there_is_a_case_for_every_rule_of_every_target() -> None:
    root = suites()
    assert root.tag == "testsuites"
    for suite in root:
        assert [case.get("name") for case in suite] == [rule.key for rule in RULES]
        assert suite.get("tests") == str(len(RULES))
    assert root.get("tests") == str(2 * len(RULES))


def test_failures_are_the_rules_with_findings_as_bad_as_asked() -> None:
    failing = {finding.rule for finding in bad().findings if finding.severity is audit.Severity.ERROR}
    first, second = suites()
    assert {case.get("name") for case in first if case.find("failure") is not None} == failing
    assert first.get("failures") == str(len(failing))
    assert second.get("failures") == "0"
    assert suites().get("failures") == str(len(failing))


@pytest.mark.parametrize("fail_on", list(audit.Severity))
def test_every_finding_stands_in_its_case(fail_on: audit.Severity) -> None:
    text = "".join(suites(fail_on)[0].itertext())
    for finding in bad().findings:
        assert finding.remedy in text


def test_what_xml_cannot_hold_is_escaped() -> None:
    text = audit.as_junit([bad()], RULES)
    assert "\x1b" not in text
    assert r"\x1b[31m\u202e" in text
