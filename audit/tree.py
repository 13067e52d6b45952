"""The files of an image, archive or folder as one immutable value, with symlinks resolved inside it."""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Literal

from audit.errors import TooLargeError, UnreadableEntryError
from audit.globs import glob_expression, split_at_wildcard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["file", "dir", "symlink", "other"]
Form = Literal["image", "tar", "zip", "folder", "file"]
AnomalyKind = Literal["unsafe-name", "duplicate-name", "not-read"]

PATH_MAX = 4096  # limits.h, in bytes, with the NUL at the end
# execve(2): the kernel reads this much of a script's first line, and follows at most four interpreters.
MAX_SHEBANG_BYTES = 256
MAX_INTERPRETERS = 4
# path_resolution(7): the kernel gives up (ELOOP) after following 40 symlinks.
MAX_SYMLINKS = 40
# Names in the targets of symlinks that are followed, in all walks together. A whole Debian takes some 10,000.
MAX_FOLLOWED = 5_000_000

# What a folder holds really is there, while an archive may claim it cheaply: this many times as much of it is read.
TIMES_ON_DISK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, folder or symlink. `size` and `compressed` are bytes; `mode` holds the permission bits.

    `same_as` is the path of an earlier hard link to the same content: its bytes are stored once. `other` is a
    device, socket or pipe, whose content is never read.
    """

    kind: Kind
    mode: int
    size: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    compressed: int | None = None
    same_as: str | None = None
    opener: Callable[[], IO[bytes]] | None = field(default=None, compare=False, repr=False)
    checker: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    def check(self) -> None:
        """Read what has not been read of a file whose checksum is known, and compare that.

        Raises:
            UnreadableEntryError: it is damaged.
        """
        if self.checker is not None:
            self.checker()

    def open(self) -> IO[bytes]:
        """Open the content of a file for reading: a seekable binary file object.

        Raises:
            UnreadableEntryError: there is no content, or it cannot be read.
        """
        if self.opener is None:
            raise UnreadableEntryError(f"a {self.kind} has no content to read")
        return self.opener()


DIRECTORY = Entry(kind="dir", mode=0o755)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """An entry that is not in the tree as it stands in the archive or folder, and why.

    `alike` is of a name that is there more than once: whether the contents are the same; None is not known.
    `why` is of what was not read.
    """

    kind: AnomalyKind
    name: str
    alike: bool | None = None
    why: str = ""


# moby, oci/defaults.go: what a container gets whose image sets no PATH.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The part of an image's configuration that decides how its files are run (OCI image-spec, config.md)."""

    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = "/"
    architecture: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()  # the command of each build step, oldest first

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders where a bare name is looked up, as execvp(3) does; without PATH those of the engine."""
        return tuple((self.environment.get("PATH") or DEFAULT_PATH).split(":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A file of a layer that layer number `by` (from 1, the lowest) overwrites, or deletes: `size` bytes wasted."""

    path: str
    size: int
    by: int
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of an image: `size` bytes of `files`, each hard-linked content once, `lost` ones included.

    `name` is where it lies in the saved image, `command` the build step that made it, where that is known. `paths`
    are its files that no later layer hides.
    """

    name: str
    command: str = ""
    files: int
    size: int
    lost: tuple[Lost, ...] = ()
    paths: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a path leads (`real` is None: nowhere), and the symlinks met on the way, in order."""

    real: str | None
    links: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Normalised absolute POSIX paths to entries; every parent folder is in it, and so is `/`.

    `archive_size` is the number of bytes of the zip itself, None for what is no archive.
    """

    name: str
    form: Form
    entries: Mapping[str, Entry]
    config: ImageConfig = field(default_factory=ImageConfig)
    archive_size: int | None = None
    anomalies: tuple[Anomaly, ...] = ()
    layers: tuple[Layer, ...] = ()  # of an image, the lowest first

    @cached_property
    def _followed(self) -> list[int]:
        return [0]

    def follow(self, target: str) -> list[str]:
        """Give the names in a symlink's target, last first.

        Raises:
            TooLargeError: so many were followed that it would not end in a minute.
        """
        names = target.split("/")[::-1]
        self._followed[0] += len(names)
        if self._followed[0] > MAX_FOLLOWED:
            raise TooLargeError(
                f"{self.name}: its symlinks lead through more than {MAX_FOLLOWED:,} folders. No real tree does."
            )
        return names

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Each folder's path to the sorted names in it."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.entries:
            if path != "/":
                parent, name = posixpath.split(path)
                names[parent].append(name)
        return {parent: tuple(sorted(found)) for parent, found in names.items()}

    def walk(self, path: str) -> Walk:
        """Follow an absolute path as path_resolution(7) says; `..` never leaves `/`."""
        entries = self.entries
        todo = path.split("/")[::-1]
        links: list[str] = []
        here = "/"
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = posixpath.dirname(here)
                continue
            there = f"/{name}" if here == "/" else f"{here}/{name}"
            entry = entries.get(there)
            if entry is None:
                return Walk(real=None, links=tuple(links))
            if entry.kind == "symlink":
                links.append(there)
                if len(links) > MAX_SYMLINKS:
                    return Walk(real=None, links=tuple(links))
                todo.extend(self.follow(entry.target))
                here = "/" if entry.target.startswith("/") else here
            elif todo and entry.kind != "dir" and any(todo):
                return Walk(real=None, links=tuple(links))
            else:
                here = there
        return Walk(real=here, links=tuple(links))

    def resolve(self, path: str) -> str | None:
        """Give the path without symlinks that `path` leads to, or None."""
        return self.walk(path).real

    def is_dir(self, path: str) -> bool:
        """Tell whether `path` leads to a folder."""
        real = self.resolve(path)
        return real is not None and self.entries[real].kind == "dir"

    def read(self, path: str, limit: int) -> bytes | None:
        """Read at most `limit` bytes of the file that `path` leads to; None when it leads to no file.

        Raises:
            UnreadableEntryError: the file is there and cannot be read.
        """
        real = self.resolve(path)
        if real is None or self.entries[real].kind != "file":
            return None
        with self.entries[real].open() as content:
            return content.read(limit)

    def shebang(self, path: str) -> list[str]:
        """Give the words behind `#!` in the file that `path` leads to; none where it is no script.

        Raises:
            UnreadableEntryError: the file is there and cannot be read.
        """
        head = self.read(path, MAX_SHEBANG_BYTES) or b""
        return os.fsdecode(head[2:].split(b"\n")[0]).split() if head.startswith(b"#!") else []

    def glob(self, pattern: str) -> tuple[str, ...]:
        """List the paths that match: `*`, `?` and `[…]` stay within a name, `**` crosses folders.

        Folders before the first wildcard may be symlinks, as in `/lib/*.so` where `/lib` leads to `usr/lib`.
        """
        fixed, wild = split_at_wildcard(pattern)
        if not wild:
            return (fixed,) if self._has(fixed) else ()
        base = self.resolve(fixed)
        if base is None:
            return ()
        matches = glob_expression(wild).fullmatch
        start = 1 if base == "/" else len(base) + 1
        return tuple(
            posixpath.join(fixed, path[start:])
            for path in self.beneath(base)
            if path != base and matches(path[start:])
        )

    def beneath(self, folder: str) -> Iterator[str]:
        """List `folder` (without symlinks in its path) and everything in it, parents first."""
        todo = [folder]
        while todo:
            path = todo.pop()
            yield path
            prefix = "/" if path == "/" else f"{path}/"
            todo.extend(prefix + name for name in reversed(self.names.get(path, ())))

    def place(self, path: str) -> str:
        """Give the path without symlinks at which `path` would be made: what exists of it is followed."""
        parts: list[str] = []
        path = posixpath.normpath("/" + path.lstrip("/"))
        while (real := self.resolve(path)) is None:
            path, name = posixpath.split(path)
            parts.append(name)
        return posixpath.join(real, *reversed(parts))

    def with_mounted(self, tree: Tree, at: str) -> Tree:
        """Give this tree with `tree` laid over the folder `at`, as after unpacking it there."""
        at = self.place(at)
        entries = dict(self.entries)
        for parent in parents(at):
            entries.setdefault(parent, DIRECTORY)
        for path, entry in tree.entries.items():
            place = inside(at, path)
            if path != "/" or place not in entries:
                same = entry.same_as
                entries[place] = entry if same is None else replace(entry, same_as=inside(at, same))
        name = f"{tree.name} at {at} of {self.name}"
        return replace(self, name=name, entries=MappingProxyType(entries), archive_size=tree.archive_size)

    def _has(self, path: str) -> bool:
        folder, name = posixpath.split(path)
        real = self.resolve(folder)
        return real is not None and posixpath.join(real, name) in self.entries


def normalise(name: str) -> str | None:
    """Give the absolute path that an archive entry's name stands for, or None when no safe unpacker takes it.

    Unsafe are absolute names, `..`, NUL, and paths of PATH_MAX bytes or more.
    """
    if name.startswith("/") or "\0" in name or len(os.fsencode(name)) >= PATH_MAX:
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if ".." in parts else "/" + "/".join(parts)


def inside(at: str, path: str) -> str:
    """Give where `path` of a tree lies when the tree lies at `at`."""
    return at if path == "/" else posixpath.join(at, path[1:])


def parents(path: str) -> Iterator[str]:
    """List the folders above `path`, nearest first, `/` last."""
    while path != "/":
        path = posixpath.dirname(path)
        yield path
