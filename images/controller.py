"""Turns HTTP requests into an action's parameters and activations into HTTP answers, as the platform's controller does.

Two ways in: the REST API, for whoever has a key (`Actions.scala`; no key is asked for here), and the raw web action
(`WebActions.scala`, `docs/webactions.md`).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from images.activation import Classified, Status, too_large
from images.invoker import Activation
from images.protocol import encode
from images.strict_json import NotJson, decode

ACTION = "classify"
REST_PATH = f"/api/v1/namespaces/_/actions/{ACTION}"
WEB_PATH = f"/api/v1/web/guest/default/{ACTION}"
METHODS = ("OPTIONS", "GET", "DELETE", "POST", "PUT", "HEAD", "PATCH")

_JSON = "application/json"
# Beside text/*, multipart/*, XML, …+json:
_TEXTS = ("application/x-www-form-urlencoded", "application/javascript")
_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", ", ".join(METHODS)),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    ),
)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")  # a surrogate, which UTF-8 cannot hold
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1 and 5.5
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_REST_STATUS = {Status.SUCCESS: 200, Status.PLATFORM_ERROR: 500}  # 502 for the others


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a client sent; the names of `headers` are lower-case."""

    method: str
    target: str  # path and query
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What the client gets."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An activation to be made: the action's parameters, and how its result becomes an answer."""

    parameters: dict[str, Any]
    web: str = ""  # the URL's extension, where it is a web action's
    blocking: bool = True  # else the answer is the activation's id alone
    result_only: bool = True


def read(request: Request) -> Call | Response:
    """The call that a request stands for, or the answer to one that stands for none. `/` is the web action's."""
    try:
        url = urlsplit(request.target)
    except ValueError as failure:
        return error(400, f"The request target is malformed: {failure}")
    if refusal := too_large(len(request.body)):
        return error(413, refusal)
    if url.path == REST_PATH:
        call = _rest(request, url.query)
    else:
        call = _web(request, WEB_PATH if url.path == "/" else url.path, url.query)
    if isinstance(call, Call) and (refusal := too_large(len(encode(call.parameters)))):
        # Base64 has made the body larger; such a message would not pass through Kafka.
        return error(413, refusal)
    return call


def answer(call: Call, activation: Activation) -> Response:
    """The HTTP answer to a call that has been made."""
    response = _web_answer(call.web, activation.classified) if call.web else _rest_answer(call, activation)
    return replace(response, headers=(*response.headers, ("x-openwhisk-activation-id", activation.id)))


def error(status: int, text: str) -> Response:
    """An answer of the platform's own."""
    return _json(status, {"error": text})


def _rest(request: Request, query: str) -> Call | Response:
    if request.method != "POST":
        return error(405, "HTTP method not allowed, supported methods: POST")
    try:
        parameters = decode(request.body or b"{}")
    except NotJson as failure:
        return error(400, f"The request content was malformed: {failure}")
    if not isinstance(parameters, dict):
        return error(400, "The request content was malformed: a JSON object is expected")
    if half := _HALF_A_PAIR.search(json.dumps(parameters, ensure_ascii=False)):
        return error(400, f"The request content was malformed: \\u{ord(half[0]):04x} alone is no character")
    options = query.split("&")
    return Call(
        parameters=parameters, blocking="blocking=true" in options, result_only="result=true" in options
    )


def _web(request: Request, path: str, query: str) -> Call | Response:
    rest = path.removeprefix(WEB_PATH)
    extension = next((known for known in _TRANSCODERS if rest.startswith(known)), ".http")
    rest = rest.removeprefix(extension)
    if not path.startswith(WEB_PATH) or (rest and not rest.startswith("/")):
        known = f"the only action is {ACTION}: POST to /, {WEB_PATH} or {REST_PATH}"
        return error(404, f"The requested resource does not exist; {known}")
    if request.method not in METHODS:
        return error(405, f"HTTP method not allowed, supported methods: {', '.join(METHODS)}")
    if request.method == "OPTIONS":
        return Response(status=200, headers=_CORS)
    context = {
        "__ow_method": request.method.lower(),
        "__ow_headers": {name: text for name, text in request.headers.items() if name != "content-length"},
        "__ow_path": rest,
        "__ow_query": query,
        "__ow_body": _body(request),
    }
    return Call(parameters=context, web=extension)


