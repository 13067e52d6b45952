"""Answers one activation: the caller's arguments and an open model in, the platform's result object out."""

from __future__ import annotations

from . import native
from .formats import HEAD, JPEG, SUPPORTED, sniff
from .memory import capped, decoder_budget, read_limit
from .pixels import decode
from .ranking import rank, results
from .request import RefusedError, decode_image, is_web, read_request
from .stages import inference, resident_bytes, stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Model
    from .request import Request

# What the caller's picture can be to blame for; any other status is a fault of ours and is raised.
_CALLERS = (native.BAD_IMAGE, native.TOO_LARGE, native.NO_MEMORY)


def answer(arguments: object, model: Model) -> dict[str, object]:
    """Classify what is in `arguments`: `{"results": [{"className", "probability"}, ...]}`, best first.

    Of several pictures (`images`) it is `{"images": [...]}`, for each in its order such an object, or the error
    of this one. Whatever is wrong with the request or the picture is an `{"error": ...}`, never an exception:
    on this platform an error object keeps the warm container, everything else costs it. A web action's call
    is answered as `web.to_answer` says.
    """
    if not is_web(arguments):
        return _answer(arguments, model)
    from .web import read_call, to_answer  # noqa: PLC0415 - a cold start need not read it

    try:
        return to_answer(_answer(read_call(arguments), model))
    except RefusedError as error:
        return to_answer({"error": str(error)})


def _answer(arguments: object, model: Model) -> dict[str, object]:
    try:
        request = read_request(arguments, len(model.labels))
    except RefusedError as error:
        return {"error": str(error)}
    answers = [_judge(image, request, model) for image in request.images]
    return {"images": answers} if request.several else answers[0]


def _judge(image: object, request: Request, model: Model) -> dict[str, object]:
    try:
        return _classify(image, request, model)
    except RefusedError as error:
        return {"error": str(error)}


def _classify(image: object, request: Request, model: Model) -> dict[str, object]:
    with stage("decode"):
        file = decode_image(image)
    with stage("input"):
        _set_input(file, model)
    with inference():
        ranked = rank(model.probabilities(), request.top, request.least)
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
            limit, resident = read_limit(), resident_bytes()
            with capped(limit, resident):
                pixels = decode(file, name, decoder_budget(limit, resident))
            model.classifier.set_rgb(pixels.rgb, pixels.width, pixels.height, model.framing)
    except native.NativeError as error:
        if error.status in _CALLERS:
            raise RefusedError(f"the {name} image cannot be used: {error}") from None
        raise
