import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from images import protocol
from images.activation import ENTITY_BYTES, Answer, NoAnswer
from images.errors import ContainerFailed
from images.protocol import Address, encode, post


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
    with _serving(_answer(200, b"y" * (ENTITY_BYTES + 5))) as server:
        answer = post(server.address, "/run", b"{}", seconds=5)
        assert isinstance(answer, Answer)
        assert (len(answer.body), answer.length) == (ENTITY_BYTES, ENTITY_BYTES + 5)


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

    answer = post(address, "/init", b"{}", seconds=5, retry_refused=True, check=listen_at_the_third)
    assert isinstance(answer, Answer)
    assert len(attempts) == 3
    still = post(address, "/init", b"{}", seconds=1, retry_refused=True, check=lambda: attempts.append(1))
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
        answer = post(server.address, "/init", b"{}", seconds=5, retry_refused=True)
        assert isinstance(answer, Answer)
        assert answer.status_code == 404
        assert len(server.requests) == 1


@pytest.mark.parametrize("published", [True, False])
def test_a_dropped_connection_is_tried_again_on_a_published_port_only(*, published: bool) -> None:
    def behave(handler: http.server.BaseHTTPRequestHandler, count: int) -> None:
        (_drop if count < 3 else _answer(200, b"{}"))(handler, count)

    with _serving(behave) as server:
        answer = post(server.address, "/init", b"{}", seconds=5, retry_dropped=published, retry_refused=True)
        assert isinstance(answer, Answer) is published


class _SomebodyElse(Exception):
    pass


def test_a_connection_is_confirmed_before_anything_is_sent() -> None:
    def refuse() -> None:
        raise _SomebodyElse

    with _serving(_answer(200, b"{}")) as server:
        with pytest.raises(_SomebodyElse):
            post(server.address, "/run", b"{}", seconds=5, confirm=refuse)
        assert server.requests == []
        assert isinstance(post(server.address, "/run", b"{}", seconds=5, confirm=lambda: None), Answer)


def test_the_time_that_confirming_takes_is_not_the_servers() -> None:
    with _serving(_answer(200, b"{}")) as server:
        answer = post(server.address, "/run", b"{}", seconds=1, confirm=lambda: time.sleep(1.5))
    assert isinstance(answer, Answer)


def test_a_refused_connection_is_told_from_one_that_broke() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = post(taken.getsockname(), "/run", b"{}", seconds=5)
    assert isinstance(refused, NoAnswer)
    assert refused.refused
    with _serving(_drop) as server:
        broken = post(server.address, "/run", b"{}", seconds=5)
        assert isinstance(broken, NoAnswer)
        assert not broken.refused


class _Engine:
    """Asked whether the container runs: it does `life` times, and then has ended; `then` happens each time."""

    def __init__(self, life: float, then: Callable[[], None] = lambda: None) -> None:
        self.asked = 0
        self._life, self._then = life, then

    def __call__(self) -> None:
        self.asked += 1
        self._then()
        if self.asked > self._life:
            raise ContainerFailed("it has ended")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTING_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "SILENT_SECONDS", 0.02)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("retry_refused", [False, True], ids=["run", "init"])
def test_a_container_that_ended_is_noticed_though_nothing_refuses_the_connection(
    *, retry_refused: bool
) -> None:
    engine = _Engine(life=2)
    with ExitStack() as open_:
        full = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(5):  # a connection that finds no room in the queue is not answered at all
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with pytest.raises(ContainerFailed, match="it has ended"):
            post(full.getsockname(), "/", b"{}", seconds=60, retry_refused=retry_refused, check=engine)
    assert engine.asked == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("size", [2, 32 << 20], ids=["it-never-answers", "it-never-reads"])
def test_a_container_that_ended_without_a_word_in_mid_request_gives_no_answer(size: int) -> None:
    engine = _Engine(life=2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = post(silent.getsockname(), "/run", b" " * size, seconds=60, check=engine)
    assert answer == NoAnswer(reason="it has ended")
    assert engine.asked == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("life", [3, 2], ids=["it-runs-on", "it-ended-after-its-answer"])
def test_a_server_that_takes_its_time_is_waited_for(life: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_at_the_third() -> None:
            if engine.asked == 3:
                _answer_once(listener)

        engine = _Engine(life, answer_at_the_third)
        answer = post(listener.getsockname(), "/run", b"{}", seconds=60, check=engine)
    assert answer == Answer(status_code=200, body=b"{}", length=2)
    assert engine.asked == 3


def test_nobody_is_asked_about_a_server_that_answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTING_SECONDS", 60)  # whatever else the machine does
    monkeypatch.setattr(protocol, "SILENT_SECONDS", 60)
    with _serving(_answer(200, b"{}")) as server:
        assert isinstance(post(server.address, "/run", b"{}", seconds=60, check=_Engine(0)), Answer)
