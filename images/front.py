"""The HTTP port of `serve`: reads requests from whoever connects, and answers each, whatever it is."""

import json
import queue
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from errors import Under48Error
from images.activation import too_large
from images.controller import Call, Request, Response, error, read

HOST = "127.0.0.1"
CLIENT_SECONDS = 30.0  # without a byte from or to the client
LINGER_SECONDS = 2.0
_MOST_DRAINED = 64 << 20  # of a body that is refused: closing on unread bytes would reset the answer
_MOST_DIGITS = 18


class PortTaken(Under48Error):
    """Another program listens where this one was to."""

    exit_code = 41


class Front:
    """The listening port; requests wait here, for the thread that owns the container to take them."""

    def __init__(self, port: int, log: Callable[[str], None] = lambda _line: None) -> None:
        """Listen on loopback; 0 is any free port. `log` gets a line for each request that does not become a call.

        Raises:
            PortTaken: somebody else listens there, or this user may not.
        """
        self._calls: queue.SimpleQueue[tuple[Call, Future[Response]]] = queue.SimpleQueue()
        known = {"submit": staticmethod(self._submit), "log": staticmethod(log)}
        try:
            self._server = _Server((HOST, port), type("Handler", (_Handler,), known))
        except (OSError, OverflowError) as failure:
            raise PortTaken(
                f"port {port} of {HOST} cannot be used ({failure}): name another one with --port, or 0 for any"
            ) from failure
        self._server.log = log
        self._thread: threading.Thread | None = None
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Listening already: who connects waits until `open` is called."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the port back."""
        if self._thread is not None:
            self._server.shutdown()
        self._server.server_close()

    def open(self) -> None:
        """Begin to take requests."""
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, seconds: float) -> tuple[Call, Future[Response]] | None:
        """The next call, with where its answer goes; None when there was none for so long."""
        try:
            return self._calls.get(timeout=seconds)
        except queue.Empty:
            return None

    def _submit(self, call: Call) -> Response:
        waiting: Future[Response] = Future()
        self._calls.put((call, waiting))
        try:
            return waiting.result()
        except BaseException:  # noqa: BLE001 - of the thread that owns the container, which it ends, and told there
            return error(503, "The action was not run: the server ends.")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    log: Callable[[str], None]

    def handle_error(self, *_: Any) -> None:
        """Say what went wrong, unless a client went away, which is its own affair."""
        failure = sys.exception()
        if not isinstance(failure, ConnectionError | TimeoutError):
            self.log(f"a request could not be answered: {failure!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "under48"
    timeout = CLIENT_SECONDS
    submit: Callable[[Call], Response]
    log: Callable[[str], None]

    def __getattr__(self, name: str) -> Any:
        """Answer every method of HTTP in one way (BaseHTTPRequestHandler calls do_GET, do_POST and so on)."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def parse_request(self) -> bool:
        """Whether there is a request; empty lines before one are passed over (RFC 9112, 2.2)."""
        words = self.raw_requestline.split()
        if not words:
            self.close_connection = False
            return False
        if len(words) == 2:  # HTTP/0.9, whose answers have no status
            self.command, self.requestline = "", ""
            self.send_error(HTTPStatus.BAD_REQUEST, "its first line names no version of HTTP")
            return False
        return super().parse_request()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP, as all else is refused; BaseHTTPRequestHandler would send a page."""
        self.request_version = self.protocol_version
        self.close_connection = True
        reason = message or explain or HTTPStatus(code).phrase
        self._refuse(error(int(code), f"The request is not HTTP as it is spoken here: {reason}"))

    def _serve(self) -> None:
        call = self._call()
        if isinstance(call, Call):
            self._send(self.submit(call))
        else:
            self._refuse(call)

    def _call(self) -> Call | Response:
        length = self._length()
        if isinstance(length, Response):
            self.close_connection = True
            return length
        body = b""
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            self.close_connection = True
            return error(408, f"The body did not come within {CLIENT_SECONDS:.0f} s.")
        if len(body) < length:
            self.close_connection = True
            return error(400, f"The body ends after {len(body)} of the {length} bytes of its Content-Length.")
        headers = {name.lower(): text for name, text in self.headers.items()}
        return read(Request(method=self.command, target=self.path, headers=headers, body=body))

    def _length(self) -> int | Response:
        """The bytes of the body, or the answer where that cannot be known or is too much (RFC 9112, 3.2, 5 and 6)."""
        if self.headers.defects or any(name != name.strip() for name in self.headers):
            return error(400, "A header line is malformed.")
        if self.request_version >= "HTTP/1.1" and "Host" not in self.headers:
            return error(400, "A request needs a Host header.")
        if "Transfer-Encoding" in self.headers:
            return error(411, "A request needs a Content-Length here.")
        lengths = {text.strip() for text in self.headers.get_all("Content-Length", ["0"])}
        length = lengths.pop()
        if lengths or not length.isdecimal() or len(length) > _MOST_DIGITS:
            return error(400, f"Content-Length must be one number of at most {_MOST_DIGITS} digits.")
        refusal = too_large(int(length))
        return error(413, refusal) if refusal else int(length)

    def _refuse(self, response: Response) -> None:
        reason = json.loads(response.body)["error"] if response.body else HTTPStatus(response.status).phrase
        self.log(f"{response.status}: {reason}")
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, text in response.headers:
            self.send_header(name, text)
        if response.status != HTTPStatus.NO_CONTENT:  # which has no length (RFC 9110, 8.6)
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        if self.close_connection:
            self._linger()

    def _linger(self) -> None:
        """Read on for a moment, or a body that is refused: closing on unread bytes would reset the answer."""
        left = _MOST_DRAINED
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while left > 0 and (chunk := self.rfile.read1(1 << 16)):
                left -= len(chunk)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Keep silent: each call is reported with what the platform says of it, each refusal with its reason."""
