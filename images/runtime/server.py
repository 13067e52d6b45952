"""The edge: binds the port, starts the connections' thread, and runs actions in the main thread."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from queue import SimpleQueue

from .connections import Connections
from .host import Host
from .logs import Logs
from .messages import error_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .connections import Connection
    from .wire import Request

_BACKLOG = 512
_END = (signal.SIGTERM, signal.SIGINT)
_CODE_ROOTS = ("/action", "/tmp", "/dev/shm")  # noqa: S108 - each action's folder in them is new and private


def main() -> int:
    """Run the server; settings come from the environment.

    UNDER48_ACTION: the built-in action's folder (/under48/action); UNDER48_HOST and UNDER48_PORT: where to
    listen (0.0.0.0, 8080: the platform expects these); TMPDIR: a further place to unpack code.
    """
    # Listening comes first: a platform that pings must not take a loading model for a dead container, and
    # /init waits in the backlog instead of failing.
    try:
        listener = _listen(os.environ.get("UNDER48_HOST", "0.0.0.0"), os.environ.get("UNDER48_PORT", "8080"))  # noqa: S104
    except (OSError, ValueError, OverflowError) as error:
        print(f"cannot listen: {error}", file=sys.stderr)
        return 1
    logs = Logs()
    requests: SimpleQueue[tuple[Connection, Request]] = SimpleQueue()
    connections = Connections(listener, lambda *request: requests.put(request), _end)
    # As process 1 there is no default for SIGTERM: without a handler the kernel drops it (pid_namespaces(7)).
    signal.set_wakeup_fd(connections.wake_descriptor, warn_on_full_buffer=False)
    for number in _END:
        signal.signal(number, _note)
    os.register_at_fork(after_in_child=_leave_signals)
    threading.Thread(target=_serve, args=(connections,), name="connections", daemon=True).start()

    # The main thread is the actions': there signal handlers and event loops work as their authors expect.
    host = Host(logs, os.environ.get("UNDER48_ACTION", "/under48/action"), _roots())
    host.load_built_in()
    vars(sys.modules[__package__]).pop("began", None)  # what is loaded from here on has waited for /init
    while True:
        connection, request = requests.get()
        try:
            status, body = host.answer(request.path, request.body)
        except Exception:  # noqa: BLE001 - a fault of this server; the platform shall hear of it
            sys.__excepthook__(*sys.exc_info())
            status, body = 500, error_body("the runtime failed; see logs for details")
        connections.reply(connection, request, status, body)


def _listen(host: str, port: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    listener.listen(_BACKLOG)
    return listener


def _roots() -> tuple[str, ...]:
    first, *others = _CODE_ROOTS
    temporary = os.environ.get("TMPDIR")
    return (first, temporary, *others) if temporary else _CODE_ROOTS


def _serve(connections: Connections) -> None:
    try:
        connections.serve()
    finally:  # without connections there is no server; the platform replaces what has ended
        sys.__excepthook__(*sys.exc_info())
        os._exit(70)


def _note(number: int, frame: object) -> None:
    """Be a handler: only then does Python write the signal's number to the wake-up descriptor."""


def _leave_signals() -> None:
    """Let a process that an action forks die of its own signals, and not the server of them."""
    signal.set_wakeup_fd(-1)
    for number in _END:
        if signal.getsignal(number) is _note:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int) -> None:
    # In the connections' thread: the main one may be deep in an action. A handler that the action set rules.
    if number in _END and signal.getsignal(number) is _note:
        os._exit(0)
