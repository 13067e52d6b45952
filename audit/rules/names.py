"""Do the names in the archive stay where they should?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis


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


RULES = (
    Rule(
        key="unsafe-name",
        severity=Severity.ERROR,
        judge=_unsafe_name,
        means="an entry has an absolute name, one with .. or NUL, or one that is too long",
        matters="unpackers that follow it write outside of their folder; OpenWhisk's Go proxy does",
        mend="make the archive again with relative names",
        source="APPNOTE.TXT 4.4.17; openwhisk-runtime-go, extractor.go",
    ),
    Rule(
        key="duplicate-name",
        severity=Severity.WARNING,
        judge=_duplicate_name,
        means="the archive holds a name more than once",
        matters="which one counts depends on who unpacks it",
        mend="make the archive again with each name once",
        source="APPNOTE.TXT 4.3",
    ),
)
