"""Tells the findings in words, what was left open, and the verdict in one line of at most 100 columns."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from audit.printable import WIDTH, paragraph, shorten
from audit.rules import Severity, exit_status
from audit.rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.analysis import Analysis
    from audit.rules import Finding

LONGEST_SUBJECT = 60
LONGEST_MESSAGE = 400
# A name with fewer columns tells nothing: the size, which stands further up as well, makes room for it.
SHORTEST_NAME = 24


def findings_text(findings: Sequence[Finding], *, verbose: bool = False) -> str:
    """Give each finding with what to do; those with the same words about several files once, unless `verbose`."""
    groups: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for number, finding in enumerate(findings):
        alike = (finding.severity, finding.rule, finding.message, finding.remedy, number if verbose else None)
        groups[alike].append(finding)
    return "\n".join(["Findings", *map(_told, groups.values())]) if findings else ""


def not_judged(analysis: Analysis) -> str:
    """Say, before the verdict, what it leaves open: whether the system has what the package needs of it."""
    left = analysis.left_to_system
    if left is None or not left.users:
        return ""
    libraries = counted(len(left.users), "library that is not inside", "libraries that are not inside")
    return paragraph(
        f"Not judged: whether the system has what {libraries} must offer. "
        f"Name where it will be unpacked: --runtime {left.likely or 'IMAGE'}"
    )


def by_severity(findings: Sequence[Finding]) -> list[str]:
    """Give how many findings there are of each severity, the worst first: `2 errors`, `1 note`."""
    return [
        counted(count, severity.name.lower())
        for severity in sorted(Severity, reverse=True)
        if (count := sum(finding.severity == severity for finding in findings))
    ]


def verdict(analysis: Analysis, findings: Sequence[Finding], fail_on: Severity = Severity.ERROR) -> str:
    """Give the one line that says it all."""
    found = by_severity(findings)
    bad = exit_status(findings, fail_on)
    word = "NOT GOOD" if bad else "good, without --runtime" if not_judged(analysis) else "good"
    size = analysis.target.archive_size
    native = counted(len(analysis.elves), "native file")
    stored = f"{analysis.sizes.size:,} bytes" if size is None else f"{size:,} bytes of zip"
    full = analysis.target.name
    for facts in ([native, stored, *found], [native, *found]):
        rest = f"{', '.join(facts)}{'' if found else ', no findings'}."
        room = WIDTH - len(f"Verdict: {word}. : {rest}")
        name = full if len(full) <= room else full.rstrip("/").rpartition("/")[2]
        if room >= min(len(name), SHORTEST_NAME):
            break
    return f"Verdict: {word}. {shorten(name, room)}: {rest}"


def _told(alike: Sequence[Finding]) -> str:
    one = alike[0]
    head = f"{one.severity.name.lower()}: {one.rule}: "
    more = f" and {len(alike) - 1:,} more" if len(alike) > 1 else ""
    subject = shorten(one.subject, min(LONGEST_SUBJECT, WIDTH - len(head) - len(more)))
    body = (shorten(one.message, LONGEST_MESSAGE), f"To do: {one.remedy}.")
    return "\n".join([f"{head}{subject}{more}", *(paragraph(text, "  ") for text in body)])
