"""Puts an analysis and its findings into a document for programs, with a versioned schema."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.rules import Severity, exit_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.analysis import Analysis
    from audit.cut import CutPlan
    from audit.graph import Edge
    from audit.observed import Observed
    from audit.rules import Finding
    from audit.rules.waivers import Waived

# Raised when a key changes its meaning or goes; new keys alone do not change it.
SCHEMA = "under48-audit/1"
# What stands for the rule of ld.so(8) where only the system that a package will run in can tell.
LEFT_TO_SYSTEM = "left to the system"


class Judged(NamedTuple):
    """A target's analysis, what was found, and what audit.toml excuses."""

    analysis: Analysis
    findings: Sequence[Finding]
    waived: Sequence[Waived] = ()


def as_json(
    analysis: Analysis,
    findings: Sequence[Finding],
    waived: Sequence[Waived] = (),
    *,
    fail_on: Severity = Severity.ERROR,
) -> dict[str, Any]:
    """Give everything as plain values for json.dumps; sizes in bytes, paths as in the analysed tree.

    schema.json, beside this module, describes it. Names that are no UTF-8 hold lone surrogates (PEP 383), which
    json.dumps writes as escapes.
    """
    sizes = analysis.sizes
    return {
        "schema": SCHEMA,
        "target": {"name": analysis.target.name, "form": analysis.target.form, "at": analysis.at},
        "runtime": analysis.runtime.name if analysis.runtime is not None else None,
        "architecture": str(analysis.expected) if analysis.expected is not None else None,
        "summary": {
            "files": len(sizes.files),
            "elf_files": len(analysis.elves),
            "bytes": sizes.size,
            "compressed_bytes": sizes.compressed,
            "archive_bytes": analysis.target.archive_size,
            **{
                f"{severity.name.lower()}s": sum(finding.severity == severity for finding in findings)
                for severity in sorted(Severity, reverse=True)
            },
        },
        "linkage": [
            {
                "path": path,
                "needed": [_edge(analysis, path, edge) for edge in analysis.graph.edges.get(path, ())],
            }
            for path in sorted(analysis.elves)
        ],
        "hardening": [{"path": path, **asdict(found)} for path, found in sorted(analysis.hardening.items())],
        "packages": [
            {
                "manager": one.package.manager,
                "name": one.package.name,
                "version": one.package.version,
                "files": one.files,
                "bytes": one.size,
                "compressed_bytes": one.compressed,
            }
            for one in sizes.packages
        ],
        "files": [
            {
                "path": file.path,
                "package": file.package.name,
                "bytes": file.size,
                "compressed_bytes": file.compressed,
            }
            for file in sizes.files
        ],
        "budgets": [
            {
                "label": budget.label,
                "limit": budget.limit,
                "used": budget.used,
                "left": budget.left,
                "percent": round(100 * budget.share, 2) if budget.limit else None,
                "decides": budget.decides,
                "reason": budget.reason,
            }
            for budget in analysis.budgets
        ],
        "layers": [
            {
                "name": layer.name,
                "command": layer.command,
                "files": layer.files,
                "bytes": layer.size,
                "lost_bytes": sum(lost.size for lost in layer.lost),
            }
            for layer in analysis.target.layers
        ],
        "cut_plans": [_cut_plan(plan) for plan in analysis.cut_plans],
        "observed": _observed(analysis.observed) if analysis.observed is not None else None,
        "findings": [_finding(finding, analysis.target.name) for finding in findings],
        "waived": [
            {
                **_finding(one.finding, analysis.target.name),
                "reason": one.waiver.reason,
                "until": one.waiver.until.isoformat(),
            }
            for one in waived
        ],
        "exit_status": exit_status(findings, fail_on),
    }


def _finding(finding: Finding, target: str) -> dict[str, str]:
    return {
        "id": fingerprint(finding, target),
        "rule": finding.rule,
        "severity": finding.severity.name.lower(),
        "subject": finding.subject,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def _observed(found: Observed) -> dict[str, Any]:
    return {
        "mapped": sorted(found.mapped),
        "never": sorted(found.never),
        "imported": list(found.imported),
        "opened": dict(found.opened),
        "behind": list(found.behind),
        "unforeseen": list(found.unforeseen),
        "behind_unforeseen": {path: list(below) for path, below in found.unforeseen.items() if below},
        "perhaps": list(found.perhaps),
        "elsewhere": list(found.elsewhere),
    }


def _cut_plan(plan: CutPlan) -> dict[str, Any]:
    return {
        "budget": plan.budget.label,
        "limit": plan.budget.limit,
        "used": plan.budget.used,
        "after": plan.after,
        "fits": plan.fits,
        "steps": [
            {
                "kind": step.cut.kind,
                "subject": step.cut.subject,
                "why": step.cut.why,
                "tier": step.cut.tier.name.lower().replace("_", " "),
                "bytes": step.size,
                "left": step.left,
                "files": step.files,
                "paths": list(step.paths),
            }
            for step in plan.steps
        ],
    }


def fingerprint(finding: Finding, target: str = "") -> str:
    """Give what stays the same of a finding from build to build: its message may name other bytes and files.

    `target` is the target's name, which may change, too, as the tag of an image does.
    """
    subject = "" if finding.subject == target else finding.subject
    identity = f"{finding.rule}\0{subject}\0{finding.about}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _edge(analysis: Analysis, path: str, edge: Edge) -> dict[str, str | None]:
    left = analysis.left_to_system
    is_left = edge.path is None and left is not None and left.covers(path, edge.needed)
    how = LEFT_TO_SYSTEM if is_left else edge.how.value
    return {"name": edge.needed, "path": edge.path, "how": how, "problem": edge.problem or None}
