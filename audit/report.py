"""Puts an analysis and its findings into a document for programs, with a versioned schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.rules import Severity, exit_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.analysis import Analysis
    from audit.graph import Edge
    from audit.rules import Finding

# Raised when a key changes its meaning or goes; new keys alone do not change it.
SCHEMA = "under48-audit/1"


def as_json(analysis: Analysis, findings: Sequence[Finding]) -> dict[str, Any]:
    """Give everything as plain values for json.dumps; sizes in bytes, paths as in the analysed tree."""
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
            {"path": path, "needed": [_edge(edge) for edge in analysis.graph.edges.get(path, ())]}
            for path in sorted(analysis.elves)
        ],
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
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity.name.lower(),
                "subject": finding.subject,
                "message": finding.message,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
        "exit_status": exit_status(findings),
    }


def _edge(edge: Edge) -> dict[str, str | None]:
    return {"name": edge.needed, "path": edge.path, "how": edge.how.value, "problem": edge.problem or None}
