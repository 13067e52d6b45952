"""Reads a zip or wheel as a Tree: contents stay in it, inflated only when and as far as they are read."""

from __future__ import annotations

import os
import stat
import zipfile
from contextlib import contextmanager
from functools import partial
from io import SEEK_CUR, SEEK_END, BytesIO, RawIOBase
from threading import Lock
from typing import IO, TYPE_CHECKING, cast

from audit.errors import UnreadableEntryError, UnreadableTargetError
from audit.readers.bombs import check_directory, check_members
from audit.readers.builder import TreeBuilder
from audit.readers.inflate import ENCRYPTED, Inflated, InflateError, open_member, read_to_end
from audit.readers.parts import check_whole, end_record
from audit.tree import Anomaly, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

# Contents up to this size are inflated once and kept while open; larger ones are read as a stream that
# inflates again when it is turned back, so that memory stays bounded.
MAX_IN_MEMORY = 64 << 20
# Of those closed again, so much is kept in all for the next reader: the rules ask for one part of a file after the
# other. Small ones are inflated again at once.
KEPT_BYTES = 128 << 20
MIN_KEPT_BYTES = 64 << 10
MAX_LINK_TARGET = 4096

# What zipfile and the decompressors raise on what is damaged, encrypted, or packed in a way they do not know.
DAMAGE = (zipfile.BadZipFile, InflateError, EOFError, ValueError, OSError, RuntimeError, LookupError)

_SAID = (
    ("Bad CRC-32", "its checksum (CRC-32) is wrong: it is damaged"),
    ("File name in directory", "the zip's directory and its own header name it differently"),
)


def read_zip(file: IO[bytes], name: str) -> Tree:
    """Read a zip or wheel from a seekable binary file object, which stays in use as long as the tree.

    Raises:
        UnreadableTargetError: it is no zip, or it is cut short.
        TooLargeError: it claims to unpack to far more than its size allows, or has too many entries.
    """
    size = file.seek(0, SEEK_END)
    try:
        record = end_record(file, name)
        check_directory(file, record, name)
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise UnreadableTargetError(
            f"cannot read {name} as a zip: {error}. It is damaged or cut short: make or fetch it again."
        ) from error
    members = archive.infolist()
    check_whole(file, record, members, name)
    check_members(members, name, size)
    builder = TreeBuilder(name)
    for member in members:
        if "\0" in member.orig_filename:  # zipfile cuts the name there; what unpackers do differs
            builder.note(Anomaly(kind="unsafe-name", name=member.orig_filename))
    shared = _Archive(archive)
    builder.add_all(
        ((member.filename, _zip_entry(shared, member)) for member in members), map(_stamp, members)
    )
    return builder.build("zip", archive_size=size)


def _stamp(member: zipfile.ZipInfo) -> object:
    """Give what two entries of the same content have alike; None where that cannot be told.

    An encrypted one may have no CRC-32 (APPNOTE.TXT, 7.2.1.5; WinZip's AE-2).
    """
    if member.flag_bits & ENCRYPTED:
        return None
    return member.file_size, member.CRC


def _zip_entry(archive: _Archive, member: zipfile.ZipInfo) -> Entry:
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
        opener=partial(archive.open, member),
        checker=partial(archive.check, member),
    )


def _in_words(error: Exception) -> str:
    """Say what zipfile says, without the name: the finding has it."""
    said = str(error)
    return next((words for start, words in _SAID if said.startswith(start)), said)


def _zip_link(archive: _Archive, member: zipfile.ZipInfo) -> str:
    """Read a link's target; one that cannot be read leads nowhere, as a link to a missing file does."""
    try:
        with archive.open(member) as content:
            target = content.read(MAX_LINK_TARGET)  # the kernel makes no link of so many bytes (symlink(2))
            return os.fsdecode(target.partition(b"\0")[0]) if len(target) < MAX_LINK_TARGET else ""
    except UnreadableEntryError:
        return ""


