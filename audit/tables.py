"""Prints an analysis as tables that fit 100 columns, then its findings, the verdict last."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tabulate import tabulate

from audit.printable import shorten
from audit.rules import Severity
from audit.verdict import findings_text, not_judged, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.analysis import Analysis
    from audit.baseline import Changes, Delta
    from audit.cut import CutPlan
    from audit.graph import Edge
    from audit.rules import Finding
    from audit.rules.waivers import Waived

LARGEST = 10
SHOWN_LIBRARIES = 25
# What the classic builder writes before each step that runs nothing, and before each that does.
_STARTS = re.compile(r"^/bin/sh -c (#\(nop\)\s*)?")


def as_tables(  # noqa: PLR0913 - options of one report, by keyword
    analysis: Analysis,
    findings: Sequence[Finding],
    waived: Sequence[Waived] = (),
    *,
    verbose: bool = False,
    fail_on: Severity = Severity.ERROR,
    changes: Changes | None = None,
) -> str:
    """Give the report as text: summary, linkage, sizes, budget, changes since a baseline, findings, verdict.

    Linkage shows each library with how it was found and how many need it; `verbose` shows every NEEDED, and
    the protections, of every file, and each finding by itself.
    """
    sections = (
        _summary(analysis),
        _linkage(analysis) if verbose else _libraries(analysis),
        _hardening(analysis) if verbose else "",
        _layers(analysis),
        _packages(analysis),
        _files(analysis),
        _budgets(analysis),
        *(_cut_plan(plan) for plan in analysis.cut_plans),
        _changes(changes) if changes is not None else "",
        _waived(waived),
        findings_text(findings, verbose=verbose),
        not_judged(analysis),
        verdict(analysis, findings, fail_on),
    )
    return "\n\n".join(section for section in sections if section)


def _table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]], align: Sequence[str]) -> str:
    listed = list(rows)
    if not listed:
        return ""
    width = max(map(len, listed))
    table = tabulate(
        listed, headers[:width], tablefmt="simple", colalign=align[:width], disable_numparse=True
    )
    return f"{title}\n{table}"


def _summary(analysis: Analysis) -> str:
    target, sizes = analysis.target, analysis.sizes
    rows = [
        ("target", f"{target.form} {target.name}"),
        ("runtime", f"{analysis.runtime.name}, unpacked at {analysis.at}" if analysis.runtime else ""),
        ("architecture", str(analysis.expected or "")),
        ("files", f"{len(sizes.files):,}, of them native: {len(analysis.elves):,}"),
        (
            "bytes",
            f"{sizes.size:,}"
            + (f", compressed {sizes.compressed:,}" if sizes.compressed is not None else ""),
        ),
        ("user", (target.config.user or "root") if target.form == "image" else ""),
        ("LD_LIBRARY_PATH", analysis.tree.config.environment.get("LD_LIBRARY_PATH", "")),
    ]
    shown = [(key, shorten(value, 80)) for key, value in rows if value]
    return tabulate(shown, tablefmt="plain", disable_numparse=True)


def _libraries(analysis: Analysis) -> str:
    users: defaultdict[str, set[str]] = defaultdict(set)
    hows: defaultdict[str, set[str]] = defaultdict(set)
    for user, edges in analysis.graph.edges.items():
        for edge in edges:
            if edge.path is not None:
                users[edge.path].add(user)
                hows[edge.path].add(edge.how.value)
    libraries = sorted(users, key=lambda path: (-len(users[path]), path))
    rows = [
        (shorten(path, 58), f"{len(users[path]):,}", shorten(", ".join(sorted(hows[path])), 28))
        for path in libraries[:SHOWN_LIBRARIES]
    ]
    title = _title("Libraries", rows, libraries, "most needed")
    table = _table(title, ("library", "needed by", "found by"), rows, ("left", "right", "left"))
    return "\n\n".join(part for part in (_unresolved(analysis), table) if part)


def _unresolved(analysis: Analysis) -> str:
    users: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, edge in analysis.unresolved:
        users[edge.needed, edge.problem or "not found"].append(path)
    rows = [
        (shorten(needed, 28), shorten(why, 26), f"{len(paths):,}", shorten(paths[0], 30))
        for (needed, why), paths in users.items()
    ]
    headers = ("library", "why", "needed by", "such as")
    return _table("Unresolved", headers, rows, ("left", "left", "right", "left"))


def _linkage(analysis: Analysis) -> str:
    def row(path: str, edge: Edge) -> tuple[str, str, str]:
        found = edge.path or edge.problem or ""
        return shorten(path, 34), shorten(f"{edge.needed}  {edge.how.value}", 30), shorten(found, 30)

    pairs = [(path, edge) for path, edges in sorted(analysis.graph.edges.items()) for edge in edges]
    pairs.sort(key=lambda pair: pair[1].path is not None)
    return _table(
        "Linkage", ("file", "needs, found by", "library"), (row(*pair) for pair in pairs), ("left",) * 3
    )


def _hardening(analysis: Analysis) -> str:
    words = {True: "yes", False: "no", None: "?"}
    rows = [
        (
            shorten(path, 44),
            one.relro,
            words[one.now],
            one.pie,
            words[one.canary],
            f"{one.fortified}",
            f"{one.fortifiable}",
        )
        for path, one in sorted(analysis.hardening.items())
    ]
    headers = ("file", "RELRO", "now", "PIE", "canary", "fortified", "plain")
    return _table("Hardening", headers, rows, ("left",) * 5 + ("right",) * 2)


def _layers(analysis: Analysis) -> str:
    """Show the largest layers, in their order, where there is more than one."""
    layers = list(enumerate(analysis.target.layers, 1))
    if len(layers) < 2:
        return ""
    largest = sorted(sorted(layers, key=lambda row: -row[1].size)[:LARGEST], key=lambda row: row[0])
    rows = [
        (
            f"{number}",
            shorten(_STARTS.sub("", layer.command), 50),
            f"{layer.files:,}",
            f"{layer.size:,}",
            f"{sum(lost.size for lost in layer.lost):,}",
        )
        for number, layer in largest
    ]
    headers = ("", "layer, made by", "files", "bytes", "hidden later")
    return _table(_title("Layers", rows, layers), headers, rows, ("right", "left") + ("right",) * 3)


def _packages(analysis: Analysis) -> str:
    packages = analysis.sizes.packages
    rows = [
        (
            shorten(f"{one.package.name} {one.package.version}".strip(), 44),
            one.package.manager,
            f"{one.files:,}",
            *_bytes(one.size, one.compressed),
        )
        for one in packages[:LARGEST]
    ]
    headers = ("package", "kind", "files", "bytes", "compressed")
    return _table(
        _title("Packages", rows, packages), headers, rows, ("left", "left", "right", "right", "right")
    )


def _files(analysis: Analysis) -> str:
    files = analysis.sizes.files
    rows = [
        (shorten(file.path, 48), shorten(file.package.name, 20), *_bytes(file.size, file.compressed))
        for file in files[:LARGEST]
    ]
    headers = ("file", "package", "bytes", "compressed")
    return _table(_title("Files", rows, files), headers, rows, ("left", "left", "right", "right"))


def _bytes(size: int, compressed: int | None) -> tuple[str, ...]:
    """Give the cells for a size; outside a zip there is no second one."""
    return (f"{size:,}",) if compressed is None else (f"{size:,}", f"{compressed:,}")


def _title(what: str, shown: Sequence[object], known: Sequence[object], which: str = "largest") -> str:
    return f"{what}, the {len(shown)} {which} of {len(known):,}" if len(shown) < len(known) else what


def _budgets(analysis: Analysis) -> str:
    rows = [
        (
            shorten(budget.label, 34),
            f"{budget.used:,}",
            f"{budget.limit:,}",
            f"{budget.left:,}",
            f"{budget.share:.1%}",
            "yes" if budget.decides else "no",
        )
        for budget in analysis.budgets
    ]
    headers = ("budget, in bytes", "used", "limit", "left", "percent", "decides")
    return _table("Budget", headers, rows, ("left", "right", "right", "right", "right", "left"))


def _cut_plan(plan: CutPlan) -> str:
    rows = [
        (
            shorten(f"{step.cut.kind}: {step.cut.subject}", 32),
            shorten(step.cut.why, 36),
            f"{step.size:,}",
            f"{step.left:,}",
        )
        for step in plan.steps
    ]
    end = "fits" if plan.fits else f"still {plan.after - plan.budget.limit:,} bytes over"
    table = _table(
        f"What to cut for {shorten(plan.budget.label, 50)}, in this order",
        ("what", "why it is safe", "bytes", "left"),
        rows,
        ("left", "left", "right", "right"),
    )
    return f"{table}\nThen: {plan.after:,} of {plan.budget.limit:,} bytes, {end}" if table else ""


def _changes(changes: Changes) -> str:
    """Show what changed since the baseline: sums, files, where libraries are found, findings that came and went."""
    baseline = f"the baseline, {shorten(changes.before, 60)}"
    if not changes.any:
        return f"Since {baseline}: nothing changed"

    def cells(delta: Delta) -> tuple[str, ...]:
        return f"{delta.before or 0:,}", f"{delta.now or 0:,}", f"{delta.change:+,}"

    sizes = [(f"all, {delta.name}", *cells(delta)) for delta in changes.sizes]
    files = [(shorten(delta.name, 52), *cells(delta)) for delta in changes.files[:LARGEST]]
    rest = len(changes.files) - len(files)
    more = [(f"and {rest:,} more files", "", "", "")] if rest else []
    headers = ("bytes of", "before", "now", "change")
    align = ("left", "right", "right", "right")
    links = [
        (shorten(one.file, 28), shorten(one.needed, 18), *(shorten(p or "not found", 22) for p in one[2:]))
        for one in changes.relinked[:SHOWN_LIBRARIES]
    ]
    found = [
        (word, one.severity, one.rule, shorten(one.subject, 56))
        for word, verdicts in (("new", changes.new), ("gone", changes.gone))
        for one in verdicts
    ]
    parts = (
        _table(f"Changes since {baseline}", headers, [*sizes, *files, *more], align),
        _table("Found elsewhere", ("file", "needs", "before", "now"), links, ("left",) * 4),
        _table("Findings since the baseline", ("", "severity", "rule", "subject"), found, ("left",) * 4),
    )
    return "\n\n".join(part for part in parts if part)


def _waived(waived: Sequence[Waived]) -> str:
    count: Counter[tuple[str, str, str]] = Counter(
        (one.finding.rule, one.waiver.until.isoformat(), one.waiver.reason) for one in waived
    )
    rows = [(f"{n:,}", rule, until, shorten(reason, 54)) for (rule, until, reason), n in count.items()]
    headers = ("waived", "rule", "until", "reason")
    return _table("Findings that audit.toml waives", headers, rows, ("right", "left", "left", "left"))
