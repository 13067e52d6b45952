"""Reads a zip or wheel as a Tree: contents stay in it, inflated only when and as far as they are read."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from functools import partial
from io import SEEK_CUR, SEEK_END, BytesIO, RawIOBase
from typing import IO, cast

from audit.errors import TooLargeError, UnreadableEntryError, UnreadableTargetError
from audit.readers.builder import MAX_RATIO, TreeBuilder, most_from
from audit.tree import Anomaly, Entry, Tree

# Contents up to this size are inflated once and kept while open; larger ones are read as a stream that
# inflates again when it is turned back, so that memory stays bounded.
MAX_IN_MEMORY = 64 << 20
MAX_LINK_TARGET = 4096

# What zipfile and the decompressors raise on what is damaged, encrypted, or packed in a way they do not know.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, LookupError)


def read_zip(file: IO[bytes], name: str) -> Tree:
    """Read a zip or wheel from a seekable binary file object, which stays in use as long as the tree.

    Raises:
        UnreadableTargetError: it is no zip, or it is cut short.
        TooLargeError: it claims to unpack to far more than its size allows, or has too many entries.
    """
    size = file.seek(0, SEEK_END)
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise UnreadableTargetError(
            f"cannot read {name} as a zip: {error}. It is damaged or cut short: make or fetch it again."
        ) from error
    members = archive.infolist()
    claimed = sum(member.file_size for member in members)
    if claimed > most_from(size):
        raise TooLargeError(
            f"{name} claims to unpack to {claimed:,} bytes from {size:,}: a zip bomb is not read. "
            f"Real packages stay below {MAX_RATIO}:1."
        )
    builder = TreeBuilder(name)
    for member in members:
        if "\0" in member.orig_filename:  # zipfile cuts the name there; what unpackers do differs
            builder.note(Anomaly(kind="unsafe-name", name=member.orig_filename))
    builder.add_all((member.filename, _zip_entry(archive, member)) for member in members)
    return builder.build("zip", archive_size=size)


def _zip_entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Entry:
    mode = member.external_attr >> 16
    if member.filename.endswith("/"):
        return Entry(kind="dir", mode=stat.S_IMODE(mode) or 0o755)
    if stat.S_ISLNK(mode):
        return Entry(kind="symlink", mode=0o777, target=_zip_link(archive, member))
    return Entry(
        kind="file",
        mode=stat.S_IMODE(mode) or 0o644,
        size=member.file_size,
        compressed=member.compress_size,
        opener=partial(_open_member, archive, member),
    )


def _zip_link(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    """Read a link's target; one that cannot be read leads nowhere, as a link to a missing file does."""
    try:
        with archive.open(member) as content:
            return os.fsdecode(content.read(MAX_LINK_TARGET).partition(b"\0")[0])
    except DAMAGE:
        return ""


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        content = archive.open(member)
    except DAMAGE as error:
        raise UnreadableEntryError(f"cannot read it from the zip: {error}") from error
    return cast("IO[bytes]", _Member(content, member.file_size))


class _Member(RawIOBase):
    """A zip member as a file object: kept in memory once read when small, and with one kind of error.

    Nothing is inflated beyond what is read, so looking at the first bytes of a large file is cheap.
    """

    def __init__(self, content: IO[bytes], size: int) -> None:
        self.content = content
        self.buffer = BytesIO() if size <= MAX_IN_MEMORY else None
        self.size = size
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + {0: 0, SEEK_CUR: self.at, SEEK_END: self.size}[whence])
        return self.at

    def read(self, size: int | None = -1) -> bytes:
        end = self.size if size is None or size < 0 else min(self.size, self.at + size)
        if end <= self.at:
            return b""
        try:
            found = self._kept(end) if self.buffer is not None else self._streamed(end)
        except DAMAGE as error:
            raise UnreadableEntryError(f"cannot read it from the zip: {error}") from error
        self.at += len(found)
        return found

    def close(self) -> None:
        self.content.close()
        super().close()

    def _kept(self, end: int) -> bytes:
        assert self.buffer is not None  # noqa: S101 - read() asks only then
        have = self.buffer.seek(0, SEEK_END)
        if end > have:
            self.buffer.write(self.content.read(end - have))
        return self.buffer.getbuffer()[self.at : end].tobytes()

    def _streamed(self, end: int) -> bytes:
        self.content.seek(self.at)
        return self.content.read(end - self.at)