class _Archive:
    """A zip, and the beginnings of its members that were inflated before: for the next who reads them.

    Members may be read by several threads, each by one: zipfile locks its reads, not opening and closing.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.kept: dict[int, _Content] = {}
        self.whole: set[int] = set()  # what has been read to its end, where its checksum was compared
        self.room = KEPT_BYTES
        self.lock = Lock()

    def open(self, member: zipfile.ZipInfo) -> IO[bytes]:
        """Open the content of a member.

        Raises:
            UnreadableEntryError: its header is damaged, or it is encrypted or packed in an unknown way.
        """
        return cast("IO[bytes]", _Member(self._take(member), self))

    def check(self, member: zipfile.ZipInfo) -> None:
        """Read a member to its end, unless that was done before.

        Raises:
            UnreadableEntryError: it is damaged, or as for `open`.
        """
        if id(member) not in self.whole:
            content = self._take(member)
            try:
                content.finish()
            finally:
                self.keep(content)

    def keep(self, content: _Content) -> None:
        """Take back what a reader has done with."""
        key, size = id(content.member), content.inflated
        with self.lock:
            if content.whole:
                self.whole.add(key)
            # Of a stream, only where to go on is kept.
            worth = content.buffer is None or MIN_KEPT_BYTES <= size <= self.room
            if worth and not content.damaged and key not in self.kept:
                self.room -= size
                self.kept[key] = content
            else:
                content.source.close()

    def _take(self, member: zipfile.ZipInfo) -> _Content:
        try:
            with self.lock:
                content = self.kept.pop(id(member), None)
                if content is None:
                    content = _Content(open_member(self.archive, member), member)
                self.room += content.inflated
        except DAMAGE as error:
            raise UnreadableEntryError(f"cannot read it from the zip: {_in_words(error)}") from error
        return content


class _Content:
    """What is inflated of one member so far; kept in memory when that is small, else inflated again."""

    def __init__(self, source: IO[bytes] | Inflated, member: zipfile.ZipInfo) -> None:
        self.source = source
        self.member = member
        self.buffer = BytesIO() if member.file_size <= MAX_IN_MEMORY else None
        self.damaged = False
        self.whole = False

    @property
    def inflated(self) -> int:
        """Bytes in memory."""
        return 0 if self.buffer is None else self.buffer.seek(0, SEEK_END)

    def part(self, start: int, end: int) -> bytes:
        """Give the bytes from `start` to `end`, fewer where the member ends before.

        Raises:
            UnreadableEntryError: they are damaged.
        """
        with self._damage_told():
            if self.buffer is None:
                self.source.seek(start)
                return self.source.read(end - start)
            have = self.inflated
            if end > have:
                self.buffer.write(self.source.read(end - have))
                self.whole = end == self.member.file_size == self.inflated
            return self.buffer.getbuffer()[start:end].tobytes()

    def finish(self) -> None:
        """Read to the end, where the checksum is compared.

        Raises:
            UnreadableEntryError: it is damaged.
        """
        size = self.member.file_size
        if self.buffer is not None:
            self.part(size, size)
        with self._damage_told():
            length = self.inflated if self.buffer is not None else read_to_end(self.source)
            if not size and self.member.CRC:  # zipfile compares none where nothing is read
                raise zipfile.BadZipFile("Bad CRC-32: it is not empty")
            if length < size:
                raise zipfile.BadZipFile(f"it ends after {length:,} of {size:,} bytes")
        self.whole = True

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            self.damaged = True
            raise UnreadableEntryError(f"cannot read it from the zip: {_in_words(error)}") from error


class _Member(RawIOBase):
    """A zip member as a file object. Nothing is inflated beyond what is read: the first bytes are cheap."""

    def __init__(self, content: _Content, archive: _Archive) -> None:
        self.content = content
        self.archive = archive
        self.size = content.member.file_size
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
        found = self.content.part(self.at, end) if end > self.at else b""
        self.at += len(found)
        return found

    def close(self) -> None:
        if not self.closed:
            self.archive.keep(self.content)
        super().close()
