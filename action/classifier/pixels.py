"""Decodes what is not JPEG with Pillow: a file becomes upright RGB on white, within a memory budget."""

from __future__ import annotations

import io
import warnings

from .request import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from PIL.Image import Image

_MIB = 1024 * 1024
_LARGEST_SIDE = 1 << 20

# What Pillow's decoders hold beside the image itself, in bytes per pixel, measured with Pillow 9.4 and 13.0
# (VmHWM around `load` of a 3000 x 3000 image): WebP keeps two canvases and a copy; a TIFF may be one strip.
_EXTRA_BYTES = {"WebP": 12, "TIFF": 8, "PNG": 0, "BMP": 0, "GIF": 1}

# Bytes per pixel in memory: Pillow pads every mode of several channels to four bytes.
_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}

# Pillow's only decoder in Python: 100 million pixels of ends of lines, in 1.5 kB, take it 12 s.
_PYTHON_DECODER = "bmp_rle"
_MOST_IN_PYTHON = 4_000_000

# Tags of TIFF 6.0, sections 8 and 15: of the image, then of its tiles, width and length; StripByteCounts and
# TileByteCounts.
_SIZE = (256, 257)
_TILE_SIZE = (322, 323)
_STORED_BYTES = (279, 325)
_MOST_PARTS = 50_000
_MOST_STORED = 4  # times the file: programs that give the counts wrongly, of pixels instead, are forgiven

# A side of twice this or more is averaged by whole pixels, down to at least this, before anything else: the
# model sees a few hundred pixels, and the work after the decoder then never needs more than 2047 x 2047.
_ENOUGH = 1024
_BAND_PIXELS = 1 << 20

_WHITE = (255, 255, 255, 255)
_ORIENTATION = 0x0112  # Exif 2.32, 4.6.4 A
# Names in Image.Transpose by the tag's value; 1, and whatever is not in the standard, means upright.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class Pixels:
    """Decoded pixels: `height` rows of `width` * 3 bytes, red green blue."""

    __slots__ = ("height", "rgb", "width")

    def __init__(self, *, width: int, height: int, rgb: bytes) -> None:
        """Hold what a decoder gave."""
        self.width = width
        self.height = height
        self.rgb = rgb


def decode(file: bytes, name: str, budget: int) -> Pixels:
    """Decode a file of the format `name` (as `sniff` names it) into upright RGB pixels, laid over white.

    `budget`: bytes that the decoder may use; larger images are refused from their header, before any pixel is
    allocated. Of animations, the first frame. Raises RefusedError for everything that cannot be shown.
    """
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - JPEG, the usual case, does without
    except ImportError as error:
        raise RefusedError(f"a {name} image needs Pillow, which is not here ({error}): send a JPEG") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # doubtful metadata is no concern of the log
        try:
            with Image.open(io.BytesIO(file), formats=[name.upper()]) as image:
                _check_size(image, name, budget)
                if name == "TIFF":
                    _check_strips(image, len(file))
                image.load()
                return _to_pixels(image)
        except RefusedError:
            raise
        except UnidentifiedImageError:
            raise RefusedError(f"the {name} image is damaged: its header cannot be read") from None
        except (Image.DecompressionBombError, MemoryError) as error:
            raise RefusedError(f"the {name} image is too large: {error or 'out of memory'}") from None
        except Exception as error:  # noqa: BLE001 - damaged files get every kind of exception out of the decoders
            raise RefusedError(f"the {name} image is damaged or of an unsupported kind: {error}") from None


