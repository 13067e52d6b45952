"""Which release of a distribution has a symbol version first."""

import platform
from pathlib import Path

import pytest

from audit.elf import read_elf
from audit.policy import manylinux
from audit.releases import RELEASES, Release, family_of, first_releases, in_words
from audit.symbols import read_symbols


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("GLIBC_2.2.5", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GLIBC_2.28", "first in Debian 10 buster, Ubuntu 20.04, RHEL 8, Amazon Linux 2023"),
        ("GLIBC_2.38", "first in Debian 13 trixie, Ubuntu 24.04, RHEL 10, no Amazon Linux yet"),
        ("GLIBC_2.99", "in no release known here"),
        ("GLIBCXX_3.4", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GLIBCXX_3.4.19", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 7, Amazon Linux 1"),
        ("GLIBCXX_3.4.30", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 10, no Amazon Linux yet"),
        ("CXXABI_1.3.13", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 9, Amazon Linux 2023"),
        ("GCC_3.0", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GCC_12.0.0", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 10, no Amazon Linux yet"),
        ("GLIBCXX_3.4.35", "first in Ubuntu 26.04, no Debian yet, no RHEL yet, no Amazon Linux yet"),
        ("GLIBCXX_3.4.999", ""),
        ("CXXABI_TM_1", ""),
        ("GLIBC_PRIVATE", ""),
        ("V_1", ""),
    ],
)
def test_a_version_comes_first_in(version: str, words: str) -> None:
    assert in_words(version) == words


def test_families_and_numbers_are_told_apart() -> None:
    assert family_of("GLIBCXX_3.4.30") == ("GLIBCXX", (3, 4, 30))
    assert family_of("libfoo_1") is None
    assert first_releases("V_1") is None


def test_each_distribution_gets_newer_from_release_to_release() -> None:
    for distribution in {release.distribution for release in RELEASES}:
        own = [release for release in RELEASES if release.distribution == distribution]
        assert [one.glibc for one in own] == sorted(one.glibc for one in own)
        assert [one.gcc for one in own] == sorted(one.gcc for one in own)


def has(release: Release, version: str) -> bool:
    """Tell whether the table gives the version to a release, by what came before it."""
    found = first_releases(version)
    first = next((one for one in found or () if one.distribution == release.distribution), None)
    return first is not None and RELEASES.index(first) <= RELEASES.index(release)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: f"{release.distribution} {release.name}")
def test_a_release_has_whatever_its_manylinux_policy_promises(release: Release) -> None:
    """PEP 600: a tag names a glibc; the rest is what mainstream distributions with that glibc have."""
    policy = [one for one in manylinux("x86_64") if one.libc <= release.glibc][-1]
    known = {version for version in policy.versions or () if first_releases(version) is not None}
    assert len(known) > 20
    assert {version for version in known if not has(release, version)} == set()


def machine() -> Release | None:
    """Give the row of the machine that runs the tests."""
    facts = platform.freedesktop_os_release()
    names = {f"{facts.get('NAME', '')} {facts.get('VERSION_ID', '')}".replace(" GNU/Linux", "")}
    return next(
        (one for one in RELEASES if f"{one.distribution} {one.name.partition(' ')[0]}" in names), None
    )


@pytest.mark.parametrize("name", ["libc.so.6", "libstdc++.so.6", "libgcc_s.so.1"])
def test_what_the_libraries_of_this_machine_define_the_table_gives_to_its_release(name: str) -> None:
    release = machine()
    if release is None:
        pytest.skip("this machine runs none of the releases in the table")
    known = {version for version in defined(name) if first_releases(version) is not None}
    assert len(known) > 10
    assert {version for version in known if not has(release, version)} == set()


@pytest.mark.parametrize(
    ("name", "family", "following"),
    [
        ("libc.so.6", "GLIBC", "GLIBC_2.{}"),
        ("libstdc++.so.6", "GLIBCXX", "GLIBCXX_3.4.{}"),
        ("libstdc++.so.6", "CXXABI", "CXXABI_1.3.{}"),
    ],
)
def test_what_they_do_not_define_any_more_the_table_gives_to_a_later_release(
    name: str, family: str, following: str
) -> None:
    release = machine()
    if release is None:
        pytest.skip("this machine runs none of the releases in the table")
    numbers = [found[1] for version in defined(name) if (found := family_of(version)) and found[0] == family]
    after = following.format(max(numbers)[-1] + 1)
    assert first_releases(after) is not None
    assert not has(release, after)


def defined(name: str) -> set[str]:
    """Give the symbol versions of a library of this machine."""
    (path,) = Path("/usr/lib").glob(f"{platform.machine()}-linux-gnu/{name}")
    with path.open("rb") as file:
        elf = read_elf(file)
        assert elf.tables is not None
        provided = read_symbols(file, elf.tables, elf.abi).provided
    return {version.decode() for version in provided or ()}
