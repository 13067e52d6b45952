"""Image formats by their first bytes."""

import pytest

from action.classifier.formats import HEAD, SUPPORTED, sniff


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "WebP"),
        (b"BM\x46\x00\x00\x00", "BMP"),
        (b"GIF89a\x01\x00", "GIF"),
        (b"GIF87a\x01\x00", "GIF"),
        (b"II*\x00\x08\x00", "TIFF"),
        (b"MM\x00*\x00\x00", "TIFF"),
        (b"\x00\x00\x00\x1cftypavif", "AVIF"),
        (b"\x00\x00\x00\x1cftypheic", "HEIC"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns=", "SVG or HTML"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", None),
        (b"\x89PNG\n\x1a\n", None),
        (b"\xff\xd8", None),
        (b"panda", None),
        (b"", None),
    ],
)
def test_the_format_is_what_the_first_bytes_say(head: bytes, name: str | None) -> None:
    assert sniff(head) == name
    assert sniff(head[:HEAD].ljust(HEAD, b"\0")) in {name, sniff(head)}


def test_every_supported_format_has_a_signature() -> None:
    assert set(SUPPORTED) == {"JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF"}
