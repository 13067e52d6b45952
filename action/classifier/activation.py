"""The edge: importing this opens the model, once per process; `main` is what the platform calls."""

# ruff: noqa: PTH100, PTH120, E402 - pathlib costs 7 ms of a cold start, and that is measured here: first of all
from __future__ import annotations

import os
import sys
from time import perf_counter

from .stages import activation, log, process_age_ms, stage

_NOW = perf_counter()
_SERVER = sys.modules.get("under48_runtime")  # while it starts, ours says when it began to be imported
_BEGAN = getattr(_SERVER, "began", _NOW)
_AGE_MS = process_age_ms()

from .answer import answer
from .model import choose_threads, load_model

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

if _AGE_MS is not None:
    log("processStart", max(0.0, _AGE_MS - (_NOW - _BEGAN) * 1000))
log("import", (perf_counter() - _BEGAN) * 1000)
with stage("loadModel"):
    _MODEL = load_model(_FOLDER, choose_threads(os.environ.get("UNDER48_THREADS")))


def main(arguments: dict[str, object]) -> dict[str, object]:
    """Answer one activation; see `answer`."""
    with activation():
        return answer(arguments, _MODEL)
