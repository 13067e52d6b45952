import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from images import container
from images.activation import (
    RESULT_BYTES,
    SENTINEL,
    Answer,
    NoAnswer,
    Phase,
    Status,
    classify,
    read_log,
)
from images.container import Limits, options, started
from images.errors import ContainerFailed
from images.invoker import Memory
from images.protocol import Address, encode, post

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
        ("run", 200, '{"p":', DEVELOPER, _error(f'{INVALID_RUN}: {{"p":')),
        ("run", 201, '{"k":"v"}', DEVELOPER, _error(f'{INVALID_RUN}: {{"k":"v"}}')),
        ("run", 500, "[1]", DEVELOPER, _error(f"{INVALID_RUN}: [1]")),
        ("run", 500, '{"error":"gone"}', DEVELOPER, _error("gone")),
        ("run", 502, "", DEVELOPER, _error(f"{INVALID_RUN}.")),
        ("run", 503, "anything", Status.REQUEUED, None),
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
        phase, Answer(status_code=code, body=b"x" * RESULT_BYTES, length=RESULT_BYTES + 1), 5, 60_000
    )
    assert verdict.status == status
    text = verdict.result["error"]
    assert text.startswith(
        "The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes. "
        "The truncated response was: xxx"
    )
    assert text.count("x") > RESULT_BYTES


def test_an_answer_exactly_at_the_limit_passes() -> None:
    body = json.dumps({"a": "x" * (RESULT_BYTES - 9)}).encode()
    assert len(body) == RESULT_BYTES
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
    start = 0
    for lines, complete in activations:
        part = read_log(log.encode(), start)
        assert (part.lines, part.complete) == (lines, complete)
        start = part.end


def test_two_activations_are_told_apart_as_the_log_grows() -> None:
    log = f"one\n{SENTINEL}\n".encode()
    first = read_log(log, 0)
    assert first.lines == ("one",)
    assert not read_log(log, first.end).complete
    log += f"two\n{SENTINEL}\n".encode()
    second = read_log(log, first.end)
    assert (second.lines, second.complete, second.end) == (("two",), True, len(log))


class _Server:
    """A real HTTP server on loopback; what it does with a request is given as a function of the handler."""

    def __init__(self, behave: Any) -> None:
        server = self
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: set[tuple[str, int]] = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), body))
                server.connections.add(self.client_address)
                behave(self, len(server.requests))

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address: Address = ("127.0.0.1", self.http.server_port)


@contextmanager
def _serving(behave: Any) -> Iterator[_Server]:
    server = _Server(behave)
    threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


def _answer(status: int, body: bytes, *headers: tuple[str, str]) -> Any:
    def behave(handler: http.server.BaseHTTPRequestHandler, _count: int) -> None:
        handler.send_response(status)
        for header in headers or (("Content-Length", str(len(body))),):
            handler.send_header(*header)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def _drop(handler: http.server.BaseHTTPRequestHandler, _count: int) -> None:
    handler.close_connection = True


def test_requests_are_compact_json_over_a_new_connection_each() -> None:
    with _serving(_answer(200, b'{"k": 1}')) as server:
        body = encode({"value": {"s": "☃", "n": [1, None]}})
        for _ in range(3):
            answer = post(server.address, "/run", body, seconds=5)
            assert answer == Answer(status_code=200, body=b'{"k": 1}', length=8)
        assert len(server.connections) == 3
    path, headers, sent = server.requests[0]
    assert (path, sent) == ("/run", '{"value":{"s":"☃","n":[1,null]}}'.encode())
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert headers["Content-Length"] == str(len(sent))


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(_answer(204, b""), id="204"),
        pytest.param(_answer(200, b"2\r\n{}\r\n0\r\n\r\n", ("Transfer-Encoding", "chunked")), id="chunked"),
        pytest.param(_answer(200, b"{}", ("Connection", "close")), id="without a length"),
        pytest.param(_answer(200, b"{}", ("Content-Length", "99"), ("Connection", "close")), id="cut short"),
        pytest.param(_drop, id="closed without a word"),
    ],
)
def test_what_the_platform_takes_for_no_answer_is_none(behave: Any) -> None:
    with _serving(behave) as server:
        assert isinstance(post(server.address, "/run", b"{}", seconds=5), NoAnswer)
        assert len(server.requests) == 1


def test_of_a_body_over_the_limit_the_beginning_is_read() -> None:
    with _serving(_answer(200, b"y" * (RESULT_BYTES + 5))) as server:
        answer = post(server.address, "/run", b"{}", seconds=5)
        assert isinstance(answer, Answer)
        assert (len(answer.body), answer.length) == (RESULT_BYTES, RESULT_BYTES + 5)


def _stall(handler: http.server.BaseHTTPRequestHandler, _count: int) -> None:
    time.sleep(20)
    handler.close_connection = True


def _drip(handler: http.server.BaseHTTPRequestHandler, _count: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(400):  # longer than the test waits, whatever else the machine does
        handler.wfile.write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [_stall, _drip])
def test_the_time_limit_is_for_the_whole_call(behave: Any) -> None:
    with _serving(behave) as server:
        began = time.monotonic()
        answer = post(server.address, "/run", b"{}", seconds=0.3)
        assert isinstance(answer, NoAnswer)
        assert time.monotonic() - began < 10


