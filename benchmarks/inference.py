"""Runs inside the image: times the built-in model, as the action uses it, without the platform's protocol around it."""

import base64
import os
import sys
import time
from typing import Any

FOLDER = "/under48/action"
sys.path.insert(0, FOLDER)

from classifier import answer, model  # type: ignore[import-not-found]  # noqa: E402

MODEL = model.load_model(FOLDER, int(os.environ["UNDER48_THREADS"]))


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Classify `image`: the class it is taken for, and the milliseconds of the model alone."""
    answer._set_input(base64.b64decode(arguments["image"]), MODEL)  # noqa: SLF001 - the action has no other way in
    began = time.perf_counter()
    probabilities = MODEL.probabilities()
    elapsed_ms = (time.perf_counter() - began) * 1000
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return {"className": MODEL.labels[best], "ms": elapsed_ms}
