"""Reads the users and groups of a root file system, as an engine looks them up to start a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from audit.errors import UnreadableEntryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.tree import Tree

Kind = Literal["passwd", "group"]
MAX_BYTES = 1 << 20
# Digits of a uid_t or gid_t: 4,294,967,295. More are an attack on int().
_DIGITS = 10


def accounts(tree: Tree, kind: Kind) -> dict[str, int]:
    """Read the names and numbers of /etc/passwd or /etc/group; passwd(5), group(5)."""
    try:
        content = tree.read(f"/etc/{kind}", MAX_BYTES) or b""
    except UnreadableEntryError:  # the rule of unreadable entries says so
        return {}
    rows = (line.split(":") for line in content.decode("utf-8", "surrogateescape").splitlines())
    return {row[0]: number for row in rows if len(row) > 2 and (number := _number(row[2])) is not None}


def id_of(name: str, known: Mapping[str, int]) -> int | None:
    """Give the number of a user or group that an image names; a number stands for itself.

    Source: OCI image-spec, config.md, 'User'.
    """
    return known[name] if name in known else _number(name)


def _number(text: str) -> int | None:
    return int(text[:_DIGITS]) if text.isascii() and text.isdecimal() else None
