"""Serves all connections from one thread: reads requests, hands them over, sends the answers when they come.

One thread and non-blocking sockets, since the platform's one call must get through whatever else is
connected: a thousand idle or half-sent connections cost a descriptor each until they time out, never a thread
or a place in a queue.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from contextlib import suppress
from time import monotonic, sleep

from .messages import error_body
from .wire import CONTINUE, MOST_BODY, BadRequestError, Request, RequestReader, write_response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CONNECTIONS = 256  # the platform allows 1024 open files, and the action needs some
MOST_HELD = MOST_BODY + 16 * 1024 * 1024
"""Bytes of requests and answers in memory, of all connections together: the largest /init, and what the platform
sends otherwise (1 MiB each) beside it. The platform makes one call at a time and never comes near it."""

IDLE_SECONDS = 30.0  # without a byte in either direction
LINGER_SECONDS = 2.0
_RECEIVE = 256 * 1024
_NOTHING = memoryview(b"")

PATHS = ("/init", "/run")
METHODS = ("POST", "PUT", "GET")  # official proxies take any


class Connection:
    """One client: a socket, what it has sent so far, what it is still to get."""

    __slots__ = ("asked", "closing", "deadline", "output", "reader", "socket", "working")

    def __init__(self, client: socket.socket) -> None:
        """Begin to read from a connected socket."""
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = client
        self.reader = RequestReader()
        self.asked = 0  # bytes of the request that is with the action
        self.output = _NOTHING
        self.working = False  # its request is with the action, which takes as long as it takes
        self.closing = False  # the answer to come is the last one; then what still arrives is thrown away
        self.deadline = monotonic() + IDLE_SECONDS

    @property
    def held(self) -> int:
        """How many bytes are in memory for this client: what it sent, until the answer, and what it has to get."""
        return self.reader.held + self.asked + len(self.output)


class Connections:
    """The listening socket and everyone who is connected."""

    def __init__(
        self,
        listener: socket.socket,
        submit: Callable[[Connection, Request], None],
        on_signal: Callable[[int], None],
    ) -> None:
        """`submit` gets each whole request (answer with `reply`), `on_signal` the numbers of signals."""
        self._listener = listener
        self._submit = submit
        self._on_signal = on_signal
        self._open: dict[Connection, None] = {}
        self._replies: deque[tuple[Connection, bytes]] = deque()
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (listener, self._wake_in, self._wake_out):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)

    @property
    def wake_descriptor(self) -> int:
        """Where a byte wakes the thread: 0 for a reply, a signal's number from `signal.set_wakeup_fd`."""
        return self._wake_out.fileno()

    def reply(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        """Send an answer; to be called from any thread, once for each submitted request."""
        connection.closing = not request.keep_alive
        self._replies.append((connection, write_response(status, body, keep_alive=request.keep_alive)))
        with suppress(BlockingIOError):  # then enough bytes are waiting to wake the thread
            self._wake_out.send(b"\0")

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            for key, events in self._selector.select(1.0 if self._open else None):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_in:
                    self._wake()
                elif key.data in self._open:  # not closed by an earlier event of this round
                    self._advance(key.data, events)
            # After the events: a container that was frozen must first see what has arrived meanwhile.
            now = monotonic()
            for connection in [one for one in self._open if not one.working and one.deadline < now]:
                self._close(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # the action has used up the descriptors, or the client has gone already
                self._evict()
                sleep(0.01)  # the listener stays readable: no spinning while nothing can be freed
                return
            if len(self._open) >= MOST_CONNECTIONS:
                self._evict()
            connection = Connection(client)
            self._open[connection] = None
            self._selector.register(client, selectors.EVENT_READ, connection)

    def _evict(self) -> None:
        """Close who has been silent for longest."""
        idle = [one for one in self._open if not one.working]
        if idle:
            self._close(min(idle, key=lambda one: one.deadline))

    def _make_room(self, connection: Connection) -> bool:
        """Close others, who has been silent for longest first, while too much is held; tell whether that was enough."""
        excess = sum(one.held for one in self._open) - MOST_HELD
        if excess <= 0:
            return True
        others = [one for one in self._open if one is not connection and not one.working and one.held]
        for other in sorted(others, key=lambda one: one.deadline):
            excess -= other.held
            self._close(other)
            if excess <= 0:
                return True
        return False

    def _wake(self) -> None:
        for number in self._wake_in.recv(4096):
            if number:
                self._on_signal(number)
        while self._replies:
            connection, response = self._replies.popleft()
            connection.working = False
            connection.asked = 0
            self._send(connection, response)
            self._make_room(connection)

    def _advance(self, connection: Connection, events: int) -> None:
        connection.deadline = monotonic() + IDLE_SECONDS
        if events & selectors.EVENT_WRITE:
            self._flush(connection)
            return
        try:
            data = connection.socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif connection.closing:
            connection.deadline = monotonic() + LINGER_SECONDS
        else:
            self._read(connection, data)

    def _read(self, connection: Connection, data: bytes) -> None:
        try:
            request = connection.reader.feed(data)
        except BadRequestError as error:
            self._refuse(connection, error.status, str(error))
            return
        if request is not None:
            connection.asked = len(request.body)
        if not self._make_room(connection):
            text = f"no room beside the calls that wait: at most {MOST_HELD} bytes of them are held"
            self._refuse(connection, 503, text)
        elif request is not None:
            self._route(connection, request)
        elif connection.reader.awaits_continue:
            connection.reader.awaits_continue = False
            self._send(connection, CONTINUE)

    def _route(self, connection: Connection, request: Request) -> None:
        status = 404 if request.path not in PATHS else 405 if request.method not in METHODS else 0
        if status:
            text = f"{request.method} {request.path} is not answered here, only POST /init and POST /run"
            self._refuse(connection, status, text)
            return
        connection.working = True
        self._selector.unregister(connection.socket)
        self._submit(connection, request)

    def _refuse(self, connection: Connection, status: int, text: str) -> None:
        connection.closing = True
        connection.reader.drop()
        connection.asked = 0
        self._send(connection, write_response(status, error_body(text), keep_alive=False))

    def _send(self, connection: Connection, data: bytes) -> None:
        connection.output = memoryview(data)
        connection.deadline = monotonic() + IDLE_SECONDS
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        try:
            sent = connection.socket.send(connection.output)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.output = connection.output[sent:]
        if connection.output:
            self._listen(connection, selectors.EVENT_WRITE)
            return
        connection.output = _NOTHING  # an empty slice would keep the whole answer in memory
        if connection.closing:
            self._linger(connection)
        else:
            self._listen(connection, selectors.EVENT_READ)
            self._read(connection, b"")  # the next request may be here already

    def _linger(self, connection: Connection) -> None:
        """Wait a moment for the client: closing on unread bytes would reset the answer (RFC 9112, 9.6)."""
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.deadline = monotonic() + LINGER_SECONDS
        self._listen(connection, selectors.EVENT_READ)

    def _listen(self, connection: Connection, events: int) -> None:
        if connection.socket in self._selector.get_map():
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.register(connection.socket, events, connection)

    def _close(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        connection.reader.drop()
        if connection.socket in self._selector.get_map():
            self._selector.unregister(connection.socket)
        connection.socket.close()
