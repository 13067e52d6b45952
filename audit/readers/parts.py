"""Tells a part of a split zip: its entries lie in its neighbours, too, and only all of them together can be read."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

from audit.errors import UnreadableTargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

# APPNOTE.TXT 4.3.7: what each entry begins with; 8.5.3: what the first part begins with.
_LOCAL_HEADER = b"PK\x03\x04"
_FIRST_PART = b"PK\x07\x08" + _LOCAL_HEADER
# What the end-of-directory record as zipfile gives it (with zip64 taken into account) holds at these places.
DISK, DIRECTORY_SIZE, RECORD_AT = 1, 5, 9


def is_zip(file: IO[bytes], head: bytes) -> bool:
    """Tell whether a file is a zip, or a part of one, by its first bytes or by the record near its end."""
    try:
        return head[:2] == b"PK" or zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # the last part of a split zip, with zip64
        return True


def end_record(file: IO[bytes], name: str) -> list[Any] | None:
    """Give the end-of-directory record as zipfile will find it, None where there is none.

    Raises:
        UnreadableTargetError: it is a part of a split zip.
        BadZipFile: it is damaged.
    """
    try:
        record: list[Any] | None = zipfile._EndRecData(file)  # type: ignore[attr-defined] # noqa: SLF001
    except zipfile.BadZipFile as error:
        if "multiple disks" in str(error):
            raise _a_part(name) from error
        raise
    if record is None:
        file.seek(0)
        if file.read(len(_FIRST_PART)) == _FIRST_PART:
            raise _a_part(name)
    elif record[DIRECTORY_SIZE] > record[RECORD_AT]:  # it stands before that record
        if record[DISK]:
            raise _a_part(name)
        raise zipfile.BadZipFile(f"its directory of {record[DIRECTORY_SIZE]:,} bytes is longer than the file")
    return record


def check_whole(
    file: IO[bytes], record: list[Any] | None, members: Sequence[zipfile.ZipInfo], name: str
) -> None:
    """See that the entries are here, where the record says that other parts came before this one.

    Some writers number the only part 1: unzip, Go and Python read such a zip all the same.

    Raises:
        UnreadableTargetError: it is a part of a split zip.
    """
    if not record or not record[DISK] or not members:
        return
    first = min(member.header_offset for member in members)
    file.seek(max(0, first))
    if (
        first < 0
        or len({member.volume for member in members}) > 1
        or file.read(len(_LOCAL_HEADER)) != _LOCAL_HEADER
    ):
        raise _a_part(name)


def _a_part(name: str) -> UnreadableTargetError:
    return UnreadableTargetError(
        f"{name} is a part of a split zip. Join the parts (zip -s 0 split.zip --out whole.zip), and name the whole."
    )
