import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from images.controller import Response
from images.front import Front, PortTaken, _Handler
from images.serve import lines_to_paste


@pytest.fixture
def front() -> Iterator[Front]:
    with Front(0) as front:
        front.open()
        yield front


def _connection(front: Front) -> http.client.HTTPConnection:
    url = urlsplit(front.url)
    return http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)


def _echo(front: Front, calls: int) -> threading.Thread:
    """Answers calls in the thread that owns the container, as `serve` does."""

    def work() -> None:
        for _ in range(calls):
            taken = front.take(30)
            assert taken is not None
            call, waiting = taken
            waiting.set_result(Response(status=200, body=json.dumps(call.parameters).encode()))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _ask(front: Front, body: bytes = b"", method: str = "POST", **headers: str) -> tuple[int, Any]:
    with closing(_connection(front)) as connection:
        connection.request(method, "/?q", body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def test_a_request_waits_for_the_thread_that_answers_it(front: Front) -> None:
    worker = _echo(front, 1)
    status, body = _ask(front, b"\xff\xd8", **{"Content-Type": "image/jpeg"})
    worker.join()
    assert status == 200
    called = json.loads(body)
    assert (called["__ow_body"], called["__ow_query"], called["__ow_method"]) == ("/9g=", "q", "post")


def test_requests_that_come_together_are_taken_one_by_one(front: Front) -> None:
    clients = [threading.Thread(target=_ask, args=(front,)) for _ in range(5)]
    for client in clients:
        client.start()
    _echo(front, 5).join()
    for client in clients:
        client.join()
    assert front.take(0) is None


def test_when_nobody_asks_the_thread_is_not_kept(front: Front) -> None:
    assert front.take(0.01) is None


@pytest.mark.parametrize("method", ["BREW", "OPTIONS"])
def test_what_is_no_call_does_not_reach_the_container(front: Front, method: str) -> None:
    status, _ = _ask(front, method=method)
    assert status == (405 if method == "BREW" else 200)
    assert front.take(0) is None


def test_a_body_over_the_limit_is_refused_with_an_answer(front: Front) -> None:
    status, body = _ask(front, bytes(5 << 20))
    assert (status, json.loads(body)) == (
        413,
        {"error": "Request larger than allowed: 5242880 > 1048576 bytes."},
    )
    assert front.take(0) is None


HEAD = b"POST /api/v1/namespaces/_/actions/classify?blocking=true HTTP/1.1\r\nHost: x\r\n"


def _rest(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


# What is sent, the status of the answer, and a part of its sentence.
HOSTILE: dict[str, tuple[bytes, int, str]] = {
    "nan": (_rest(b'{"image": NaN}'), 400, "NaN is not JSON"),
    "a-number-over-all-doubles": (_rest(b'{"top": 1e400}'), 400, "the number 1e400 is too large"),
    "a-number-of-5000-digits": (_rest(b'{"top": 1%s}' % (b"0" * 5000)), 400, "too many digits"),
    "half-a-surrogate-pair": (_rest(rb'{"image": "\ud800"}'), 400, r"\ud800 alone is no character"),
    "half-a-pair-in-a-key": (_rest(rb'{"\uDFFF": 1}'), 400, r"\udfff alone is no character"),
    "deep-arrays": (_rest(b"[" * 100_000 + b"]" * 100_000), 400, "nested too deeply"),
    "deep-objects": (_rest(b'{"a":' * 700 + b"1" + b"}" * 700), 400, "nested too deeply"),
    "not-utf-8": (_rest(b'{"image": "\xff"}'), 400, "it is not UTF-8 at byte 11"),
    "a-byte-order-mark": (_rest(b"\xef\xbb\xbf{}"), 400, "unexpected UTF-8 BOM"),
    "utf-16": (_rest('{"top": 1}'.encode("utf-16")), 400, "it is not UTF-8"),
    "half-a-body": (HEAD + b"Content-Length: 100\r\n\r\nhalf", 400, "ends after 4 of the 100 bytes"),
    "a-negative-length": (HEAD + b"Content-Length: -1\r\n\r\n", 400, "Content-Length must be one number"),
    "a-length-in-words": (HEAD + b"Content-Length: ten\r\n\r\n", 400, "Content-Length must be one number"),
    "two-lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, "must be one number"),
    "a-length-over-the-limit": (HEAD + b"Content-Length: 9999999999\r\n\r\n", 413, "9999999999 > 1048576"),
    "a-length-of-5000-digits": (
        HEAD + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000),
        400,
        "at most 18 digits",
    ),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411, "Content-Length"),
    "no-host": (b"GET / HTTP/1.1\r\n\r\n", 400, "needs a Host header"),
    "a-host-that-is-no-address": (b"GET http://[::1/x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "Invalid IPv6 URL"),
    "nul-in-the-path": (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 404, "does not exist"),
    "a-percent-sign-alone": (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 404, "does not exist"),
    "no-path": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, "does not exist"),
    "http-0.9": (b"GET /\r\n", 400, "names no version of HTTP"),
    "http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "Invalid HTTP version"),
    "no-version": (b"GET / HTTP\r\n\r\n", 400, "Bad request version"),
    "one-word": (b"GET\r\n\r\n", 400, "Bad request syntax"),
    "a-tls-handshake": (b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03 \n", 400, "is not HTTP"),
    "a-long-first-line": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "Too Long"),
    "a-long-header": (b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000 + b"\r\n\r\n", 431, "Line too long"),
    "many-headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "Too many headers"),
    "a-header-without-a-colon": (HEAD + b"Content-Length 2\r\n\r\n{}", 400, "A header line is malformed"),
    "a-space-after-a-name": (HEAD + b"Content-Length : 2\r\n\r\n{}", 400, "A header line is malformed"),
}


