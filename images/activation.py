"""Judges what a container answers as the platform's invoker does: success, or whose error it is.

The texts and the order of the rules are those of Apache OpenWhisk: `ActivationResult.scala` (what an answer
means), `ErrorResponse.scala` (what the user is told), `Container.scala` (time limits).
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NoReturn

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
RESULT_BYTES = 1 << 20  # whisk.activation.payload.max and .truncation

Phase = Literal["init", "run"]


class Status(StrEnum):
    """What an activation ended as; its code in the activation record stands beside it."""

    SUCCESS = "success"  # 0
    APPLICATION_ERROR = "application error"  # 1: the action says so itself
    DEVELOPER_ERROR = "developer error"  # 2: the action, or the image, is broken
    REQUEUED = "requeued"  # none: the container is shutting down, another one is tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back over HTTP; `length` is the whole body's, of which `body` may be the beginning."""

    status_code: int
    body: bytes
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAnswer:
    """The connection ended without an answer that the invoker accepts."""

    reason: str
    oom_killed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Classified:
    """The invoker's verdict: what the user sees, and whether the container is kept for the next call."""

    status: Status
    result: Any
    kept: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LogPart:
    """One activation's lines of one stream; `end` is the byte of the log where the next one's begin."""

    lines: tuple[str, ...]
    end: int
    complete: bool  # a sentinel ended it


def classify(phase: Phase, answer: Answer | NoAnswer, elapsed_ms: float, limit_ms: float) -> Classified:
    """The verdict on `answer`, which took `elapsed_ms` of the allowed `limit_ms`."""
    if elapsed_ms >= limit_ms:  # even if the answer came after all
        during = " during initialization." if phase == "init" else "."
        return _developer_error(f"The action exceeded its time limits of {limit_ms:.0f} milliseconds{during}")
    if isinstance(answer, NoAnswer):
        return _developer_error(_no_answer(phase, answer))
    return _init(answer) if phase == "init" else _run(answer)


def read_log(log: bytes, start: int) -> LogPart:
    """What a stream's whole log holds for the activation after the one that ended at the byte `start`.

    A line that contains the sentinel ends an activation and is dropped whole, with any text before it
    (`DockerContainer.scala`, CompleteAfterOccurrences). What comes after it is the next one's.
    """
    sentinel = log.rfind(SENTINEL.encode(), start)
    line_end = log.find(b"\n", sentinel)
    end = len(log) if sentinel < 0 or line_end < 0 else line_end + 1
    lines = log[start:end].decode(errors="replace").splitlines()
    return LogPart(
        lines=tuple(line for line in lines if SENTINEL not in line), end=end, complete=sentinel >= 0
    )


def _init(answer: Answer) -> Classified:
    if answer.status_code == 200:
        return Classified(status=Status.SUCCESS, result=None, kept=True)  # the body is not looked at
    if answer.length > RESULT_BYTES:
        return _developer_error(_truncated(answer))
    content = _parse(answer.body)
    if isinstance(content, dict) and "error" in content:
        return _developer_error(content["error"])
    return _developer_error(f"The action failed during initialization{_quoted(answer.body)}")


def _run(answer: Answer) -> Classified:
    if answer.status_code == 503:
        return Classified(status=Status.REQUEUED, result=None, kept=False)
    if answer.length > RESULT_BYTES:
        return _application_error(_truncated(answer))
    content = _parse(answer.body)
    ok = answer.status_code == 200
    if isinstance(content, dict) and "error" in content:
        return _application_error(content["error"]) if ok else _developer_error(content["error"])
    if ok and isinstance(content, dict | list):
        return Classified(status=Status.SUCCESS, result=content, kept=True)
    return _developer_error(
        f"The action did not produce a valid JSON or JSON Array response{_quoted(answer.body)}"
    )


def _no_answer(phase: Phase, answer: NoAnswer) -> str:
    if answer.oom_killed:
        return "The action exhausted its memory and was aborted."
    if phase == "init":
        return "The action did not initialize and exited unexpectedly."
    return "The action did not produce a valid response and exited unexpectedly."


def _truncated(answer: Answer) -> str:
    return (
        "The action produced a response that exceeded the allowed length: "
        f"{answer.length} > {RESULT_BYTES} bytes. "
        f"The truncated response was: {answer.body[:RESULT_BYTES].decode(errors='replace')}"
    )


def _quoted(body: bytes) -> str:
    text = body.decode(errors="replace")
    return f": {text}" if text else "."


def _parse(body: bytes) -> Any:
    """The JSON value, None for anything else; NaN and Infinity are no JSON, whatever Python thinks."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except ValueError:
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _application_error(error: Any) -> Classified:
    """Keys beside `error` are dropped; the container stays warm."""
    return Classified(status=Status.APPLICATION_ERROR, result={"error": error}, kept=True)


def _developer_error(error: Any) -> Classified:
    return Classified(status=Status.DEVELOPER_ERROR, result={"error": error}, kept=False)
