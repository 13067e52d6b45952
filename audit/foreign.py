"""Tells native files of other systems, Mach-O and PE, by their first bytes."""

from __future__ import annotations

from typing import IO, Literal

# <mach-o/loader.h>: the magic in both byte orders; the file type is the fourth word.
_MACH_O: dict[bytes, Literal["little", "big"]] = {
    b"\xfe\xed\xfa\xce": "big",
    b"\xfe\xed\xfa\xcf": "big",
    b"\xce\xfa\xed\xfe": "little",
    b"\xcf\xfa\xed\xfe": "little",
}
_LAST_FILE_TYPE = 12  # MH_FILESET
# <mach-o/fat.h>: always big-endian. Java class files begin with the same four bytes; what follows is their
# version there, 45 at least, and the number of architectures here.
_FAT = (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")
_MOST_ARCHITECTURES = 30

# "PE Format": a DOS header, whose word at 0x3c leads to the PE signature.
_DOS, _PE, _PE_OFFSET_AT = b"MZ", b"PE\0\0", 0x3C
_MAX_PE_OFFSET = 1 << 16

MACH_O, PE = "macOS (Mach-O)", "Windows (PE)"


def foreign_format(file: IO[bytes]) -> str | None:
    """Name the format of a native file of another system, from a seekable binary file; None for all others."""
    file.seek(0)
    head = file.read(64)
    magic = head[:4]
    if magic in _MACH_O and len(head) >= 32:
        kind = int.from_bytes(head[12:16], _MACH_O[magic])
        return MACH_O if 1 <= kind <= _LAST_FILE_TYPE else None
    if magic in _FAT:
        return MACH_O if 1 <= int.from_bytes(head[4:8], "big") <= _MOST_ARCHITECTURES else None
    if head[:2] == _DOS and len(head) == 64:
        offset = int.from_bytes(head[_PE_OFFSET_AT:], "little")
        if offset <= _MAX_PE_OFFSET:
            file.seek(offset)
            return PE if file.read(4) == _PE else None
    return None
