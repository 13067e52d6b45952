"""Posts to a container's server as the platform's invoker does, a new connection for each call."""

import errno
import http.client
import json
import os
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from images.activation import ENTITY_BYTES, Answer, NoAnswer
from images.errors import ContainerFailed

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

RETRY_SECONDS = 0.05  # between attempts to connect (ApacheBlockingContainerClient.scala)
CONNECTING_SECONDS = 0.2  # without a connection, until the container is checked: it takes less than 1 ms
SILENT_SECONDS = 1.0  # without a byte, until it is checked: a server may well be busy
_NOT_YET = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}
_CHUNK = 1 << 16
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}

Address = tuple[str, int]


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8, as the platform sends it: half a surrogate pair becomes a question mark, as in Java."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace")


def post(  # noqa: PLR0913
    address: Address,
    path: str,
    body: bytes,
    *,
    seconds: float,
    retry_refused: bool = False,
    retry_dropped: bool = False,
    check: Callable[[], None] = lambda: None,
    confirm: Callable[[], None] = lambda: None,
) -> Answer | NoAnswer:
    """Post `body` and wait at most `seconds` for the whole answer, which needs a Content-Length.

    With `retry_refused` the call is repeated as long as the connection is refused; so the platform does for /init
    and not for /run. `retry_dropped` counts a connection closed without a word as refused: on a published port
    Docker's own proxy accepts it before the server listens.

    `check` raises ContainerFailed if the container has ended, which no packet may tell: on a bridge with other
    containers nobody answers for its address. It is called before each new attempt and when nothing has happened
    for a while. What it raises is passed on before there is a connection; later it makes a NoAnswer.
    `confirm` is called when the connection is made and nothing sent yet; it may raise, too.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _once(_WatchedSocket(check, deadline), address, path, body, confirm)
        except http.client.RemoteDisconnected as error:
            refused, reason = retry_dropped, f"closed without an answer ({error})"
        except (OSError, http.client.HTTPException) as error:
            dropped = retry_dropped and isinstance(error, ConnectionResetError | BrokenPipeError)
            refused, reason = dropped or getattr(error, "errno", None) in _NOT_YET, str(error) or repr(error)
        if not (refused and retry_refused) or time.monotonic() >= deadline:
            return NoAnswer(reason=reason, refused=refused)
        check()
        time.sleep(max(0, min(RETRY_SECONDS, deadline - time.monotonic())))


class _WatchedSocket(socket.socket):
    """A socket of which nothing blocks after `deadline`, nor for long without a call of `check`, which may raise."""

    def __init__(self, check: Callable[[], None], deadline: float) -> None:
        super().__init__()
        self.deadline = deadline
        self._check = check
        self.setblocking(False)

    def open(self, address: Address) -> None:
        code = self.connect_ex(address)
        if code == errno.EINPROGRESS:
            self._wait(select.POLLOUT, CONNECTING_SECONDS)
            code = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        unsent = memoryview(data)
        while unsent:
            self._wait(select.POLLOUT, SILENT_SECONDS)
            unsent = unsent[self.send(unsent, flags) :]

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        self._wait(select.POLLIN, SILENT_SECONDS)
        return super().recv_into(buffer, nbytes, flags)

    def _wait(self, event: int, seconds: float) -> None:
        ready = select.poll()
        ready.register(self, event)
        while not ready.poll(min(seconds, self._remaining()) * 1000):
            try:
                self._check()
            except ContainerFailed:
                if not ready.poll(0):  # else its last word has come meanwhile
                    raise

    def _remaining(self) -> float:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining


def _once(
    line: _WatchedSocket, address: Address, path: str, body: bytes, confirm: Callable[[], None]
) -> Answer | NoAnswer:
    connection = http.client.HTTPConnection(*address)
    connection.sock = line
    try:
        line.open(address)
        connected = time.monotonic()
        confirm()
        line.deadline += time.monotonic() - connected  # the platform does not ask, so it is not on its time
        try:
            return _exchange(connection, path, body)
        except ContainerFailed as error:
            return NoAnswer(reason=str(error))
    finally:
        connection.close()


def _exchange(connection: http.client.HTTPConnection, path: str, body: bytes) -> Answer | NoAnswer:
    connection.request("POST", path, body, _HEADERS)
    response = connection.getresponse()
    if response.status == http.client.NO_CONTENT or response.length is None:
        return NoAnswer(reason=f"status {response.status} without a Content-Length")
    length, received = response.length, b""
    while len(received) < min(length, ENTITY_BYTES):
        chunk = response.read1(min(_CHUNK, ENTITY_BYTES - len(received)))
        if not chunk:
            return NoAnswer(reason=f"closed after {len(received)} of {length} bytes")
        received += chunk
    return Answer(status_code=response.status, body=received, length=length)
