"""Packs content as gzip, bzip2, xz and zstd do."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd.compress}
)
# RFC 8878, 3.1.2: what no reader of zstd looks at.
SKIPPABLE = b"\x5a\x2a\x4d\x18\x04\x00\x00\x00????"


def with_window(content: bytes, packing: str, log: int) -> bytes:
    """Pack, and claim that 1 << `log` bytes must be kept in memory to unpack it."""
    if (
        packing == "xz"
    ):  # the .xz file format, 3.1 and 5.3.1: a block's header of 12 bytes, LZMA2's only property
        packed = bytearray(lzma.compress(content))
        packed[16] = 2 * (log - 12)
        packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
        return bytes(packed)
    packer = zstd.ZstdCompressor()  # which does not know the size: RFC 8878, 3.1.1.1.2, Window_Descriptor
    packed = bytearray(packer.compress(content) + packer.flush())
    packed[5] = (log - 10) << 3
    return bytes(packed)
