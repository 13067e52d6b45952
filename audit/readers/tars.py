"""Reads a tar of a root file system as a Tree: contents stay in it, found again by their offset."""

from __future__ import annotations

import re
import tarfile
import tempfile
from functools import partial
from io import SEEK_CUR, SEEK_END, BufferedReader, RawIOBase
from typing import IO, TYPE_CHECKING, cast

from audit.errors import TooLargeError, UnreadableEntryError, UnreadableTargetError
from audit.readers import packing
from audit.readers.builder import MAX_ENTRIES, TreeBuilder, most_from
from audit.tree import PATH_MAX, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

# A compressed layer becomes a temporary file, which stays in memory while it is small.
MAX_IN_MEMORY = 64 << 20
# A path is at most 4096 bytes; pax headers hold one, a link target, some numbers and attributes.
MAX_TAR_HEADER = 1 << 20
# All of them together: a file's takes about 100 bytes. Global ones are kept, so they are looked at less kindly.
MAX_TAR_HEADERS = 32 << 20
MAX_GLOBAL_HEADERS = 1 << 20

# What tarfile raises on what is damaged or makes no sense.
DAMAGE = (
    tarfile.TarError,
    EOFError,
    ValueError,
    OSError,
    RuntimeError,
    LookupError,
    OverflowError,
)


# Where a header holds its own checksum (tar(5)): octal digits, and what may stand around them.
_CHECKSUM = slice(148, 156)
_OCTAL = re.compile(rb"[ \0]*([0-7]+)[ \0]*")


def is_tar_header(block: bytes) -> bool:
    """Tell whether a block is the header of a tar's entry, by its checksum: old ones (v7) have no magic.

    Source: tar(5), POSIX ustar, `chksum`: the sum of the bytes; some writers took them as signed.
    """
    told = _OCTAL.fullmatch(block[_CHECKSUM])
    return (
        len(block) == tarfile.BLOCKSIZE
        and told is not None
        and int(told[1], 8) in tarfile.calc_chksums(block)  # type: ignore[attr-defined]
    )


class _CarefulTarInfo(tarfile.TarInfo):
    """Tar headers from strangers: the standard reader, minus what lets a header loop or fill the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.HeaderError("a negative size")
        if self.type in _EXTENDED and self.size > MAX_TAR_HEADER:
            raise tarfile.HeaderError(f"an extended header of {self.size:,} bytes")
        if self.type in _EXTENDED and isinstance(tar, _CarefulTarFile):
            tar.count(self)
        return super()._proc_member(tar)  # type: ignore[misc, no-any-return]


_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _CarefulTarFile(tarfile.TarFile):
    """A tar that knows how much room its extended headers have taken so far."""

    tarinfo = _CarefulTarInfo
    extended = 0
    global_ = 0

    def count(self, header: tarfile.TarInfo) -> None:
        self.extended += header.size
        self.global_ += header.size if header.type == tarfile.XGLTYPE else 0
        if self.extended > MAX_TAR_HEADERS or self.global_ > MAX_GLOBAL_HEADERS:
            raise tarfile.HeaderError("extended headers that take more room than those of any real tar")


def tar_members(file: IO[bytes], name: str) -> Iterator[tarfile.TarInfo]:
    """List the headers of a tar, from a seekable binary file object.

    Raises:
        UnreadableTargetError: it is no tar, is cut short, or its headers make no sense.
        TooLargeError: it has too many entries.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    try:
        with _CarefulTarFile.open(fileobj=file, mode="r:") as archive:
            sparse = 0
            for count, member in enumerate(archive):
                if count >= MAX_ENTRIES:
                    raise TooLargeError(
                        f"{name} has more than {MAX_ENTRIES:,} entries: it is not read further."
                    )
                if not member.issparse() and member.isreg() and member.offset_data + member.size > size:
                    raise tarfile.ReadError(f"{member.name!r} goes on after the end")
                sparse += member.size if member.issparse() else 0
                if sparse > most_from(size):
                    raise TooLargeError(
                        f"{name} claims {sparse:,} bytes of sparse files: a bomb is not read."
                    )
                archive.members = []  # type: ignore[attr-defined] # else every header stays in memory
                yield member
            # The standard reader takes a damaged header for the end.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"no entry header at byte {archive.offset}")
    except DAMAGE as error:
        raise UnreadableTargetError(
            f"cannot read {name} as a tar: {str(error) or type(error).__name__}. "
            "It is damaged or cut short: save or fetch it again."
        ) from error


