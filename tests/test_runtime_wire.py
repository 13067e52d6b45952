"""The HTTP reader of the runtime: whole requests, however they arrive."""

import pytest

from images.runtime.wire import MOST_BODY, MOST_HEAD, BadRequestError, RequestReader, write_response

PLAIN = b'POST /init?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'3;name=x\r\n{"a\r\n004\r\n":1}\r\n0\r\nTrailer: y\r\n\r\n'
)


@pytest.mark.parametrize(("raw", "path"), [(PLAIN, "/init"), (CHUNKED, "/run")])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_request_is_the_same_in_pieces_of_any_size(raw: bytes, path: str, step: int) -> None:
    reader = RequestReader()
    found = [reader.feed(raw[at : at + step]) for at in range(0, len(raw), step)]
    assert found[:-1] == [None] * (len(found) - 1)
    request = found[-1]
    assert request is not None
    assert (request.method, request.path, bytes(request.body)) == ("POST", path, b'{"a":1}')
    assert request.keep_alive


def test_requests_sent_together_come_out_one_after_the_other() -> None:
    reader = RequestReader()
    first = reader.feed(PLAIN + CHUNKED + PLAIN)
    paths = [request.path for request in (first, reader.feed(b""), reader.feed(b"")) if request is not None]
    assert paths == ["/init", "/run", "/init"]
    assert reader.feed(b"") is None


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1\r\n", True),
        (b"HTTP/1.1\r\nConnection: close\r\n", False),
        (b"HTTP/1.0\r\n", False),
        (b"HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", False),
    ],
)
def test_the_connection_stays_open_as_version_and_header_say(head: bytes, keep: bool) -> None:  # noqa: FBT001
    request = RequestReader().feed(
        b"POST /run " + head + b"\r\n" + (b"0\r\n\r\n" if b"chunked" in head else b"")
    )
    assert request is not None
    assert request.keep_alive is keep


def test_a_client_that_waits_for_100_continue_is_known() -> None:
    reader = RequestReader()
    head = b"POST /init HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert reader.feed(head) is None
    assert reader.awaits_continue
    request = reader.feed(b"{}")
    assert request is not None
    assert not reader.awaits_continue


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xf5\r\n\r\n", 400),
        (b"POST /run HTTP/2.0\r\n\r\n", 505),
        (b"POST /run HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: " + b"9" * 18 + b"\r\n\r\n", 413),
        (b"GET /run\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /run HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1), 413),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        (b"a" * (MOST_HEAD + 1), 431),
        (b"POST /run HTTP/1.1\r\nA: " + b"a" * MOST_HEAD + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_has_its_status(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        RequestReader().feed(raw)
    assert caught.value.status == status


def test_a_response_always_has_its_length() -> None:
    head, _, body = write_response(502, b"{}", keep_alive=False).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 502 Bad Gateway",
        b"Content-Type: application/json",
        b"Content-Length: 2",
        b"Connection: close",
    ]
    assert body == b"{}"
