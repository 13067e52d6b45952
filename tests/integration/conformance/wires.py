"""Steps below the platform's own calls: requests as bytes on connections that do what they like."""

import resource
import time
from contextlib import ExitStack, suppress

from images.container import freeze
from images.protocol import encode
from tests.integration.conformance.server import Server, answer_of
from tests.integration.conformance.steps import do, same
from tests.integration.conformance.vector import Reply, Step, Where

RUN = b'{"value":{}}'
_FROZEN_SECONDS = 0.2


def request(method: str, path: str, body: bytes, *fields: str) -> bytes:
    """A request with Content-Length, and with these further header fields."""
    head = (f"{method} {path} HTTP/1.1", "Host: container", f"Content-Length: {len(body)}", *fields)
    return "\r\n".join((*head, "", "")).encode() + body


def chunked(path: str, body: bytes, size: int) -> bytes:
    """A request in chunks."""
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    parts = (b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + b"".join(parts)


def on_one_connection(*exchanges: tuple[bytes, tuple[int | None, Where]]) -> Step:
    """Send each request when the one before it has been answered."""

    def act(server: Server) -> list[Reply]:
        with server.connect() as client:
            replies = []
            for sent, _ in exchanges:
                client.sendall(sent)
                replies.append(answer_of(client))
            return replies

    return Step(act=act, expected=tuple(expected for _, expected in exchanges))


def expecting_continue(path: str, body: bytes, expected: tuple[int | None, Where]) -> Step:
    """Hold the body back until the server asks for it, as curl does with large ones."""

    def act(server: Server) -> list[Reply]:
        head = request("POST", path, body, "Expect: 100-continue").removesuffix(body)
        with server.connect() as client:
            client.sendall(head)
            asked = client.recv(4096).split(b"\r\n")[0].decode()
            client.sendall(body)
            return [Reply(status=None, body=asked), answer_of(client)]

    return Step(act=act, expected=((None, same("HTTP/1.1 100 Continue")), expected))


def leaving(value: dict[str, object], printed: str) -> Step:
    """Ask for a run, and go as soon as the action has printed this."""

    def act(server: Server) -> None:
        with server.connect() as client:
            client.sendall(request("POST", "/run", encode({"value": value})))
            server.wait_for_output(printed)

    return do(act)


def half_a_request() -> Step:
    """Send half of a head and half of a body, then close."""

    def act(server: Server) -> None:
        whole = request("POST", "/run", RUN)
        for half in (whole[:12], whole[:-5]):
            with server.connect() as client:
                client.sendall(half)

    return do(act)


def beside_silence(path: str, body: bytes, expected: tuple[int | None, Where]) -> Step:
    """Two clients send half a request and say no more; another one is served meanwhile, then they are, too."""

    def act(server: Server) -> list[Reply]:
        whole = request("POST", "/run", RUN)
        with server.connect() as head, server.connect() as part:
            head.sendall(whole[:12])
            part.sendall(whole[:-5])
            replies = [server.post(path, body)]
            head.sendall(whole[12:])
            part.sendall(whole[-5:])
            return [*replies, answer_of(head), answer_of(part)]

    return Step(act=act, expected=(expected,) * 3)


def crowded(connections: int, path: str, body: bytes, expected: tuple[int | None, Where]) -> Step:
    """Open that many connections, each with a part of a request, and be served beside them and after them."""

    def act(server: Server) -> list[Reply]:
        _allow_files(connections + 512)
        whole = request("POST", "/run", RUN)
        with ExitStack() as crowd:
            for number in range(connections):
                client = crowd.enter_context(server.connect())
                with suppress(ConnectionError):  # the server has let the oldest ones go
                    client.sendall(whole[: number % len(whole)])
            beside = server.post(path, body)
        return [beside, server.post(path, body)]

    return Step(act=act, expected=(expected, expected))


def laden(clients: int, size: int, path: str, body: bytes, expected: tuple[int | None, Where]) -> Step:
    """Let that many clients send `size` bytes of a body and go silent; be served beside them."""

    def act(server: Server) -> list[Reply]:
        part = request("POST", path, b" " * size)[:-1]
        with ExitStack() as crowd:
            for _ in range(clients):
                client = crowd.enter_context(server.connect())
                with suppress(ConnectionError):
                    client.sendall(part)
            return [server.post(path, body)]

    return Step(act=act, expected=(expected,))


def paused(expected: tuple[int | None, Where]) -> Step:
    """Freeze the container, call it, thaw it: what was sent meanwhile is answered then."""

    def act(server: Server) -> list[Reply]:
        freeze(server.container)
        with server.connect() as client:
            client.sendall(request("POST", "/run", RUN))
            time.sleep(_FROZEN_SECONDS)
            server.container.unpause()
            return [answer_of(client)]

    return Step(act=act, expected=(expected,))


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard < 0 else min(hard, count), hard))
