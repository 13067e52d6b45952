"""Are the files whole, and made as they should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis


def _malformed_elf(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A file that begins as an ELF file must be whole (gABI, chapters 4 and 5)."""
    remedy = "copy or build it again; it was cut short or altered"
    for path, broken in analysis.broken.items():
        if broken.readable:
            yield Verdict(path, broken.reason, remedy)
    for path, elf in analysis.elves.items():
        for defect in elf.defects:
            yield Verdict(path, defect, remedy)


def _unreadable_entry(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What cannot be read here (encrypted, damaged, without permission) cannot be unpacked there."""
    for path, broken in analysis.broken.items():
        if not broken.readable:
            yield Verdict(path, broken.reason, "make the archive again, with stored or deflated entries")


RULES = (
    Rule(
        key="malformed-elf",
        severity=Severity.ERROR,
        judge=_malformed_elf,
        means="a file begins as an ELF file and is cut short or contradicts itself",
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
        mend="make the archive again, with stored or deflated entries",
        source="APPNOTE.TXT (zip), pax(1)",
    ),
)
