"""Makes a photo small enough for a request to the platform: fewer pixels, as a JPEG, upright, the same picture."""

import io

from errors import Under48Error

# Of the longer side, tried in this order; a model sees at most a few hundred pixels of it.
_SIDES = (2048, 1600, 1200, 800, 400)
_QUALITY = 90
_WHITE = (255, 255, 255, 255)


class NotShrinkable(Under48Error):
    """A file that is too large is no picture, or one that cannot be read here."""

    exit_code = 2


def shrink(content: bytes, most: int) -> bytes:
    """The picture as a JPEG of at most `most` bytes: turned as its EXIF says, laid over white, its shape kept.

    Raises:
        NotShrinkable: Pillow cannot read it, or is not there, or even the smallest is larger than `most`.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - whoever shrinks nothing does without
    except ImportError as error:
        raise NotShrinkable("it cannot be shrunk without Pillow: install it (pip install pillow)") from error
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (2 * _SIDES[0], 2 * _SIDES[0]))  # a JPEG needs no more of its pixels
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except UnidentifiedImageError as error:  # its text has the address of an object
        raise NotShrinkable("it cannot be shrunk: it is no picture that Pillow knows") from error
    except Exception as error:  # damaged files get every kind of exception out of the decoders
        raise NotShrinkable(f"it cannot be shrunk: {error or type(error).__name__}") from error
    picture = Image.alpha_composite(Image.new("RGBA", upright.size, _WHITE), upright).convert("RGB")
    for side in _SIDES:
        picture.thumbnail((side, side))  # in place; never enlarges
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
        if file.tell() <= most:
            return file.getvalue()
    raise NotShrinkable(f"it cannot be shrunk to {most:,} bytes")