def test_init_waits_for_the_server_to_listen_and_run_does_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = taken.getsockname()
    refused = post(address, "/run", b"{}", seconds=5)
    assert isinstance(refused, NoAnswer)
    assert "refused" in refused.reason
    attempts: list[int] = []

    def listen_at_the_third() -> None:
        attempts.append(1)
        if len(attempts) == 3:
            listener = socket.create_server(address)
            threading.Thread(target=_answer_once, args=(listener,), daemon=True).start()

    answer = post(address, "/init", b"{}", seconds=5, while_refused=listen_at_the_third)
    assert isinstance(answer, Answer)
    assert len(attempts) == 3
    still = post(address, "/init", b"{}", seconds=1, while_refused=lambda: attempts.append(1))
    assert isinstance(still, NoAnswer)
    assert len(attempts) > 5


def _answer_once(listener: socket.socket) -> None:
    with listener, listener.accept()[0] as connection:
        received = b""
        while not received.endswith(b"{}"):  # closing with something unread would reset the connection
            received += connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def test_an_http_answer_to_init_is_final_whatever_it_says() -> None:
    with _serving(_answer(404, b"not yet")) as server:
        answer = post(server.address, "/init", b"{}", seconds=5, while_refused=lambda: None)
        assert isinstance(answer, Answer)
        assert answer.status_code == 404
        assert len(server.requests) == 1


@pytest.mark.parametrize("published", [True, False])
def test_a_dropped_connection_is_tried_again_on_a_published_port_only(*, published: bool) -> None:
    def behave(handler: http.server.BaseHTTPRequestHandler, count: int) -> None:
        (_drop if count < 3 else _answer(200, b"{}"))(handler, count)

    with _serving(behave) as server:
        answer = post(
            server.address, "/init", b"{}", seconds=5, retry_dropped=published, while_refused=lambda: None
        )
        assert isinstance(answer, Answer) is published


def test_a_container_is_started_with_the_platforms_flags() -> None:
    flags = options(Limits(), hardened=False, published=False, environment={"A": "b"})
    assert (flags["mem_limit"], flags["memswap_limit"]) == (256 << 20, 256 << 20)  # equal: no swap
    assert flags["cpu_shares"] == 256
    assert flags["pids_limit"] == 1024
    assert flags["ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 1024}]
    assert flags["cap_drop"] == ["NET_RAW", "NET_ADMIN"]
    assert flags["network_mode"] == "bridge"
    assert flags["log_config"]["Type"] == "json-file"
    assert set(flags["environment"]) == {"__OW_API_HOST", "A"}
    assert flags["ports"] == {}
    assert not {"command", "entrypoint", "user", "volumes", "read_only"} & set(flags)


def test_a_hardened_container_has_less_still() -> None:
    flags = options(Limits(), hardened=True, published=True, environment={})
    assert flags["read_only"] is True
    assert flags["cap_drop"] == ["ALL"]
    assert flags["security_opt"] == ["no-new-privileges"]
    assert flags["ports"] == {"8080/tcp": ("127.0.0.1", None)}


def test_the_share_of_the_processor_grows_with_memory_within_what_the_kernel_takes() -> None:
    shares = [
        options(Limits(memory_mib=m, invoker_memory_mib=i), hardened=False, published=False, environment={})[
            "cpu_shares"
        ]
        for m, i in ((128, 1024), (512, 1024), (1, 4096), (1 << 20, 1024))
    ]
    assert shares == [128, 512, 2, 262_144]


@pytest.mark.parametrize(
    ("stats", "memory"),
    [
        (
            {"usage": 50, "max_usage": 70, "limit": 99, "stats": {"total_inactive_file": 20}},
            Memory(used=30, peak=70, limit=99),
        ),
        ({"usage": 50, "limit": 99, "stats": {"inactive_file": 20}}, Memory(used=30, peak=None, limit=99)),
        ({"usage": 5, "limit": 99, "stats": {"inactive_file": 20}}, Memory(used=0, peak=None, limit=99)),
        ({"limit": 99}, Memory(used=0, peak=None, limit=99)),
        ({}, Memory(used=0, peak=None, limit=0)),  # no memory controller, or a container that has just ended
        (None, Memory(used=0, peak=None, limit=0)),
    ],
)
def test_memory_that_nobody_knows_of_is_none_at_all(stats: dict[str, Any] | None, memory: Memory) -> None:
    assert Memory.of({"memory_stats": stats}) == memory


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://192.0.2.1:2375", False),
        ("tcp://nowhere.invalid:2375", False),
    ],
)
def test_an_engine_is_here_if_its_address_is_of_this_machine(url: str, *, here: bool) -> None:
    with closing(docker.DockerClient(base_url=url, version="1.41")) as client:
        assert container._is_here(client) is here


def test_an_engine_on_another_machine_is_refused_before_anything_is_started() -> None:
    with (
        closing(docker.DockerClient(base_url="tcp://192.0.2.1:2375", version="1.41")) as client,
        pytest.raises(ContainerFailed, match=r"http://192\.0\.2\.1:2375 is on another .*DOCKER_HOST"),
        started(client, "any", limits=Limits()),
    ):
        pass


@pytest.mark.parametrize(
    ("number", "ignored", "status"),
    [
        (signal.SIGTERM, False, 128 + signal.SIGTERM),
        (signal.SIGHUP, False, 128 + signal.SIGHUP),
        (signal.SIGHUP, True, 0),  # nohup
    ],
)
def test_a_signal_that_ends_the_program_lets_it_clean_up(
    number: signal.Signals, status: int, *, ignored: bool
) -> None:
    program = f"""
import os, signal
from images.container import _ended_by_signals
signal.signal({int(number)}, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
with _ended_by_signals():
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        print("removed")
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(container.__file__).parents[1],
    )
    assert (done.stdout, done.returncode) == ("removed\n", status), done.stderr
