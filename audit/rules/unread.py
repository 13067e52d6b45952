"""What was left out of the audit, so that the verdict is not about it?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis

SHOWN = 8


def _not_read(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Folders of other file systems, what is not ours to read, and what went away, of a target and its runtime."""
    remedy = "audit it by itself where it belongs to the target, as a user who may read it, while nothing changes it"
    for tree in (analysis.target, analysis.runtime):
        places: defaultdict[str, list[str]] = defaultdict(list)
        for anomaly in tree.anomalies if tree is not None else ():
            if anomaly.kind == "not-read":
                places[anomaly.why].append(anomaly.name)
        if tree is analysis.target and tree.form == "folder":
            for path, broken in analysis.broken.items():
                if broken.passed_over:
                    places[broken.reason.rpartition(": ")[2]].append(path)
        for why, paths in sorted(places.items()):
            words = f"{counted(len(paths), 'path')} not read, {why}: {some(sorted(paths), SHOWN)}"
            yield Verdict(tree.name if tree is not None else "", words, remedy, about=why)


RULES = (
    Rule(
        key="not-read",
        severity=Severity.NOTE,
        judge=_not_read,
        means="parts of a folder were not read: another file system is mounted there, the user may not read them, or "
        "they went away meanwhile",
        matters="the verdict says nothing about them, and what needs a library in them does not find it",
        mend="audit as a user who may read them; name a folder of another file system as a target of its own",
        source="tar(1), --one-file-system; find(1), -xdev",
    ),
)
