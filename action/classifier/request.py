"""Reads what the caller sent: pictures and the options, or a refusal that says what to fix."""

from __future__ import annotations

import binascii
import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

MOST_BYTES = 4 * 1024 * 1024
"""The largest image file taken, since the slowest way to fill one (a PNG of chunks without content) takes 0.25 s a
MiB to read. The platform's own limit for a whole request is 1 MiB by default."""

MOST_TEXT = MOST_BYTES // 3 * 4 + 1024 * 1024
"""The longest base64 text that is looked at: that file, with room for line breaks and a data: URL's head."""

MOST_IMAGES = 16
"""How many pictures one request may have: the slowest ones take 2 s each, and the platform allows 60 by default."""

MOST_ENTRIES = 10_000
"""The longest answer, in classes of all pictures together: each takes about 70 of the 1,048,576 bytes that
the platform lets through."""

_HINT = 'give {"image": "<base64 of a JPEG, PNG, WebP, BMP, GIF or TIFF file>"}'
_DEFAULT_TOP = 5


class RefusedError(Exception):
    """The caller's request, or one picture of it, has no answer; the text says why and becomes an `error`."""


class Request:
    """One valid request: the pictures as they were sent, and how much of each ranking to return."""

    __slots__ = ("images", "least", "several", "top")

    def __init__(self, *, images: list[object], several: bool, top: int, least: float) -> None:
        """Keep at most `top` classes, each with a probability of at least `least` (0 to 1).

        `images` are for `decode_image`; `several`: a list was sent, and a list is to be answered.
        """
        self.images = images
        self.several = several
        self.top = top
        self.least = least


def is_web(arguments: object) -> TypeGuard[dict[str, object]]:
    """Tell whether the platform made these arguments from an HTTP request: each of those has a method."""
    return isinstance(arguments, dict) and "__ow_method" in arguments


def read_request(arguments: object, classes: int) -> Request:
    """Check an activation's arguments for a model of `classes` classes; raise RefusedError with the reason.

    Options are checked first: a request that cannot work is refused before its pictures cost anything.
    """
    if not isinstance(arguments, dict):
        raise RefusedError(f"the arguments must be an object, not {_kind(arguments)}: {_HINT}")
    unknown = sorted(
        key for key in map(str, arguments) if key not in _KNOWN and not key.startswith(_PLATFORM)
    )
    if unknown:
        raise RefusedError(f"unknown option {_shown(unknown[0])}; known are {', '.join(_KNOWN)}")
    top = _read_top(arguments.get("top"), classes)
    least = _read_least(arguments.get("minProbability"))
    images = _read_images(arguments)
    if top * len(images) > MOST_ENTRIES:
        raise RefusedError(
            f"top {top} for {len(images)} images is an answer of {top * len(images)} classes, at most "
            f"{MOST_ENTRIES} fit into one: lower top, or send fewer images"
        )
    return Request(images=images, several="images" in arguments, top=top, least=least)


def decode_image(value: object) -> bytes:
    """Decode one picture as it was sent, base64 or a data: URL of it, to its file's bytes; else RefusedError."""
    if not isinstance(value, str):
        raise RefusedError(f"image must be a string of base64, not {_kind(value)}")
    if len(value) > MOST_TEXT:
        raise RefusedError(f"the image is too large: {len(value)} characters of base64, at most {MOST_TEXT}")
    image = _decode_base64(_strip_url(value))
    if not image:
        raise RefusedError(f"the image is empty: {_HINT}")
    if len(image) > MOST_BYTES:
        raise RefusedError(f"the image is too large: {len(image)} bytes, at most {MOST_BYTES}")
    return image


def _read_images(arguments: dict[str, object]) -> list[object]:
    if "images" not in arguments:
        if "image" not in arguments:
            raise RefusedError(f"no image: {_HINT}")
        return [arguments["image"]]
    if "image" in arguments:
        raise RefusedError("give image, or images as a list of such, not both")
    images = arguments["images"]
    if not isinstance(images, list):
        raise RefusedError(f"images must be a list of base64 strings, not {_kind(images)}")
    if not 1 <= len(images) <= MOST_IMAGES:
        raise RefusedError(f"images has {len(images)} entries: send 1 to {MOST_IMAGES} at once")
    return images


def _read_top(value: object, classes: int) -> int:
    if value is None:
        return min(_DEFAULT_TOP, classes)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= classes:
        raise RefusedError(f"top must be a whole number from 1 to {classes}, not {_shown(value)}")
    return value


def _read_least(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise RefusedError(f"minProbability must be a number from 0 to 1, not {_shown(value)}")
    return float(value)


def _strip_url(text: str) -> str:
    """Take the head off a `data:image/png;base64,…` URL (RFC 2397)."""
    if not text.startswith("data:"):
        return text
    head, comma, rest = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RefusedError("image is a data: URL without base64: it must begin like data:image/jpeg;base64,")
    return rest


def _decode_base64(text: str) -> bytes:
    # Python's lenient decoder drops what is not base64 in silence: a file name would become noise.
    # Line breaks alone are legitimate (RFC 2045; the `base64` command wraps at 76 characters).
    try:
        if "\n" in text or "\r" in text:
            text = "".join(text.split())
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        detail = str(error).rstrip(".")
        raise RefusedError(f"image is not base64: {detail[:1].lower()}{detail[1:]}") from None


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    """Return the value as the caller has written it: in JSON."""
    if isinstance(value, float) and value in _INFINITE:
        return "a number that is too large"  # JSON has no infinity, but 1e400
    if not isinstance(value, (bool, int, float, str)):
        return _kind(value)
    text = json.dumps(value, ensure_ascii=not str(value).isprintable())
    return text if len(text) <= 40 else text[:37] + "..."


_INFINITE = (math.inf, -math.inf)
_PLATFORM = "__ow_"  # what the platform adds of its own: a web action's __ow_method, __ow_headers and so on
_KNOWN = ("image", "images", "top", "minProbability")
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
