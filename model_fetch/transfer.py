"""The rules of one HTTP transfer: what to ask for, how to read the answer, and when to try again."""

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from model_fetch.catalog import Asset
from model_fetch.errors import DownloadFailed, NotFound, WrongSize

# RFC 9110 section 15: these ask to come again, as do all of 5xx.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How patient a download is. All times in seconds.

    Attributes:
        attempts: requests in all, the first one included.
        first_delay: the longest wait before the second request; it doubles with each further one.
        longest_delay: no wait grows beyond this.
        longest_retry_after: a server that asks for a longer pause than this is not waited for.
        connect_timeout: for the connection to stand.
        read_timeout: for the next bytes to come, however many.
    """

    attempts: int = 5
    first_delay: float = 1.0
    longest_delay: float = 30.0
    longest_retry_after: float = 120.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0

    def delay(self, failures: int, chance: float) -> float:
        """The wait after so many failures, `chance` being in [0, 1).

        Half of it is random, so that many clients of one broken server do not come back at the same moment.
        """
        whole = min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))
        return whole * (1 + chance) / 2


class Transient(Exception):
    """A failure that may pass; `wait` is the pause that the server asked for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class StartOver(Exception):
    """The server cannot continue the file where the part ends."""


def request_headers(offset: int) -> dict[str, str]:
    """Ask for the bytes from `offset` on, as they are.

    No If-Range: the digest tells whether the pieces fit together, also when they come from different mirrors.
    """
    plain = {"Accept-Encoding": "identity"}
    return plain | {"Range": f"bytes={offset}-"} if offset else plain


def body_offset(asset: Asset, url: str, offset: int, status: int, headers: Mapping[str, str]) -> int:
    """Where in the file the answer's body begins, by RFC 9110 sections 14 and 15; `headers` ignores case.

    Raises:
        NotFound, WrongSize, DownloadFailed: asking again would not help.
        Transient: it may help.
        StartOver: asking for the whole file may help.
    """
    match status:
        case HTTPStatus.OK:  # also the answer of a server that ignores Range
            _expect_size(asset, url, headers.get("Content-Length"))
            return 0
        case HTTPStatus.PARTIAL_CONTENT:
            _expect_range(asset, url, offset, headers.get("Content-Range", ""))
            return offset
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if offset:
            raise StartOver
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            raise NotFound(
                f"{url} is not there (HTTP {status}). The catalogue may be out of date: update under48, "
                f"or put the file into a mirror folder as {asset.location}"
            )
        case _ if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Transient(f"HTTP {status}", retry_after(headers.get("Retry-After", "")))
    raise DownloadFailed(
        f"{url}: the server answers with HTTP {status} {_phrase(status)}. "
        "See whether a proxy or a firewall stands between, or use a mirror"
    )


def retry_after(value: str, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110 section 10.2.3), if any."""
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:  # "-0000": universal time of an unknown zone (RFC 5322 section 3.3)
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _expect_size(asset: Asset, url: str, size: str | None) -> None:
    if size is not None and size != str(asset.bytes):
        raise WrongSize(
            f"{url} has {size} bytes, the catalogue says {asset.bytes}: it is another file now. "
            "Update under48, or use a mirror that has the right one"
        )


def _expect_range(asset: Asset, url: str, offset: int, content_range: str) -> None:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if match and match[2] != "*":
        _expect_size(asset, url, match[2])
    if match and int(match[1]) == offset:
        return
    if offset:
        raise StartOver
    raise DownloadFailed(
        f"{url}: the server sends a piece of the file ({content_range!r}) though the whole was asked for"
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
