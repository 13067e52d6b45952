"""Names the first release of each distribution whose libraries have a symbol version, such as GLIBC_2.38."""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, ...]


class Release(NamedTuple):
    """What a release ships: its glibc, and the GCC whose libstdc++ and libgcc_s its runtime packages hold."""

    distribution: str
    name: str
    glibc: Version
    gcc: Version


# Oldest first, each as it came out. Read in November 2026:
# - the package pages of Debian for 10 to 13 and of Ubuntu for 24.04 and later: libc6 and libstdc++6.
#   Ubuntu takes libstdc++6 from the next GCC, so that it is newer than the compiler: 16-20260322 in 26.04 is the branch
#   before 16.1, and stands here as (16, 0, 1).
# - docs.redhat.com: the Developer Guide of 6, "Libraries and Runtime Support"; of 10, "C23 support in glibc" (GCC 14).
# - docs.aws.amazon.com: the AL2023 user guide, "Improved toolchain: gcc, binutils, and glibc", for 2 and 2023.
# - sourceware.org/glibc/wiki/Release, "Distribution Branch Mapping", for the glibc of what is still maintained.
# Of the others (Debian 8 and 9, libstdc++6 of Ubuntu before 24.04, GCC of RHEL 7 to 9, Amazon Linux 1) no such page was
# read: tests/test_audit_releases.py holds all of them against PEP 600's policies, which are made from these systems.
RELEASES = (
    Release("Debian", "8 jessie", (2, 19), (4, 9, 2)),
    Release("Debian", "9 stretch", (2, 24), (6, 3, 0)),
    Release("Debian", "10 buster", (2, 28), (8, 3, 0)),
    Release("Debian", "11 bullseye", (2, 31), (10, 2, 1)),
    Release("Debian", "12 bookworm", (2, 36), (12, 2, 0)),
    Release("Debian", "13 trixie", (2, 41), (14, 2, 0)),
    Release("Ubuntu", "14.04", (2, 19), (4, 8, 2)),
    Release("Ubuntu", "16.04", (2, 23), (5, 3, 1)),
    Release("Ubuntu", "18.04", (2, 27), (8, 0, 1)),
    Release("Ubuntu", "20.04", (2, 31), (10, 0, 1)),
    Release("Ubuntu", "22.04", (2, 35), (12, 0, 1)),
    Release("Ubuntu", "24.04", (2, 39), (14, 0, 1)),
    Release("Ubuntu", "25.04", (2, 41), (15, 0, 1)),
    Release("Ubuntu", "25.10", (2, 42), (15, 2, 0)),
    Release("Ubuntu", "26.04", (2, 43), (16, 0, 1)),
    Release("Ubuntu", "26.10", (2, 44), (16, 2, 0)),
    Release("RHEL", "6", (2, 12), (4, 4, 7)),
    Release("RHEL", "7", (2, 17), (4, 8, 5)),
    Release("RHEL", "8", (2, 28), (8, 5, 0)),
    Release("RHEL", "9", (2, 34), (11, 2, 1)),
    Release("RHEL", "10", (2, 39), (14, 2, 1)),
    Release("Amazon Linux", "1", (2, 17), (4, 8, 3)),
    Release("Amazon Linux", "2", (2, 26), (7, 3, 1)),
    Release("Amazon Linux", "2023", (2, 34), (11, 3, 1)),
)

# gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html, "Versioning": the first GCC whose libstdc++ has the last number of
# GLIBCXX_3.4.N and CXXABI_1.3.N. A release before .1.0, as Ubuntu's (12, 0, 1), is the branch shortly before it and
# has its versions. Of GLIBCXX_3.4.19 the manual says 4.8.3: it came to the branch before, so that Ubuntu 14.04 and
# RHEL 7.0 have it in their 4.8.2.
_GLIBCXX = {
    0: (3, 4, 0), 1: (3, 4, 1), 2: (3, 4, 2), 3: (3, 4, 3), 4: (4, 0), 5: (4, 0, 1), 6: (4, 0, 2), 7: (4, 0, 3),
    8: (4, 1, 1), 9: (4, 2), 10: (4, 3), 11: (4, 4), 12: (4, 4, 1), 13: (4, 4, 2), 14: (4, 5), 15: (4, 6),
    16: (4, 6, 1), 17: (4, 7), 18: (4, 8), 19: (4, 8, 2), 20: (4, 9), 21: (5,), 22: (6,), 23: (7,), 24: (7, 2),
    25: (8,), 26: (9,), 27: (9, 2), 28: (9, 3), 29: (11,), 30: (12,), 31: (13,), 32: (13, 2), 33: (14,), 34: (15,),
    35: (16,),
}  # fmt: skip
_CXXABI = {
    0: (3, 4, 0), 1: (4, 0), 2: (4, 3), 3: (4, 4), 4: (4, 5), 5: (4, 6), 6: (4, 7), 7: (4, 8), 8: (4, 9), 9: (5,),
    10: (6,), 11: (7,), 12: (9,), 13: (11,), 14: (13,), 15: (14,), 16: (15,), 17: (16,),
}  # fmt: skip

_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_(\d{1,4}(?:\.\d{1,4}){0,3})")


def family_of(version: str) -> tuple[str, Version] | None:
    """Split a symbol version into family and number: `GLIBC_2.38` gives `("GLIBC", (2, 38))`; None for others."""
    match = _VERSION.fullmatch(version)
    return (match[1], tuple(map(int, match[2].split(".")))) if match else None


def first_releases(version: str) -> tuple[Release, ...] | None:
    """Give for each distribution its first release that has a symbol version; None when it is not known here.

    A distribution none of whose listed releases has it is left out.
    """
    family = family_of(version)
    if family is None:
        return None
    kind, number = family
    if kind == "GLIBC":
        found = [release for release in RELEASES if release.glibc >= number]
    else:
        gcc = _gcc_with(kind, number)
        if gcc is None:
            return None
        found = [release for release in RELEASES if release.gcc >= gcc]
    first: dict[str, Release] = {}
    for release in found:
        first.setdefault(release.distribution, release)
    return tuple(first.values())


def in_words(version: str) -> str:
    """Give where it comes first as words for a report; empty when it is not known here."""
    found = first_releases(version)
    if found is None:
        return ""
    if not found:
        return "in no release known here"
    missing = dict.fromkeys(
        release.distribution
        for release in RELEASES
        if release.distribution not in {one.distribution for one in found}
    )
    words = [f"{release.distribution} {release.name}" for release in found]
    return "first in " + ", ".join(words + [f"no {name} yet" for name in missing])


def _gcc_with(kind: str, number: Version) -> Version | None:
    if kind == "GCC":  # libgcc_s carries the number of the compiler; 3.0 to 4.8 as in its libgcc-std.ver
        return number[:1] if number[0] >= 5 else number
    table, head = (_GLIBCXX, (3, 4)) if kind == "GLIBCXX" else (_CXXABI, (1, 3))
    return table.get(number[2] if len(number) > 2 else 0) if number[:2] == head else None
