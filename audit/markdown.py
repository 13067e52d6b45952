"""Puts an analysis and its findings into Markdown for a pull request or a job's summary: short, verdict first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from audit.printable import printable, shorten
from audit.rules import Severity, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.analysis import Analysis
    from audit.baseline import Changes
    from audit.cut import CutPlan
    from audit.rules import Finding
    from audit.rules.waivers import Waived

SHOWN_FINDINGS = 50
SHOWN_CHANGES = 20
LARGEST = 10
MARKS = {Severity.ERROR: "❌ error", Severity.WARNING: "⚠️ warning", Severity.NOTE: "note"}


def as_markdown(
    analysis: Analysis,
    findings: Sequence[Finding],
    waived: Sequence[Waived] = (),
    *,
    fail_on: Severity = Severity.ERROR,
    changes: Changes | None = None,
) -> str:
    """Give the report in GitHub-flavoured Markdown; names of strangers stand in code spans."""
    mark = "❌" if exit_status(findings, fail_on) else "✅"
    sections = (
        f"## {mark} Audit of {_code(analysis.target.name, 80)}",
        _summary(analysis),
        _budgets(analysis),
        *(_cut_plan(plan) for plan in analysis.cut_plans),
        _findings(findings),
        f"{len(waived):,} more findings are waived by audit.toml." if waived else "",
        _changes(changes) if changes is not None else "",
        _packages(analysis),
    )
    return "\n\n".join(section for section in sections if section)


def _summary(analysis: Analysis) -> str:
    archive = analysis.target.archive_size
    parts = [
        f"{len(analysis.elves):,} native files of {len(analysis.sizes.files):,}",
        f"{analysis.sizes.size:,} bytes" + (f", {archive:,} as an archive" if archive is not None else ""),
        *([str(analysis.expected)] if analysis.expected else []),
        *([f"on {_code(analysis.runtime.name, 60)}"] if analysis.runtime else []),
    ]
    return " · ".join(parts)


def _budgets(analysis: Analysis) -> str:
    rows = [
        (_plain(one.label), f"{one.used:,}", f"{one.limit:,}", f"{one.left:,}", f"{one.share:.1%}")
        for one in analysis.budgets
    ]
    return _table(("budget, in bytes", "used", "limit", "left", "percent"), rows, "lrrrr")


def _cut_plan(plan: CutPlan) -> str:
    rows = [
        (
            _plain(f"{step.cut.kind}: {step.cut.subject}"),
            _plain(step.cut.why),
            f"{step.size:,}",
            f"{step.left:,}",
        )
        for step in plan.steps
    ]
    table = _table(("what to cut, in this order", "why it is safe", "bytes", "left"), rows, "llrr")
    end = "then it fits" if plan.fits else f"then it is still {plan.after - plan.budget.limit:,} bytes over"
    return f"### {_plain(plan.budget.label)}: {end}\n\n{table}" if table else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No findings."
    rows = [
        (
            MARKS[one.severity],
            _code(one.rule, 40),
            _code(one.subject, 90),
            f"{_plain(shorten(one.message, 300))}<br>*{_plain(one.remedy)}*",
        )
        for one in findings[:SHOWN_FINDINGS]
    ]
    table = _table(("", "rule", "where", "what, *and what to do*"), rows, "llll")
    more = len(findings) - len(rows)
    return table + (f"\n\n… and {more:,} more findings." if more else "")


def _changes(changes: Changes) -> str:
    title = f"### Since the baseline, {_code(changes.before, 60)}"
    if not changes.any:
        return f"{title}\n\nNothing changed."
    sizes = [f"- {one.name}: {one.now or 0:,} bytes ({one.change:+,})" for one in changes.sizes]
    found = [
        f"- {word}: {verdict.severity} {_code(verdict.rule, 40)} {_code(verdict.subject, 80)}"
        for word, verdicts in (("new", changes.new), ("gone", changes.gone))
        for verdict in verdicts[:SHOWN_CHANGES]
    ]
    links = [
        f"- {_code(one.file, 60)} needs {_code(one.needed, 40)}: {_code(one.before or 'not found', 60)} → "
        f"{_code(one.now or 'not found', 60)}"
        for one in changes.relinked[:SHOWN_CHANGES]
    ]
    rows = [
        (_code(one.name, 80), f"{one.before or 0:,}", f"{one.now or 0:,}", f"{one.change:+,}")
        for one in changes.files[:SHOWN_CHANGES]
    ]
    table = _table(("file", "before", "now", "change"), rows, "lrrr")
    lines = "\n".join((*sizes, *found, *links))
    return "\n\n".join(part for part in (title, lines, table) if part)


def _packages(analysis: Analysis) -> str:
    rows = [
        (_code(f"{one.package.name} {one.package.version}".strip(), 60), f"{one.files:,}", f"{one.size:,}")
        for one in analysis.sizes.packages[:LARGEST]
    ]
    table = _table(("package", "files", "bytes"), rows, "lrr")
    return f"<details><summary>Largest packages</summary>\n\n{table}\n\n</details>" if table else ""


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    listed = list(rows)
    if not listed:
        return ""
    rule = ["---:" if side == "r" else "---" for side in align]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headers, rule, *listed))


def _code(text: str, width: int) -> str:
    """Give a code span, whose fence is longer than any run of backticks in it (GFM 6.3); `|` ends cells even there."""
    plain = shorten(text, width)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    pad = " " if len(fence) > 1 else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|")


def _plain(text: str) -> str:
    """Give text with nothing in it that Markdown or HTML would take for more (GFM 6.1, backslash escapes)."""
    return re.sub(r"([\\`*_{}\[\]<>|#~@])", r"\\\1", printable(text))
