"""Brings assets into the cache: from mirrors, what is bundled or their public URL; over HTTP or from a folder."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import requests
import urllib3.exceptions as urllib3_errors

from model_fetch.cache import BUNDLED, Part, Stopped, is_cached, locked_part
from model_fetch.catalog import Asset
from model_fetch.errors import (
    CacheUnwritable,
    DiskFull,
    DownloadFailed,
    ModelFetchError,
    NoNetwork,
    NotFound,
    WrongDigest,
    WrongSize,
    without_userinfo,
)
from model_fetch.transfer import RetryPolicy, StartOver, Transient, body_offset, request_headers

Progress = Callable[[str, int, int | None], None]
"""Called with what is fetched, bytes done and bytes in all; never for what the cache held already."""

Warn = Callable[[str], None]
"""Called with a line about a mirror, or a bundled file, that was passed over though it is there."""

_PIECE = 1 << 16
PATIENT = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class Job:
    """What stays the same for all assets that one thread fetches; setting `stop` calls the work off.

    `given_up` holds the hosts that could not be reached or did not deliver: they are not tried again.
    """

    cache: Path
    mirrors: Sequence[str]
    progress: Progress | None
    warn: Warn | None
    policy: RetryPolicy
    session: requests.Session
    given_up: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)


def fetch(  # noqa: PLR0913 -- each keyword is a thing of its own that a caller may choose
    asset: Asset,
    *,
    cache: Path,
    mirrors: Sequence[str] = (),
    progress: Progress | None = None,
    warn: Warn | None = None,
    policy: RetryPolicy = PATIENT,
) -> Path:
    """The path of the verified asset in the cache, fetched first if the cache lacks it.

    Args:
        asset: what to fetch.
        cache: folder that gets the file as `<host>/<path>`; made when missing.
        mirrors: folders or URLs (https, http, file) that hold assets as `<host>/<path>`, tried in this order
            before the bundled files and the public URL. One that is not there, or has not this asset, is
            passed over in silence; one with other trouble is passed over with a warning. A relative folder
            starts at the working directory.
        progress: see `Progress`.
        warn: see `Warn`.
        policy: attempts, delays and timeouts.

    Raises:
        NotFound, WrongDigest, WrongSize, NoNetwork, DownloadFailed: it is not bundled, no mirror had it, and
            this is what happened at its public URL.
        DiskFull, CacheUnwritable: the cache cannot take it.
    """
    with requests.Session() as session:
        job = Job(cache=cache, mirrors=mirrors, progress=progress, warn=warn, policy=policy, session=session)
        return fetch_in_job(asset, job)


def fetch_in_job(asset: Asset, job: Job) -> Path:
    """As `fetch`; also raises Stopped."""
    path = job.cache / asset.location
    if is_cached(asset, job.cache):
        return path
    with locked_part(asset, job.cache, job.stop) as part:
        if not is_cached(asset, job.cache):  # else another process made it while this one waited for the lock
            _fill(part, asset, job)
            part.finish(path)
    return path


def _fill(part: Part, asset: Asset, job: Job) -> None:
    notes = []
    for mirror in (*job.mirrors, str(BUNDLED)):
        try:
            if _from_mirror(mirror, part, asset, job):
                return
            if mirror in job.mirrors:  # that most files are not bundled is no news
                notes.append(f"{mirror} does not have it")
        except (DiskFull, CacheUnwritable):
            raise
        except ModelFetchError as error:
            if job.warn:
                job.warn(f"passed over: {error}")
            notes.append(str(error))
    try:
        _from_url(asset.url, part, asset, job)
    except ModelFetchError as error:
        if not notes:
            raise
        raise type(error)(f"{error}\nTried before that: {'; '.join(notes)}") from error


def _from_mirror(mirror: str, part: Part, asset: Asset, job: Job) -> bool:
    """Whether the mirror is there and has the asset; raises what is wrong with it otherwise."""
    try:
        if mirror.lower().startswith(("https://", "http://")):
            _from_url(f"{mirror.rstrip('/')}/{asset.location}", part, asset, job)
        else:
            _from_folder(_folder(mirror) / asset.location, part, asset, job)
    except (NotFound, NoNetwork):
        return False
    return True


def _folder(mirror: str) -> Path:
    """The folder that a mirror names, as a path or as a URL (RFC 8089)."""
    scheme, is_url, rest = mirror.partition("://")
    if not is_url:
        return Path(mirror).expanduser()
    host, _, path = rest.partition("/")
    if scheme.lower() != "file" or host.lower() not in {"", "localhost"}:
        raise DownloadFailed(
            f"{mirror} is no mirror: give a folder, or a URL with https://, http:// or file:///"
        )
    return Path("/", unquote(path))


def _from_folder(path: Path, part: Part, asset: Asset, job: Job) -> None:
    for number, piece in enumerate(_pieces(path)):
        if number == 0:  # not before: a mirror that is not there must not cost the part
            part.restart()
        if len(piece) > part.missing:
            break
        _take(piece, part, asset, job)
    else:
        if part.right:
            return
    part.restart()
    raise WrongDigest(f"{path} is not the file of the catalogue (SHA-256 {asset.sha256}): replace it")


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path} is not there") from error
    except OSError as error:
        raise DownloadFailed(f"{path} cannot be read ({error.strerror}): mend its permissions") from error


def _from_url(url: str, part: Part, asset: Asset, job: Job) -> None:
    host = _host(url)
    if host in job.given_up:
        raise NoNetwork(f"{host} is not tried again for {url}: it could not be reached before")
    try:
        _download(url, part, asset, job)
    except (NoNetwork, DownloadFailed):
        job.given_up.add(host)
        raise


def _host(url: str) -> str:
    return without_userinfo(url).split("/")[2]


def _download(url: str, part: Part, asset: Asset, job: Job) -> None:
    failures = 0
    while True:
        try:
            _transfer(url, part, asset, job)
        except StartOver:
            part.restart()
            continue
        except (Transient, NoNetwork) as error:
            failures += 1
            _wait_or_give_up(url, failures, error, part, job)
            continue
        if part.right:
            return
        pieced = part.pieced
        part.restart()
        if not pieced:
            raise WrongDigest(
                f"{url} is not the file of the catalogue (SHA-256 {asset.sha256}): it was changed, there or "
                "on the way. Update under48, or use a mirror that has the right one"
            )


def _wait_or_give_up(url: str, failures: int, error: Transient | NoNetwork, part: Part, job: Job) -> None:
    policy = job.policy
    # Without a network at all, waiting helps nobody; a connection that stood a moment ago may come back.
    if isinstance(error, NoNetwork) and failures in (1, policy.attempts):
        raise error
    asked = error.wait if isinstance(error, Transient) and error.wait else 0.0
    kept = f"{part.size} bytes are kept: run again to go on from there, or use a mirror"
    if asked > policy.longest_retry_after:
        raise DownloadFailed(
            f"{url}: {error}, and the server wants a pause of {asked:.0f} s. {kept}"
        ) from error
    if failures >= policy.attempts:
        raise DownloadFailed(f"{url}: failed {failures} times, at last: {error}. {kept}") from error
    delay = policy.delay(failures, random.random())  # noqa: S311 -- no secret depends on it
    if job.stop.wait(max(delay, asked)):
        raise Stopped


def _transfer(url: str, part: Part, asset: Asset, job: Job) -> None:
    """One request, as far as it goes. Afterwards the part is complete, or Transient is raised."""
    offset = part.size
    if not part.missing:
        return
    timeout = (job.policy.connect_timeout, job.policy.read_timeout)
    with (
        _network(url),
        job.session.get(url, headers=request_headers(offset), stream=True, timeout=timeout) as response,
    ):
        begin = body_offset(asset, url, offset, response.status_code, response.headers)
        if begin < offset:
            part.restart()
        part.pieced = begin > 0
        # read1 gives what has come so far, so a broken connection or Ctrl-C loses nothing. One byte more than
        # what is missing tells a longer file without reading it.
        while piece := response.raw.read1(min(_PIECE, part.missing + 1), decode_content=False):
            if len(piece) > part.missing:
                part.restart()
                raise WrongSize(
                    f"{url} goes on after the {asset.bytes} bytes of the catalogue: it is another file now"
                )
            _take(piece, part, asset, job)
    if part.missing:
        raise Transient(f"the answer ended after {part.size} of {asset.bytes} bytes")


def _take(piece: bytes, part: Part, asset: Asset, job: Job) -> None:
    if job.stop.is_set():
        raise Stopped
    part.write(piece)
    if job.progress:
        job.progress(asset.name, part.size, asset.bytes)


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
    """Turn what the HTTP libraries raise into Transient or into what a user can act on."""
    host = _host(url)
    try:
        yield
    except (requests.exceptions.SSLError, urllib3_errors.SSLError) as error:
        raise DownloadFailed(
            f"{host}: no trusted connection ({error}). Behind a proxy with a certificate of its own, "
            "name the file of certificates in REQUESTS_CA_BUNDLE"
        ) from error
    except requests.ConnectTimeout as error:  # as of a firewall that drops what it does not let through
        raise _no_network(host, "no answer") from error
    except (requests.Timeout, urllib3_errors.TimeoutError) as error:
        raise Transient("timed out") from error
    except requests.ConnectionError as error:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(reason, urllib3_errors.NewConnectionError | urllib3_errors.ProxyError):
            raise _no_network(host, str(reason).split(": ", 1)[-1]) from error
        raise Transient(f"the connection broke ({error})") from error
    except (requests.exceptions.ChunkedEncodingError, urllib3_errors.HTTPError) as error:
        raise Transient(f"the connection broke ({error})") from error
    except requests.RequestException as error:
        raise DownloadFailed(f"{url}: {error}. Use a mirror, or check the proxy's settings") from error


def _no_network(host: str, why: str) -> NoNetwork:
    return NoNetwork(
        f"{host} cannot be reached ({why}). Check the network, or the proxy in HTTPS_PROXY; or use a mirror: "
        "--mirror, UNDER48_MIRRORS, or `mirrors` in invoke.yaml"
    )
