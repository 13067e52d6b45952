from datetime import UTC, datetime

import pytest

from model_fetch import Asset, DownloadFailed, ModelFetchError, NotFound, RetryPolicy, WrongSize
from model_fetch.transfer import StartOver, Transient, body_offset, request_headers, retry_after

ASSET = Asset(url="https://example.org/a", sha256="0" * 64, bytes=100, licence="-")


def offset_of(offset: int, status: int, headers: dict[str, str]) -> int:
    return body_offset(ASSET, ASSET.url, offset, status, headers)


def test_only_a_part_asks_for_a_range() -> None:
    assert request_headers(0) == {"Accept-Encoding": "identity"}
    assert request_headers(7) == {"Accept-Encoding": "identity", "Range": "bytes=7-"}


@pytest.mark.parametrize(("offset", "status", "headers", "begin"), [
    (0, 200, {}, 0),
    (0, 200, {"Content-Length": "100"}, 0),
    (40, 200, {"Content-Length": "100"}, 0),
    (40, 206, {"Content-Range": "bytes 40-99/100"}, 40),
    (40, 206, {"Content-Range": "bytes 40-99/*"}, 40),
    (0, 206, {"Content-Range": "bytes 0-99/100"}, 0),
])  # fmt: skip
def test_a_body_begins_where_the_answer_says(
    offset: int, status: int, headers: dict[str, str], begin: int
) -> None:
    assert offset_of(offset, status, headers) == begin


@pytest.mark.parametrize(("offset", "status", "headers", "error"), [
    (0, 404, {}, NotFound),
    (0, 410, {}, NotFound),
    (0, 403, {}, DownloadFailed),
    (0, 401, {}, DownloadFailed),
    (0, 416, {}, DownloadFailed),
    (0, 304, {}, DownloadFailed),
    (0, 204, {}, DownloadFailed),
    (0, 299, {}, DownloadFailed),
    (0, 206, {"Content-Range": "bytes 1-99/100"}, DownloadFailed),
    (0, 206, {}, DownloadFailed),
    (0, 200, {"Content-Length": "99"}, WrongSize),
    (0, 200, {"Content-Length": "101"}, WrongSize),
    (40, 206, {"Content-Range": "bytes 40-100/101"}, WrongSize),
])  # fmt: skip
def test_some_answers_are_final(
    offset: int, status: int, headers: dict[str, str], error: type[ModelFetchError]
) -> None:
    with pytest.raises(error) as raised:
        offset_of(offset, status, headers)
    assert ASSET.url in str(raised.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_some_answers_are_worth_another_try(status: int) -> None:
    with pytest.raises(Transient, match=f"HTTP {status}") as raised:
        offset_of(0, status, {"Retry-After": "3"})
    assert raised.value.wait == 3


@pytest.mark.parametrize(("status", "headers"), [
    (416, {"Content-Range": "bytes */30"}),
    (206, {"Content-Range": "bytes 41-99/100"}),
    (206, {"Content-Range": "lines 40-99/100"}),
    (206, {}),
])  # fmt: skip
def test_an_answer_that_does_not_fit_the_part_starts_over(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(StartOver):
        offset_of(40, status, headers)


@pytest.mark.parametrize(("value", "seconds"), [
    ("0", 0),
    ("120", 120),
    ("Fri, 31 Dec 1999 23:59:59 GMT", 29),
    ("Fri, 31 Dec 1999 23:59:00 GMT", 0),
    ("Fri, 31 Dec 1999 23:59:59 -0000", 29),
    ("", None),
    ("soon", None),
    ("-1", None),
    ("1.5", None),
])  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, datetime(1999, 12, 31, 23, 59, 30, tzinfo=UTC)) == seconds


def test_the_wait_doubles_up_to_a_bound_and_half_of_it_is_random() -> None:
    policy = RetryPolicy(first_delay=1, longest_delay=5)
    assert [policy.delay(failures, 0.0) for failures in (1, 2, 3, 4, 50)] == [0.5, 1, 2, 2.5, 2.5]
    assert policy.delay(2, 0.5) == 1.5
