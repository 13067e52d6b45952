"""Inflates one member of a zip, from its beginning on, piece by piece."""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile

try:  # zlib with the instructions of today's processors: half the time, the same errors
    from zlib_ng import zlib_ng as zlib
except ImportError:  # in build stages, which read no zip, only the standard library is there
    import zlib  # type: ignore[no-redef]

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

InflateError = cast("type[Exception]", zlib.error)

# Packed bytes read at once, the first time and after that: of most files no more than the beginning is asked for.
FIRST_BYTES, PACKED_BYTES = 4 << 10, 64 << 10
# What comes out of one step, at most: a bomb is not unpacked beyond what is asked for.
PIECE_BYTES = 1 << 20
# Of a large member, so often a place is kept from which to go on: 50 kB each.
MARK_BYTES = 16 << 20

# APPNOTE.TXT 4.4.4: the general purpose flag of an encrypted entry.
ENCRYPTED = 1
# zlib.h, inflateInit2: deflate alone, and with gzip's header, checksum and length.
RAW, GZIP = -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS


def inflater(form: int) -> Any:
    """Give what inflates RAW or GZIP, as zlib.decompressobj does; zlib-ng's stubs lack copy()."""
    return zlib.decompressobj(form)


def open_member(archive: ZipFile, member: ZipInfo) -> IO[bytes] | Inflated:
    """Open a member for reading forwards; only deflated ones do not come from zipfile itself.

    Raises:
        BadZipFile, RuntimeError: its local header is damaged, or it is encrypted or packed in an unknown way.
    """
    if member.flag_bits & ENCRYPTED:
        raise BadZipFile("it is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        # PEP 427 and zipimport know no other; LZMA's header can ask for a dictionary of 4 GiB.
        raise BadZipFile(f"packed by method {member.compress_type}, where stored and deflated are read")
    if member.compress_type == ZIP_STORED:
        return archive.open(member)
    # To zipfile, the packed bytes are a stored member without a checksum: it checks the local header all the same.
    packed = copy(member)
    packed.compress_type, packed.file_size = ZIP_STORED, packed.compress_size
    packed.CRC = None  # type: ignore[assignment]
    return Inflated(archive.open(packed), member)


def read_to_end(content: IO[bytes] | Inflated) -> int:
    """Read what `open_member` gave to its end, where its checksum is compared; give its length in bytes.

    Raises:
        BadZipFile, EOFError, InflateError: it is damaged or cut short.
    """
    if isinstance(content, Inflated):
        content.seek(content.member.file_size)
        return content.at
    content.seek(0)  # zipfile compares no checksum after any other seek
    return sum(map(len, iter(partial(content.read, PIECE_BYTES), b"")))


class _Mark(NamedTuple):
    """A place in a member: how much was inflated before it, and with what to go on; `inflater` is None at its start."""

    at: int
    packed_at: int
    inflater: Any
    pending: bytes
    crc: int


class Inflated:
    """The content of a deflated member, read forwards; its checksum is compared at the end, as zipfile does."""

    def __init__(self, packed: IO[bytes], member: ZipInfo) -> None:
        self.member = member
        self.at = 0
        self._packed = packed
        self._inflater = inflater(RAW)
        self._pending = b""
        self._next = FIRST_BYTES
        self._crc = 0
        self._ended = member.file_size == 0
        self._marks = [_Mark(0, packed.tell(), None, b"", 0)]

    def seek(self, at: int) -> None:
        """Go to byte `at`; inflates at most what lies between the last mark before it and there, if it was there."""
        mark = self._marks[bisect_right(self._marks, at, key=lambda mark: mark.at) - 1]
        if at < self.at or self.at < mark.at:
            self._go_to(mark)
        while self.at < at and not self._ended:
            self._piece(at - self.at)

    def _mark(self) -> None:
        place = self._packed.tell()
        self._marks.append(_Mark(self.at, place, self._inflater.copy(), self._pending, self._crc))

    def _go_to(self, mark: _Mark) -> None:
        self._packed.seek(mark.packed_at)
        self.at, self._pending, self._crc = mark.at, mark.pending, mark.crc
        self._inflater = mark.inflater.copy() if mark.inflater is not None else inflater(RAW)
        self._ended = self.member.file_size == 0

    def read(self, length: int) -> bytes:
        """Give the next `length` bytes, fewer at the end.

        Raises:
            BadZipFile, EOFError, InflateError: it is damaged or cut short.
        """
        pieces = []
        while length > 0 and not self._ended:
            pieces.append(self._piece(length))
            length -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the packed bytes; the zip stays open."""
        self._packed.close()

    def _piece(self, length: int) -> bytes:
        """Inflate at most `length` bytes more, at least one unless it has ended."""
        found = b""
        while not found and not self._ended:
            if not self._pending:
                self._pending = self._packed.read(self._next)
                self._next = PACKED_BYTES
            over = not self._pending  # yet the inflater may hold the rest of a repetition
            found = self._inflater.decompress(self._pending, min(length, PIECE_BYTES))
            found = found[: self.member.file_size - self.at]
            self._pending = self._inflater.unconsumed_tail
            self.at += len(found)
            self._crc = zlib.crc32(found, self._crc)
            whole = self._inflater.eof or self.at >= self.member.file_size
            self._ended = whole or (over and not found)
        if self._ended:
            self._inflater = None  # some 50 kB
        if self._ended and self._crc != self.member.CRC:
            raise BadZipFile(f"Bad CRC-32 for file {self.member.filename!r}")
        if self.at >= self._marks[-1].at + MARK_BYTES and not self._ended:
            self._mark()
        return found
