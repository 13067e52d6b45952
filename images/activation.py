"""Judges what a container answers as the platform's invoker does: success, or whose error it is.

The texts and the order of the rules are those of Apache OpenWhisk: `ActivationResult.scala` (what an answer
means), `ErrorResponse.scala` (what the user is told), `Container.scala` (time limits).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from images.strict_json import NotJson, decode

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
ENTITY_BYTES = (
    1 << 20
)  # whisk.activation.payload.max and .truncation: of a request's parameters, and of a result

NOT_PROVISIONED = "Failed to provision resources to run the action."
LOG_FAILURE = "There was an issue while collecting your logs. Data might be missing."
LOG_DOUBTFUL = "The action did not initialize or run as expected. Log data might be missing."

Phase = Literal["init", "run"]


class Status(StrEnum):
    """What an activation ended as; its code in the activation record stands beside it."""

    SUCCESS = "success"  # 0
    APPLICATION_ERROR = "application error"  # 1: the action says so itself
    DEVELOPER_ERROR = "developer error"  # 2: the action, or the image, is broken
    PLATFORM_ERROR = "whisk internal error"  # 3: the platform could not even start it
    REQUEUED = "requeued"  # none: a container that had been frozen is gone, a new one gets the activation


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
    refused: bool = False  # not even a connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Classified:
    """The invoker's verdict: what the user sees, and whether the container is kept for the next call."""

    status: Status
    result: Any
    kept: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LogPart:
    """One activation's lines of one stream; `end` is the byte where the next one's begin."""

    lines: tuple[str, ...]
    end: int
    complete: bool  # a sentinel ended it


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    """One activation's lines, and the platform's own, which the user is shown at the end of stderr."""

    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    complete: bool = True  # a sentinel ended each stream, and nothing was cut off
    failed: bool = False  # the platform counts the container as broken, whatever it answered


def classify(
    phase: Phase, answer: Answer | NoAnswer, elapsed_ms: float, limit_ms: float, *, resumed: bool = False
) -> Classified:
    """The verdict on `answer`, which took `elapsed_ms` of the allowed `limit_ms`.

    `resumed`: it is the first call after the container was frozen, which may find the container gone; then
    another container gets the activation (`ContainerProxy.scala`, RescheduleJob).
    """
    gone = answer.refused if isinstance(answer, NoAnswer) else answer.status_code == 503
    if phase == "run" and resumed and gone:
        return Classified(status=Status.REQUEUED, result=None, kept=False)
    if elapsed_ms >= limit_ms:  # even if the answer came after all
        during = " during initialization." if phase == "init" else "."
        return _developer_error(f"The action exceeded its time limits of {limit_ms:.0f} milliseconds{during}")
    if isinstance(answer, NoAnswer):
        return _developer_error(_no_answer(phase, answer))
    return _init(answer) if phase == "init" else _run(answer)


def not_started(image: str, *, missing_image: bool = False, missing_command: bool = False) -> Classified:
    """The verdict where no container came up: the user's mistake, or the platform's fault."""
    if missing_image:
        return _developer_error(f"Failed to pull container image '{image}'.")
    if missing_command:
        return _developer_error(f"executable file not found in image {image}")
    return Classified(status=Status.PLATFORM_ERROR, result={"error": NOT_PROVISIONED}, kept=False)


def too_large(length: int) -> str | None:
    """What the controller answers, with status 413, to parameters of so many bytes; None when they pass."""
    if length <= ENTITY_BYTES:
        return None
    return f"Request larger than allowed: {length} > {ENTITY_BYTES} bytes."


def collect_logs(stdout: LogPart, stderr: LogPart, *, limit_mib: int, status: Status) -> Logs:
    """What the platform keeps of an activation's log (`DockerContainer.scala`, `DockerToActivationLogStore.scala`).

    A limit of 0 means that no log is read. Too much is cut off and missed sentinels are noted; either costs the
    container, as the next activation could be given the rest. After a developer error, which costs it anyway,
    sentinels are not waited for. (The platform counts the bytes of the engine's JSON lines, this the text's.)
    """
    if limit_mib == 0:
        return Logs()
    limit = limit_mib << 20
    out, left = _fitting(stdout.lines, limit)
    err, left = _fitting(stderr.lines, left)
    broken = status in (Status.DEVELOPER_ERROR, Status.REQUEUED)
    cut = left < 0
    complete = stdout.complete and stderr.complete and not cut
    remarks = {
        f"Logs were truncated because the total bytes size exceeds the limit of {limit} bytes.": cut,
        LOG_FAILURE: not (cut or broken or complete),
        LOG_DOUBTFUL: status is Status.DEVELOPER_ERROR,
    }
    said = tuple(remark for remark, true in remarks.items() if true)
    return Logs(stdout=out, stderr=err, remarks=said, complete=complete, failed=bool(said))


def _fitting(lines: tuple[str, ...], left: int) -> tuple[tuple[str, ...], int]:
    """The first lines that have room in `left` bytes, and what is left: less than nothing if some had not."""
    for count, line in enumerate(lines):
        left -= len(line.encode()) + 1
        if left < 0:
            return lines[:count], left
    return lines, left


def read_log(unread: bytes) -> LogPart:
    """What a stream holds for the activation that has just ended; `unread` begins where the one before it ended.

    A line that contains the sentinel ends an activation and is dropped whole, with any text before it
    (`DockerContainer.scala`, CompleteAfterOccurrences). What comes after it is the next one's.
    """
    sentinel = unread.rfind(SENTINEL.encode())
    line_end = unread.find(b"\n", sentinel)
    end = len(unread) if sentinel < 0 or line_end < 0 else line_end + 1
    lines = unread[:end].decode(errors="replace").splitlines()
    return LogPart(
        lines=tuple(line for line in lines if SENTINEL not in line), end=end, complete=sentinel >= 0
    )


def _init(answer: Answer) -> Classified:
    if answer.status_code == 200:
        return Classified(status=Status.SUCCESS, result=None, kept=True)  # the body is not looked at
    if answer.length > ENTITY_BYTES:
        return _developer_error(_truncated(answer))
    content = _parse(answer.body)
    if isinstance(content, dict) and "error" in content:
        return _developer_error(content["error"])
    return _developer_error(f"The action failed during initialization{_quoted(answer.body)}")


def _run(answer: Answer) -> Classified:
    if answer.length > ENTITY_BYTES:
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
        f"{answer.length} > {ENTITY_BYTES} bytes. "
        f"The truncated response was: {answer.body[:ENTITY_BYTES].decode(errors='replace')}"
    )


def _quoted(body: bytes) -> str:
    text = body.decode(errors="replace")
    return f": {text}" if text else "."


def _parse(body: bytes) -> Any:
    """The JSON value, None for anything else."""
    try:
        return decode(body)
    except NotJson:
        return None


def _application_error(error: Any) -> Classified:
    """Keys beside `error` are dropped; the container stays warm."""
    return Classified(status=Status.APPLICATION_ERROR, result={"error": error}, kept=True)


def _developer_error(error: Any) -> Classified:
    return Classified(status=Status.DEVELOPER_ERROR, result={"error": error}, kept=False)
