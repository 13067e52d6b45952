"""Puts reports into one self-contained page: verdict, budget, findings, a treemap of bytes, who needs whom.

The page loads nothing: style, scripts (D3, in page/, with its licence) and reports stand in it, and its content
security policy forbids the rest. Whatever comes from the target is data there, and never becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.printable import printable
from audit.report import LEFT_TO_SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from audit.rules import Rule

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("d3.min.js", "page.js", "treemap.js", "graph.js")
# What a browser draws without delay; of a larger tree, the smaller files are summed up by folder.
MAX_FILES = 30_000
MAX_FINDINGS = 2_000


def as_html(documents: Sequence[Mapping[str, Any]], rules: Iterable[Rule]) -> str:
    """Give the page for reports of `audit.as_json`, each with its "changes" since a baseline where there are any."""
    scripts = [(PAGE / name).read_text() for name in SCRIPTS]
    style = (PAGE / "page.css").read_text()
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_source, scripts))}; style-src {_source(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    shown = {
        "reports": [_shown(document) for document in documents],
        "rules": {
            rule.key: {"means": rule.means, "matters": rule.matters, "mend": rule.mend, "source": rule.source}
            for rule in rules
        },
    }
    parts = {
        "<!--policy-->": policy,
        "<!--style-->": f"<style>{style}</style>",
        "<!--data-->": f'<script type="application/json" id="data">{_embedded(shown)}</script>',
        "<!--scripts-->": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    page = (PAGE / "page.html").read_text()
    for place, content in parts.items():
        page = page.replace(place, content, 1)
    return page


def _source(content: str) -> str:
    """Name inline content by its digest, so that no other runs (CSP Level 3, 6.7.2.2)."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _embedded(value: object) -> str:
    """Give JSON that cannot end the script element it stands in (HTML, 4.12.1.3)."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a report with its longest lists as rows of numbers, and no more of them than can be looked at."""
    findings = document["findings"]
    rest = {key: value for key, value in document.items() if key not in ("files", "linkage", "findings")}
    return {
        **_readable(rest),
        "findings": _readable(findings[:MAX_FINDINGS]),
        "more_findings": max(0, len(findings) - MAX_FINDINGS),
        "files": _files(document["files"], {one["path"] for one in document["linkage"]}),
        "graph": _graph(document["linkage"]),
    }


def _readable(value: Any) -> Any:
    """Give plain values with every text printable; they are as deep as the schema of the report, so a few levels."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_readable(one) for one in value]
    return {key: _readable(one) for key, one in value.items()} if isinstance(value, dict) else value


def _files(files: Sequence[Mapping[str, Any]], native: set[str]) -> list[list[Any]]:
    """Give rows of path, package, bytes, compressed bytes, and whether it is native."""
    rows = [
        [
            printable(file["path"]),
            printable(file["package"]),
            file["bytes"],
            file["compressed_bytes"],
            int(file["path"] in native),
        ]
        for file in files[:MAX_FILES]
    ]
    sums: dict[str, list[Any]] = {}
    for file in files[MAX_FILES:]:
        folder = "/".join(file["path"].split("/")[:4])
        row = sums.setdefault(
            folder,
            [
                f"{printable(folder)}/(many small files)",
                "",
                0,
                0 if file["compressed_bytes"] is not None else None,
                0,
            ],
        )
        row[2] += file["bytes"]
        row[3] = None if row[3] is None else row[3] + (file["compressed_bytes"] or 0)
    return rows + list(sums.values())


def _graph(linkage: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Give names once, and edges as rows of from, to, how, problem; what has no path is a node by its name."""
    index: dict[str, int] = {}
    missing: set[int] = set()
    edges: list[list[Any]] = []
    for one in linkage:
        user = index.setdefault(one["path"], len(index))
        for edge in one["needed"]:
            name = edge["path"] if edge["path"] is not None else f"{edge['how']}: {edge['name']}"
            to = index.setdefault(name, len(index))
            if edge["path"] is None and edge["how"] != LEFT_TO_SYSTEM:
                missing.add(to)
            edges.append([user, to, edge["how"], printable(edge["problem"] or "")])
    return {"nodes": [printable(name) for name in index], "missing": sorted(missing), "edges": edges}
