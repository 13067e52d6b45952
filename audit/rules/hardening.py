"""How hard do the native files make it to attack their memory?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.hardening import has_text_relocations
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some
from audit.segments import EXECUTE, stack_executable, writable_code

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from audit.analysis import Analysis
    from audit.hardening import Hardening

SHOWN = 4


# "dlopen and dlmopen no longer make the stack executable" (NEWS for 2.41); a program with its own libraries still may.
_GLIBC_REFUSES = (2, 41)
_CLEAR = "add .note.GNU-stack to its assembler sources, or clear it: patchelf --clear-execstack"


def _executable_stack(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """One such file makes the stacks of the whole process executable."""
    stacks = _stacks(analysis)
    refused = _refused(analysis, stacks)
    for path, reason in stacks.items():
        if path not in refused:
            later = "" if analysis.elves[path].is_program else "; glibc 2.41 and later refuse to dlopen it"
            yield Verdict(path, f"it makes the stack executable: {reason}{later}", _CLEAR)


def _refused_stack(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Since 2.41 glibc ends dlopen with 'cannot enable executable stack as shared object requires'."""
    stacks = _stacks(analysis)
    for path, version in _refused(analysis, stacks).items():
        yield Verdict(path, f"glibc {version} of its runtime refuses to dlopen it: {stacks[path]}", _CLEAR)


def _stacks(analysis: Analysis) -> dict[str, str]:
    """Give the files that make the stack executable, each with why."""
    elves = {path: analysis.elves[path] for path in analysis.hardening}
    found = {
        path: stack_executable(elf.segments, elf.abi.machine) for path, elf in elves.items() if elf.dynamic
    }
    return {path: reason for path, reason in found.items() if reason}


def _refused(analysis: Analysis, stacks: Collection[str]) -> dict[str, str]:
    """Give those of the files that dlopen brings in, with the glibc that refuses them."""
    if not stacks:
        return {}
    libc = analysis.python.libc
    if libc is None or libc.kind != "glibc" or libc.version is None or libc.version < _GLIBC_REFUSES:
        return {}
    version = ".".join(map(str, libc.version))
    programs = (load for load in analysis.graph.loads if analysis.elves[load.root].is_program)
    started = {path for load in programs for path in load.edges}
    return {path: version for path in stacks if path not in started}


