"""Is there anything for other systems and processors?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.machine_flags import other_system
from audit.roles import LIBRARY_NAME
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis

SHOWN = 3


def _foreign_library(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """The loader refuses what is no ELF file: 'invalid ELF header'."""
    for path, form in analysis.foreign.items():
        if _is_meant_to_load(analysis, path):
            yield Verdict(
                path,
                f"it is for {form}",
                "install the package for Linux: pip install --platform manylinux2014_x86_64 --only-binary=:all:, or "
                "inside a container; where its wheel says that any platform will do, build it from source",
            )


def _foreign_file(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Programs and libraries for other systems and processors cannot run here: they only take room."""
    meant = {path: form for path, form in analysis.foreign.items() if not _is_meant_to_load(analysis, path)}
    meant.update({path: other_system(elf) or str(elf.abi) for path, elf in analysis.platforms.items()})
    found = sorted(meant, key=lambda path: (-analysis.tree.entries[path].size, path))
    if found:
        known = not analysis.platforms or analysis.runtime is not None or analysis.target.form == "image"
        size = sum(analysis.tree.entries[path].size for path in found)
        yield Verdict(
            analysis.target.name,
            f"{counted(len(found), 'file')} of {size:,} bytes in all, for {', '.join(sorted(set(meant.values())))}: "
            f"{some(found, SHOWN, 'smaller')}",
            "leave them out" + ("" if known else f" (without --runtime it is taken for {analysis.expected})"),
        )


def _is_meant_to_load(analysis: Analysis, path: str) -> bool:
    """Tell a library that stands where Linux looks for one; a package for several systems has both side by side."""
    folder, _, name = path.rpartition("/")
    twins = (
        other
        for other in analysis.tree.names.get(folder or "/", ())
        if other.startswith(name.partition(".")[0] + ".")
    )
    return LIBRARY_NAME.search(name) is not None and not any(
        f"{folder}/{other}" in analysis.elves for other in twins
    )


RULES = (
    Rule(
        key="foreign-library",
        severity=Severity.ERROR,
        judge=_foreign_library,
        means="a file named like a library is Mach-O or PE, not ELF",
        matters="the loader refuses it: 'invalid ELF header'; most often the package was installed on a Mac and zipped",
        mend="install for Linux: pip's --platform and --only-binary=:all:, or pip inside a container",
        source="<mach-o/loader.h>, 'PE Format', gABI chapter 4",
    ),
    Rule(
        key="foreign-file",
        severity=Severity.NOTE,
        judge=_foreign_file,
        means="programs or libraries for macOS, Windows or, beside those for this one, other processors are inside",
        matters="they cannot run here and take room",
        mend="leave them out",
        source="<mach-o/loader.h>, 'PE Format'; gABI chapter 4, e_machine and EI_OSABI",
    ),
)
