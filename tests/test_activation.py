import json
from typing import Any

import pytest

from images.activation import (
    ENTITY_BYTES,
    LOG_DOUBTFUL,
    LOG_FAILURE,
    SENTINEL,
    Answer,
    LogPart,
    NoAnswer,
    Phase,
    Status,
    classify,
    collect_logs,
    not_started,
    read_log,
    too_large,
)

OK, APPLICATION, DEVELOPER = Status.SUCCESS, Status.APPLICATION_ERROR, Status.DEVELOPER_ERROR
INIT_FAILED = "The action failed during initialization"
INVALID_RUN = "The action did not produce a valid JSON or JSON Array response"
NO_INIT = "The action did not initialize and exited unexpectedly."
NO_RUN = "The action did not produce a valid response and exited unexpectedly."


def _error(text: Any) -> dict[str, Any]:
    return {"error": text}


# The platform's own cases: ActivationResponseTests.scala, ContainerProxyTests.scala
@pytest.mark.parametrize(
    ("phase", "code", "body", "status", "result"),
    [
        ("init", 200, "", OK, None),
        ("init", 200, '{"ok":true}', OK, None),
        ("init", 200, "OK", OK, None),  # the body of a 200 is not looked at
        ("init", 502, '{"error":"no main"}', DEVELOPER, _error("no main")),
        ("init", 403, '{"error":{"a":1},"b":2}', DEVELOPER, _error({"a": 1})),
        ("init", 500, "", DEVELOPER, _error(f"{INIT_FAILED}.")),
        ("init", 500, "null", DEVELOPER, _error(f"{INIT_FAILED}: null")),
        ("init", 500, '"string"', DEVELOPER, _error(f'{INIT_FAILED}: "string"')),
        ("init", 500, "[1]", DEVELOPER, _error(f"{INIT_FAILED}: [1]")),
        ("init", 500, '{"foobar":"baz"}', DEVELOPER, _error(f'{INIT_FAILED}: {{"foobar":"baz"}}')),
        ("init", 404, "<html>", DEVELOPER, _error(f"{INIT_FAILED}: <html>")),
        ("init", 503, "", DEVELOPER, _error(f"{INIT_FAILED}.")),
        ("run", 200, '{"k":"v"}', OK, {"k": "v"}),
        ("run", 200, "[1, 2]", OK, [1, 2]),
        ("run", 200, "{}", OK, {}),
        ("run", 200, '{"error":"bad image","more":1}', APPLICATION, _error("bad image")),
        ("run", 200, '{"error":null}', APPLICATION, _error(None)),
        ("run", 200, "null", DEVELOPER, _error(f"{INVALID_RUN}: null")),
        ("run", 200, '"string"', DEVELOPER, _error(f'{INVALID_RUN}: "string"')),
        ("run", 200, "3", DEVELOPER, _error(f"{INVALID_RUN}: 3")),
        ("run", 200, "", DEVELOPER, _error(f"{INVALID_RUN}.")),
        ("run", 200, '{"p":NaN}', DEVELOPER, _error(f'{INVALID_RUN}: {{"p":NaN}}')),
        ("run", 200, '{"p":1e400}', DEVELOPER, _error(f'{INVALID_RUN}: {{"p":1e400}}')),
        ("run", 200, "[" * 100_000, DEVELOPER, _error(f"{INVALID_RUN}: {'[' * 100_000}")),
        ("run", 200, '{"p":', DEVELOPER, _error(f'{INVALID_RUN}: {{"p":')),
        ("run", 201, '{"k":"v"}', DEVELOPER, _error(f'{INVALID_RUN}: {{"k":"v"}}')),
        ("run", 500, "[1]", DEVELOPER, _error(f"{INVALID_RUN}: [1]")),
        ("run", 500, '{"error":"gone"}', DEVELOPER, _error("gone")),
        ("run", 502, "", DEVELOPER, _error(f"{INVALID_RUN}.")),
        ("run", 503, "anything", DEVELOPER, _error(f"{INVALID_RUN}: anything")),
        ("run", 503, '{"error":"ending"}', DEVELOPER, _error("ending")),
    ],
)
def test_an_answer_is_judged_as_the_platform_judges_it(
    phase: Phase, code: int, body: str, status: Status, result: object
) -> None:
    verdict = classify(
        phase, Answer(status_code=code, body=body.encode(), length=len(body.encode())), 5, 60_000
    )
    assert (verdict.status, verdict.result) == (status, result)


