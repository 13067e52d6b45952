import pytest
from license_expression import ExpressionError  # type: ignore[import-untyped]

from images.sbom.licences import joined, licence_of, unknown_licences

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


def _file(*licences: str) -> str:
    return FORMAT + "".join(
        f"\nFiles: {i}*\nCopyright: somebody\nLicense: {name}\n" for i, name in enumerate(licences)
    )


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("Expat", "MIT"),
        ("Apache-2.0", "Apache-2.0"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("zlib", "Zlib"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GPL-2+ with Texinfo exception", "GPL-2.0-or-later WITH Texinfo-exception"),
        ("GPL-1+ or Artistic", "(GPL-1.0-or-later OR Artistic-1.0-Perl)"),
        ("Expat and  BSD-3-clause", "(MIT AND BSD-3-Clause)"),
        ("MPL-1.1 or GPL-2+ or LGPL-2.1+", "(MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later)"),
        ("GPL-2+ or Zlib and Expat", "(GPL-2.0-or-later OR Zlib AND MIT)"),
        ("GPL-2+ or Zlib, and Expat", "(GPL-2.0-or-later OR Zlib) AND MIT"),
        ("Zlib, Expat", "LicenseRef-Debian-Zlib-Expat"),  # which the format does not know
        ("GPL-2+ with OpenSSL exception", "LicenseRef-Debian-GPL-2-or-later-with-OpenSSL-exception"),
        ("and", "LicenseRef-Debian-and"),
        ("public-domain", "LicenseRef-Debian-public-domain"),
        ("__AUTO_PERMISSIVE__", "LicenseRef-Debian-AUTO-PERMISSIVE"),
    ],
)
def test_a_short_name_of_the_format_becomes_what_spdx_calls_it(name: str, expression: str) -> None:
    found = licence_of(_file(name), "x")
    assert found == joined([expression])
    assert unknown_licences(found) == set()


def test_every_licence_of_the_source_holds_and_each_is_named_once() -> None:
    assert licence_of(_file("Expat", "GPL-2+", "Expat", "Artistic or Zlib"), "x") == (
        "GPL-2.0-or-later AND MIT AND (Artistic-1.0-Perl OR Zlib)"
    )


def test_what_is_only_in_the_packaging_does_not_count() -> None:
    text = _file("Zlib") + "\nFiles: debian/* debian/patches/*\nLicense: GPL-3+\n"
    assert licence_of(text, "x") == "Zlib"


def test_the_text_of_a_licence_is_no_name_of_one() -> None:
    text = _file("Zlib\n This software is provided 'as-is'.\n .\n License: none of this counts") + (
        "\nLicense: GPL-3+\n In a paragraph of its own.\n"
    )
    assert licence_of(text, "x") == "Zlib"


UNREADABLE = {
    "none": "",
    "prose": "This is the GNU C Library.\n\nFiles: *\nLicense: GPL-2\n",
    "of-its-packaging-alone": f"{FORMAT}\nFiles: debian/*\nLicense: GPL-2\n",
    "without-a-licence": _file("none"),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_names_no_licence_to_machines_is_referred_to_by_the_source_package(text: str) -> None:
    assert licence_of(text, "krb5_x") == "LicenseRef-Debian-krb5-x"


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("MIT AND (IJG OR LicenseRef-x)", set()),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", set()),
        ("MIT AND Expat", {"Expat"}),
    ],
)
def test_an_expression_is_checked_against_the_names_of_spdx(expression: str, unknown: set[str]) -> None:
    assert unknown_licences(expression) == unknown


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ExpressionError):
        unknown_licences("MIT AND")
