"""Will every native file find what it names?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis


def _unresolved_needed(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Every NEEDED and every interpreter must be found: ld.so(8) ends the process, dlopen(3) fails."""
    if analysis.runtime is None and analysis.target.form == "zip":
        remedy = "name the image it is unpacked in as runtime, or ship the library with an $ORIGIN RUNPATH"
    else:
        remedy = "install the package that holds it, or drop the file that needs it"
    for path, edges in analysis.graph.edges.items():
        for edge in edges:
            if edge.path is None:
                why = edge.problem or "not found by any rule of ld.so(8)"
                yield Verdict(path, f"needs {edge.needed}: {why}", remedy)


def _wrong_architecture(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """All native files must fit the processor and mode that the programs of the tree are built for."""
    for path, elf in analysis.elves.items():
        if (
            analysis.expected is not None
            and elf.type in ("shared", "executable")
            and elf.abi != analysis.expected
        ):
            yield Verdict(
                path,
                f"built for {elf.abi}, where {analysis.expected} is expected",
                f"rebuild or fetch it for {analysis.expected.machine}",
            )


RULES = (
    Rule(
        key="unresolved-needed",
        severity=Severity.ERROR,
        judge=_unresolved_needed,
        means="a native file names a library, or an interpreter, that no rule of the dynamic loader finds",
        matters="the loader ends the process, or dlopen(3) and so Python's import fails",
        mend="install the package that holds it, ship it with an $ORIGIN RUNPATH, or drop the file that needs it",
        source="ld.so(8), 'Dynamic Linker'; gABI chapter 5, 'Shared Object Dependencies'",
    ),
    Rule(
        key="wrong-architecture",
        severity=Severity.ERROR,
        judge=_wrong_architecture,
        means="a native file is built for another processor or mode than the programs of the tree",
        matters="the loader passes it over or refuses it: 'wrong ELF class', 'cannot open shared object file'",
        mend="rebuild or fetch it for the architecture that is expected",
        source="gABI chapter 4, 'ELF Header'; ld.so(8)",
    ),
)