def tar_entries(file: IO[bytes], name: str) -> Iterator[tuple[str, Entry]]:
    """Give the entries of a tar with their names, hard links with the content that they lead to."""
    files: dict[str, Entry] = {}
    for member in tar_members(file, name):
        entry = _tar_entry(file, member, files)
        if entry.kind == "file":
            files[_plain(member.name)] = entry
        yield member.name, entry


def _tar_entry(file: IO[bytes], member: tarfile.TarInfo, files: dict[str, Entry]) -> Entry:
    mode, uid, gid = member.mode & 0o7777, member.uid, member.gid
    if member.isdir():
        return Entry(kind="dir", mode=mode, uid=uid, gid=gid)
    if member.issym():
        # The kernel makes no longer one (symlink(2)); an empty one leads nowhere.
        target = member.linkname if len(member.linkname) < PATH_MAX else ""
        return Entry(kind="symlink", mode=mode, uid=uid, gid=gid, target=target)
    if member.isreg():
        opener = (
            partial(_open_sparse, file, member)
            if member.issparse()
            else partial(window, file, member.offset_data, member.size)  # the member holds all its headers
        )
        return Entry(kind="file", mode=mode, uid=uid, gid=gid, size=member.size, opener=opener)
    if member.islnk() and (first := files.get(_plain(member.linkname))) is not None:
        same = first.same_as or "/" + _plain(member.linkname)
        return Entry(
            kind="file", mode=mode, uid=uid, gid=gid, size=first.size, same_as=same, opener=first.opener
        )
    return Entry(kind="other", mode=mode, uid=uid, gid=gid)


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _open_sparse(file: IO[bytes], member: tarfile.TarInfo) -> IO[bytes]:
    content = tarfile.open(fileobj=file, mode="r:").extractfile(member)  # noqa: SIM115 - closed with `file`
    if content is None:
        raise UnreadableEntryError("a sparse entry without content")
    return content


class _Window(RawIOBase):
    """A part of a file as a file of its own; several may be open at once on one file object."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.file, self.start, self.size, self.at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + {0: 0, SEEK_CUR: self.at, SEEK_END: self.size}[whence])
        return self.at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.file.seek(self.start + self.at)
        found = self.file.read(max(0, min(len(buffer), self.size - self.at)))
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)


def window(file: IO[bytes], start: int, size: int) -> IO[bytes]:
    """Give `size` bytes of `file` from `start` as a seekable file object; windows do not pile up."""
    raw = file.raw if isinstance(file, BufferedReader) else file
    if isinstance(raw, _Window):
        file, start, size = raw.file, raw.start + start, max(0, min(size, raw.size - start))
    return cast("IO[bytes]", BufferedReader(cast("RawIOBase", _Window(file, start, size))))


def unpacked(file: IO[bytes], name: str, room: int | None = None) -> IO[bytes]:
    """Return a tar as it is, or, when it is packed, as an anonymous temporary file of at most `room` bytes.

    Without `room` it is what an archive of its size may unpack to.

    Raises:
        UnreadableTargetError: it is damaged or cut short.
        TooLargeError: it unpacks to more than that, or takes too much memory.
    """
    file.seek(0)
    how = packing.packing_of(file.read(packing.HEAD_BYTES))
    if how is None:
        file.seek(0)
        return file
    limit = most_from(file.seek(0, SEEK_END)) if room is None else room
    out = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115 - lives as long as the tree
    try:
        packing.unpack(file, how, cast("IO[bytes]", out), limit, name)
    except packing.DAMAGE as error:
        raise UnreadableTargetError(f"cannot unpack {name}: {error}. Save or fetch it again.") from error
    return cast("IO[bytes]", out)


def read_tar(file: IO[bytes], name: str) -> Tree:
    """Read a tar of a root file system from a seekable binary file object, which stays in use.

    Raises:
        UnreadableTargetError: it is no tar, or damaged.
        TooLargeError: it has too many entries, or unpacks to too much.
    """
    builder = TreeBuilder(name)
    builder.add_all(tar_entries(unpacked(file, name), name))
    return builder.build("tar")
