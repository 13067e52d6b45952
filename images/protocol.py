"""Posts to a container's server as the platform's invoker does, a new connection for each call."""

import errno
import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from images.activation import ENTITY_BYTES, Answer, NoAnswer

RETRY_SECONDS = 0.05  # between attempts to connect (ApacheBlockingContainerClient.scala)
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
    retry_dropped: bool = False,
    while_refused: Callable[[], None] | None = None,
    confirm: Callable[[], None] = lambda: None,
) -> Answer | NoAnswer:
    """Post `body` and wait at most `seconds` for the whole answer.

    With `while_refused` the call is repeated as long as the connection is refused, and `while_refused` called
    before each new attempt (it may raise); so the platform does for /init and not for /run. `retry_dropped`
    counts a connection closed without a word as refused: on a published port Docker's own proxy accepts it
    before the server listens. `confirm` is called when the connection is made and nothing sent yet; it may
    raise, too. An answer needs a Content-Length, as the platform takes no other.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _once(address, path, body, deadline, confirm)
        except http.client.RemoteDisconnected as error:
            refused, reason = retry_dropped, f"closed without an answer ({error})"
        except (OSError, http.client.HTTPException) as error:
            dropped = retry_dropped and isinstance(error, ConnectionResetError | BrokenPipeError)
            refused, reason = dropped or getattr(error, "errno", None) in _NOT_YET, str(error) or repr(error)
        if not refused or while_refused is None or time.monotonic() >= deadline:
            return NoAnswer(reason=reason, refused=refused)
        while_refused()
        time.sleep(max(0, min(RETRY_SECONDS, deadline - time.monotonic())))


def _once(
    address: Address, path: str, body: bytes, deadline: float, confirm: Callable[[], None]
) -> Answer | NoAnswer:
    connection = http.client.HTTPConnection(*address, timeout=_remaining(deadline))
    try:
        connection.connect()
        connected = time.monotonic()
        confirm()
        deadline += time.monotonic() - connected  # the platform does not ask, so it is not on its time
        connection.request("POST", path, body, _HEADERS)
        connection.sock.settimeout(_remaining(deadline))
        socket = connection.sock  # which getresponse() hands over to the response where the server closes
        response = connection.getresponse()
        if response.status == http.client.NO_CONTENT or response.length is None:
            return NoAnswer(reason=f"status {response.status} without a Content-Length")
        length, received = response.length, b""
        while len(received) < min(length, ENTITY_BYTES):
            socket.settimeout(_remaining(deadline))
            chunk = response.read1(min(_CHUNK, ENTITY_BYTES - len(received)))
            if not chunk:
                return NoAnswer(reason=f"closed after {len(received)} of {length} bytes")
            received += chunk
        return Answer(status_code=response.status, body=received, length=length)
    finally:
        connection.close()


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
