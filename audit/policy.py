"""What a manylinux or musllinux tag promises of a system, and which of them a set of ELF files needs."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.elf import Abi, Elf

# The manylinux policies in short, from auditwheel's (MIT): tests/auditwheel/make_policies.py writes it.
MANYLINUX = Path(__file__).with_name("manylinux.json")

# A wheel's name for the machine of an ELF file, by its name here and its bits (PEP 600: as `uname -m` says it).
_MACHINES = {
    ("x86-64", 64): "x86_64",
    ("i386", 32): "i686",
    ("aarch64", 64): "aarch64",
    ("arm", 32): "armv7l",
    ("ppc64", 64): "ppc64le",
    ("s390x", 64): "s390x",
    ("riscv", 64): "riscv64",
    ("loongarch", 64): "loongarch64",
}

# PEP 656: musl's own library, under each name that it is needed by, and zlib.
_MUSL_LIBRARIES = ("libc.so", "libz.so.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a system that a tag names is sure to have: libraries, by soname, and their symbol versions.

    `versions` is None where nothing is said of them, as for musl, which has none. `libc` is the version of
    glibc or musl.
    """

    name: str
    aliases: tuple[str, ...]
    libc: tuple[int, int]
    libraries: frozenset[str]
    versions: frozenset[str] | None

    def refuses(self, version: str) -> bool:
        """Tell whether the symbol version is one of a family that the policy lists, and not listed itself."""
        if self.versions is None:
            return False
        family = version.partition("_")[0]
        return version not in self.versions and any(
            known.partition("_")[0] == family for known in self.versions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What files need from outside of them; `users` names, for a library or version, one file that needs it.

    `versions` are symbol versions by library, whether the library is among the files or not: so auditwheel
    counts. `libraries` are the sonames that the files do not satisfy among themselves.
    """

    machine: str
    versions: Mapping[str, frozenset[str]]
    libraries: frozenset[str]
    users: Mapping[str, str]

    def beyond(self, policy: Policy) -> tuple[str, ...]:
        """List what the policy does not promise: libraries, then symbol versions, the highest first."""
        every = {version for found in self.versions.values() for version in found}
        refused = sorted((version for version in every if policy.refuses(version)), key=version_key)
        return (*sorted(self.libraries - policy.libraries), *reversed(refused))


def machine_of(abi: Abi) -> str | None:
    """Give the machine's name in a wheel's platform tag; None when no wheel is made for it."""
    name = _MACHINES.get((abi.machine, abi.bits))
    return "ppc64" if name == "ppc64le" and not abi.little else name


def needs(elves: Mapping[str, Elf], unresolved: Iterable[tuple[str, str]], machine: str) -> Needs:
    """Sum up what ELF files need; `unresolved` are pairs of a file and a NEEDED that leads outside of them."""
    versions: defaultdict[str, set[str]] = defaultdict(set)
    users: dict[str, str] = {}
    for path, elf in elves.items():
        for library, names in elf.verneed:
            if not _is_loader(library):
                versions[library].update(names)
                for name in names:
                    users.setdefault(name, path)
    libraries = set()
    for path, needed in unresolved:
        if not _is_loader(needed):
            libraries.add(needed)
            users.setdefault(needed, path)
    return Needs(
        machine=machine,
        versions={library: frozenset(names) for library, names in versions.items()},
        libraries=frozenset(libraries),
        users=users,
    )


@cache
def manylinux(machine: str) -> tuple[Policy, ...]:
    """List the manylinux policies for a machine, oldest glibc first (PEP 600, and auditwheel's table)."""
    found: list[Policy] = []
    libraries: set[str] = set()
    versions: set[str] = set()
    for row in json.loads(MANYLINUX.read_text(encoding="utf-8")):
        libraries.update(row["libraries"])
        versions.update(row["versions"].get(machine, ()))
        if machine in row["machines"]:
            _, major, minor = row["name"].split("_")
            policy = Policy(
                name=f"{row['name']}_{machine}",
                aliases=tuple(f"{alias}_{machine}" for alias in row["aliases"]),
                libc=(int(major), int(minor)),
                libraries=frozenset(libraries),
                versions=frozenset(versions),
            )
            found.append(policy)
    return tuple(found)


def musllinux(major: int, minor: int, machine: str) -> Policy:
    """Give the policy of a musllinux tag (PEP 656)."""
    return Policy(
        name=f"musllinux_{major}_{minor}_{machine}",
        aliases=(),
        libc=(major, minor),
        libraries=frozenset({*_MUSL_LIBRARIES, f"libc.musl-{machine}.so.1"}),
        versions=None,
    )


def policy_of(tag: str, machine: str) -> Policy | None:
    """Give what a platform tag promises; None for `linux_…`, which promises nothing, and for unknown ones.

    A manylinux tag between two rows of the table promises what the older one does, and its own glibc.
    """
    family, _, rest = tag.removesuffix(f"_{machine}").partition("_")
    numbers = rest.split("_")
    libc = (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(map(_is_small, numbers)) else None
    if family == "musllinux" and libc:
        return musllinux(*libc, machine)
    rows = manylinux(machine)
    named = next((row for row in rows if tag == row.name or tag in row.aliases), None)
    if named is None and family == "manylinux" and libc and rows and libc >= rows[0].libc:
        below = [row for row in rows if row.libc <= libc][-1]
        above = {f"GLIBC_{libc[0]}.{minor}" for minor in range(below.libc[1], min(libc[1], 99) + 1)}
        return Policy(
            name=tag,
            aliases=(),
            libc=libc,
            libraries=below.libraries,
            versions=(below.versions or frozenset()) | above,
        )
    return named


def best(wanted: Needs) -> Policy | None:
    """Give the manylinux policy with the oldest glibc that promises all that is needed; None without one."""
    return next((policy for policy in manylinux(wanted.machine) if not wanted.beyond(policy)), None)


def is_promised(needed: str, abi: Abi) -> bool:
    """Tell whether each system that wheels are made for has a library or loader, in whatever version.

    So says the newest manylinux policy, whose list PEP 600 keeps short, and PEP 656 of musl.
    """
    name = needed.rpartition("/")[2]
    if _is_loader(name) or name.startswith("ld-musl-"):
        return True
    machine = machine_of(abi) or ""
    rows = manylinux(machine)
    return name in musllinux(1, 1, machine).libraries or bool(rows and name in rows[-1].libraries)


def highest(versions: Iterable[str]) -> dict[str, str]:
    """Give the highest symbol version of each family, such as `GLIBC` to `GLIBC_2.27`."""
    found: dict[str, str] = {}
    for version in sorted((v for v in versions if _numbers(v)), key=version_key):
        found[version.partition("_")[0]] = version
    return found


def version_key(version: str) -> tuple[bool, str, tuple[int, ...], str]:
    """Give the key that sorts symbol versions by family, glibc's last; then as numbers: 2.4 before 2.17."""
    family = version.partition("_")[0]
    return family == "GLIBC", family, _numbers(version), version


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.partition("_")[2].split(".")
    return tuple(int(part) for part in parts) if all(map(_is_small, parts)) else ()


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def _is_loader(library: str) -> bool:
    """Tell whether it is the dynamic loader, which every system has (the names: auditwheel's elfutils)."""
    return library.startswith("ld-linux") or library in ("ld64.so.1", "ld64.so.2")
