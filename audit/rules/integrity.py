"""Are the files whole, made as they should be, and made for this system?"""

from __future__ import annotations

import posixpath
import re
from itertools import chain, islice
from typing import TYPE_CHECKING

from audit.elf import Elf
from audit.machine_flags import calling, other_system, usual_calling
from audit.records import record_faults
from audit.roles import is_named_as_debug
from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import counted, some
from audit.sections import is_debug_companion, past_end
from audit.segments import PAGE, PAGES, largest_page, misaligned, misplaced, overfull

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from audit.analysis import Analysis

SHOWN = 3
_NATIVE = re.compile(r"\.(so|node|ko|o|elf|bin|exe)(\.|$)")


def _malformed_elf(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A file that begins as an ELF file must be whole (gABI, chapters 4 and 5)."""
    remedy = "copy or build it again; it was cut short or altered"
    without_content = [*analysis.companions]
    for path, broken in analysis.broken.items():
        if is_debug_companion(analysis.sections.get(path, ())):
            without_content.append(path)
        elif broken.readable and _is_native(analysis, path):
            yield Verdict(path, broken.reason, remedy)
    for path in without_content:
        if _is_native(analysis, path) and not is_named_as_debug(path):
            yield Verdict(
                path, "it holds debug information only, and nothing to load", "fetch or build the file itself"
            )
    for path, elf in analysis.elves.items():
        for defect in elf.defects:
            yield Verdict(path, defect, remedy, about=re.sub(r"\d+", "#", defect))


def _is_native(analysis: Analysis, path: str) -> bool:
    """Tell what someone may load or start by its name or mode; anything else is data, such as that of tests."""
    name = posixpath.basename(path)
    executable = analysis.tree.entries[path].mode & 0o111
    return analysis.target.form == "file" or bool(executable) or "." not in name or bool(_NATIVE.search(name))


def _unreadable_entry(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What cannot be read here (encrypted, damaged) cannot be unpacked there; of a folder, see `not-read`."""
    on_disk = analysis.target.form in ("folder", "file")
    remedy = (
        "see that it may be read, and that its disk is whole"
        if on_disk
        else "fetch or make the archive again, with stored or deflated entries"
    )
    broken = {
        path: broken.reason
        for path, broken in analysis.broken.items()
        if not broken.readable and not (broken.passed_over and analysis.target.form == "folder")
    }
    for path, why in sorted({**analysis.damaged, **broken}.items()):
        yield Verdict(path, why, remedy)


_OF_RECORD = {
    "differ": "not as RECORD says",
    "unlisted": "not in RECORD",
    "missing": "in RECORD and not in the wheel",
    "hexadecimal": "with its digest in hexadecimal instead of base64 (the content is as recorded)",
}


def _record_mismatch(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A wheel whose files are not those that were recorded was altered after it was built."""
    for one in analysis.python.own:
        if one.named and analysis.target.form == "zip":
            faults = record_faults(analysis.tree, one.folder)
            said = [
                f"{counted(len(paths), 'file')} {_OF_RECORD[kind]}: {some(paths, SHOWN)}"
                for kind, paths in faults._asdict().items()
                if paths
            ]
            if said:
                remedy = "build the wheel again; after a repair, wheel pack writes RECORD anew"
                yield Verdict(f"{one.folder}/RECORD", "; ".join(said), remedy)


def _misplaced_segment(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Offset and address of a LOAD segment must agree modulo the page size, or mmap(2) cannot map it."""
    for path, elf in _mapped(analysis):
        yield from _first(
            path,
            chain(misplaced(elf.segments, elf.abi.machine), overfull(elf.segments) if elf.is_program else ()),
            "take the file as it was built: strip before patchelf or auditwheel repair, never after",
        )


def _misaligned_segment(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """The loader of glibc before 2.35 also wants them to agree modulo the segment's own alignment."""
    for path, elf in _mapped(analysis):
        if elf.dynamic:
            yield from _first(
                path,
                chain(
                    misaligned(elf.segments, elf.abi.machine),
                    () if elf.is_program else overfull(elf.segments),
                ),
                "take the file as it was built, or run it with glibc 2.35 or later only",
            )


def _small_pages(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """On some machines the kernel's page size is a choice, and a file must fit the largest one."""
    for path, elf in _mapped(analysis):
        most, largest = largest_page(elf.segments, elf.abi.machine), PAGES.get(elf.abi.machine, PAGE)[1]
        if most < largest:
            yield Verdict(
                path,
                f"kernels with pages above {most:,} bytes cannot map it, and {elf.abi.machine} has up to {largest:,}",
                f"link it again with -z max-page-size={largest}",
            )


def _section_past_end(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """The loader does not look at sections; strip, objcopy, gdb and patchelf fail on such a file, or spoil it."""
    for path, sections in analysis.sections.items():
        size = analysis.tree.entries[path].size
        if path in analysis.elves:
            yield from _first(
                path,
                (
                    f"section {one.name} ends at byte {one.offset + one.size} of {size}"
                    for one in past_end(sections, size)
                ),
                "copy or build it again; it was cut short or altered",
            )


def _wrong_abi_flags(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Two files that pass floating-point numbers in different registers cannot call each other."""
    paths = {path for load in analysis.graph.loads for path in load.edges}
    others = [
        elf for path in paths - analysis.elves.keys() if isinstance(elf := analysis.linker.elf(path), Elf)
    ]
    usual = usual_calling(others or analysis.elves.values())
    for path, elf in _mapped(analysis):
        expected, found = usual.get(elf.abi.machine, ""), calling(elf)
        if expected and found and found != expected:
            yield Verdict(
                path, f"built for {found}, where {expected} is expected", f"build it for {expected}"
            )
        if elf.dynamic and (system := other_system(elf)):
            yield Verdict(path, f"built for {system} (EI_OSABI {elf.osabi}), not Linux", "fetch it for Linux")


def _mapped(analysis: Analysis) -> Iterator[tuple[str, Elf]]:
    """Give the programs and libraries of the target."""
    return ((path, elf) for path, elf in analysis.elves.items() if elf.type in ("shared", "executable"))


def _first(path: str, faults: Iterable[str], remedy: str) -> Iterator[Verdict]:
    """Yield one verdict for a file, with the first of its faults: often all have one cause."""
    found = list(islice(faults, SHOWN + 1))
    if found:
        yield Verdict(path, "; ".join(found[:SHOWN]) + ("; …" if len(found) > SHOWN else ""), remedy)


RULES = (
    Rule(
        key="malformed-elf",
        severity=Severity.ERROR,
        judge=_malformed_elf,
        means="a file that is executable or named like a library begins as an ELF file, and is cut short, "
        "contradicts itself, or holds debug information only",
        matters="the loader refuses it, or maps garbage",
        mend="copy, build or fetch it again",
        source="gABI chapters 4 and 5",
    ),
    Rule(
        key="unreadable-entry",
        severity=Severity.ERROR,
        judge=_unreadable_entry,
        means="an entry of the archive cannot be read: encrypted, damaged, or of an unknown method",
        matters="what cannot be read here cannot be unpacked there",
        mend="fetch it again; where it was made so, make it anew, with stored or deflated entries",
        source="APPNOTE.TXT (zip), pax(1)",
    ),
    Rule(
        key="record-mismatch",
        severity=Severity.WARNING,
        judge=_record_mismatch,
        means="files of a wheel are not those that its RECORD lists, by name, size or digest",
        matters="pip installs it all the same, other installers and the package index refuse it: it was altered after "
        "it was built",
        mend="build the wheel again; after a repair, wheel pack writes RECORD anew",
        source="packaging.python.org, 'Binary distribution format'; PEP 427",
    ),
    Rule(
        key="misplaced-segment",
        severity=Severity.ERROR,
        judge=_misplaced_segment,
        means="the program headers cannot be mapped as they stand: offset and address disagree modulo the page size, "
        "LOAD segments lie over each other, one asks for more memory than there is, or a table lies elsewhere than "
        "where it is mapped",
        matters="the loader refuses the file ('ELF load command address/offset not page-aligned') or crashes in it",
        mend="take the file as it was built; strip(1) breaks what patchelf or auditwheel repair has rewritten",
        source="gABI chapter 5, 'Program Header'; glibc, elf/dl-load.c; mmap(2)",
    ),
    Rule(
        key="misaligned-segment",
        severity=Severity.WARNING,
        judge=_misaligned_segment,
        means="offset and address of a LOAD segment agree modulo the page size, not modulo its alignment, or that "
        "makes no sense; or a library's segment is larger in the file than in memory",
        matters="glibc before 2.35 refuses it: 'ELF load command address/offset not properly aligned'; other tools "
        "and loaders refuse what contradicts itself",
        mend="take the file as it was built; strip(1) breaks what patchelf or auditwheel repair has rewritten",
        source="gABI chapter 5, 'Program Header', p_align; glibc bugs 28676 and 28688",
    ),
    Rule(
        key="small-pages",
        severity=Severity.WARNING,
        judge=_small_pages,
        means="a file can be mapped by kernels with small pages only",
        matters="the same machine may have a kernel with pages of 16 or 64 KiB, on which the loader refuses the file",
        mend="link it with -z max-page-size=65536",
        source="the kernel's arch/*/Kconfig, PAGE_SIZE; ld(1), -z max-page-size",
    ),
    Rule(
        key="section-past-end",
        severity=Severity.WARNING,
        judge=_section_past_end,
        means="a section header claims bytes behind the end of the file",
        matters="the file is cut short or was altered; strip, objcopy, gdb and patchelf fail on it, or spoil it",
        mend="copy, build or fetch it again",
        source="gABI chapter 4, 'Sections'",
    ),
    Rule(
        key="wrong-abi-flags",
        severity=Severity.ERROR,
        judge=_wrong_abi_flags,
        means="a file for the right processor calls functions in another way, or is for another system",
        matters="the loader refuses it ('ELF file OS ABI invalid'), or arguments arrive in the wrong registers",
        mend="fetch or build it for the ABI of the runtime, such as armhf instead of armel",
        source="the processors' psABIs, e_flags; glibc, VALID_ELF_OSABI",
    ),
)
