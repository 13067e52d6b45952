"""Runs inside the image: cuts a JPEG file short at every byte, and tells which pieces are taken for a picture."""

import base64
import ctypes
import sys
from typing import Any

FOLDER = "/under48/action"
sys.path.insert(0, FOLDER)

from classifier import model, native  # type: ignore[import-not-found]  # noqa: E402

CLASSIFIER = model.load_model(FOLDER, 1).classifier


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    file = base64.b64decode(arguments["image"])
    framing = native.Framing(arguments["crop"], -1, 1)
    whole = pixels(file, framing)
    pieces = ((len(file) - length, pixels(file[:length], framing)) for length in range(len(file)))
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
