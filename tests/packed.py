"""Packs content as gzip, bzip2, xz and zstd do."""

import bz2
import gzip
import lzma
import sys
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
    """Pack so that 1 << `log` bytes must be kept in memory to unpack it."""
    if packing == "xz":
        return lzma.compress(content, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << log}])
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(content) + packer.flush()
