"""libunder48.so as a part, and what is compiled into it."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packageurl import PackageURL

from audit import Tree
from images.sbom.debian import common_texts, os_release, package_url, text_of
from images.sbom.licences import TABLES
from images.sbom.part import Part, Source

LIBRARY = "/under48/action/libunder48.so"
LICENCES = "/under48/action/licences"

_MAX_BYTES = 1 << 30
_COMMIT = re.compile(r"\(([0-9a-f]{7,40})\)")
# What gcc of Debian writes into .comment: the version of the package that it and its libraries came from.
_COMPILER = re.compile(rb"GCC: \(Debian (?P<package>[^)\s]+)\) (?P<major>\d+)\.")
# Linked in statically; their licence's exception asks for nothing, but libgcc-s1's file has its text.
_COMPILER_LIBRARIES = {"libstdc++-{major}-dev": "libstdc++", "libgcc-{major}-dev": "libgcc"}


def native_parts(
    tree: Tree, rows: Sequence[Mapping[str, Any]], version: str, architecture: str
) -> list[Part]:
    """libunder48.so of this `version`, and its sources: `rows` of sources.toml, `architecture` in Debian's words.

    Raises:
        KeyError: a row has no entry in tables.toml.
    """
    content = tree.read(LIBRARY, _MAX_BYTES) or b""
    rows = [row for row in rows if row.get("arch", architecture) == architecture]
    inside = [_compiled(tree, row) for row in rows if not TABLES["source"][row["name"]].get("unused")]
    inside += _compiler_libraries(tree, content, architecture)
    library = Part(
        ref="under48:library",
        kind="library",
        name="libunder48.so",
        version=version,
        licence="Apache-2.0",
        licence_texts=(f"{LICENCES}/LICENSE", f"{LICENCES}/NOTICE"),
        files=(LIBRARY,),
        sha256=hashlib.sha256(content).hexdigest(),
        needs=tuple(part.ref for part in inside),
    )
    return [library, *inside]


def _compiled(tree: Tree, row: Mapping[str, Any]) -> Part:
    known = TABLES["source"][row["name"]]
    commit = _COMMIT.search(row["version"])
    names = {"version": row["version"], "commit": commit[1] if commit else ""}
    purl = PackageURL.from_string(known["purl"].format(**names))
    texts = [f"{LICENCES}/{row['name']}/{name.rpartition('/')[2]}" for name in row["licences"]]
    common = {path for text in texts for path in common_texts(tree, text_of(tree, text))}
    return Part(
        ref=f"source:{row['name']}",
        kind="library",
        name=row["title"],
        version=row["version"],
        purl=purl._replace(qualifiers={"checksum": f"sha256:{row['sha256']}"}),
        cpe=known["cpe"].format(**names) if "cpe" in known else "",
        licence=row["licence"],
        licence_texts=(*texts, *sorted(common)),
        files=(LIBRARY,),
        source=Source(url=f"pool/main/{row['pool']}", sha256=row["sha256"], is_source_code="arch" not in row),
    )


def _compiler_libraries(tree: Tree, content: bytes, architecture: str) -> Iterator[Part]:
    found = _COMPILER.search(content)
    if found is None:
        return
    major, version = found["major"].decode(), found["package"].decode()
    for package, title in _COMPILER_LIBRARIES.items():
        name = package.format(major=major)
        yield Part(
            ref=f"source:{title}",
            kind="library",
            name=title,
            version=version,
            purl=package_url(name, version, architecture, f"gcc-{major}", os_release(tree)),
            licence="GPL-3.0-or-later WITH GCC-exception-3.1",
            licence_texts=("/usr/share/doc/libgcc-s1/copyright",),
            files=(LIBRARY,),
        )
