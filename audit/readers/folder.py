"""Reads a folder as the root of a Tree, without following any of its symlinks; or one file as all of it."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from audit.errors import TooLargeError, UnreadableEntryError, UnreadableTargetError
from audit.readers.builder import MAX_ENTRIES, TreeBuilder
from audit.tree import Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer


def read_folder(path: str | os.PathLike[str]) -> Tree:
    """Read the folder at `path`; contents are opened only when asked for.

    Raises:
        UnreadableTargetError: there is no such folder, or a part of it may not be read.
        TooLargeError: it holds more files than are read.
    """
    top = os.fspath(path)
    builder = TreeBuilder(top)
    first: dict[tuple[int, int], str] = {}
    todo = [("", top)]
    while todo:
        inside, outside = todo.pop()
        try:
            with os.scandir(outside) as found:
                listed = sorted(found, key=lambda item: item.name)
            status = Path(outside).stat(follow_symlinks=not inside)
            builder.put(inside or "/", _entry(status, outside))
            for item in listed:
                place = f"{inside}/{item.name}"
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    todo.append((place, item.path))
                    continue
                same = (
                    first.setdefault((status.st_dev, status.st_ino), place) if status.st_nlink > 1 else place
                )
                builder.put(place, _entry(status, item.path, same if same != place else None))
        except OSError as error:
            raise UnreadableTargetError(
                f"cannot read the folder {error.filename}: {error.strerror}. Name a folder that you may read."
            ) from error
        if len(todo) > MAX_ENTRIES:
            raise TooLargeError(f"{top} has more than {MAX_ENTRIES:,} folders: it is not read further.")
    return builder.build("folder")


def read_file(path: str | os.PathLike[str]) -> Tree:
    """Read one file, as the only one of a tree: that is enough to audit an ELF file.

    Raises:
        UnreadableTargetError: there is no such file, or it may not be read.
    """
    place = os.fspath(path)
    builder = TreeBuilder(place)
    try:
        builder.put(f"/{Path(place).name}", _entry(Path(place).stat(), place))
    except OSError as error:
        raise UnreadableTargetError(
            f"cannot read {place}: {error.strerror}. Name a file that you may read."
        ) from error
    return builder.build("file")


def _entry(status: os.stat_result, place: str, same_as: str | None = None) -> Entry:
    mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    if stat.S_ISDIR(status.st_mode):
        return Entry(kind="dir", mode=mode, uid=uid, gid=gid)
    if stat.S_ISLNK(status.st_mode):
        return Entry(kind="symlink", mode=mode, uid=uid, gid=gid, target=os.readlink(place))  # noqa: PTH115 - keeps odd bytes
    if stat.S_ISREG(status.st_mode):
        return Entry(
            kind="file",
            mode=mode,
            uid=uid,
            gid=gid,
            size=status.st_size,
            same_as=same_as,
            opener=partial(_open, place),
        )
    return Entry(kind="other", mode=mode, uid=uid, gid=gid)


class _File(io.FileIO):
    """A file on a disk that may fail while it is read."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        with _in_words(self.place):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _in_words(self.place):
            return super().readall() or b""


def _open(place: str) -> IO[bytes]:
    with _in_words(place):
        return io.BufferedReader(_File(place))


@contextmanager
def _in_words(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableEntryError(f"cannot read {place}: {error.strerror}") from error
