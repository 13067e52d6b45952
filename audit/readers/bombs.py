"""Tells zips that are made to exhaust whoever reads them, before anything of theirs is unpacked."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from audit.errors import TooLargeError
from audit.readers.builder import MAX_ENTRIES, MAX_NAME_BYTES, MAX_RATIO, most_from
from audit.readers.parts import DIRECTORY_SIZE, RECORD_AT

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable

# APPNOTE.TXT 4.3.7 and 4.3.12: the signature of an entry of the central directory; the fixed part of a local header.
_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
# Each entry of the directory has, besides its name, 46 bytes and often some of extra fields.
MAX_DIRECTORY_BYTES = MAX_NAME_BYTES + 128 * MAX_ENTRIES
_CHUNK = 1 << 20
_ZIP64_BYTES = 76  # its end record and its locator


def check_directory(file: IO[bytes], record: list[Any] | None, name: str) -> None:
    """Look at the size of the central directory before zipfile makes an object of each entry.

    `record` is what `audit.readers.parts.end_record` gives.

    Raises:
        TooLargeError: it has more entries than are read.
    """
    if not record:
        return
    size = record[DIRECTORY_SIZE]
    # It stands right before that record, or before the two of zip64.
    file.seek(max(0, record[RECORD_AT] - size - _ZIP64_BYTES))
    left, entries, tail = min(size, MAX_DIRECTORY_BYTES) + _ZIP64_BYTES, 0, b""
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        left -= len(chunk)
        entries += (tail + chunk).count(_ENTRY)
        tail = chunk[-len(_ENTRY) + 1 :]
    if size > MAX_DIRECTORY_BYTES or entries > MAX_ENTRIES:
        raise TooLargeError(
            f"{name} has {f'{entries:,}' if entries > MAX_ENTRIES else 'too many'} entries, and {MAX_ENTRIES:,} "
            "are read: a zip bomb is not read."
        )


def check_members(members: Iterable[zipfile.ZipInfo], name: str, size: int) -> None:
    """Hold what the entries of a zip of `size` bytes claim against what a zip can hold.

    Raises:
        TooLargeError: they claim to unpack to far more than that, or share their packed bytes.
    """
    listed = sorted(members, key=lambda member: member.header_offset)
    claimed = sum(member.file_size for member in listed)
    if claimed > most_from(size):
        raise TooLargeError(
            f"{name} claims to unpack to {claimed:,} bytes from {size:,}: a zip bomb is not read. "
            f"Real packages stay below {MAX_RATIO}:1."
        )
    end = 0
    for member in listed:
        if member.header_offset < end:
            raise TooLargeError(
                f"{name}: {member.filename[:200]!r} lies over the entry before it: a zip bomb is not read."
            )
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
