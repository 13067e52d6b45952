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
from images.serve import Front, PortTaken, lines_to_paste


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


def test_half_a_request_reaches_nobody(front: Front) -> None:
    url = urlsplit(front.url)
    with socket.create_connection((str(url.hostname), url.port), timeout=30) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        half.shutdown(socket.SHUT_WR)
        assert half.recv(1) == b""
    assert front.take(0) is None


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
