"""Runs inside the image: cuts a JPEG file short at every byte, and tells which pieces are taken for a picture.

Of a file of some kilobytes at every few bytes, but for its end. Each piece gets `end` appended (in hexadecimal).
"""

import base64
import ctypes
import sys
from typing import Any

FOLDER = "/under48/action"
sys.path.insert(0, FOLDER)

from classifier import model, native  # type: ignore[import-not-found]  # noqa: E402

_END = 64  # bytes

CLASSIFIER = model.load_model(FOLDER, 1).classifier


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    file = base64.b64decode(arguments["image"])
    framing = native.Framing(arguments["crop"], -1, 1)
    end = bytes.fromhex(arguments["end"])
    whole = pixels(file, framing)
    step = 1 + len(file) // 1000
    cuts = (missing for missing in range(1, len(file) + 1) if missing <= _END or missing % step == 0)
    pieces = ((missing, pixels(file[:-missing] + end, framing)) for missing in cuts)
    taken = {missing: piece for missing, piece in pieces if piece is not None}
    return {
        "whole": whole is not None,
        "taken": sorted(taken),
        "wrong": [missing for missing, piece in taken.items() if piece != whole],
    }


def pixels(file: bytes, framing: Any) -> bytes | None:
    try:
        CLASSIFIER.set_jpeg(file, framing)
    except native.NativeError:
        return None
    return ctypes.string_at(CLASSIFIER.input.data, CLASSIFIER.input.bytes)
