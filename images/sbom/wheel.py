"""The Python distributions of an image as parts, and the native libraries that their wheels bring along."""

import email
import email.message
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from packageurl import PackageURL

from audit import Tree
from images.sbom.debian import text_of
from images.sbom.licences import TABLES
from images.sbom.part import Part

_FILE = re.compile(r"(?P<stem>\w+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[\d.]+))?")


def wheel_parts(tree: Tree, natives: Mapping[str, Sequence[str]]) -> list[Part]:
    """Each distribution with its bundled libraries; `natives` lists native files by distribution."""
    parts = []
    for folder in tree.glob("/**/*.dist-info"):
        metadata = email.message_from_string(text_of(tree, f"{folder}/METADATA"))
        files = natives.get(posixpath.basename(folder).partition("-")[0], ())
        own = [path for path in files if not _is_bundled(path)]
        bundled = list(_bundled(tree, folder, [path for path in files if _is_bundled(path)]))
        parts += [_distribution(tree, folder, metadata, own, bundled), *bundled]
    return parts


def _distribution(
    tree: Tree, folder: str, metadata: email.message.Message, files: Sequence[str], bundled: Sequence[Part]
) -> Part:
    name, version = str(metadata["Name"]), str(metadata["Version"])
    return Part(
        ref=f"pypi:{name}",
        kind="library",
        name=name,
        version=version,
        purl=PackageURL("pypi", None, name.lower().replace("_", "-"), version),
        licence=str(metadata["License-Expression"] or f"LicenseRef-{name}"),
        licence_texts=tuple(_texts(tree, folder)),
        files=tuple(files),
        needs=tuple(part.ref for part in bundled),
    )


def _is_bundled(path: str) -> bool:
    """Whether auditwheel put it there: into <distribution>.libs."""
    return posixpath.basename(posixpath.dirname(path)).endswith(".libs")


def _bundled(tree: Tree, folder: str, paths: Sequence[str]) -> Iterator[Part]:
    stated = _stated_versions(tree, folder)
    files: dict[str, list[str]] = {}
    for path in paths:
        stem, _ = _parse(path)
        files.setdefault(TABLES["bundled"].get(stem, {}).get("same_as", stem), []).append(path)
    for stem, held in sorted(files.items()):
        row = TABLES["bundled"].get(stem, {"name": stem, "version": "file", "licence": f"LicenseRef-{stem}"})
        version = _parse(held[0])[1] if row["version"] == "file" else stated.get(row["version"], "")
        yield Part(
            ref=f"bundled:{stem}",
            kind="library",
            name=row["name"],
            version=version,
            purl=PackageURL.from_string(row["purl"].format(version=version)) if "purl" in row else None,
            cpe=row["cpe"].format(version=version) if "cpe" in row else "",
            licence=row["licence"],
            licence_texts=tuple(_texts(tree, folder)),
            files=tuple(held),
        )


def _parse(path: str) -> tuple[str, str]:
    """`libzstd-40ad5e7e.so.1.5.7` as ("libzstd", "1.5.7"); auditwheel puts the hash into the name."""
    found = _FILE.match(posixpath.basename(path))
    return (found["stem"], found["version"] or "") if found else (posixpath.basename(path), "")


def _stated_versions(tree: Tree, folder: str) -> dict[str, str]:
    """What the wheel's own bills of materials (PEP 770: `sboms`) say, by the component's name."""
    documents = (json.loads(text_of(tree, path)) for path in tree.glob(f"{folder}/sboms/*.cdx.json"))
    return {
        component["name"]: component["version"]
        for document in documents
        for component in document.get("components", ())
        if "version" in component
    }


def _texts(tree: Tree, folder: str) -> Iterator[str]:
    """The licence files of a distribution (PEP 639: below `licenses`)."""
    return (path for path in tree.glob(f"{folder}/licenses/**") if tree.entries[path].kind == "file")