def _check_size(image: Image, name: str, budget: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise RefusedError(f"the {name} image has no pixels: {width} x {height}")
    tile = getattr(image, "tile", None)
    if tile and tile[0][0] == _PYTHON_DECODER and width * height > _MOST_IN_PYTHON:
        raise RefusedError(
            f"the {name} image is too large: {width} x {height} pixels, and with run lengths at most "
            f"{_MOST_IN_PYTHON} are decoded; send a smaller one, or a JPEG"
        )
    if max(width, height) > _LARGEST_SIDE:
        raise RefusedError(
            f"the {name} image is too large: {width} x {height} pixels, at most {_LARGEST_SIDE} in a row or column "
            "are decoded; send a smaller one, or a JPEG"
        )
    decoded = max(width * height, _tiled_pixels(image) if name == "TIFF" else 0)
    needed = decoded * (_MODE_BYTES.get(image.mode, 4) + _EXTRA_BYTES[name])
    if needed > budget:
        raise RefusedError(
            f"the {name} image is too large: {width} x {height} pixels take {-(-needed // _MIB)} MiB, "
            f"{budget // _MIB} MiB are there to decode it; send a smaller one, or a JPEG"
        )


def _tiled_pixels(image: Image) -> int:
    """All that is decoded of a TIFF: tiles are whole ones also where only their corner is in the picture."""
    # As stored: `size` may be that of the turned picture.
    width, height = (_numbers(image, tag)[0] for tag in _SIZE)
    across, down = (max(1, _numbers(image, tag)[0]) if tag in image.tag_v2 else 1 for tag in _TILE_SIZE)  # type: ignore[attr-defined]
    return -(-width // across) * across * -(-height // down) * down


def _check_strips(image: Image, file_bytes: int) -> None:
    """Refuse strips or tiles that lie in one another, and too many of them.

    20,000 strips that share 0.7 MB take libtiff 9 s to read; 500,000 with LZMA, in 4 MB, take 4 s.
    """
    counts = [count for tag in _STORED_BYTES if tag in image.tag_v2 for count in _numbers(image, tag)]  # type: ignore[attr-defined]
    stored = sum(counts)
    if len(counts) > _MOST_PARTS:
        raise RefusedError(
            f"the TIFF image is too large: it has {len(counts)} parts, at most {_MOST_PARTS} are read"
        )
    if stored > _MOST_STORED * file_bytes:
        raise RefusedError(
            f"the TIFF image is damaged: its parts are said to have {stored} bytes, the whole file has {file_bytes}"
        )


def _numbers(image: Image, tag: int) -> tuple[int, ...]:
    value = image.tag_v2.get(tag, ())  # type: ignore[attr-defined]  # a TIFF's own
    values = value if isinstance(value, tuple) else (value,)
    return tuple(value for value in values if isinstance(value, int)) or (0,)


def _to_pixels(image: Image) -> Pixels:
    from PIL import Image as pillow  # noqa: N813, PLC0415

    # After `load`: newer versions of Pillow turn a TIFF themselves and then drop the tag.
    turn = _TURNS.get(_read_orientation(image))
    upright = _shrink_to_rgb(image)
    if turn is not None:
        upright = upright.transpose(pillow.Transpose[turn])
    return Pixels(width=upright.width, height=upright.height, rgb=upright.tobytes())


def _read_orientation(image: Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - broken metadata must not cost a good picture
        return 1
    return value if isinstance(value, int) else 1


def _shrink_to_rgb(image: Image) -> Image:
    """Convert band by band, so that the steps in between (alpha, white, float) stay small."""
    from PIL import Image as pillow  # noqa: N813, PLC0415

    width, height = image.size
    across, down = max(1, width // _ENOUGH), max(1, height // _ENOUGH)
    slope, offset = _grey_line(image)
    shrunk = pillow.new("RGB", (-(-width // across), -(-height // down)))
    rows = max(1, _BAND_PIXELS // (width * down)) * down
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(height, top + rows)))
        band.info = image.info  # where Pillow keeps a palette's or colour's transparency
        band = _band_to_rgb(band, slope, offset)
        shrunk.paste(band.reduce((across, down)) if across > 1 or down > 1 else band, (0, top // down))
    return shrunk


def _band_to_rgb(band: Image, slope: float, offset: float) -> Image:
    from PIL import Image as pillow  # noqa: N813, PLC0415

    if _is_deep(band.mode):
        return band.convert("F").point(lambda value: value * slope + offset).convert("L").convert("RGB")
    if band.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in band.info:
        clear = band.convert("RGBA")
        white = pillow.new("RGBA", clear.size, _WHITE)
        return pillow.alpha_composite(white, clear).convert("RGB")
    return band.convert("RGB")


def _is_deep(mode: str) -> bool:
    return mode in {"I", "F"} or mode.startswith("I;16")


def _grey_line(image: Image) -> tuple[float, float]:
    """Give slope and offset of the line from deep grey to 0..255; half is added since Pillow cuts off.

    16 bits are scaled by their full range, as PNG (3rd ed., 13.12) recommends; older Pillow calls those of a
    PNG `I`. Other integers and floats have no range of their own, so the image's is used; floats from 0 to 1
    are taken as they are.
    """
    if not _is_deep(image.mode):
        return 1.0, 0.0
    lowest, highest = 0.0, 65535.0
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        lowest, highest = image.getextrema()  # type: ignore[assignment]  # one band: two numbers
        if not -1e30 < lowest <= highest < 1e30:  # also false for NaN
            raise RefusedError("the image's values are infinite or not numbers")
        if image.mode == "F" and lowest >= 0 and highest <= 1:
            lowest, highest = 0.0, 1.0
    slope = 255.0 / (highest - lowest) if highest > lowest else 0.0
    return slope, 0.5 - lowest * slope
