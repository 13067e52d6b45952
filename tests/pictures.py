"""Makes picture files that want more of a decoder than their size shows, small and without an encoder's help."""

import struct
import zlib
from collections.abc import Mapping

from PIL import Image

# How a camera stores a picture of each orientation: Exif 2.32, 4.6.4 A.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
CLAIMED = (50_000, 40_000)  # pixels of the bombs, but a WebP can have 16,383 a side only
CLAIMED_WEBP = (16_383, 16_383)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and check sum (PNG 3rd ed., 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *before: bytes, pixels: bytes | None = None) -> bytes:
    """A grey picture, one byte a pixel, with the chunks `before` its pixels."""
    rows = (b"\0" + b"\x80" * width) * height if pixels is None else pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (
        png_chunk(b"IHDR", header),
        *before,
        png_chunk(b"IDAT", zlib.compress(rows)),
        png_chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    fields: Mapping[int, tuple[int, ...]], content: bytes = b"", *, width: int, height: int, rows: int
) -> bytes:
    """A grey picture in strips of `rows`; `fields` (of LONGs) come on top. `content` begins at byte `TIFF_CONTENT`."""
    entries = {256: (width,), 257: (height,), 258: (8,), 262: (1,), 277: (1,), 278: (rows,), **fields}
    arrays, tables = b"", []
    start = TIFF_CONTENT + len(content)
    for tag, values in sorted(entries.items()):
        value = values[0]
        if len(values) > 1:
            value = start + len(arrays)
            arrays += struct.pack(f"<{len(values)}I", *values)
        tables.append(struct.pack("<HHII", tag, 4, len(values), value))
    directory = struct.pack("<H", len(tables)) + b"".join(tables) + bytes(4)
    head = b"II*\0" + struct.pack("<I", start + len(arrays))
    return head + content + arrays + directory


TIFF_CONTENT = 8  # behind the header

_PACKBITS, _LAST_BIT_FIRST = 32773, 2


def strips_in_strips(count: int = 20_000, shared: int = 600_000) -> bytes:
    """A TIFF whose strips are all the same bytes, each as long as the file: reading them copies `count` times that."""
    fields = {
        259: (_PACKBITS,),
        266: (_LAST_BIT_FIRST,),
        273: (TIFF_CONTENT,) * count,
        279: (shared,) * count,
    }
    return tiff(fields, b"\x83\xaa".ljust(shared, b"\0"), width=64, height=count, rows=1)


def tiles_around_a_strip() -> bytes:
    """A TIFF of 16 x 60000 pixels in tiles of 65536 x 16: 4,000 times what is seen is decoded."""
    tiles = 60_000 // 16
    fields = {322: (65_536,), 323: (16,), 324: (TIFF_CONTENT,) * tiles, 325: (4,) * tiles, 259: (_PACKBITS,)}
    return tiff(fields, b"\x81\x55" * 2, width=16, height=60_000, rows=60_000)


def bombs() -> dict[str, bytes]:
    """Of each format a file of a few bytes whose header claims gigabytes of pixels, by the format's name."""
    width, height = CLAIMED
    return {
        "JPEG": b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\0"
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9",
        "PNG": png(*CLAIMED, pixels=b"\0"),
        "WebP": _riff(b"VP8L" + struct.pack("<IBI", 10, 0x2F, 16_382 | 16_382 << 14) + bytes(5)),
        "BMP": b"BM"
        + struct.pack("<IIIIiiHHIIIIII", 58, 0, 54, 40, width, height, 1, 24, 0, 4, 0, 0, 0, 0)
        + bytes(4),
        "GIF": b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x44\x01\0;",
        "TIFF": tiff({273: (TIFF_CONTENT,), 279: (4,)}, bytes(4), width=width, height=height, rows=height),
    }


def ends_of_lines() -> bytes:
    """A BMP of 1.5 kB with run lengths: in each line one pixel, then "the rest is 0", a million times."""
    width, rows = 1_000_000, 100
    head = struct.pack("<IHHI", 0, 0, 0, 54 + 1024)
    header = struct.pack("<IiiHHIIiiII", 40, width, rows, 1, 8, 1, 4 * rows, 0, 0, 256, 0)
    return b"BM" + head + header + bytes(1024) + b"\1\1\0\0" * rows


def chunks_without_content(size: int) -> bytes:
    """A PNG of `size` bytes and one pixel: the rest are empty chunks, each of which is read."""
    return png(1, 1, *(png_chunk(b"tEXt", b""),) * (size // 12))


def _riff(chunk: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def huffman_webp(groups: int = 65_536) -> bytes:
    """A WebP of a megapixel with `groups` groups of five Huffman codes, 5 kB of tables each (RFC 9649, 3.7.2)."""
    side = 1024
    one_symbol = (0b0001, 4)  # simple, one symbol, of one bit: 0
    all_bytes = _code_of_all_bytes(256)
    indices = (
        (_reversed(index & 255) | _reversed(index >> 8 & 255) << 8, 16) for index in range((side // 4) ** 2)
    )
    fields = [
        (0x2F, 8), (side - 1, 14), (side - 1, 14), (0, 1), (0, 3),
        (0, 1), (0, 1),  # no transform, no colour cache
        (1, 1), (0, 3),  # several groups, each block of 4 x 4 pixels names its own
        (0, 1), *_code_of_all_bytes(280), *all_bytes, *(one_symbol,) * 3, *indices,
        *(one_symbol,) * (5 * groups),
    ]  # fmt: skip
    content = _bits(fields)
    return _riff(b"VP8L" + struct.pack("<I", len(content)) + content)


def _code_of_all_bytes(alphabet: int) -> list[tuple[int, int]]:
    """A Huffman code in which the first 256 of the alphabet have eight bits each, the others none."""
    order = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8)  # in which the lengths of the lengths' codes come
    lengths = [(1 if length in (0, 8) else 0, 3) for length in order]
    return [
        (0, 1),
        (len(order) - 4, 4),
        *lengths,
        (0, 1),
        *((int(symbol < 256), 1) for symbol in range(alphabet)),
    ]


def _reversed(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)


def _bits(fields: list[tuple[int, int]]) -> bytes:
    """Numbers of so many bits each, the lowest bit first, to an even number of bytes."""
    text = "".join(f"{value:0{count}b}"[::-1] for value, count in fields)
    text += "0" * (-len(text) % 16)
    return int(text[::-1], 2).to_bytes(len(text) // 8, "little")
