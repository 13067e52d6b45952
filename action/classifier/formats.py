"""Tells image formats apart by their first bytes; names and media types of senders are not believed."""

from __future__ import annotations

JPEG = "JPEG"
"""The one format that the native library decodes itself."""

HEAD = 32
"""How many bytes `sniff` looks at."""

SUPPORTED = (JPEG, "PNG", "WebP", "BMP", "GIF", "TIFF")

# (format, offset, bytes there). Sources: ITU T.81 B.1.1, PNG 3rd ed. 5.2, RFC 9649, GIF89a 17,
# TIFF 6.0 section 2, BigTIFF, ISO/IEC 14496-12 (ftyp), the formats' own specifications for the rest.
_SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    (JPEG, 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("WebP", 8, b"WEBP"),
    ("BMP", 0, b"BM"),
    ("GIF", 0, b"GIF87a"),
    ("GIF", 0, b"GIF89a"),
    ("TIFF", 0, b"II*\x00"),
    ("TIFF", 0, b"MM\x00*"),
    ("TIFF", 0, b"II+\x00"),
    ("TIFF", 0, b"MM\x00+"),
    ("AVIF", 4, b"ftypavif"),
    ("AVIF", 4, b"ftypavis"),
    ("HEIC", 4, b"ftyp"),
    ("JPEG 2000", 0, b"\x00\x00\x00\x0cjP  "),
    ("JPEG XL", 0, b"\x00\x00\x00\x0cJXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("PDF", 0, b"%PDF-"),
    ("Photoshop", 0, b"8BPS"),
    ("icon", 0, b"\x00\x00\x01\x00"),
    ("zip archive", 0, b"PK\x03\x04"),
    ("SVG or HTML", 0, b"<"),
)


def sniff(head: bytes) -> str | None:
    """Name the format of a file from its first bytes, supported or not; None when it is of no known kind."""
    for name, offset, signature in _SIGNATURES:
        if head.startswith(signature, offset):
            return name
    return None
