"""Do the names in the archive stay where they should?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some
from audit.tree import PATH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from audit.analysis import Analysis


SHOWN = 3

# What makes a name unsafe, as audit.tree.normalise has it, and how to say it.
_FAULTS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda name: not name, "is empty"),
    (lambda name: name.startswith("/"), "is absolute"),
    (lambda name: ".." in name.split("/"), "holds .."),
    (lambda name: "\0" in name, "holds NUL"),
    (lambda name: len(os.fsencode(name)) >= PATH_MAX, "is too long"),
)


def fault(name: str) -> str:
    """Say what is wrong with an unsafe name; one of dots and slashes alone is the top folder's."""
    return " and ".join(words for judge, words in _FAULTS if judge(name)) or "is that of the top folder"


def _unsafe_name(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Absolute names and `..` leave the folder of the unpacker; OpenWhisk's Go proxy follows them."""
    target = analysis.target
    for name in dict.fromkeys(each.name for each in target.anomalies if each.kind == "unsafe-name"):
        # A zip's name is read up to its NUL (audit.readers.zips).
        cut = "\0" in name and target.form == "zip"
        left = "the part before it was audited" if cut else "it was left out of the audit"
        yield Verdict(
            name, f"the entry's name {fault(name)}; {left}", "make the archive again with relative names"
        )


def _duplicate_name(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Of two entries with one name, which one counts depends on who unpacks."""
    twice = [each for each in analysis.target.anomalies if each.kind == "duplicate-name"]
    names = list(dict.fromkeys(each.name for each in twice))
    if not names:
        return
    other = list(dict.fromkeys(each.name for each in twice if each.alike is False))
    audited = "the last one was audited" if len(other or names) == 1 else "the last one of each was audited"
    if other:
        which = "" if len(other) == len(names) else f"{len(other):,} of them "
        told = f", {which}with different content: {some(other, SHOWN)}; {audited}"
    elif all(each.alike for each in twice):
        told = f", {'each ' if len(names) > 1 else ''}with the same content: {some(names, SHOWN)}"
    else:
        told = f": {some(names, SHOWN)}; {audited}"
    yield Verdict(
        analysis.target.name,
        f"it holds {counted(len(names), 'name')} more than once{told}",
        "make the archive again with each name once",
    )


RULES = (
    Rule(
        key="unsafe-name",
        severity=Severity.ERROR,
        judge=_unsafe_name,
        means="an entry has an absolute or empty name, one with .. or NUL, or one that is too long",
        matters="unpackers that follow it write outside of their folder; OpenWhisk's Go proxy does",
        mend="make the archive again with relative names",
        source="APPNOTE.TXT 4.4.17; openwhisk-runtime-go, extractor.go",
    ),
    Rule(
        key="duplicate-name",
        severity=Severity.WARNING,
        judge=_duplicate_name,
        means="the archive holds a name more than once",
        matters="where their contents differ, which one counts depends on who unpacks it",
        mend="make the archive again with each name once",
        source="APPNOTE.TXT 4.3",
    ),
)
