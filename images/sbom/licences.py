"""Turns Debian's copyright files into SPDX licence expressions."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from license_expression import LicenseSymbol, Licensing, get_spdx_licensing  # type: ignore[import-untyped]

TABLES = tomllib.loads((Path(__file__).parent / "tables.toml").read_text())
COMMON_LICENCES = "/usr/share/common-licenses"

_FORMAT = re.compile(r"https?://www\.debian\.org/doc/packaging-manuals/copyright-format/1\.0/?")
_OPERATOR = re.compile(r"(,?\s+(?:and|or)\s+)", re.IGNORECASE)


def licence_of(copyright_text: str, source: str) -> str:
    """The SPDX expression of a Debian source package: what the `Files` paragraphs of its copyright file name.

    Those of debian/ alone are left out. All that is named holds (AND), since a binary package does not tell which
    of the source's files it was made from. A licence that SPDX does not know becomes LicenseRef-Debian-<name>; a file
    that is not machine-readable (copyright-format 1.0) gives LicenseRef-Debian-<source>, whose text it is.
    """
    paragraphs = list(_paragraphs(copyright_text))
    readable = _FORMAT.fullmatch(paragraphs[0].get("format", "")) is not None
    names = {
        " ".join(paragraph["license"].split())
        for paragraph in paragraphs
        if readable
        and "files" in paragraph
        and paragraph.get("license")
        and not _of_packaging(paragraph["files"])
    }
    names -= {"none"}
    return joined(map(_expression, names)) if names else f"LicenseRef-Debian-{_reference(source)}"


def joined(expressions: Iterable[str]) -> str:
    """All of several SPDX expressions, sorted, each part of them once."""
    return str(_spdx().parse(" AND ".join(f"({expression})" for expression in expressions)).simplify())


def unknown_licences(expression: str) -> set[str]:
    """What in an SPDX expression is neither SPDX's nor a LicenseRef.

    Raises:
        license_expression.ExpressionError: it is no expression.
    """
    symbols: list[LicenseSymbol] = _spdx().parse(expression).symbols
    keys = {key for symbol in symbols for key in str(symbol).split(" WITH ")}
    return {key for key in keys if key.lower() not in _known() and not key.startswith("LicenseRef-")}


@cache
def _spdx() -> Licensing:
    """All that SPDX knows: read when it is first asked for, as most commands build nothing."""
    return get_spdx_licensing()


@cache
def _known() -> dict[str, str]:
    """SPDX's names of licences and exceptions by their lower-case forms."""
    return {symbol.key.lower(): symbol.key for symbol in _spdx().known_symbols.values()}


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph by lower-case name; of `License`, the short name alone."""
    for block in re.split(r"\n[ \t]*\n", text.strip()):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] not in (" ", "\t", "#") and ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
            elif name and name != "license":
                fields[name] += " " + line.strip()
        yield fields


def _of_packaging(files: str) -> bool:
    return all(pattern.startswith("debian/") for pattern in files.split())


def _expression(name: str) -> str:
    """`GPL-2+ or BSD-3-clause` as SPDX writes it: `and` binds tighter in both, and less where a comma precedes it."""
    if name.lower() in TABLES["licence"]:
        return _identifier(name)
    written = ""
    for part in _OPERATOR.split(name):
        if not _OPERATOR.fullmatch(part):
            written += _identifier(part)
        elif part.startswith(","):
            written += f") {part[1:].strip().upper()} ("
        else:
            written += part.upper()
    return f"({written})"


def _identifier(name: str) -> str:
    found: str | None = TABLES["licence"].get(name.lower()) or _known().get(name.lower())
    return found or f"LicenseRef-Debian-{_reference(name)}"


def _reference(name: str) -> str:
    """Of letters, digits, `-` and `.`, as SPDX's grammar wants a LicenseRef."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name.replace("+", "-or-later")).strip("-")
