"""Turns a web action's call into plain arguments, and the result into the HTTP answer that the caller gets.

Rules: WebActions.scala of Apache OpenWhisk, and its docs/webactions.md. Both kinds of web action are taken:
with `--web true` the platform makes arguments of the query, of a form and of a JSON object, with `--web raw` it
passes the query as text and any body unread. In both a body that is nothing of that kind comes as `__ow_body`:
in base64 where its Content-Type is a binary one (or none, or JSON), else as UTF-8 text, which ruins a picture.
"""

from __future__ import annotations

import binascii
import json

from .request import RefusedError

_SENDING = "send the file itself, as in: curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' URL"
_NUMBERS = ("top", "minProbability")  # the options that a query or a form brings as text


def read_call(arguments: dict[str, object]) -> dict[str, object]:
    """Give the arguments that an ordinary call would have had; RefusedError when there is no sense in them.

    As on the platform, the query overrides what is stored with the action, and the body the query.
    """
    plain = {key: value for key, value in arguments.items() if not str(key).startswith("__ow_")}
    query = arguments.get("__ow_query")
    if query and isinstance(query, str):
        from urllib.parse import parse_qsl  # noqa: PLC0415 - 3 ms, and most calls have no query to parse

        plain |= parse_qsl(query, keep_blank_values=True)
    body = arguments.get("__ow_body")
    if body is not None and body != "":
        plain |= _read_body(body, _content_type(arguments))
    elif "image" not in plain and "images" not in plain:
        raise RefusedError(
            f"no image in this {str(arguments['__ow_method']).upper()[:10]} request: {_SENDING}"
        )
    for name in _NUMBERS:
        if isinstance(plain.get(name), str):
            plain[name] = _as_number(str(plain[name]))
    return plain


def to_answer(result: dict[str, object]) -> dict[str, object]:
    """Make a result into status 200 with it as JSON, an error into status 400.

    An error stays one for the platform (its record says so, the container is kept): the HTTP answer is its
    value, as the platform wants it of an action whose URL has no extension, or `.http`.
    """
    if "error" in result:
        return {"error": {"statusCode": 400, "body": result}}
    return {"statusCode": 200, "body": result}


def _content_type(arguments: dict[str, object]) -> str:
    headers = arguments.get("__ow_headers")
    value = headers.get("content-type") if isinstance(headers, dict) else None
    return value.partition(";")[0].strip().lower() if isinstance(value, str) else ""


def _read_body(body: object, content_type: str) -> dict[str, object]:
    if content_type.startswith("multipart/"):
        raise RefusedError(f"forms with files ({content_type}) are not taken: {_SENDING}")
    if not isinstance(body, str):
        raise RefusedError(f"the body must be a picture, or a JSON object: {_SENDING}")
    if content_type == "application/json" or content_type.endswith("+json"):
        return _read_json(body)
    if not body.isascii():  # so it is no base64; of a text the platform has replaced what is not UTF-8
        raise RefusedError(
            f"a body of type {content_type[:60] or 'text'} arrives here as text, damaged: {_SENDING}"
        )
    return {"image": body}


def _read_json(body: str) -> dict[str, object]:
    try:
        text = body if body.lstrip().startswith("{") else binascii.a2b_base64(body)
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RefusedError('the body is not a JSON object, such as {"image": "<base64>"}')
    return content


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _as_number(text: str) -> object:
    """The number that a text writes; else the text, for `read_request` to refuse."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (int, float)) else text
