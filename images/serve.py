"""Serves an image on this machine as the platform would: HTTP in front, one container behind it."""

import queue
import shlex
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker

from errors import Under48Error
from images.activation import ENTITY_BYTES
from images.container import ContainerFailed, Limits, ended_by_signals
from images.controller import (
    REST_PATH,
    WEB_PATH,
    Call,
    Request,
    Response,
    answer,
    error,
    read,
    shown_log,
)
from images.invoker import Activation
from images.pool import IDLE_SECONDS, UNUSED_SECONDS, Invocation, Pool

HOST = "127.0.0.1"
CLIENT_SECONDS = 30.0  # without a byte from or to the client
_MOST_DRAINED = 64 << 20  # of a body that is refused: closing on unread bytes would reset the answer


class PortTaken(Under48Error):
    """Another program listens where this one was to."""

    exit_code = 41


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """One call that was made: what the platform says of it, and the HTTP status that its client got."""

    invocation: Invocation
    status: int


class Front:
    """The listening port; requests wait here, for the thread that owns the container to take them."""

    def __init__(self, port: int) -> None:
        """Listen on loopback; 0 is any free port.

        Raises:
            PortTaken: somebody else listens there, or this user may not.
        """
        self._calls: queue.SimpleQueue[tuple[Call, Future[Response]]] = queue.SimpleQueue()
        handler = type("Handler", (_Handler,), {"submit": staticmethod(self._submit)})
        try:
            self._server = _Server((HOST, port), handler)
        except (OSError, OverflowError) as failure:
            raise PortTaken(
                f"port {port} of {HOST} cannot be used ({failure}): name another one with --port, or 0 for any"
            ) from failure
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
        return waiting.result()


def serve(  # noqa: PLR0913 - what `invoke serve` asks of the image
    engine: docker.DockerClient,
    image: str,
    front: Front,
    *,
    limits: Limits,
    ready: Callable[[], None],
    report: Callable[[Served], None],
) -> None:
    """Answer requests until an interrupt (KeyboardInterrupt), SIGTERM or SIGHUP ends it; nothing is left then.

    `ready` is called when the first container is initialised, `report` after each call.

    Raises:
        ContainerFailed: the image does not start, or its action does not initialise.
    """
    with ended_by_signals(), Pool(engine, image, limits) as pool:
        first = pool.ready()
        if isinstance(first, Activation):
            log = "\n    ".join(("its log:", *shown_log(first)))
            raise ContainerFailed(f"{image} does not initialise: {first.classified.result['error']}; {log}")
        front.open()
        ready()
        while True:
            _answer_next(front, pool, report)


def _answer_next(front: Front, pool: Pool, report: Callable[[Served], None]) -> None:
    frozen = pool.frozen
    taken = front.take(UNUSED_SECONDS if frozen else IDLE_SECONDS)
    if taken is None:
        pool.destroy() if frozen else pool.freeze()
        return
    call, waiting = taken
    try:
        invocation = pool.invoke(call.parameters)
        response = answer(call, invocation.activation)
    except BaseException as failure:
        waiting.set_exception(failure)
        raise
    waiting.set_result(response)
    report(Served(invocation=invocation, status=response.status))


def lines_to_paste(url: str, photo: Path, tag: str, memory_mib: int) -> str:
    """Commands for a POSIX shell: a photo to this server in both ways, and the same for the platform itself."""
    file, request = shlex.quote(str(photo)), shlex.quote(f"{photo.stem}.json")
    pushed = f"REGISTRY/{tag.rpartition('/')[2]}"
    rest = shlex.quote(f"{url}{REST_PATH}?blocking=true&result=true")
    as_jpeg, as_json = (f"-H 'Content-Type: {kind}'" for kind in ("image/jpeg", "application/json"))
    return f"""\
# a photo as it is, to the web action
curl --data-binary @{file} {as_jpeg} {url}/

# as parameters: base64 in JSON
{{ printf '{{"image":"'; base64 < {file} | tr -d '\\r\\n'; printf '"}}'; }} > {request}
curl --data-binary @{request} {as_json} {rest}

# on the platform
docker tag {tag} {pushed} && docker push {pushed}
wsk action create classify --docker {pushed} --memory {memory_mib} --web raw
wsk action invoke classify --result --param-file {request}
curl --data-binary @{file} {as_jpeg} https://APIHOST{WEB_PATH}"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "under48"
    timeout = CLIENT_SECONDS
    submit: Callable[[Call], Response]

    def __getattr__(self, name: str) -> Any:
        """Answer every method of HTTP in one way (BaseHTTPRequestHandler calls do_GET, do_POST and so on)."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        response = self._response()
        self.send_response(response.status)
        for name, text in response.headers:
            self.send_header(name, text)
        if response.status != HTTPStatus.NO_CONTENT:  # which has no length (RFC 9110, 8.6)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _response(self) -> Response:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return error(411, "a request needs a Content-Length here")
        if int(length) > ENTITY_BYTES:
            self.close_connection = True
            self._drain(int(length))
            return error(413, f"Request larger than allowed: {length} > {ENTITY_BYTES} bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("half a request")
        call = read(
            Request(
                method=self.command,
                target=self.path,
                headers={name.lower(): text for name, text in self.headers.items()},
                body=body,
            )
        )
        return self.submit(call) if isinstance(call, Call) else call

    def _drain(self, length: int) -> None:
        left = min(length, _MOST_DRAINED)
        while left and (chunk := self.rfile.read(min(left, 1 << 16))):
            left -= len(chunk)

    def log_message(self, *_: Any) -> None:
        """Keep silent: each call is reported with what the platform says of it."""
