"""Puts findings into JUnit's XML, which every CI shows: a suite for each target, a case for each rule."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # only written here, never parsed

from audit.printable import printable
from audit.rules import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.analysis import Analysis
    from audit.report import Judged
    from audit.rules import Finding, Rule


def as_junit(
    judged: Iterable[Judged],
    rules: Sequence[Rule],
    *,
    fail_on: Severity = Severity.ERROR,
) -> str:
    """Give the XML document; a case fails when its rule has a finding at least as bad as `fail_on`.

    There is no schema that JUnit itself publishes; elements and attributes are those that Jenkins, GitLab and
    GitHub's report actions all read.
    """
    suites = ET.Element("testsuites", name="under48 audit")
    total = failed = 0
    for analysis, findings, _ in judged:
        suite = _suite(analysis, findings, rules, fail_on)
        suites.append(suite)
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0))
    suites.set("tests", str(total))
    suites.set("failures", str(failed))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False)


def _suite(
    analysis: Analysis, findings: Sequence[Finding], rules: Sequence[Rule], fail_on: Severity
) -> ET.Element:
    of_rule: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        of_rule[finding.rule].append(finding)
    keys = list(dict.fromkeys((*(rule.key for rule in rules), *of_rule)))
    name = printable(analysis.target.name)
    suite = ET.Element("testsuite", name=name, tests=str(len(keys)), errors="0", skipped="0")
    failures = 0
    for key in keys:
        case = ET.SubElement(suite, "testcase", name=key, classname=f"audit.{name}", time="0")
        bad = [finding for finding in of_rule[key] if finding.severity >= fail_on]
        rest = [finding for finding in of_rule[key] if finding.severity < fail_on]
        if bad:
            failures += 1
            count = f"{len(bad)} finding{'s' if len(bad) != 1 else ''}"
            worst = max(finding.severity for finding in bad).name.lower()
            ET.SubElement(case, "failure", message=f"{key}: {count}", type=worst).text = _text(bad)
        if rest:
            ET.SubElement(case, "system-out").text = _text(rest)
    suite.set("failures", str(failures))
    return suite


def _text(findings: Iterable[Finding]) -> str:
    return "\n".join(
        f"{finding.severity.name.lower()}: {printable(finding.subject)}: {printable(finding.message)}. "
        f"To do: {finding.remedy}."
        for finding in findings
    )
