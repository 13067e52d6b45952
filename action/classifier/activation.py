"""The edge: importing this opens the model, once per process; `main` is what the platform calls."""

# ruff: noqa: PTH100, PTH120 - pathlib costs 7 ms of a cold start
from __future__ import annotations

import os

from .answer import answer
from .model import choose_threads, load_model
from .stages import stage

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

with stage("loadModel"):
    _MODEL = load_model(_FOLDER, choose_threads(os.environ.get("UNDER48_THREADS")))


def main(arguments: dict[str, object]) -> dict[str, object]:
    """Answer one activation; see `answer`."""
    with stage("main"):
        return answer(arguments, _MODEL)
