"""The rules: each a key, a severity, a configuration, and one function from an analysis to verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from audit.analysis import Analysis
    from audit.budget import Budget


class Severity(IntEnum):
    """How bad a finding is; comparable."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


class Verdict(NamedTuple):
    """What a rule says of one subject: what is wrong, and what to do about it."""

    subject: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's verdict with its severity."""

    rule: str
    severity: Severity
    subject: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`judge` gets the analysis and the rule's `config`, and yields a verdict per subject at fault."""

    key: str
    severity: Severity
    judge: Callable[[Analysis, Mapping[str, float]], Iterable[Verdict]]
    config: Mapping[str, float] = field(default_factory=dict)


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


def _unresolved_needed(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Every NEEDED and every interpreter must be found: ld.so(8) ends the process, dlopen(3) fails."""
    if analysis.runtime is None and analysis.target.form == "zip":
        remedy = "name the image it is unpacked in as runtime, or ship the library with an $ORIGIN RUNPATH"
    else:
        remedy = "install the package that holds it, or drop the file that needs it"
    for path, edges in analysis.graph.edges.items():
        for edge in edges:
            if edge.path is None:
                why = edge.problem or "not found by any rule of ld.so(8)"
                yield Verdict(path, f"needs {edge.needed}: {why}", remedy)


def _wrong_architecture(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """All native files must fit the processor and mode that the programs of the tree are built for."""
    for path, elf in analysis.elves.items():
        if (
            analysis.expected is not None
            and elf.type in ("shared", "executable")
            and elf.abi != analysis.expected
        ):
            yield Verdict(
                path,
                f"built for {elf.abi}, where {analysis.expected} is expected",
                f"rebuild or fetch it for {analysis.expected.machine}",
            )


def _malformed_elf(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A file that begins as an ELF file must be whole (gABI, chapters 4 and 5)."""
    remedy = "copy or build it again; it was cut short or altered"
    for path, broken in analysis.broken.items():
        if broken.readable:
            yield Verdict(path, broken.reason, remedy)
    for path, elf in analysis.elves.items():
        for defect in elf.defects:
            yield Verdict(path, defect, remedy)


def _unreadable_entry(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What cannot be read here (encrypted, damaged, without permission) cannot be unpacked there."""
    for path, broken in analysis.broken.items():
        if not broken.readable:
            yield Verdict(path, broken.reason, "make the archive again, with stored or deflated entries")


def _over_limit(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What is over a limit is refused by the platform (OpenWhisk: HTTP 413)."""
    for budget in _deciding(analysis):
        if budget.over:
            yield Verdict(
                budget.label,
                f"{budget.used:,} bytes, {-budget.left:,} over {budget.limit:,}: {budget.reason}",
                "remove what the tables of sizes show and the action does not use",
            )


def _near_limit(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """Little room is left: the next update may not fit."""
    for budget in _deciding(analysis):
        if config["share"] < budget.share and not budget.over:
            yield Verdict(
                budget.label,
                f"{budget.share:.1%} used, {budget.left:,} bytes left of {budget.limit:,}: {budget.reason}",
                "make room before the next update does not fit",
            )


def _unsafe_name(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Absolute names and `..` leave the folder of the unpacker; OpenWhisk's Go proxy follows them."""
    for anomaly in analysis.target.anomalies:
        if anomaly.kind == "unsafe-name":
            yield Verdict(
                anomaly.name,
                "the entry's name is absolute, holds .. or NUL, or is too long; it was left out of the audit",
                "make the archive again with relative names",
            )


def _duplicate_name(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Of two entries with one name, which one counts depends on who unpacks."""
    for anomaly in analysis.target.anomalies:
        if anomaly.kind == "duplicate-name":
            yield Verdict(
                anomaly.name,
                "the archive holds it more than once; the last one was audited",
                "make the archive again with each name once",
            )


def _deciding(analysis: Analysis) -> Iterator[Budget]:
    return (budget for budget in analysis.budgets if budget.decides)


RULES = (
    Rule(key="unresolved-needed", severity=Severity.ERROR, judge=_unresolved_needed),
    Rule(key="wrong-architecture", severity=Severity.ERROR, judge=_wrong_architecture),
    Rule(key="malformed-elf", severity=Severity.ERROR, judge=_malformed_elf),
    Rule(key="unreadable-entry", severity=Severity.ERROR, judge=_unreadable_entry),
    Rule(key="over-limit", severity=Severity.ERROR, judge=_over_limit),
    Rule(key="unsafe-name", severity=Severity.ERROR, judge=_unsafe_name),
    Rule(key="near-limit", severity=Severity.WARNING, judge=_near_limit, config={"share": 0.9}),
    Rule(key="duplicate-name", severity=Severity.WARNING, judge=_duplicate_name),
)