def _text_relocations(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """The loader makes code writable to relocate it: no page is shared, and SELinux may forbid it (execmod)."""
    for path in analysis.hardening:
        if has_text_relocations(analysis.elves[path]):
            yield Verdict(
                path,
                "the loader must write into its code (DT_TEXTREL)",
                "compile all of it with -fPIC; ld -z text names the object that is not",
            )


def _writable_code(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What can be written and executed is where injected code goes."""
    for path in analysis.hardening:
        for segment in writable_code(analysis.elves[path].segments):
            yield Verdict(
                path,
                f"{segment} is writable and executable",
                "link it again without -N (--omagic), or fetch a version of it that was not packed or patched",
            )


def _without(
    protection: str, remedy: str, lacks: Callable[[Hardening], bool], counts: Callable[[Hardening], bool]
) -> Callable[[Analysis, Mapping[str, float]], Iterator[Verdict]]:
    """Make a judge that counts the files lacking a protection, of those for which it counts."""

    def judge(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
        able = [
            path for path, found in analysis.hardening.items() if counts(found) and _has_code(analysis, path)
        ]
        lacking = [path for path in able if lacks(analysis.hardening[path])]
        if lacking:
            yield Verdict(
                analysis.target.name,
                f"{protection}: {len(lacking):,} of {counted(len(able), 'file')}: {_largest(analysis, lacking)}",
                remedy,
            )

    return judge


def _has_code(analysis: Analysis, path: str) -> bool:
    segments = analysis.elves[path].segments
    return any(segment.type == "PT_LOAD" and segment.flags & EXECUTE for segment in segments)


def _largest(analysis: Analysis, paths: Iterable[str]) -> str:
    ordered: Sequence[str] = sorted(paths, key=lambda path: (-analysis.tree.entries[path].size, path))
    return some(ordered, SHOWN, "smaller")


_CHECKSEC = "checksec(1)"

RULES = (
    Rule(
        key="refused-stack",
        severity=Severity.ERROR,
        judge=_refused_stack,
        means="a library asks for an executable stack, and the runtime's glibc is 2.41 or later",
        matters="dlopen(3), and so Python's import, ends with 'cannot enable executable stack as shared object …'",
        mend="add .note.GNU-stack to its assembler sources, link with -z noexecstack, or patchelf --clear-execstack",
        source="glibc NEWS 2.41 and elf/dl-load.c",
    ),
    Rule(
        key="executable-stack",
        severity=Severity.WARNING,
        judge=_executable_stack,
        means="a native file makes the process' stacks executable, or does not say that it need not",
        matters="an overflow on the stack can run what it wrote; glibc 2.41 and later refuse to dlopen the file",
        mend="add .note.GNU-stack to its assembler sources, link with -z noexecstack, or patchelf --clear-execstack",
        source="glibc NEWS 2.41 and elf/dl-load.c; sysdeps/*/stackinfo.h; ld(1), -z execstack",
    ),
    Rule(
        key="text-relocations",
        severity=Severity.WARNING,
        judge=_text_relocations,
        means="the loader must write into the file's code to relocate it (DT_TEXTREL, DF_TEXTREL)",
        matters="its code is writable for a time and shared with no other process; SELinux may refuse it",
        mend="compile all of it with -fPIC, and link with -z text, which names the objects that are not",
        source="gABI chapter 5, 'Dynamic Section'; ld(1), -z text",
    ),
    Rule(
        key="writable-code",
        severity=Severity.WARNING,
        judge=_writable_code,
        means="a LOAD segment is mapped both writable and executable",
        matters="whoever can write there runs code",
        mend="link it again without -N (--omagic), or fetch a version of it that was not packed or patched",
        source="gABI chapter 5, 'Segment Permissions'; ld(1), --omagic, --warn-rwx-segments",
    ),
    Rule(
        key="no-relro",
        severity=Severity.NOTE,
        judge=_without("no RELRO", "link with -z relro", lambda found: found.relro == "no", lambda _: True),
        means="the loader's tables (.got, .init_array, .dynamic, vtables) stay writable",
        matters="one stray write into them redirects calls",
        mend="link with -Wl,-z,relro, the default of most distributions",
        source=f"{_CHECKSEC}; ld(1), -z relro",
    ),
    Rule(
        key="lazy-binding",
        severity=Severity.NOTE,
        judge=_without(
            "symbols bound at the first call, RELRO partial at best",
            "link with -z now",
            lambda found: found.lazy,
            lambda _: True,
        ),
        means="functions of other libraries are bound when first called, through a table that stays writable",
        matters="one stray write into .got.plt redirects calls; a missing function is noticed late",
        mend="link with -Wl,-z,relro,-z,now; a test with LD_BIND_NOW=1 shows whether it starts so",
        source=f"{_CHECKSEC}, 'Partial RELRO'; ld(1), -z now; ld.so(8), LD_BIND_NOW",
    ),
    Rule(
        key="no-pie",
        severity=Severity.NOTE,
        judge=_without(
            "programs at a fixed address",
            "compile with -fPIE, link with -pie",
            lambda found: found.pie == "no",
            lambda found: found.pie != "dso",
        ),
        means="a program is linked to a fixed address",
        matters="an attacker knows where its code and data lie (no address space layout randomisation)",
        mend="compile with -fPIE and link with -pie",
        source=f"{_CHECKSEC}; ld(1), -pie",
    ),
    Rule(
        key="no-canary",
        severity=Severity.NOTE,
        judge=_without(
            "no stack canary",
            "compile with -fstack-protector-strong",
            lambda found: found.canary is False,
            lambda found: found.canary is not None,
        ),
        means="no function of the file checks its stack frame before it returns; those without arrays need not",
        matters="an overflow on the stack that reaches the return address goes unnoticed",
        mend="compile C and C++ with -fstack-protector-strong; Go and Rust check bounds instead",
        source=f"{_CHECKSEC}; gcc(1), -fstack-protector",
    ),
    Rule(
        key="no-fortify",
        severity=Severity.NOTE,
        judge=_without(
            "no call checked by _FORTIFY_SOURCE",
            "compile with -O2 -D_FORTIFY_SOURCE=2",
            lambda found: found.fortified == 0,
            lambda found: found.fortified + found.fortifiable > 0,
        ),
        means="the file calls functions of glibc that have a checked form (memcpy, sprintf, …), and none of those",
        matters="overflows of buffers whose size the compiler knows are not noticed",
        mend="compile with -O2 -D_FORTIFY_SOURCE=2 or 3",
        source=f"{_CHECKSEC}; feature_test_macros(7), _FORTIFY_SOURCE",
    ),
)
