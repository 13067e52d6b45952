"""Keeps account of image layers while they are laid over each other: which bytes does a later one hide?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from audit.errors import TooLargeError
from audit.tree import Layer, Lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from audit.tree import Entry

# Each is a file stored in some layer; a tree may hold as many.
MAX_HIDDEN = 2_000_000


@dataclass(slots=True)
class _Account:
    name: str
    command: str
    files: int = 0
    size: int = 0
    hidden: list[tuple[str, Entry, int, bool]] = field(default_factory=list)


class LayerLog:
    """What each layer holds so far, and what of it later ones hide."""

    def __init__(self, name: str) -> None:
        """Start without a layer; `name` is what error texts call the image."""
        self.name = name
        self._accounts: list[_Account] = []
        self._origins: dict[str, int] = {}
        self._hidden = 0

    def begin(self, name: str, command: str) -> None:
        """Go on with the next layer."""
        self._accounts.append(_Account(name, command))

    def hold(self, path: str, entry: Entry) -> None:
        """Count an entry of this layer."""
        if entry.kind == "file":
            account = self._accounts[-1]
            account.files += 1
            account.size += entry.size if entry.same_as is None else 0
            self._origins[path] = len(self._accounts) - 1

    def hide(self, path: str, entry: Entry, *, deleted: bool) -> None:
        """Remember that this layer overwrites or deletes an entry.

        Raises:
            TooLargeError: there are more than any real image has.
        """
        if entry.kind != "file":
            return
        self._hidden += 1
        if self._hidden > MAX_HIDDEN:
            raise TooLargeError(f"{self.name} hides more than {MAX_HIDDEN:,} files: it is not read further.")
        origin = self._origins.pop(path, len(self._accounts) - 1)
        self._accounts[origin].hidden.append((path, entry, len(self._accounts), deleted))

    def layers(self, live: Iterable[Entry]) -> tuple[Layer, ...]:
        """Give the layers, the lowest first; content that still has a name among `live` is not lost."""
        kept = {id(entry.opener) for entry in live if entry.kind == "file"}
        paths: list[set[str]] = [set() for _ in self._accounts]
        for path, number in self._origins.items():
            paths[number].add(path)
        return tuple(
            Layer(
                name=account.name,
                command=account.command,
                files=account.files,
                size=account.size,
                lost=tuple(
                    Lost(path=path, size=entry.size, by=by, deleted=deleted)
                    for path, entry, by, deleted in account.hidden
                    if entry.same_as is None and id(entry.opener) not in kept
                ),
                paths=frozenset(own),
            )
            for account, own in zip(self._accounts, paths, strict=True)
        )


def with_settled_links(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Make hard links lead to content that is there: a later layer may have hidden their first name."""
    settled = dict(entries)
    heirs: dict[int, str] = {}
    for path, entry in entries.items():
        if entry.same_as is None:
            continue
        first = entries.get(entry.same_as)
        if first is None or first.opener is not entry.opener:
            heir = heirs.setdefault(id(entry.opener), path)
            settled[path] = replace(entry, same_as=None if heir == path else heir)
    return settled
