"""Opens what is shipped beside this package: the model, its description, its labels, the native library."""

# ruff: noqa: PTH118, PTH123 - pathlib costs 7 ms of a cold start
from __future__ import annotations

import json
import math
import os
import zlib

from . import native
from .ranking import softmax

_OUTPUTS = ("probabilities", "logits")


class ModelError(Exception):
    """The shipped files cannot be used; the text says which one, and why."""


class _Description:
    """What model.json says of a model; ValueError when it says something else."""

    __slots__ = ("checksum", "crop", "highest", "label_offset", "logits", "lowest")

    def __init__(self, content: object) -> None:
        if not isinstance(content, dict):
            raise ValueError("it holds no object")  # noqa: TRY004 - a wrong value in a file, not a programming error
        try:
            self.crop = float(content["crop"])
            self.lowest, self.highest = map(float, content["input_range"])
            self.logits = _OUTPUTS.index(content["output"]) == 1
            self.label_offset = int(content["label_offset"])
            self.checksum = int(content["crc32"])
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"wrong or missing: {error}") from None


class Model:
    """An open model with what is needed to use it: labels by class, framing of pictures, kind of scores."""

    __slots__ = ("_logits", "classifier", "framing", "labels")

    def __init__(
        self, classifier: native.Classifier, framing: native.Framing, *, labels: list[str], logits: bool
    ) -> None:
        """Tie the parts together; `labels` has one line per class."""
        self.classifier = classifier
        self.framing = framing
        self.labels = labels
        self._logits = logits

    def probabilities(self) -> list[float]:
        """Run the model on its input and give one probability per class."""
        scores = self.classifier.classify()
        if not all(map(math.isfinite, scores)):
            raise ModelError("the model gave a score that is not a number: its file may be damaged")
        return softmax(scores) if self._logits else scores


def load_model(folder: str, threads: int) -> Model:
    """Open libunder48.so, model.tflite, model.json and labels.txt of `folder`; ModelError when that fails.

    `threads`: how many the inference may use, at least 1.
    """
    description = _read_description(os.path.join(folder, "model.json"))
    file = os.path.join(folder, "model.tflite")
    _check(file, description.checksum)
    try:
        library = native.load(os.path.join(folder, "libunder48.so"))
        classifier = native.Classifier(library, file, threads)
    except (OSError, native.NativeError) as error:
        raise ModelError(f"the model cannot be opened: {error}") from None
    offset = description.label_offset
    labels = _read_labels(os.path.join(folder, "labels.txt"))[offset : offset + classifier.classes]
    if len(labels) < classifier.classes:
        raise ModelError(
            f"labels.txt: {len(labels)} labels after line {offset}, but {classifier.classes} classes"
        )
    framing = native.Framing(description.crop, description.lowest, description.highest)
    return Model(classifier, framing, labels=labels, logits=description.logits)


def choose_threads(wanted: str | None) -> int:
    """Give the number of threads of an inference: what UNDER48_THREADS says, else 1.

    One by default: with two the default model gains nothing on a quiet machine (2.3 against 2.4 ms), and where
    other containers share the processors, as on the platform, XNNPACK's threads wait for each other: of 20
    containers on a busy machine the first call took up to 624 ms with two threads, 8 to 24 ms with one.
    """
    if not wanted:
        return 1
    if not wanted.isdecimal() or not 1 <= int(wanted) <= 64:
        raise ModelError(f"UNDER48_THREADS must be a whole number from 1 to 64, not {wanted!r}")
    return int(wanted)


def _read_description(path: str) -> _Description:
    try:
        with open(path, encoding="utf-8") as file:
            return _Description(json.load(file))
    except (OSError, ValueError) as error:
        raise ModelError(f"model.json cannot be used: {error}") from None


def _check(path: str, checksum: int) -> None:
    """Refuse a damaged model, of which most would open, and answer wrongly: 1.1 ms for 4 MB, SHA-256 takes 3.1 ms."""
    try:
        with open(path, "rb") as file:
            found = zlib.crc32(file.read())
    except OSError as error:
        raise ModelError(f"the model cannot be opened: {error}") from None
    if found != checksum:
        raise ModelError(
            "the model cannot be opened: model.tflite is damaged, its checksum is another; build it again"
        )


def _read_labels(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return [line.rstrip("\n") for line in file]
    except (OSError, ValueError) as error:
        raise ModelError(f"the labels cannot be read: {error}") from None
