"""What many large calls at once may cost the runtime: its memory is bounded, and the platform's call gets through."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.runtime.connections import MOST_HELD
from tests.runtime_process import RuntimeProcess

MIB = 1 << 20
LARGE = 40 * MIB  # two of these fit, three do not
ROOM = 32 * MIB  # what is allocated beside the bytes themselves, as a buffer that grows
WAITS = """
import os, time
def main(args):
    print("in it")
    while not os.path.exists(args["until"]):
        time.sleep(0.01)
    return {"bytes": len(args.get("much", ""))}
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[RuntimeProcess]:
    with RuntimeProcess(tmp_path) as process:
        yield process


def most_resident(runtime: RuntimeProcess) -> int:
    """The largest resident set so far, in bytes; proc(5), VmHWM."""
    status = Path(f"/proc/{runtime.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) << 10


def begin(runtime: RuntimeProcess, *, chunked: bool) -> socket.socket:
    """Send LARGE bytes of a body of 60 MiB, and say no more."""
    client = runtime.connect()
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (60 * MIB)
    size = b"%x\r\n" % (60 * MIB) if chunked else b""
    client.sendall(b"POST /init HTTP/1.1\r\n" + length + b"\r\n\r\n" + size + b" " * LARGE)
    return client


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("chunked", [False, True])
def test_of_many_half_sent_bodies_the_oldest_go_and_a_whole_one_gets_through(
    runtime: RuntimeProcess, *, chunked: bool
) -> None:
    runtime.connect().close()
    before = most_resident(runtime)
    silent = [begin(runtime, chunked=chunked) for _ in range(5)]
    assert all(is_closed(client) for client in silent[:3])
    assert most_resident(runtime) < before + MOST_HELD + ROOM
    code = "def main(args):\n    return args\n" + "#" * LARGE
    assert runtime.init(code) == (200, {"ok": True})
    assert is_closed(silent[3])
    assert runtime.run({"a": 1}) == (200, {"a": 1})
    for client in silent:
        client.close()


def test_what_does_not_fit_beside_the_calls_that_wait_is_503_and_small_ones_are_served(
    runtime: RuntimeProcess, tmp_path: Path
) -> None:
    until = str(tmp_path / "go on")
    runtime.init(WAITS)
    with runtime.connect() as first:
        body = json.dumps({"value": {"until": until, "much": "x" * LARGE}}).encode()
        first.sendall(b"POST /run HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while "in it" not in runtime.logs()[0]:
            time.sleep(0.01)
        status, answer = runtime.send("/run", b" " * (MOST_HELD - LARGE))
        assert (status, list(answer)) == (503, ["error"])
        Path(until).touch()
        assert first.recv(4096).endswith(b'{"bytes":%d}' % LARGE)
    assert runtime.run({"until": until}) == (200, {"bytes": 0})
    assert runtime.send("/run", b"{" + b" " * LARGE + b"}")[0] == 200


def test_an_answer_that_was_fetched_is_not_kept(runtime: RuntimeProcess) -> None:
    runtime.init("def main(args):\n    return {'much': 'x' * (30 << 20)}\n")
    clients = [runtime.connect() for _ in range(6)]  # each stays connected, as the platform's client does
    largest = 0
    for client in clients:
        client.sendall(b'POST /run HTTP/1.1\r\nContent-Length: 12\r\n\r\n{"value":{}}')
        head, _, body = client.recv(1 << 16).partition(b"\r\n\r\n")
        left = int(head.partition(b"Content-Length: ")[2].split()[0]) - len(body)
        while left:
            left -= len(client.recv(left))
        largest = largest or most_resident(runtime)
    assert most_resident(runtime) < largest + 2 * 30 * MIB
    for client in clients:
        client.close()
