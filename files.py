"""Reads files that a user has named: of a kind and a size that were meant, without ever waiting for a writer."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(Exception):
    """A file cannot be read, or is not what is to be read; the text is the reason alone, for a sentence about it."""


def open_file(path: Path, most: int, *, pipes: bool = False) -> BinaryIO:
    """Open a regular file of at most `most` bytes; with `pipes` also a pipe, whose size nobody knows.

    Opening a pipe does not wait for who writes to it.

    Raises:
        Unreadable: there is no such file, it may not be read, or it is of another kind or larger.
    """
    try:
        _check(path.stat(), most, pipes=pipes)  # first, since opening a device may do something
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    file = open(descriptor, "rb")  # noqa: SIM115, PTH123 - the caller's to close
    try:
        _check(os.fstat(descriptor), most, pipes=pipes)  # again: another file may have taken its place
        os.set_blocking(descriptor, True)
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: Path, most: int, *, pipes: bool = False) -> bytes:
    """The content of a file that `open_file` opens, at most `most` bytes whatever its size was said to be.

    Raises:
        Unreadable: as `open_file`; or it has turned out to be larger, as a pipe or a file of /proc may; or it is a
            pipe that nobody writes to.
    """
    with open_file(path, most, pipes=pipes) as file:
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
            content = file.read(most + 1)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
    if is_pipe and not content:
        raise Unreadable("it is a pipe that nobody writes to")
    if len(content) > most:
        raise Unreadable(f"it has more than the {most:,} bytes that are read")
    return content


def _check(status: os.stat_result, most: int, *, pipes: bool) -> None:
    if not stat.S_ISREG(status.st_mode) and not (pipes and stat.S_ISFIFO(status.st_mode)):
        raise Unreadable(f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}, not a file")
    if status.st_size > most:
        raise Unreadable(f"it has {status.st_size:,} bytes, at most {most:,} are read")
