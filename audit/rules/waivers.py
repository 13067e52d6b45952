"""Excuses findings that audit.toml waives, until the day it names; and do the waivers themselves still hold?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.rules.rule import Finding, Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.config import Config, Waiver

UNUSED = "unused-waiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A finding, and the waiver that excuses it."""

    finding: Finding
    waiver: Waiver


def with_waivers(
    findings: Iterable[Finding], config: Config, unused: Severity | None
) -> tuple[tuple[Finding, ...], tuple[Waived, ...]]:
    """Part the findings in those that count and those that are waived today.

    A waiver that excuses nothing becomes a finding of severity `unused` (None: it does not). Those about waivers
    cannot be waived.
    """
    valid = [waiver for waiver in config.waivers if waiver.until >= config.today]
    left: list[Finding] = []
    waived: list[Waived] = []
    for finding in findings:
        waiver = next((one for one in valid if one.covers(finding.rule, finding.subject)), None)
        if waiver is None or finding.rule in _OWN:
            left.append(finding)
        else:
            waived.append(Waived(finding=finding, waiver=waiver))
    if unused is None:
        return tuple(left), tuple(waived)
    for waiver in valid:
        # One that stands behind another of the same subject is not idle.
        if any(waiver.covers(one.finding.rule, one.finding.subject) for one in waived):
            continue
        message = f"the waiver of {waiver.rule} covers no finding (its reason: {waiver.reason})"
        left.append(_about(waiver, unused, message))
    return tuple(left), tuple(waived)


def _about(waiver: Waiver, severity: Severity, message: str) -> Finding:
    return Finding(
        rule=UNUSED,
        severity=severity,
        subject=waiver.subject,
        message=message,
        remedy="remove it from audit.toml",
        about=waiver.rule,
    )


def _expired(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A waiver has a last day so that somebody looks again."""
    for waiver in analysis.config.waivers:
        if waiver.until < analysis.config.today:
            yield Verdict(
                waiver.subject,
                f"the waiver of {waiver.rule} expired on {waiver.until} (its reason: {waiver.reason})",
                "mend what it excused, or look again and set a later day in audit.toml",
                about=waiver.rule,
            )


def _judged_elsewhere(_: Analysis, __: Mapping[str, float]) -> Iterator[Verdict]:
    """Whether a waiver is used is known when all rules have been applied: see with_waivers."""
    return iter(())


RULES = (
    Rule(
        key="expired-waiver",
        severity=Severity.WARNING,
        judge=_expired,
        means="the last day of a waiver of audit.toml has passed; what it excused counts again",
        matters="a waiver is a promise to look again",
        mend="mend what it excused, or look again and set a later day",
        source="audit.toml, [[waiver]]",
    ),
    Rule(
        key=UNUSED,
        severity=Severity.NOTE,
        judge=_judged_elsewhere,
        means="a waiver of audit.toml covers no finding",
        matters="what is left over would excuse the next finding of that kind unseen",
        mend="remove it",
        source="audit.toml, [[waiver]]",
    ),
)
_OWN = frozenset(rule.key for rule in RULES)
