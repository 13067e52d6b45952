"""What did a running container map, and what would the files alone not have told?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from audit.analysis import Analysis
    from audit.observed import Observation

SHOWN = 3


def _never_mapped(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What no run maps costs its bytes for a case that was not tried, or for none."""
    found = analysis.observed
    if found is not None and found.never:
        size = sum(_size(analysis, path) for path in found.never)
        used = sum(_size(analysis, path) for path in found.mapped)
        yield Verdict(
            analysis.target.name,
            f"never mapped{_while(analysis.observation)}: {_libraries(found.never)} of {size:,} bytes (mapped: "
            f"{counted(len(found.mapped), 'native file')} of {used:,}): {_largest(analysis, found.never)}",
            "leave out what no action imports; one run shows what that run needs, so try every kind of request first",
        )


def _mapped_later(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Programs need these only when something is imported or opened, so `ldd` of the program does not show them."""
    found = analysis.observed
    if found is None:
        return
    parts = [
        f"{len(paths):,} {words}: {told}"
        for paths, words, told in (
            (found.imported, "by Python's import", some(sorted(map(_module, found.imported)), SHOWN)),
            (found.opened, "by dlopen", _largest(analysis, found.opened, found.opened)),
            (found.behind, "needed by these", _largest(analysis, found.behind)),
        )
        if paths
    ]
    if parts:
        count = len(found.imported) + len(found.opened) + len(found.behind)
        yield Verdict(
            analysis.target.name,
            f"in no program's closure: {count:,} of {counted(len(found.mapped), 'mapped native file')}; "
            + "; ".join(parts),
            "nothing; keep them, and name them as entry points where files are chosen by closure",
        )


def _unforeseen(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A library that no NEEDED and no name in a file leads to would be left out by every computed closure."""
    found = analysis.observed
    if found is not None and found.unforeseen and analysis.reach.entries:
        was, it = ("was", "it") if len(found.unforeseen) == 1 else ("were", "them")
        roots = [
            path + (f" and {len(below):,} that it needs" if below else "")
            for path, below in found.unforeseen.items()
        ]
        yield Verdict(
            analysis.target.name,
            f"{_libraries(roots)} {was} mapped{_while(analysis.observation)}, and nothing mapped beside {it} needs "
            f"{it}, nor does a program, Python or configuration file name {it}: {some(roots, SHOWN)}",
            f"find out what loads {it}, and list {it} with the entry points where files are chosen by closure",
        )


def _elsewhere(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What runs from outside of the package is not what was audited."""
    found = analysis.observed
    if found is not None and found.elsewhere and analysis.left_to_system is None:
        yield Verdict(
            analysis.target.name,
            f"{_libraries(found.elsewhere)} mapped{_while(analysis.observation)} "
            f"{'is' if len(found.elsewhere) == 1 else 'are'} not in the {analysis.target.form}: "
            f"{some(found.elsewhere, SHOWN)}{_perhaps(found.perhaps, len(found.elsewhere))}",
            "audit what was observed (the same image; for a package, its --runtime and --at), or find out what "
            "brings them: a volume, an unpacked archive, a download",
        )


def _while(observation: Observation | None) -> str:
    photos = observation.photos if observation is not None else ()
    return (
        f" while {some(photos, SHOWN)} {'was' if len(photos) == 1 else 'were'} classified" if photos else ""
    )


def _perhaps(paths: Sequence[str], mapped: int) -> str:
    if not paths:
        return ""
    return f"; {'it' if mapped == 1 else 'they'} may need {some(paths, SHOWN)}, which nothing in the target needs"


def _libraries(paths: Sequence[str]) -> str:
    return counted(len(paths), "library", "libraries")


def _size(analysis: Analysis, path: str) -> int:
    return analysis.tree.entries[path].size


def _largest(analysis: Analysis, paths: Iterable[str], by: Mapping[str, str] | None = None) -> str:
    ordered = sorted(paths, key=lambda path: (-_size(analysis, path), path))
    return some(
        [f"{path} ({_size(analysis, path):,}{f', named in {by[path]}' if by else ''})" for path in ordered],
        SHOWN,
    )


def _module(path: str) -> str:
    """Give an extension module by the name that it is imported by."""
    return path.rpartition("/")[2].partition(".")[0]


_MAPS = "proc_pid_maps(5)"

RULES = (
    Rule(
        key="mapped-unforeseen",
        severity=Severity.WARNING,
        judge=_unforeseen,
        means="with --observed: libraries were mapped to which no NEEDED leads, and which no program, Python or "
        "configuration file, nor the image's environment and command, names",
        matters="whatever chooses files by what the others need leaves them out, and the program fails when it opens "
        "them",
        mend="name them as entry points, and find out what loads them (LD_DEBUG=files)",
        source=f"{_MAPS}; dlopen(3); ld.so(8), LD_DEBUG",
    ),
    Rule(
        key="mapped-elsewhere",
        severity=Severity.WARNING,
        judge=_elsewhere,
        means="with --observed: a process mapped libraries or programs that the target does not hold",
        matters="they were not audited; or the observation is one of something else",
        mend="audit what was observed, or find out what brings the files: a volume, an archive unpacked at the start",
        source=_MAPS,
    ),
    Rule(
        key="never-mapped",
        severity=Severity.NOTE,
        judge=_never_mapped,
        means="with --observed: libraries of the target that no process had mapped",
        matters="they cost bytes of the budget for a case that was not tried, or for none",
        mend="leave out what nothing imports; exercise every kind of request before believing it",
        source=f"{_MAPS}; `invoke verify` writes what it saw after the last warm call of each photo",
    ),
    Rule(
        key="mapped-later",
        severity=Severity.NOTE,
        judge=_mapped_later,
        means="with --observed: what was mapped beyond the libraries that programs need at their start, and why",
        matters="import and dlopen find files that ldd of the program does not show; their faults show late",
        mend="nothing; name them as entry points where files are chosen by closure",
        source=f"{_MAPS}; dlopen(3); Python library reference, importlib.machinery.ExtensionFileLoader",
    ),
)
