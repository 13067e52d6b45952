"""Draws pictures that need no file: PNGs of noise, which nothing compresses."""

import base64
import random
import struct
import zlib

from tests.pictures import png_chunk


def noise(side: int) -> str:
    """A square PNG as base64; it has about 3 * side * side bytes, and is the same each time."""
    rows = random.Random(48)
    pixels = b"".join(b"\0" + rows.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 0)), (b"IEND", b""))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)).decode()
