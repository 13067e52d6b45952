"""Reads a folder as the root of a Tree, without following any of its symlinks; or one file as all of it."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from audit.errors import PassedOverError, UnreadableEntryError, UnreadableTargetError
from audit.readers.builder import TreeBuilder
from audit.tree import TIMES_ON_DISK, Anomaly, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

MOUNTED = "another file system is mounted there"


def read_folder(path: str | os.PathLike[str]) -> Tree:
    """Read the folder at `path`; contents are opened only when asked for.

    As with `tar --one-file-system`, folders on which another file system is mounted stay empty; single files of
    another do not, as an engine mounts /etc/hosts. These folders, and those that may not be read, are noted. What
    goes away meanwhile is passed over.

    Raises:
        UnreadableTargetError: there is no such folder, or it may not be read.
        TooLargeError: it holds more files than are read.
    """
    top = os.fspath(path)
    builder = TreeBuilder(top, times=TIMES_ON_DISK)
    first: dict[tuple[int, int], str] = {}
    todo = [""]
    device = None
    while todo:
        inside = todo.pop()
        try:
            status = Path(top + inside).stat(follow_symlinks=not inside)
            builder.put(inside or "/", _entry(status, top + inside))
            device = device or status.st_dev
            if status.st_dev != device:
                builder.note(Anomaly(kind="not-read", name=inside, why=MOUNTED))
                continue
            with os.scandir(top + inside) as found:
                listed = sorted(found, key=lambda item: item.name)
        except OSError as error:
            if not inside:
                raise UnreadableTargetError(
                    f"cannot read the folder {top}: {error.strerror}. Name a folder that you may read."
                ) from error
            _note(builder, inside, error)
            continue
        for item in listed:
            place = f"{inside}/{item.name}"
            try:
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    todo.append(place)
                    continue
                alone = status.st_nlink == 1
                same = place if alone else first.setdefault((status.st_dev, status.st_ino), place)
                builder.put(place, _entry(status, item.path, same if same != place else None))
            except OSError as error:
                _note(builder, place, error)
    return builder.build("folder")


def _note(builder: TreeBuilder, inside: str, error: OSError) -> None:
    """Note what cannot be read, but for what went away since its folder was listed."""
    if not isinstance(error, FileNotFoundError | ProcessLookupError):
        builder.note(Anomaly(kind="not-read", name=inside, why=error.strerror or type(error).__name__))


def read_file(path: str | os.PathLike[str]) -> Tree:
    """Read one file, as the only one of a tree: that is enough to audit an ELF file.

    Raises:
        UnreadableTargetError: there is no such file, or it may not be read.
    """
    place = os.fspath(path)
    builder = TreeBuilder(place)
    try:
        builder.put(f"/{Path(place).name}", _entry(Path(place).stat(), place, follow=True))
    except OSError as error:
        raise UnreadableTargetError(
            f"cannot read {place}: {error.strerror}. Name a file that you may read."
        ) from error
    return builder.build("file")


def _entry(status: os.stat_result, place: str, same_as: str | None = None, *, follow: bool = False) -> Entry:
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
            opener=partial(open_file, place, follow=True) if follow else partial(open_file, place),
        )
    return Entry(kind="other", mode=mode, uid=uid, gid=gid)


class _File(io.FileIO):
    """A file on a disk that may fail while it is read."""

    def __init__(self, place: str, *, follow: bool) -> None:
        super().__init__(place, opener=None if follow else _open_where_it_is)
        self.place = place

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        with _in_words(self.place):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _in_words(self.place):
            return super().readall() or b""


def _open_where_it_is(place: str, flags: int) -> int:
    """Open what was seen to be a regular file: what has taken its place since is not followed, nor waited for."""
    return os.open(place, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def open_file(place: str, *, follow: bool = False) -> IO[bytes]:
    """Open a regular file for reading; its path may end with a symlink where `follow` says so.

    Raises:
        UnreadableEntryError: it may not be read; the object that is returned raises it where reading fails.
    """
    with _in_words(place):
        return io.BufferedReader(_File(place, follow=follow))


@contextmanager
def _in_words(place: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError, ProcessLookupError) as error:
        raise PassedOverError(f"cannot read {place}: {error.strerror}") from error
    except OSError as error:
        raise UnreadableEntryError(f"cannot read {place}: {error.strerror}") from error
