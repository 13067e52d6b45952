"""Which libraries does nothing load?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis

SHOWN = 5


def _unreachable_library(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What no entry point needs, and no file names, costs its bytes for nothing."""
    found = analysis.unreached
    if found:
        entries = counted(len(analysis.reach.entries), "entry point")
        yield Verdict(
            analysis.target.name,
            f"{_count(analysis, found)}, reached from none of {entries}, nor named in any file that is: "
            + _largest(analysis, found),
            "leave out what nothing loads by a name that it puts together",
        )


def _dlopen_only(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What is loaded by name, if at all, is in no NEEDED: its absence shows only when it is called for."""
    found = analysis.reach.dlopen
    if found:
        yield Verdict(
            analysis.target.name,
            f"{_count(analysis, found)}, needed by no entry point, and named in a file as for dlopen(3): "
            + _largest(analysis, found, found),
            "keep what is used by what names it, and exercise it in a test",
        )


def _count(analysis: Analysis, paths: Iterable[str]) -> str:
    sizes = [analysis.tree.entries[path].size for path in paths]
    return f"{counted(len(sizes), 'library', 'libraries')}, {sum(sizes):,} bytes"


def _largest(analysis: Analysis, paths: Iterable[str], by: Mapping[str, str] | None = None) -> str:
    ordered = sorted(paths, key=lambda path: (-analysis.tree.entries[path].size, path))
    words = [
        f"{path} ({analysis.tree.entries[path].size:,}{f', by {by[path]}' if by else ''})" for path in ordered
    ]
    return some(words, SHOWN)


RULES = (
    Rule(
        key="unreachable-library",
        severity=Severity.NOTE,
        judge=_unreachable_library,
        means="libraries that neither a program nor a Python extension module needs, at any remove",
        matters="they cost bytes of the budget, and nothing loads them",
        mend="leave them out, unless something loads them by a name that it puts together",
        source="ld.so(8); dlopen(3)",
    ),
    Rule(
        key="dlopen-only",
        severity=Severity.NOTE,
        judge=_dlopen_only,
        means="libraries that nothing needs and whose name stands in a file, or in a note about dlopen",
        matters="their absence, or a fault in them, shows only when they are called for",
        mend="keep them if what names them is used, and exercise it in a test",
        source="dlopen(3); uapi-group.org, 'ELF dlopen Metadata'",
    ),
)