def _body(request: Request) -> str:
    """As base64 where the Content-Type says that it is binary, JSON included; else as text, whatever that damages."""
    kind, _, options = request.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    is_text = (
        kind.startswith(("text/", "multipart/"))
        or kind.endswith(("/xml", "+xml", "+json"))
        or kind in _TEXTS
        or ("charset" in options and kind != _JSON)
    )
    return request.body.decode(errors="replace") if is_text else base64.b64encode(request.body).decode()


def _rest_answer(call: Call, activation: Activation) -> Response:
    if not call.blocking:
        return _json(202, {"activationId": activation.id})
    status = _REST_STATUS.get(activation.classified.status, 502)
    return _json(status, activation.classified.result if call.result_only else _record(activation))


def _record(activation: Activation) -> dict[str, Any]:
    status = activation.classified.status
    developers = status is Status.DEVELOPER_ERROR
    return {
        "activationId": activation.id,
        "duration": round(activation.elapsed_ms),
        "response": {
            "status": f"action {status}" if developers else str(status),
            "success": status is Status.SUCCESS,
            "result": activation.classified.result,
        },
        "logs": list(shown_log(activation)),
    }


def shown_log(activation: Activation) -> tuple[str, ...]:
    """The lines of an activation as its record shows them (without the time of each)."""
    said = (*activation.stderr, *activation.remarks)
    return (
        *(f"stdout: {line}" for line in activation.stdout),
        *(f"stderr: {line}" for line in said),
    )


def _web_answer(extension: str, classified: Classified) -> Response:
    if classified.status not in (Status.SUCCESS, Status.APPLICATION_ERROR):
        response = error(400, "There was an error processing your request.")
    else:
        failed = classified.status is Status.APPLICATION_ERROR
        response = _TRANSCODERS[extension](classified.result["error"] if failed else classified.result)
    return replace(response, headers=(*response.headers, *_CORS))


def _as_json(result: Any) -> Response:
    if isinstance(result, dict | list):
        return _json(200, result)
    return error(400, f"Response is not valid '{_JSON}'.")


def _as_http(result: Any) -> Response:
    """A result of `headers`, `statusCode` and `body`, each of which may be missing."""
    try:
        headers = _headers(result.get("headers", {}))
        body = result.get("body")
        status = HTTPStatus(int(result.get("statusCode", 200 if body else 204))).value
    except (AttributeError, TypeError, ValueError):
        return error(400, "Response is not valid 'message/http'.")
    kind = next((text for name, text in headers if name.lower() == "content-type"), "")
    others = tuple(header for header in headers if header[0].lower() != "content-type")
    if body is None or body == "":
        return Response(status=status, headers=others)
    try:
        content, kind = _content(body, kind)
    except ValueError:
        return error(400, "Response type in header did not match generated content type.")
    return Response(status=status, body=content, headers=(*others, ("Content-Type", kind)))


def _headers(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pairs = [
        (name, value)
        for name, values in given.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    if any(isinstance(value, dict) or value is None for _, value in pairs):
        raise ValueError
    headers = tuple((name, value if isinstance(value, str) else json.dumps(value)) for name, value in pairs)
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(text) for name, text in headers):
        raise ValueError
    return headers


def _content(body: Any, kind: str) -> tuple[bytes, str]:
    """The bytes of an answer and their type; ValueError if these do not agree."""
    if not isinstance(body, str):
        if kind and kind != _JSON and not kind.endswith("+json"):
            raise ValueError(kind)
        return encode(body), kind or _JSON
    kind = kind or "text/html; charset=UTF-8"
    is_json = kind == _JSON or kind.endswith("+json")
    if kind.startswith("text/") or kind.endswith(("/xml", "+xml")):
        return body.encode(), kind
    try:
        return base64.b64decode(body, validate=True), kind
    except binascii.Error:
        if is_json:
            return body.encode(), kind
        raise


def _json(status: int, value: Any) -> Response:
    return Response(status=status, body=encode(value), headers=(("Content-Type", _JSON),))


_TRANSCODERS = {
    ".http": _as_http,
    ".json": _as_json,
}  # of five; an action that shows no pages needs no others
