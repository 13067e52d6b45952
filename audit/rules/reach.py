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
    """What no program and no module needs, and no file names, costs its bytes for nothing."""
    found, idle = analysis.unreached, _idle(analysis)
    said, advice = [], []
    if found:
        entries = counted(len(analysis.reach.entries), "entry point")
        said.append(
            f"{_count(analysis, found)}, reached from none of {entries}, nor named in any file that is: "
            + _largest(analysis, found)
        )
        advice.append("leave out what nothing loads by a name that it puts together")
    if idle:
        said.append(
            f"{_count(analysis, idle)}, needed or named only by programs that the image does not start itself: "
            + _largest(analysis, idle, idle)
        )
        advice.append("leave out the programs that nothing starts, with what only they need")
    if said:
        yield Verdict(analysis.target.name, "; and ".join(said), "; ".join(advice))


def _idle(analysis: Analysis) -> Mapping[str, str]:
    """Give what only programs that are no entry point need, but for what was seen mapped."""
    mapped = analysis.observed.mapped if analysis.observed is not None else ()
    return {path: by for path, by in analysis.reach.idle.items() if path not in mapped}


def _dlopen_only(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What is loaded by name, if at all, is in no NEEDED: its absence shows only when it is called for."""
    found = analysis.reach.dlopen
    if found:
        yield Verdict(
            analysis.target.name,
            f"{_count(analysis, found)}, needed by no entry point, but named as for dlopen(3), or needed by what is: "
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
        means="libraries that nothing which the image starts, and no Python extension module, needs at any remove or "
        "names; those that another of its programs needs are counted apart (every program counts as started where "
        "the configuration names none, or a shell)",
        matters="they cost bytes of the budget, and nothing loads them, or only a program that nothing may start",
        mend="leave them out, unless something loads them by a name that it puts together; what another program needs, "
        "only together with that program",
        source="ld.so(8); dlopen(3); OCI image-spec, config.md (Entrypoint, Cmd)",
    ),
    Rule(
        key="dlopen-only",
        severity=Severity.NOTE,
        judge=_dlopen_only,
        means="libraries that no entry point needs, and whose name stands in a native, Python or configuration file, "
        "in a note about dlopen, or in the image's environment or command; and what these need",
        matters="their absence, or a fault in them, shows only when they are called for",
        mend="keep them if what names them is used, and exercise it in a test",
        source="dlopen(3); uapi-group.org, 'ELF dlopen Metadata'; ld.so(8), LD_PRELOAD; nsswitch.conf(5); pam.conf(5); "
        "iconvconfig(8)",
    ),
)
