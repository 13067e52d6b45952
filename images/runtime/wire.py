"""Reads HTTP/1.1 requests from bytes as they come, and writes responses: no sockets, no clocks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

MOST_HEAD = 64 * 1024
MOST_BODY = 64 * 1024 * 1024
"""More than the platform sends: /init carries up to 48 MiB of code, in JSON that may escape some of it."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class BadRequestError(Exception):
    """The bytes are no request that can be answered; the connection must be closed after saying so."""

    def __init__(self, status: int, text: str) -> None:
        """Keep the status that the response gets."""
        super().__init__(text)
        self.status = status


class Request:
    """One whole request. `body` is not shared with anybody: whoever is done with it may clear it."""

    __slots__ = ("body", "keep_alive", "method", "path")

    def __init__(self, method: str, path: str, body: bytearray, *, keep_alive: bool) -> None:
        """Hold method, path without query, body, and whether the connection stays open."""
        self.method = method
        self.path = path
        self.body = body
        self.keep_alive = keep_alive


class RequestReader:
    """Collects bytes until they are a request (RFC 9112): Content-Length or chunked, one request after the
    other.
    """

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._buffer = bytearray()
        self._chunked = bytearray()  # what the chunks so far have brought
        self._requests = self._parse()
        self.awaits_continue = False

    @property
    def held(self) -> int:
        """How many bytes are in memory of what is no whole request yet."""
        return len(self._buffer) + len(self._chunked)

    def drop(self) -> None:
        """Forget what was read, for good. Without this it stays until Python's garbage collector comes round: the
        parser is a generator that refers to this object.
        """
        self._requests.close()
        self._buffer, self._chunked = bytearray(), bytearray()

    def feed(self, data: bytes) -> Request | None:
        """Take more bytes (or none) and give the next request when it is whole; BadRequestError when it is
        none.

        `awaits_continue` is then true when the client holds its body back until it sees CONTINUE; whoever
        sends that sets it to false.
        """
        self._buffer += data
        return next(self._requests)

    def _parse(self) -> Generator[Request | None, None, None]:
        while True:
            head = yield from self._until(b"\r\n\r\n", MOST_HEAD)
            method, path, version, fields = _parse_head(head)
            chunked = _is_chunked(fields)
            length = 0 if chunked else _content_length(fields)
            self.awaits_continue = fields.get("expect", "").lower() == "100-continue" and not self._buffer
            body = (yield from self._chunks()) if chunked else (yield from self._exactly(length))
            self.awaits_continue = False
            options = fields.get("connection", "").lower()
            keep = "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)
            if chunked and "content-length" in fields:
                keep = False  # RFC 9112, 6.1: such a request may be an attempt at smuggling
            yield Request(method, path, body, keep_alive=keep)

    def _until(self, mark: bytes, most: int) -> Generator[None, None, bytes]:
        start = 0
        while (end := self._buffer.find(mark, start)) < 0:
            if len(self._buffer) > most:
                break
            start = max(0, len(self._buffer) - len(mark) + 1)
            yield
        if not 0 <= end <= most:
            raise BadRequestError(431, f"more than {most} bytes of header")
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return taken

    def _exactly(self, count: int) -> Generator[None, None, bytearray]:
        while len(self._buffer) < count:
            yield
        if len(self._buffer) == count:  # the usual case, and 50 MB need not be copied
            taken, self._buffer = self._buffer, bytearray()
        else:
            taken = self._buffer[:count]
            del self._buffer[:count]
        return taken

    def _chunks(self) -> Generator[None, None, bytearray]:
        body = self._chunked = bytearray()
        while True:
            line = yield from self._until(b"\r\n", 4096)
            text = line.partition(b";")[0].strip()
            if not text or text.strip(b"0123456789abcdefABCDEF"):
                raise BadRequestError(400, "a chunk's size is no hexadecimal number")
            size = int(text, 16)
            if len(body) + size > MOST_BODY:
                raise BadRequestError(413, f"the body is larger than {MOST_BODY} bytes")
            if size == 0:
                break
            yield from self._move(size, body)
            if (yield from self._exactly(2)) != b"\r\n":
                raise BadRequestError(400, "a chunk does not end where its size says")
        while (yield from self._until(b"\r\n", MOST_HEAD)):
            pass  # trailer fields
        self._chunked = bytearray()
        return body

    def _move(self, count: int, body: bytearray) -> Generator[None, None, None]:
        """Append the next `count` bytes to `body` as they come: a large chunk is never here twice."""
        while True:
            taken = self._buffer[:count]
            body += taken
            del self._buffer[: len(taken)]
            count -= len(taken)
            if not count:
                return
            yield


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.lstrip(b"\r\n").decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[0].isalpha():
        raise BadRequestError(400, "the first line is no HTTP request line")
    method, target, version = words
    if version not in {"HTTP/1.0", "HTTP/1.1"}:
        raise BadRequestError(
            505 if version.startswith("HTTP/") else 400, "only HTTP/1.0 and HTTP/1.1 are spoken"
        )
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "a header line has no name")
        if name == "content-length" and fields.get(name, value) != value:
            raise BadRequestError(400, "two different values of Content-Length")
        fields[name] = f"{fields[name]}, {value}" if name in fields and name != "content-length" else value
    return method, target.partition("?")[0], version, fields


def _is_chunked(fields: dict[str, str]) -> bool:
    coding = fields.get("transfer-encoding")
    if coding is None:
        return False
    if coding.lower() != "chunked":
        raise BadRequestError(501, "no transfer coding but chunked is supported")
    return True


def _content_length(fields: dict[str, str]) -> int:
    text = fields.get("content-length", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise BadRequestError(400, "Content-Length is no number")
    length = int(text)
    if length > MOST_BODY:
        raise BadRequestError(413, f"the body has {length} bytes, at most {MOST_BODY} are taken")
    return length


def write_response(status: int, body: bytes, *, keep_alive: bool) -> bytes:
    """Write a whole response; Content-Length is always there, since the platform takes anything else for a
    crash.
    """
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
        f"Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    )
    return head.encode("ascii") + body
