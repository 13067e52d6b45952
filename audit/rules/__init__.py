"""All rules in the order of the report, and what is done with them: a new one is a function and a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from audit.rules import (
    binding,
    budget,
    foreign,
    hardening,
    hygiene,
    integrity,
    linkage,
    names,
    numpy,
    observed,
    owners,
    python,
    reach,
    size,
    unread,
    waivers,
)
from audit.rules.rule import Finding, Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.analysis import Analysis
    from audit.config import RuleRow

__all__ = ["RULES", "THRESHOLDS", "Finding", "Rule", "Severity", "Verdict", "check", "exit_status", "judged"]

RULES = (
    *linkage.RULES,
    *binding.RULES,
    *reach.RULES,
    *observed.RULES,
    *integrity.RULES,
    *foreign.RULES,
    *hardening.RULES,
    *names.RULES,
    *unread.RULES,
    *budget.RULES,
    *size.RULES,
    *hygiene.RULES,
    *owners.RULES,
    *python.RULES,
    *numpy.RULES,
    *waivers.RULES,
)
# What audit.toml may set of each rule, with the defaults.
THRESHOLDS: Mapping[str, Mapping[str, float]] = {rule.key: rule.config for rule in RULES}


def check(analysis: Analysis, rules: Iterable[Rule] | None = None) -> tuple[Finding, ...]:
    """Apply the rules (all of them by default); worst findings first, else in the order of the rules.

    Severities, thresholds and waivers are those of the analysis' `config`.
    """
    return judged(analysis, rules)[0]


def judged(
    analysis: Analysis, rules: Iterable[Rule] | None = None
) -> tuple[tuple[Finding, ...], tuple[waivers.Waived, ...]]:
    """Give what `check` gives, and the findings that are waived."""
    config = analysis.config
    applied = [
        with_settings(rule, config.rules.get(rule.key)) for rule in (RULES if rules is None else rules)
    ]
    severities = {rule.key: rule.severity for rule in applied if rule is not None}
    findings = [
        Finding(rule=rule.key, severity=rule.severity, **verdict._asdict())
        for rule in applied
        if rule is not None
        for verdict in rule.judge(analysis, rule.config)
    ]
    left, waived = waivers.with_waivers(findings, config, severities.get(waivers.UNUSED))
    return tuple(sorted(left, key=lambda finding: -finding.severity)), waived


def with_settings(rule: Rule, row: RuleRow | None) -> Rule | None:
    """Give a rule as audit.toml sets it, or None when it is switched off there."""
    if row is None:
        return rule
    if row.severity == "off":
        return None
    severity = Severity[row.severity.upper()] if row.severity else rule.severity
    return replace(rule, severity=severity, config={**rule.config, **row.thresholds})


def exit_status(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR) -> int:
    """Give the status to end with: 1 if any finding is at least as bad as `fail_on`, else 0."""
    return int(any(finding.severity >= fail_on for finding in findings))
