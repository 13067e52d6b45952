"""Puts findings into SARIF 2.1.0, which code hosts show beside the code they were found in.

Source: OASIS, Static Analysis Results Interchange Format Version 2.1.0; numbers of sections stand beside the lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from audit.printable import printable
from audit.report import fingerprint
from audit.rules import Severity, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.analysis import Analysis
    from audit.baseline import Changes
    from audit.report import Judged
    from audit.rules import Finding, Rule

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
BASE = "TARGET"  # what the paths of a run are relative to: the root of the tree that was audited


def as_sarif(
    judged: Iterable[Judged],
    rules: Sequence[Rule],
    *,
    version: str,
    fail_on: Severity = Severity.ERROR,
    changes: Sequence[Changes] = (),
) -> dict[str, Any]:
    """Give one log with a run for each target, as plain values for json.dumps.

    `version` is the program's; with `changes`, one of each target, results say whether they are new.
    """
    driver = {"name": "under48", "version": version, "rules": [_rule(rule) for rule in rules]}
    runs = [_run(one, driver, fail_on, changes[at] if changes else None) for at, one in enumerate(judged)]
    return {"$schema": SCHEMA, "version": VERSION, "runs": runs}


def _run(
    judged: Judged, driver: dict[str, Any], fail_on: Severity, changes: Changes | None
) -> dict[str, Any]:
    analysis, findings, waived = judged
    name = printable(analysis.target.name)
    indexes = {rule["id"]: at for at, rule in enumerate(driver["rules"])}
    results = [_result(finding, analysis, indexes, changes) for finding in findings]
    results += [
        {
            **_result(one.finding, analysis, indexes, changes),
            "suppressions": [{"kind": "external", "justification": one.waiver.reason}],  # 3.35
        }
        for one in waived
    ]
    if changes is not None:
        results += [
            {
                "ruleId": gone.rule,
                "message": {"text": printable(gone.message)},
                "partialFingerprints": {"under48/v1": gone.id},
                "baselineState": "absent",
                "locations": [_location(gone.subject, analysis)],
            }
            for gone in changes.gone
        ]
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"under48-audit/{quote(name, safe='')}/"},  # 3.17.3
        "originalUriBaseIds": {BASE: {"description": {"text": f"the root of {analysis.target.form} {name}"}}},
        "invocations": [  # 3.20: the audit itself went well, whatever it found
            {"executionSuccessful": True, "exitCode": exit_status(findings, fail_on)}
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    parts = {"Why it matters": rule.matters, "How to mend it": rule.mend, "Source": rule.source}
    known = {title: text for title, text in parts.items() if text}
    described: dict[str, Any] = {
        "id": rule.key,
        "shortDescription": {"text": rule.means or rule.key},
        "defaultConfiguration": {"level": rule.severity.name.lower()},  # 3.27.10: the same three words
    }
    if known:
        described["help"] = {
            "text": "\n".join(f"{title}: {text}." for title, text in known.items()),
            "markdown": "\n\n".join(f"**{title}**: {text}." for title, text in known.items()),
        }
    return described


def _result(
    finding: Finding, analysis: Analysis, indexes: dict[str, int], changes: Changes | None
) -> dict[str, Any]:
    identity = fingerprint(finding, analysis.target.name)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity.name.lower(),
        "message": {
            "text": f"{printable(finding.subject)}: {printable(finding.message)}. To do: {finding.remedy}."
        },
        "locations": [_location(finding.subject, analysis)],
        "partialFingerprints": {"under48/v1": identity},
    }
    if finding.rule in indexes:
        result["ruleIndex"] = indexes[finding.rule]
    if changes is not None:
        new = any(identity == verdict.id for verdict in changes.new)
        result["baselineState"] = "new" if new else "unchanged"
    return result


def _location(subject: str, analysis: Analysis) -> dict[str, Any]:
    """Give a file of the tree by its path in it (3.28); anything else is a matter of the target as a whole."""
    path = subject if subject in analysis.tree.entries else None
    inside = path.removeprefix("/") if path else ""
    artifact = {"uri": _uri(inside), "uriBaseId": BASE} if inside else {"uri": _uri(analysis.target.name)}
    return {
        "physicalLocation": {"artifactLocation": artifact},
        "logicalLocations": [{"fullyQualifiedName": printable(subject)}],
    }


def _uri(path: str) -> str:
    """Give a relative reference (RFC 3986, 4.2); its first part holds no colon, which would make it a scheme."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/@+,=~-._!$&'()*;")