@pytest.mark.parametrize(
    ("phase", "answer", "text"),
    [
        ("init", NoAnswer(reason="reset"), NO_INIT),
        ("run", NoAnswer(reason="reset"), NO_RUN),
        (
            "init",
            NoAnswer(reason="reset", oom_killed=True),
            "The action exhausted its memory and was aborted.",
        ),
        (
            "run",
            NoAnswer(reason="reset", oom_killed=True),
            "The action exhausted its memory and was aborted.",
        ),
    ],
)
def test_no_answer_is_the_developers_error(phase: Phase, answer: NoAnswer, text: str) -> None:
    verdict = classify(phase, answer, 5, 60_000)
    assert (verdict.status, verdict.result, verdict.kept) == (DEVELOPER, _error(text), False)


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        ("init", "The action exceeded its time limits of 100 milliseconds during initialization."),
        ("run", "The action exceeded its time limits of 100 milliseconds."),
    ],
)
@pytest.mark.parametrize(
    "answer", [Answer(status_code=200, body=b"{}", length=2), NoAnswer(reason="timed out")]
)
def test_an_answer_at_the_time_limit_is_too_late(phase: Phase, text: str, answer: Answer | NoAnswer) -> None:
    assert classify(phase, answer, 100, 100).result == _error(text)
    assert classify(phase, answer, 99.9, 100).result != _error(text)


@pytest.mark.parametrize(
    ("phase", "code", "status"),
    [("run", 200, APPLICATION), ("run", 500, APPLICATION), ("init", 500, DEVELOPER)],
)
def test_an_answer_over_the_limit_is_cut_and_told_its_length(phase: Phase, code: int, status: Status) -> None:
    verdict = classify(
        phase, Answer(status_code=code, body=b"x" * ENTITY_BYTES, length=ENTITY_BYTES + 1), 5, 60_000
    )
    assert verdict.status == status
    text = verdict.result["error"]
    assert text.startswith(
        "The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes. "
        "The truncated response was: xxx"
    )
    assert text.count("x") > ENTITY_BYTES


def test_an_answer_exactly_at_the_limit_passes() -> None:
    body = json.dumps({"a": "x" * (ENTITY_BYTES - 9)}).encode()
    assert len(body) == ENTITY_BYTES
    assert classify("run", Answer(status_code=200, body=body, length=len(body)), 5, 60_000).status == OK


@pytest.mark.parametrize(
    ("code", "body", "kept"),
    [(200, b'{"k":1}', True), (200, b'{"error":1}', True), (500, b'{"error":1}', False), (200, b"1", False)],
)
def test_a_container_is_kept_after_success_and_application_errors_only(
    code: int, body: bytes, *, kept: bool
) -> None:
    assert classify("run", Answer(status_code=code, body=body, length=len(body)), 5, 60_000).kept is kept


@pytest.mark.parametrize(
    ("log", "activations"),
    [
        ("", [((), False)]),
        (f"a\nb\n{SENTINEL}\n", [(("a", "b"), True), ((), False)]),
        (f"{SENTINEL}\n", [((), True)]),
        (f"a\nlost{SENTINEL}\n", [(("a",), True)]),  # a line that contains it goes, with the text before it
        (f"a\n{SENTINEL}", [(("a",), True)]),  # the newline is still to come
        ("a\nunfinis", [(("a", "unfinis"), False), ((), False)]),  # not told twice
        (f"a\n{SENTINEL}\nlate", [(("a",), True), (("late",), False)]),
        ("☃ a\n", [(("☃ a",), False)]),
    ],
)
def test_a_log_is_read_up_to_the_sentinel(log: str, activations: list[tuple[tuple[str, ...], bool]]) -> None:
    unread = log.encode()
    for lines, complete in activations:
        part = read_log(unread)
        assert (part.lines, part.complete) == (lines, complete)
        unread = unread[part.end :]


