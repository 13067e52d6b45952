"""Real HTTP servers on loopback that break in each of the ways that a download must survive or name."""

import contextlib
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Exchange(BaseHTTPRequestHandler):
    """One request to a test server; the answers below say what comes of it."""

    protocol_version = "HTTP/1.1"
    content = b""

    @property
    def asked_offset(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def head_of_body(self) -> bytes:
        """Send the head of a right answer, and return the body that belongs to it."""
        begin, size = self.asked_offset, len(self.content)
        if begin >= size > 0 and begin:
            self.head(416, Content_Range=f"bytes */{size}", Content_Length=0)
            return b""
        if begin:
            content_range = f"bytes {begin}-{size - 1}/{size}"
            self.head(206, Content_Range=content_range, Content_Length=size - begin)
        else:
            self.head(200, Content_Length=size)
        return self.content[begin:]

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        pass


Answer = Callable[[Exchange], None]


def whole(http: Exchange) -> None:
    http.wfile.write(http.head_of_body())


def ignoring_range(http: Exchange) -> None:
    http.head(200, Content_Length=len(http.content))
    http.wfile.write(http.content)


def changed(answer: Answer) -> Answer:
    """The answer for another file of the same size: every bit is wrong."""

    def answer_otherwise(http: Exchange) -> None:
        http.content = bytes(byte ^ 0xFF for byte in http.content)
        answer(http)

    return answer_otherwise


def status(code: int, **headers: object) -> Answer:
    return lambda http: http.head(code, Content_Length=0, **headers)


def broken_after(size: int, *, reset: bool = False) -> Answer:
    """Announce the whole, send `size` bytes, then close the connection, or reset it."""

    def answer(http: Exchange) -> None:
        http.wfile.write(http.head_of_body()[:size])
        http.hang_up()
        if reset:
            time.sleep(
                0.1
            )  # what was sent is to arrive: a reset throws away what the receiver has not read yet
            http.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            http.connection.close()

    return answer


def stalled_after(size: int, released: threading.Event) -> Answer:
    """Announce the whole, send `size` bytes, then nothing more until released."""

    def answer(http: Exchange) -> None:
        http.wfile.write(http.head_of_body()[:size])
        released.wait(30)
        http.hang_up()

    return answer


def slow(pause: float, pieces: int = 10) -> Answer:
    """The whole body, in pieces with a pause in seconds before each."""

    def answer(http: Exchange) -> None:
        body = http.head_of_body()
        step = -(-len(body) // pieces)
        for begin in range(0, len(body), step):
            time.sleep(pause)
            http.wfile.write(body[begin : begin + step])

    return answer


def undeclared(size: int) -> Answer:
    """Chunked, so no size is announced: the content cut to `size`, or with more after it."""

    def answer(http: Exchange) -> None:
        http.head(200, Transfer_Encoding="chunked")
        body = http.content[:size].ljust(size, b"+")
        http.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    return answer


def endless(http: Exchange) -> None:
    """No size announced, and no end."""
    http.head(200, Transfer_Encoding="chunked")
    with contextlib.suppress(OSError):  # the client hangs up
        while True:
            http.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def piece_from_elsewhere(http: Exchange) -> None:
    """A piece of the file, and not the one that was asked for."""
    size = len(http.content)
    http.head(206, Content_Range=f"bytes 1-{size - 1}/{size}", Content_Length=size - 1)
    http.wfile.write(http.content[1:])


@dataclass
class Server:
    """A running server: its root URL, and for each request that came its path and its Range header."""

    url: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def ranges(self) -> list[str | None]:
        return [header for _path, header in self.requests]


@contextlib.contextmanager
def serving(files: Mapping[str, bytes], answers: Sequence[Answer] = (whole,)) -> Iterator[Server]:
    """Serve the files by path; the n-th request for a path gets the n-th answer, and the last one repeats."""
    times: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(Exchange):
        def do_GET(self) -> None:
            with lock:
                server.requests.append((self.path, self.headers.get("Range")))
                turn = min(times[self.path], len(answers) - 1)
                times[self.path] += 1
            if self.path not in files:
                status(404)(self)
                return
            self.content = files[self.path]
            with contextlib.suppress(ConnectionError):
                answers[turn](self)

    class Http(ThreadingHTTPServer):
        daemon_threads = True

    http = Http(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def closed_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
