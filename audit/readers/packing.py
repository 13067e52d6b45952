"""Unpacks what gzip, bzip2, xz or zstd packed, piece by piece, and writes no more of it than is allowed."""

from __future__ import annotations

import bz2
import lzma
import re
import sys
from dataclasses import dataclass
from functools import partial
from io import SEEK_END
from typing import IO, TYPE_CHECKING, Protocol

from audit.errors import TooLargeError
from audit.readers.builder import most_from
from audit.readers.inflate import GZIP, InflateError, inflater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is fed at once: little to begin with, as each byte behind the end of a stream is copied.
FIRST_BYTES, PACKED_BYTES = 4 << 10, 64 << 10
PIECE_BYTES = 1 << 20
HEAD_BYTES = 10  # bzip2's magic is the longest

# How far back a stream may refer is kept in memory. zstd(1) refuses more, too; `xz -9` takes 64 MiB.
WINDOW_LOG = 27
MAX_WINDOW_BYTES = 1 << WINDOW_LOG
_XZ_BESIDES = 1 << 20  # what liblzma takes in addition
# Streams one after another: estargz and zstd:chunked have one for each file, pigz and pzstd for each block.
MAX_STREAMS = 1_000_000

# What is raised on what is damaged or cut short; bzip2's is OSError.
DAMAGE = (InflateError, lzma.LZMAError, EOFError, ValueError, OSError)
_TOO_MUCH_MEMORY = ("Memory usage limit exceeded", "requires too much memory")


class Stream(Protocol):
    """One stream while it is unpacked, as `bz2.BZ2Decompressor` is."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes more."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether it gives nothing more without more packed bytes."""

    @property
    def unused_data(self) -> bytes:
        """What was fed behind its end."""


class _Gzip:
    """One member of a gzip file, with the interface of the others."""

    def __init__(self) -> None:
        self._inflater = inflater(GZIP)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found: bytes = self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)
        return found

    @property
    def eof(self) -> bool:
        return bool(self._inflater.eof)

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflater.unused_data)


class _Zstd:
    """One frame, with ValueError for what is damaged or asks for too much memory."""

    def __init__(self) -> None:
        # Imported late: the closure command runs in build stages, where backports.zstd is not installed.
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415
        else:
            from backports import zstd  # noqa: PLC0415
        self._error = zstd.ZstdError
        self._frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._frame.decompress(data, max_length)
        except self._error as error:
            raise ValueError(str(error)) from error

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return self._frame.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """One way to pack: how a stream begins, what unpacks it, and whether its program ignores what follows the last."""

    name: str
    magic: re.Pattern[bytes]
    start: Callable[[], Stream]
    ignores_rest: bool


# Sources: RFC 1952; bzip2's compress.c (an empty file has no block); the .xz file format, 2.1.1; RFC 8878, 3.1.
PACKINGS = (
    Packing(name="gzip", magic=re.compile(rb"\x1f\x8b"), start=_Gzip, ignores_rest=True),
    Packing(
        name="bzip2",
        magic=re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
        start=bz2.BZ2Decompressor,
        ignores_rest=True,
    ),
    Packing(
        name="xz",
        magic=re.compile(rb"\xfd7zXZ\0"),
        start=partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=MAX_WINDOW_BYTES + _XZ_BESIDES),
        ignores_rest=False,
    ),
    Packing(
        name="zstd",
        magic=re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or one to be skipped
        start=_Zstd,
        ignores_rest=False,
    ),
)


def packing_of(head: bytes) -> Packing | None:
    """Return how a file is packed by its first bytes (HEAD_BYTES are enough); None where it is not."""
    return next((packing for packing in PACKINGS if packing.magic.match(head)), None)


def unpack(file: IO[bytes], packing: Packing, out: IO[bytes], limit: int, name: str) -> None:
    """Write what `file` (seekable) holds unpacked to `out`: at most `limit` bytes.

    What looks like a bomb so far is counted to its end before more of it is written: writing takes the time.

    Raises:
        TooLargeError: it is more than that, or takes too much memory.
        EOFError, InflateError, LZMAError, ValueError, OSError: it is damaged or cut short.
    """
    counted = False
    try:
        for size, piece in _allowed(file, packing, limit, name):
            if not counted and size > most_from(file.tell()):
                for _ in _allowed(file, packing, limit, name):
                    pass  # too much is raised here
                counted = True
            out.write(piece)
    except (lzma.LZMAError, ValueError) as error:
        if not any(words in str(error) for words in _TOO_MUCH_MEMORY):
            raise
        raise TooLargeError(
            f"{name} takes more than {MAX_WINDOW_BYTES >> 20} MiB of memory to unpack: "
            f"pack it again with a smaller window ({packing.name} without --long or large dictionaries)."
        ) from error


def _allowed(file: IO[bytes], packing: Packing, limit: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Give each piece, and the bytes up to its end."""
    size = 0
    for piece in _pieces(file, packing, name):
        size += len(piece)
        if size > limit:
            raise TooLargeError(f"{name} unpacks to more than {limit:,} bytes: a bomb is not read.")
        yield size, piece


def _pieces(file: IO[bytes], packing: Packing, name: str) -> Iterator[bytes]:
    """Unpack one stream after the other. The place in `file` is kept here: others may move it meanwhile."""
    at = 0
    for _ in range(MAX_STREAMS):
        file.seek(at)
        if not packing.magic.match(file.read(HEAD_BYTES)):
            break
        stream, most = packing.start(), FIRST_BYTES
        while not stream.eof:
            packed, over = b"", False
            if stream.needs_input:
                file.seek(at)
                packed = file.read(most)
                at, most, over = at + len(packed), PACKED_BYTES, not packed
            piece = stream.decompress(packed, PIECE_BYTES)
            if over and not piece and not stream.eof:  # zlib may hold the rest of a repetition
                raise EOFError("it ends before its end marker")
            yield piece
        at = _past_zeros(file, at - len(stream.unused_data))
    else:
        raise TooLargeError(f"{name} consists of more than {MAX_STREAMS:,} streams: it is not read further.")
    if not packing.ignores_rest and at < file.seek(0, SEEK_END):
        raise ValueError(f"what follows byte {at:,} is not packed with {packing.name}")


def _past_zeros(file: IO[bytes], at: int) -> int:
    """Return the place of the next byte that is not zero: zeros fill up the last block of a tape."""
    file.seek(at)
    while chunk := file.read(FIRST_BYTES):
        if rest := chunk.lstrip(b"\0"):
            return at + len(chunk) - len(rest)
        at += len(chunk)
    return at