def test_two_activations_are_told_apart_as_the_log_grows() -> None:
    log = f"one\n{SENTINEL}\n".encode()
    first = read_log(log)
    assert first.lines == ("one",)
    log = log[first.end :]
    assert not read_log(log).complete
    log += f"two\n{SENTINEL}\n".encode()
    second = read_log(log)
    assert (second.lines, second.complete, second.end) == (("two",), True, len(log))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status_code=503, body=b'{"error":"ending"}', length=18),
        NoAnswer(reason="refused", refused=True),
        NoAnswer(reason="refused", refused=True, oom_killed=True),
    ],
)
@pytest.mark.parametrize(
    ("phase", "resumed", "status"),
    [("run", True, Status.REQUEUED), ("run", False, DEVELOPER), ("init", True, DEVELOPER)],
)
def test_what_a_frozen_container_cannot_answer_any_more_another_one_gets(
    answer: Answer | NoAnswer, phase: Phase, status: Status, *, resumed: bool
) -> None:
    verdict = classify(phase, answer, 5, 60_000, resumed=resumed)
    assert (verdict.status, verdict.kept) == (status, False)


@pytest.mark.parametrize(
    "answer",
    [Answer(status_code=200, body=b"{}", length=2), NoAnswer(reason="reset after it was sent")],
)
def test_after_a_pause_only_a_lost_connection_is_tried_elsewhere(answer: Answer | NoAnswer) -> None:
    assert classify("run", answer, 5, 60_000, resumed=True) == classify("run", answer, 5, 60_000)


@pytest.mark.parametrize(
    ("reasons", "status", "text"),
    [
        ({"missing_image": True}, DEVELOPER, "Failed to pull container image 'me/it:1'."),
        ({"missing_command": True}, DEVELOPER, "executable file not found in image me/it:1"),
        ({}, Status.PLATFORM_ERROR, "Failed to provision resources to run the action."),
    ],
)
def test_a_container_that_does_not_start_is_the_users_fault_or_the_platforms(
    reasons: dict[str, bool], status: Status, text: str
) -> None:
    verdict = not_started("me/it:1", **reasons)
    assert (verdict.status, verdict.result, verdict.kept) == (status, _error(text), False)


def test_parameters_of_one_mib_pass_and_a_byte_more_is_refused() -> None:
    assert too_large(ENTITY_BYTES) is None
    assert too_large(ENTITY_BYTES + 1) == "Request larger than allowed: 1048577 > 1048576 bytes."


def _part(*lines: str, complete: bool = True) -> LogPart:
    return LogPart(lines=lines, end=0, complete=complete)


MIB = 1 << 20
CUT = "Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "remarks", "failed"),
    [
        pytest.param(_part("a"), _part("b"), OK, (), False, id="both sentinels"),
        pytest.param(_part("a", complete=False), _part("b"), OK, (LOG_FAILURE,), True, id="one is missing"),
        pytest.param(_part("a"), _part("b"), APPLICATION, (), False, id="an application error is an answer"),
        pytest.param(_part("a"), _part("b"), DEVELOPER, (LOG_DOUBTFUL,), True, id="a developer error"),
        pytest.param(
            _part(complete=False),
            _part(complete=False),
            DEVELOPER,
            (LOG_DOUBTFUL,),
            True,
            id="not waited for",
        ),
        pytest.param(_part("x" * (MIB - 1)), _part(), OK, (), False, id="exactly the limit"),
        pytest.param(_part("x" * (MIB - 1)), _part("b"), OK, (CUT,), True, id="a byte too much"),
        pytest.param(
            _part("x" * MIB, "a", complete=False), _part("b"), OK, (CUT,), True, id="cut, so none is missed"
        ),
    ],
)
def test_a_log_that_is_cut_or_has_no_end_costs_the_container(
    stdout: LogPart, stderr: LogPart, status: Status, remarks: tuple[str, ...], *, failed: bool
) -> None:
    logs = collect_logs(stdout, stderr, limit_mib=1, status=status)
    assert (logs.remarks, logs.failed) == (remarks, failed)
    assert sum(len(line) + 1 for line in (*logs.stdout, *logs.stderr)) <= MIB


def test_a_cut_log_keeps_whole_lines_up_to_the_limit() -> None:
    long = "x" * (MIB // 2 - 1)
    logs = collect_logs(_part("a", long, long, "b"), _part("c"), limit_mib=1, status=OK)
    assert (logs.stdout, logs.stderr, logs.complete) == (("a", long), (), False)


def test_with_a_log_limit_of_0_nothing_is_kept_and_nothing_missed() -> None:
    logs = collect_logs(_part("a", complete=False), _part("b"), limit_mib=0, status=OK)
    assert (logs.stdout, logs.stderr, logs.remarks, logs.failed) == ((), (), (), False)