@pytest.mark.parametrize(("sent", "status", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_call_is_answered_with_a_sentence_and_logged_and_the_server_lives(
    sent: bytes, status: int, sentence: str
) -> None:
    lines: list[str] = []
    with Front(0, lines.append) as front:
        front.open()
        got, body = _send(front, sent)
        assert (got, list(body)) == (status, ["error"])
        assert sentence in body["error"]
        assert lines == [f"{status}: {body['error']}"]
        assert front.take(0) is None
        _echo(front, 1)
        assert _ask(front)[0] == 200


def _send(front: Front, sent: bytes) -> tuple[int, Any]:
    """The status and the JSON of the answer to these bytes."""
    url = urlsplit(front.url)
    with socket.create_connection((str(url.hostname), url.port), timeout=30) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(client)
        response.begin()
        return response.status, json.loads(response.read())


# What is odd and still a call.
ODD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "an-exponent": (_rest(b'{"top": 1e2}'), {"top": 100.0}),
    "minus-zero": (_rest(b'{"minProbability": -0.0}'), {"minProbability": -0.0}),
    "a-key-twice": (_rest(b'{"top": 1, "top": 2}'), {"top": 2}),
    "a-whole-pair": (_rest(rb'{"a": "\ud83d\ude00"}'), {"a": "\N{GRINNING FACE}"}),
    "a-number-of-400-digits": (_rest(b'{"top": 1%s}' % (b"0" * 399)), {"top": 10**399}),
    "empty-lines-before-it": (b"\r\n\r\n" + _rest(b"{}"), {}),
    "no-body": (HEAD + b"\r\n", {}),
}


@pytest.mark.parametrize(("sent", "parameters"), ODD.values(), ids=ODD)
def test_what_is_odd_and_valid_is_passed_on(front: Front, sent: bytes, parameters: dict[str, Any]) -> None:
    _echo(front, 1)
    assert _send(front, sent) == (200, parameters)


def test_a_body_that_does_not_come_is_not_waited_for_forever(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Handler, "timeout", 0.1)
    url = urlsplit(front.url)
    with socket.create_connection((str(url.hostname), url.port), timeout=30) as client:
        client.sendall(HEAD + b"Content-Length: 100\r\n\r\nhalf")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert front.take(0) is None


def test_a_call_that_breaks_off_is_answered(front: Front) -> None:
    def work() -> None:
        taken = front.take(30)
        assert taken is not None
        taken[1].set_exception(KeyboardInterrupt())

    threading.Thread(target=work, daemon=True).start()
    assert _ask(front)[0] == 503


def test_a_request_without_a_length_is_told_so(front: Front) -> None:
    status, body = _ask(front, b"", "POST", **{"Transfer-Encoding": "chunked"})
    assert status == 411
    assert "Content-Length" in body.decode()


def test_a_client_that_went_away_keeps_nobody_waiting(front: Front) -> None:
    with closing(_connection(front)) as gone:
        gone.request("POST", "/", b"x")
    _echo(front, 2)
    assert _ask(front)[0] == 200


def test_a_port_that_is_taken_is_an_error_with_a_way_out() -> None:
    with Front(0) as front, pytest.raises(PortTaken, match=r"--port.*0 for any"):
        Front(int(str(urlsplit(front.url).port)))
    with pytest.raises(PortTaken, match="99999"):
        Front(99_999)


def test_the_port_is_free_again_afterwards() -> None:
    with Front(0) as front:
        front.open()
    Front(int(str(urlsplit(front.url).port))).__exit__(None, None, None)


SHELLS = [shell for shell in ("sh", "bash", "dash", "busybox", "zsh") if shutil.which(shell)]
LINES = lines_to_paste(
    "http://127.0.0.1:3233", Path("my photos/it's a panda.jpg"), "under48/classify:m-amd64", 256
)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lines_make_a_request_in_any_shell(shell: str, tmp_path: Path) -> None:
    photo = tmp_path / "my photos/it's a panda.jpg"
    photo.parent.mkdir()
    photo.write_bytes(bytes(range(256)) * 3000)  # its base64 is longer than a command line may be
    command = [shell, "sh"] if shell == "busybox" else [shell]
    (making,) = [line for line in LINES.splitlines() if line.startswith("{")]
    subprocess.run([*command, "-eu"], input=making, text=True, check=True, cwd=tmp_path)
    made = json.loads((tmp_path / "it's a panda.json").read_text())
    assert list(made) == ["image"]
    assert len(made["image"]) == 1_024_000


def test_the_lines_are_shell_and_name_the_platforms_own_commands() -> None:
    subprocess.run(["sh", "-n"], input=LINES, text=True, check=True)
    assert "docker push REGISTRY/classify:m-amd64" in LINES
    assert "wsk action create classify --docker REGISTRY/classify:m-amd64 --memory 256 --web raw" in LINES
    assert "wsk action invoke classify --result --param-file" in LINES
