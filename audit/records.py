"""Holds the RECORD of a wheel against its files: each is to be listed, with its digest."""

from __future__ import annotations

import base64
import csv
import hashlib
import posixpath
from typing import TYPE_CHECKING, Literal, NamedTuple

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.tree import Tree

MAX_RECORD_BYTES = 16 << 20
# So much is read to compare digests, the smallest files first; the zip's own checksums tell of damage in the others.
MAX_HASHED_BYTES = 64 << 20
CHUNK = 1 << 20
# PEP 376 and 427: sha256 or better; md5 and sha1 do not count.
ALGORITHMS = ("sha256", "sha384", "sha512")
# PEP 427: RECORD cannot list its own digest, nor those of its signatures.
UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")


class Listed(NamedTuple):
    """A row of RECORD, digest and size as written."""

    digest: str
    size: str


class RecordFaults(NamedTuple):
    """Files of a wheel by what is wrong with their row of RECORD; paths are those of the tree, sorted.

    `hexadecimal`: the digest is the file's, written in another way than PEP 427 wants.
    """

    differ: tuple[str, ...]
    unlisted: tuple[str, ...]
    missing: tuple[str, ...]
    hexadecimal: tuple[str, ...] = ()


def record_faults(tree: Tree, folder: str, limit: int = MAX_HASHED_BYTES) -> RecordFaults:
    """Compare the RECORD in the `.dist-info` folder of a wheel with the files at and beneath the folder above it.

    Source: packaging.python.org, "Binary distribution format", "The .dist-info directory". At most `limit` bytes are
    read for digests; sizes are compared always.
    """
    site = posixpath.dirname(folder)
    rows = {posixpath.normpath(posixpath.join(site, name)): row for name, row in _rows(tree, folder)}
    if not rows:
        return RecordFaults((), (), ())
    spared = {posixpath.join(folder, name) for name in UNLISTED}
    files = {
        path: entry.size
        for path in tree.beneath(site)
        if (entry := tree.entries[path]).kind == "file" and path not in spared
    }
    differ, hexadecimal = [], []
    for path, size in sorted(files.items(), key=lambda item: item[1]):
        row = rows.get(path)
        if row is not None and (row.size.isdecimal() or row.digest):
            limit -= size if row.digest else 0
            same_size = not row.size.isdecimal() or row.size == str(size)
            written = _written(tree, path, row) if same_size and limit >= 0 else "as wanted"
            if not same_size or not written:
                differ.append(path)
            elif written == "hexadecimal":
                hexadecimal.append(path)
    return RecordFaults(
        differ=tuple(sorted(differ)),
        unlisted=tuple(sorted(files.keys() - rows.keys())),
        missing=tuple(sorted(rows.keys() - files.keys() - spared)),
        hexadecimal=tuple(sorted(hexadecimal)),
    )


def _rows(tree: Tree, folder: str) -> Iterator[tuple[str, Listed]]:
    try:
        content = tree.read(f"{folder}/RECORD", MAX_RECORD_BYTES) or b""
    except UnreadableEntryError:
        return
    try:
        for row in csv.reader(content.decode("utf-8", "replace").splitlines()):
            if row and row[0]:
                yield row[0], Listed(*(*row[1:3], "", "")[:2])
    except csv.Error:  # what follows is not read
        return


def _written(tree: Tree, path: str, row: Listed) -> Literal["as wanted", "hexadecimal", ""]:
    """Tell how the digest of a file, where its row has one, is written there; empty where it is another's."""
    name, _, wanted = row.digest.partition("=")
    if not row.digest:
        return "as wanted"
    if name not in ALGORITHMS:
        return ""
    found = hashlib.new(name)
    try:
        with tree.entries[path].open() as content:
            while chunk := content.read(CHUNK):
                found.update(chunk)
    except UnreadableEntryError:  # its own rule says so
        return "as wanted"
    if base64.urlsafe_b64encode(found.digest()).decode().rstrip("=") == wanted.rstrip("="):
        return "as wanted"
    return "hexadecimal" if found.hexdigest() == wanted.lower() else ""
