"""What users send: one photo, the bundled panda, in twenty encodings by Pillow; and files that are no pictures."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from PIL import Image

from model_fetch import BUNDLED, load_catalog
from tests.pictures import STORED

PANDA = "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca"

Expected = Literal["panda", "decoded", "refused", "either"]
"""What the action must make of a picture: its right class, any classes, an error, or classes or an error."""

_QUALITY = 88  # of a JPEG
_MODEL = "tf2_mobilenet_v2_1.0_224_ptq"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variant:
    make: Callable[[Image.Image], bytes]
    expected: Expected = "panda"


@cache
def variant(name: str) -> bytes:
    """The file that VARIANTS calls so."""
    return _VARIANTS[name].make(_photo())


@cache
def _photo() -> Image.Image:
    return Image.open(io.BytesIO(_bundled("panda.jpg"))).convert("RGB")


def _bundled(name: str) -> bytes:
    (asset,) = load_catalog().entry(name).files
    return (BUNDLED / asset.location).read_bytes()


def _saved(kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    def save(image: Image.Image) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return save


_jpeg = _saved("JPEG", quality=_QUALITY)
_png = _saved("PNG")


def _turned(orientation: int) -> _Variant:
    """Stored as a camera does that was held so: turned, with the EXIF orientation that says it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    save, turn = _saved("JPEG", quality=_QUALITY, exif=exif), STORED[orientation]
    assert turn is not None
    return _Variant(make=lambda photo: save(photo.transpose(turn)))


def _see_through_on_the_left(photo: Image.Image) -> Image.Image:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, photo.width // 10, photo.height))
    changed = photo.copy()
    changed.putalpha(alpha)
    return changed


def _resized(width: int, height: int, quality: int) -> Callable[[Image.Image], bytes]:
    save = _saved("JPEG", quality=quality)
    return lambda photo: save(photo.resize((width, height)))


_VARIANTS: dict[str, _Variant] = {
    "panda-1x1.png": _Variant(make=lambda photo: _png(photo.resize((1, 1))), expected="decoded"),
    "panda-24bit.bmp": _Variant(make=_saved("BMP")),
    "panda-cmyk.jpg": _Variant(make=lambda photo: _jpeg(photo.convert("CMYK"))),
    "panda-exif-orientation3.jpg": _turned(3),
    "panda-exif-orientation6.jpg": _turned(6),
    "panda-exif-orientation8.jpg": _turned(8),
    "panda-gray-alpha.png": _Variant(make=lambda photo: _png(photo.convert("LA"))),
    "panda-gray.jpg": _Variant(make=lambda photo: _jpeg(photo.convert("L"))),
    "panda-huge-6000px.jpg": _Variant(make=_resized(6000, 4000, 45)),
    "panda-lossy.webp": _Variant(make=_saved("WebP", quality=80)),
    "panda-lzw.tiff": _Variant(make=_saved("TIFF", compression="tiff_lzw")),
    "panda-palette.png": _Variant(make=lambda photo: _png(photo.quantize(64))),
    "panda-progressive.jpg": _Variant(make=_saved("JPEG", quality=_QUALITY, progressive=True)),
    "panda-rgb.png": _Variant(make=_png),
    "panda-rgba.png": _Variant(make=lambda photo: _png(_see_through_on_the_left(photo))),
    "panda-still.gif": _Variant(make=lambda photo: _saved("GIF")(photo.quantize(128))),
    "panda-strip-wide.jpg": _Variant(make=_resized(2000, 12, 75), expected="decoded"),
    "panda-tiny-32px.jpg": _Variant(make=_resized(32, 21, 90), expected="decoded"),
    "panda-truncated-70pct.jpg": _Variant(
        make=lambda photo: _jpeg(photo)[: len(_jpeg(photo)) * 7 // 10], expected="either"
    ),
    "panda-truncated-header.jpg": _Variant(make=lambda photo: _jpeg(photo)[:150], expected="refused"),
    "empty.jpg": _Variant(make=lambda _photo: b"", expected="refused"),
    "corrupt-model.tflite": _Variant(make=lambda _photo: _bundled(_MODEL)[:200_000], expected="refused"),
}

VARIANTS: dict[str, Expected] = {name: variant.expected for name, variant in _VARIANTS.items()}
