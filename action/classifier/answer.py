"""Answers one activation: the caller's arguments and an open model in, the platform's result object out."""

from __future__ import annotations

from . import native
from .formats import HEAD, JPEG, SUPPORTED, sniff
from .memory import decoder_budget, read_limit
from .pixels import decode
from .ranking import rank, results
from .request import RefusedError, read_request
from .stages import resident_bytes, stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Model

# What the caller's picture can be to blame for; any other status is a fault of ours and is raised.
_CALLERS = (native.BAD_IMAGE, native.TOO_LARGE, native.NO_MEMORY)


def answer(arguments: object, model: Model) -> dict[str, object]:
    """Classify the picture in `arguments`: `{"results": [{"className", "probability"}, ...]}`, best first.

    Whatever is wrong with the request or the picture is an `{"error": ...}`, never an exception: on this
    platform an error object keeps the warm container, everything else costs it.
    """
    try:
        with stage("decode"):
            request = read_request(arguments, len(model.labels))
        with stage("input"):
            _set_input(request.image, model)
        with stage("classify"):
            ranked = rank(model.probabilities(), request.top, request.least)
    except RefusedError as error:
        return {"error": str(error)}
    return {"results": results(ranked, model.labels)}


def _set_input(file: bytes, model: Model) -> None:
    name = sniff(file[:HEAD])
    if name not in SUPPORTED:
        found = "its format is not known" if name is None else f"{name} is not supported"
        raise RefusedError(
            f"the image cannot be read: {found}; send {', '.join(SUPPORTED[:-1])} or {SUPPORTED[-1]}"
        )
    try:
        if name == JPEG:
            model.classifier.set_jpeg(file, model.framing)
        else:
            pixels = decode(file, name, decoder_budget(read_limit(), resident_bytes()))
            model.classifier.set_rgb(pixels.rgb, pixels.width, pixels.height, model.framing)
    except native.NativeError as error:
        if error.status in _CALLERS:
            raise RefusedError(f"the {name} image cannot be used: {error}") from None
        raise
