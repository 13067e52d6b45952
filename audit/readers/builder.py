"""Gathers entries into a Tree: parents implied, names made safe, image layers laid over each other."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING

from audit.errors import TooLargeError
from audit.readers.layers import LayerLog, with_settled_links
from audit.tree import DIRECTORY, Anomaly, Entry, ImageConfig, Tree, normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.tree import Form

# A large image has about 200,000 files; more than this is a bomb or a mistake. So many take 0.8 GiB of memory up to
# the report, and half a minute.
MAX_ENTRIES = 300_000
# Files that later layers hide count here, too.
MAX_STORED = 500_000
# The names and link targets of all entries together; those of a whole Debian are 3 MB.
MAX_NAME_BYTES = 64 << 20
# Each strange name is worth a finding, but not each of a million.
MAX_ANOMALIES = 1000
MAX_SHOWN_NAME = 4096

# deflate cannot do better than 1032:1; real packages and layers stay below 20:1.
MAX_RATIO = 200
# Below this, even a bomb is harmless to look at.
HARMLESS_BYTES = 256 << 20

WHITEOUT = ".wh."  # OCI image-spec, layer.md: "Whiteouts"
OPAQUE = ".wh..wh..opq"


def most_from(packed: int) -> int:
    """Give how many bytes an archive of `packed` bytes may unpack to without being taken for a bomb."""
    return max(HARMLESS_BYTES, MAX_RATIO * packed)


class TreeBuilder:
    """The entries so far, and the names in each folder, so that removing one costs what it holds."""

    def __init__(self, name: str, times: int = 1) -> None:
        """Start with an empty `/`; `name` is what error texts call the target, `times` multiplies the limits."""
        self.name = name
        self._times = times
        self.entries: dict[str, Entry] = {"/": DIRECTORY}
        self.anomalies: list[Anomaly] = []
        self._log: LayerLog | None = None  # only images have layers
        self._names: dict[str, set[str]] = {"/": set()}
        self._stored = 0
        self._name_bytes = 0

    def add(self, name: str, entry: Entry) -> str | None:
        """Add an entry under its name in the archive; give its path, or None when the name is not safe."""
        path = normalise(name)
        if path is None or (path == "/" and entry.kind != "dir"):
            self.note(Anomaly(kind="unsafe-name", name=name))
            return None
        self.put(path, entry)
        return path

    def note(self, anomaly: Anomaly) -> None:
        """Remember something strange, up to a thousand times."""
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(replace(anomaly, name=anomaly.name[:MAX_SHOWN_NAME]))

    def put(self, path: str, entry: Entry) -> None:
        """Set the entry at a normalised path; what was there goes, unless both are folders."""
        missing = [path]  # not by recursion: a path may have 2000 folders
        while (parent := posixpath.dirname(missing[-1])) != missing[-1]:
            above = self.entries.get(parent)
            if above is not None and above.kind == "dir":
                break
            missing.append(parent)
        for folder in reversed(missing[1:]):
            self._set(folder, DIRECTORY)
        self._set(path, entry)

    def _set(self, path: str, entry: Entry) -> None:
        """Set the entry at a path whose parent is a folder."""
        old = self.entries.get(path)
        if old is not None and old.kind == "dir" and entry.kind != "dir":
            self.remove(path)
        elif old is not None and self._log is not None:
            self._log.hide(path, old, deleted=False)
        if path != "/":
            parent, name = posixpath.split(path)
            self._names[parent].add(name)
        self.entries[path] = entry
        if entry.kind == "dir":
            self._names.setdefault(path, set())
        self._stored += 1
        self._name_bytes += len(path) + len(entry.target)
        for count, most, what in (
            (len(self.entries), MAX_ENTRIES, "files"),
            (self._stored, MAX_STORED, "files in its layers"),
            (self._name_bytes, MAX_NAME_BYTES, "bytes of names"),
        ):
            if count > most * self._times:
                raise TooLargeError(
                    f"{self.name} has more than {most * self._times:,} {what}: it is not read further."
                )

    def remove(self, path: str) -> None:
        """Remove a path and everything beneath it."""
        if path not in self.entries or path == "/":
            return
        parent, name = posixpath.split(path)
        self._names[parent].discard(name)
        todo = [path]
        while todo:
            gone = todo.pop()
            entry = self.entries.pop(gone)
            if self._log is not None:
                self._log.hide(gone, entry, deleted=True)
            todo.extend(posixpath.join(gone, name) for name in self._names.pop(gone, ()))

    def lay_over(self, layer: Iterable[tuple[str, Entry]], name: str = "", command: str = "") -> None:
        """Apply one image layer: its whiteouts hide what lower layers hold, then its entries are added.

        Source: OCI image-spec, layer.md, "Applying Changesets". Whiteouts never hide entries of their own
        layer.
        """
        self._log = self._log or LayerLog(self.name)
        self._log.begin(name, command)
        added: list[tuple[str, Entry]] = []
        for member, entry in layer:
            folder, base = posixpath.split(member.rstrip("/"))
            if not base.startswith(WHITEOUT):
                added.append((member, entry))
                continue
            parent = normalise(folder)
            if parent is None:
                self.note(Anomaly(kind="unsafe-name", name=member))
            elif base == OPAQUE:
                for hidden in list(self._names.get(parent, ())):
                    self.remove(posixpath.join(parent, hidden))
            else:
                self.remove(posixpath.join(parent, base.removeprefix(WHITEOUT)))
        self.add_all(added)

    def add_all(self, entries: Iterable[tuple[str, Entry]], stamps: Iterable[object] = repeat(None)) -> None:
        """Add the entries of one archive; of two with one name the later counts, as every unpacker has it.

        `stamps` has one for each entry: equal ones mean equal content, None that it is not known.
        """
        seen: dict[str, tuple[str, object]] = {}
        twice: dict[str, Anomaly] = {}
        for (name, entry), stamp in zip(entries, stamps, strict=False):
            path = self.add(name, entry)
            if path is None:
                continue
            if self._log is not None:
                self._log.hold(path, entry)
            content = (entry.kind, stamp)
            if path in seen and entry.kind != "dir":
                known = None not in (stamp, seen[path][1])
                alike = content == seen[path] if known else None
                if path in twice and alike is not False:
                    alike = twice[path].alike and alike
                twice[path] = Anomaly(kind="duplicate-name", name=name, alike=alike)
            seen[path] = content
        self.anomalies.extend(twice.values())  # no more than there are entries

    def build(
        self,
        form: Form,
        *,
        archive_size: int | None = None,
        config: ImageConfig | None = None,
    ) -> Tree:
        """Give the finished tree."""
        entries = self.entries if self._log is None else with_settled_links(self.entries)
        return Tree(
            name=self.name,
            form=form,
            entries=MappingProxyType(entries),
            config=config or ImageConfig(),
            archive_size=archive_size,
            anomalies=tuple(self.anomalies),
            layers=() if self._log is None else self._log.layers(entries.values()),
        )
