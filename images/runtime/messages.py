"""Reads the bodies of /init and /run, and writes results: the platform's JSON from and to values."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")

MISSING_CODE = "Missing main/no code to execute."
NO_BINARY = "The action failed to generate or locate a binary. See logs for details."
NOT_STARTED = "Cannot start action. Check logs for details."
ABRUPT = "Command exited abruptly during initialization."
INITIALIZED = "Cannot initialize the action more than once."
NO_ACTION = "no action defined yet"
EXITED = "command exited"
BAD_ARGUMENT = "The action did not receive a dictionary or array as an argument."
BAD_RESULT = "The action did not return a dictionary or array."


class MalformedError(Exception):
    """A body is not what the platform sends: it is answered with 400 and this text, which never holds a
    value.
    """


class ResultError(Exception):
    """What an action returned cannot be sent."""


class Init:
    """The body of /init: `code` is None when there is none, `env` is ready to be exported."""

    __slots__ = ("binary", "code", "env", "main")

    def __init__(self, *, code: str | None, binary: bool, main: str, env: dict[str, str]) -> None:
        """Hold the four parts that matter; the action's name does not."""
        self.code = code
        self.binary = binary
        self.main = main
        self.env = env


def read_object(body: bytearray) -> dict[str, object]:
    """Parse a body that must hold a JSON object (`null` counts as empty), and clear it: it may have 50 MB."""
    try:
        text = body.decode("utf-8")
        body.clear()
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"Error unmarshaling request: {_without_content(error)}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedError("Error unmarshaling request: the body is no JSON object")
    return value


def read_init(message: dict[str, object]) -> Init:
    """Check the object of /init; absent and null parts get the defaults of official runtimes."""
    value: dict[str, Any] = _typed(message.get("value"), {}, "value", "an object")
    env: dict[str, Any] = _typed(value.get("env"), {}, "env", "an object")
    code = value.get("code")
    return Init(
        code=_typed(None if code == {} else code, "", "code", "a string") or None,
        binary=_typed(value.get("binary"), False, "binary", "a boolean"),
        main=_typed(value.get("main"), "", "main", "a string") or "main",
        env={name: as_text(content) for name, content in env.items()},
    )


def as_text(value: object) -> str:
    """Turn a JSON value into an environment variable as the platform does: null is empty, the rest compact
    JSON.
    """
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def error_body(text: str) -> bytes:
    """Write `{"error": text}`."""
    return _dump({"error": text})


def result_body(result: object) -> bytes:
    """Write an action's result; None is `{}`. ResultError with a text for the developer when it cannot be
    sent.

    NumPy's scalars and arrays (and whatever else has `tolist`) are written as what they hold. NaN and
    infinity are refused: JSON has none, and the platform would call the answer invalid.
    """
    if result is None:
        return b"{}"
    try:
        body = _dump(result)
    except Exception as error:  # noqa: BLE001 - objects of user code may raise anything when they are asked
        raise ResultError(
            f"The action did not return a dictionary or array that JSON can hold: {error}"
        ) from None
    if not body.startswith((b"{", b"[")):
        raise ResultError(BAD_RESULT)
    return body


def _dump(value: object) -> bytes:
    def dump(*, ascii_only: bool) -> str:
        return json.dumps(
            value, ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"), default=_plain
        )

    try:
        return dump(ascii_only=False).encode()  # shorter, and the result's size is limited
    except UnicodeEncodeError:
        return dump(ascii_only=True).encode()  # half a surrogate pair has no UTF-8, but an escape


def _plain(value: object) -> object:
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    raise TypeError(f"an object of type {type(value).__name__} is not JSON")


def _refuse(constant: str) -> object:
    raise MalformedError(f"Error unmarshaling request: {constant} is not JSON")


def _typed(value: object, default: _T, name: str, wanted: str) -> _T:
    if value is None:
        return default
    if not isinstance(value, type(default)):
        raise MalformedError(f"Error unmarshaling request: {name} must be {wanted}")
    return value


def _without_content(error: Exception) -> str:
    """Describe a parse error without the text around it, which may hold an API key."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply or a number too long"
