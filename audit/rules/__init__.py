"""All rules in the order of the report, and what is done with them: a new one is a function and a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules import budget, integrity, linkage, names
from audit.rules.rule import Finding, Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.analysis import Analysis

__all__ = ["RULES", "Finding", "Rule", "Severity", "Verdict", "check", "exit_status"]

RULES = (*linkage.RULES, *integrity.RULES, *names.RULES, *budget.RULES)


def check(analysis: Analysis, rules: Iterable[Rule] | None = None) -> tuple[Finding, ...]:
    """Apply the rules (all of them by default); worst findings first, else in the order of the rules."""
    findings = [
        Finding(rule=rule.key, severity=rule.severity, **verdict._asdict())
        for rule in (RULES if rules is None else rules)
        for verdict in rule.judge(analysis, rule.config)
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.severity))


def exit_status(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR) -> int:
    """Give the status to end with: 1 if any finding is at least as bad as `fail_on`, else 0."""
    return int(any(finding.severity >= fail_on for finding in findings))
