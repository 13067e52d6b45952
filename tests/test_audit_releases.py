"""Which release of a distribution has a symbol version first."""

import pytest

from audit.releases import RELEASES, family_of, first_releases, in_words


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("GLIBC_2.2.5", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GLIBC_2.28", "first in Debian 10 buster, Ubuntu 20.04, RHEL 8, Amazon Linux 2023"),
        ("GLIBC_2.38", "first in Debian 13 trixie, Ubuntu 24.04, RHEL 10, no Amazon Linux yet"),
        ("GLIBC_2.99", "in no release known here"),
        ("GLIBCXX_3.4", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GLIBCXX_3.4.19", "first in Debian 8 jessie, Ubuntu 16.04, RHEL 7, Amazon Linux 1"),
        ("GLIBCXX_3.4.30", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 10, no Amazon Linux yet"),
        ("CXXABI_1.3.13", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 9, Amazon Linux 2023"),
        ("GCC_3.0", "first in Debian 8 jessie, Ubuntu 14.04, RHEL 6, Amazon Linux 1"),
        ("GCC_12.0.0", "first in Debian 12 bookworm, Ubuntu 22.04, RHEL 10, no Amazon Linux yet"),
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
