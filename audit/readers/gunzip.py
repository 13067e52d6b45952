"""Inflates what gzip packed, piece by piece, and writes no more of it than is allowed."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from audit.errors import TooLargeError
from audit.readers.builder import most_from
from audit.readers.inflate import GZIP, inflater

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x1f\x8b"
PACKED_BYTES = 64 << 10
PIECE_BYTES = 1 << 20


def gunzip(file: IO[bytes], out: IO[bytes], limit: int, name: str) -> None:
    """Write what `file` (seekable) holds unpacked to `out`: at most `limit` bytes.

    What looks like a bomb so far is counted to its end before more of it is written: writing takes the time.

    Raises:
        TooLargeError: it is more than that.
        EOFError, InflateError: it is damaged or cut short.
    """
    counted = False
    for size, piece in _allowed(file, limit, name):
        if not counted and size > most_from(file.tell()):
            place = file.tell()
            for _ in _allowed(file, limit, name):
                pass  # too much is raised here
            file.seek(place)
            counted = True
        out.write(piece)


def _allowed(file: IO[bytes], limit: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Give each piece, and the bytes up to its end."""
    size = 0
    for piece in _pieces(file):
        size += len(piece)
        if size > limit:
            raise TooLargeError(f"{name} inflates to more than {limit:,} bytes: a bomb is not read.")
        yield size, piece


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Inflate one member after the other; what follows them and is none is ignored, as by gzip(1)."""
    file.seek(0)
    packed = file.read(PACKED_BYTES)
    while packed.startswith(MAGIC):
        member = inflater(GZIP)
        while not member.eof:
            piece = member.decompress(packed, PIECE_BYTES)
            yield piece
            packed = member.unconsumed_tail
            if not packed and not member.eof and not (packed := file.read(PACKED_BYTES)) and not piece:
                raise EOFError("it ends before its end marker")
        packed = member.unused_data.lstrip(b"\0")  # zeros fill up the last block of a tape
        while len(packed) < len(MAGIC) and (more := file.read(PACKED_BYTES)):
            packed = (packed + more).lstrip(b"\0")
